import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots import learned_plots, style

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def in_style():
    with plt.style.context(str(style.STYLE)):
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def steps(bounds=True):
    columns = ["level", "mean", "low", "high", "verdict"]
    rows = [[0.5, np.nan, np.nan, np.nan, ""], [0.7, 0.2, 0.1, 0.3, "better"]]
    rows += [[0.65, -0.05, -0.15, 0.05, "no telling"]]
    table = pd.DataFrame(rows, ["fixed", "all", "scene"], columns)
    if not bounds:
        table = table.assign(low=np.nan, high=np.nan, verdict=["", *["too few groups"] * 2])
    return table


def labels(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def test_steps_start_at_the_level_before(ax):
    learned_plots.show_steps(ax, steps(), "delta1", "title")
    lines = [line.get_xdata().tolist() for line in ax.lines if len(line.get_xdata()) == 2]
    assert [0.5, 0.7] in lines and [0.7, 0.65] in lines  # the changes
    assert np.allclose(lines[2], [0.6, 0.8])  # the interval, beside the level before
    assert labels(ax.yaxis) == ["fixed", "all", "scene"]
    assert ax.get_xlabel() == "δ1 ↑"
    assert [text.get_text() for text in ax.texts] == ["0.500", "0.700  (+0.200)", "0.650  (-0.050)"]
    low, high = ax.get_xlim()
    assert low < 0.5 and high > 0.8


def test_steps_without_intervals_are_drawn(ax):
    learned_plots.show_steps(ax, steps(bounds=False), "rmse")
    assert ax.get_xlabel() == "rmse (m) ↓"
    assert np.isfinite(ax.get_xlim()).all()


@pytest.mark.parametrize(("verdict", "colour"), [("better", "C0"), ("worse", "C1"), ("", "0.55")])
def test_changes_are_coloured_by_verdict(ax, verdict, colour):
    table = steps().iloc[1:].assign(verdict=verdict)
    learned_plots.show_changes(ax, table, "rmse")
    same = matplotlib.colors.same_color
    assert all(same(line.get_color(), colour) for line in ax.lines[:4])
    assert ax.get_xlabel() == "change in rmse (m) ↓"


def test_confusion_leaves_zeros_blank(ax):
    table = pd.DataFrame([[3, 0], [1, 2]], ["a", "b"], ["a", "b"])
    learned_plots.show_confusion(ax, table)
    assert [text.get_text() for text in ax.texts] == ["3", "", "1", "2"]


def test_reliability_has_a_line_for_each_way(ax):
    rows = pd.DataFrame({"confidence": [0.4, 0.9], "right": [0.5, 1.0], "images": [1, 9]})
    table = pd.concat({"own": rows, "fitted": rows}, names=["temperature", "level"])
    learned_plots.show_reliability(ax, table)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["own", "fitted"]
    sizes = ax.collections[0].get_sizes()
    assert sizes[1] > 5 * sizes[0]


def test_strengths_are_named_in_frames(ax):
    table = pd.DataFrame([[0.5, 0.6, 0.7]], ["true"], [0.1, 10.0, np.inf])
    learned_plots.show_strengths(ax, table, "delta1")
    assert labels(ax.xaxis) == ["0.1", "∞"]
    assert ax.get_xticks(minor=True).tolist() == [1]
