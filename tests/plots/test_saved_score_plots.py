import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots.saved_score_plots import map_and_error, protocol_panels


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_panels_show_means_and_the_intervals_that_are_known():
    rows = pd.MultiIndex.from_product([["bts", "pooled"], ["delta1", "rmse"]])
    table = pd.DataFrame({"mean": [0.5, 1.0, 0.6, 1.2]}, rows)
    table["low"], table["high"] = [0.4, 0.9, np.nan, np.nan], [0.6, 1.3, np.nan, np.nan]
    figure = protocol_panels(table, ["delta1", "rmse"], "title")
    expected = [((0.5, 0.6), (0.4, 0.6)), ((1.0, 1.2), (0.9, 1.3))]
    for ax, (means, ends) in zip(figure.axes, expected, strict=True):
        (dots,), (lines,) = ax.lines, ax.collections
        assert tuple(dots.get_xdata()) == means
        assert [tuple(line[:, 0]) for line in lines.get_segments()] == [ends]
        assert [text.get_text() for text in ax.get_yticklabels()] == ["bts", "pooled"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["δ1 ↑", "rmse (m) ↓"]


@pytest.mark.parametrize(("shape", "columns"), [((30, 40), 2), ((30, 100), 1)])
def test_maps_share_a_scale_and_wide_frames_are_stacked(shape, columns):
    truth, depth = np.full(shape, 3.0), np.full(shape, 4.0)
    truth[:5], depth[:, :5] = 0, 0
    figure = map_and_error(np.zeros((*shape, 3), np.uint8), truth, depth)
    photo, measured, predicted, off = figure.axes[:4]
    assert photo.get_subplotspec().get_gridspec().ncols == columns
    assert measured.images[0].get_clim() == predicted.images[0].get_clim() == (0, 4)
    error = off.images[0].get_array()
    assert (error.compressed() == 1).all() and error.mask.sum() == (
        shape[0] * 5 + shape[1] * 5 - 25
    )
    assert photo.get_title() == "photograph"


def test_nothing_predicted_is_all_grey():
    blank = np.zeros((4, 5))
    figure = map_and_error(np.zeros((4, 5, 3), np.uint8), blank, blank)
    assert figure.axes[3].images[0].get_array().mask.all()
