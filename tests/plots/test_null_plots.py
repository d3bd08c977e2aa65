import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots import null_plots

matplotlib.use("Agg")
OWN = pd.Series({"mean": 0.7, "low": 0.6, "high": 0.8})


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_clouds_show_every_draw_and_the_median(ax):
    clouds = {"a": np.array([0.1, 0.2, 0.4]), "b": np.array([0.5])}
    null_plots.show_clouds(ax, clouds, OWN, 0.3, "title")
    dots = [collection.get_offsets() for collection in ax.collections]
    np.testing.assert_allclose(np.sort(dots[0][:, 0]), [0.1, 0.2, 0.4])
    assert len(set(dots[0][:, 1])) == 3 and np.abs(dots[0][:, 1]).max() < 0.5
    assert dots[1][0].tolist() == pytest.approx([0.5, 1.0])
    assert list(ax.lines[0].get_xdata()) == [0.2, 0.2]
    assert len(ax.patches) == 1
    null_plots.name_marks(ax)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["own", "best constant", "one random draw", "median of draws"]


def test_clouds_have_no_band_without_an_interval(ax):
    own = pd.Series({"mean": 0.7, "low": np.nan, "high": np.nan})
    null_plots.show_clouds(ax, {"a": np.array([0.1])}, own, 0.3, "title")
    assert len(ax.patches) == 0


def test_curves_show_train_and_test(ax):
    columns = ["train", "test", "null train", "null test", "lowest", "highest"]
    curves = pd.DataFrame(np.arange(12.0).reshape(2, 6), [2, 3], columns)
    null_plots.show_curves(ax, curves, {"a line": 0.5}, "δ1")
    shown = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert shown["distance, test"] == [1, 7] and shown["ordinary, train"] == [2, 8]
    assert shown["a line"] == [0.5, 0.5] and ax.get_ylabel() == "δ1"


def test_clouds_figure_has_a_panel_for_each(ax):
    panel = {"clouds": {"a": np.array([0.1, 0.3])}, "own": OWN, "blind": 0.2}
    figure = null_plots.clouds_figure({"first": panel, "second": panel}, "δ1", "all")
    titles = [each.get_title() or each.get_title(loc="left") for each in figure.axes]
    assert titles == ["first", "second"]
    assert figure.axes[1].get_xlabel() == "δ1" and not figure.axes[0].get_xlabel()
    plt.close(figure)


def test_searches_figure_has_a_panel_for_each_metric(ax):
    columns = ["train", "test", "null train", "null test", "lowest", "highest"]
    curves = pd.DataFrame(np.arange(12.0).reshape(2, 6), [2, 3], columns)
    lines = {"delta1": {"a line": 0.5}, "rmse": {"a line": 0.7}}
    figure = null_plots.searches_figure({"delta1": curves, "rmse": curves}, lines, "all")
    assert [each.get_ylabel() for each in figure.axes] == ["δ1 ↑", "rmse (m) ↓"]
    assert list(figure.axes[1].lines[-1].get_ydata()) == [0.7, 0.7]
    plt.close(figure)


def test_axis_labels_say_which_end_is_better():
    assert null_plots.axis_label("delta1") == "δ1 ↑"
    assert null_plots.axis_label("rmse") == "rmse (m) ↓"
