import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots import ceiling_plots, failure_plots

matplotlib.use("Agg")


@pytest.fixture
def ax():
    yield plt.figure().subplots()
    plt.close("all")


@pytest.mark.parametrize("low", [0.1, np.nan])
def test_waterfall_bars_go_from_before_to_after(ax, low):
    table = pd.DataFrame(
        {"before": [0.3, 0.5], "after": [0.5, 1.0], "mean": [0.2, 0.5], "low": low, "high": 0.6},
        ["bins", "grid"],
    )
    ceiling_plots.show_waterfall(ax, table, "delta1", "DepthCLIP", "title")
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    np.testing.assert_allclose(bars, [(0.3, 0.2), (0.5, 0.5)])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["DepthCLIP", "bins", "grid"]
    bounds = "" if np.isnan(low) else " [0.10, 0.60]"
    assert [text.get_text() for text in ax.texts] == [f"+0.20{bounds}", f"+0.50{bounds}"]


def test_reach_bars_fill_the_whole(ax):
    shares = {"nearer": 0.1, "farther": 0.4, "near miss": 0.05, "far miss": 0.3}
    ceiling_plots.show_reach(ax, pd.DataFrame(shares, ["kitchen"]))
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [0.05, 0.05, 0.5, 0.1, 0.3])


def table(systems=("a", "b"), names=("near", "far")):
    index = pd.MultiIndex.from_product([names, systems])
    return pd.DataFrame({"mean": 0.2, "low": 0.1, "high": np.nan}, index)


def test_classes_have_a_line_for_each_system(ax):
    failure_plots.show_by_class(ax, table(), "signed_rel", "distance")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["near", "far"]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["a", "b"]


def test_classes_down_the_axis(ax):
    failure_plots.show_classes(ax, table(), "rel")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["near", "far"]
    other = plt.figure().subplots()
    failure_plots.show_classes(other, table()[:0], "rel")
    assert [text.get_text() for text in other.texts] == ["no class has enough images"]


def test_places_are_on_one_scale(ax):
    cells = np.array([[-0.42, np.nan], [0.1, 0.2]])
    assert failure_plots.places_limit([cells]) == 0.5
    assert failure_plots.places_limit([cells * np.nan]) == 1
    image = failure_plots.show_places(ax, cells, "signed_rel", 0.5)
    assert image.get_clim() == (-0.5, 0.5)
    assert failure_plots.show_places(ax, cells, "abs_rel", 0.5).get_clim() == (0, 0.5)


def test_a_row_of_places_shares_its_scale():
    figure, axes = plt.subplots(1, 2)
    maps = {"a": np.full((2, 2), 0.1), "b": np.full((2, 2), -0.38)}
    failure_plots.show_place_row(figure, axes, maps, "signed_rel")
    assert [ax.images[0].get_clim() for ax in axes] == [(-0.4, 0.4)] * 2
    assert [ax.get_title() or ax.get_title("left") for ax in axes] == ["a", "b"]
    assert figure.axes[2].get_ylabel() == "relative error"
    plt.close("all")


def test_order_shows_systems_without_intervals(ax):
    each = pd.DataFrame({"mean": [0.2, 0.3], "low": np.nan, "high": np.nan}, ["a", "b"])
    failure_plots.show_order(ax, "abs_rel", each, each)
    points = [line.get_xydata().tolist() for line in ax.lines]
    assert points == [[[0.2, 0.2]], [[0.3, 0.3]]]
