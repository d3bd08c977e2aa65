import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots import sensitivity_plots as p


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def tornado_table():
    rows = {
        ("given", "flip", "off"): (-0.02, -0.03, -0.01),
        ("given", "template", "word"): (0.1, -0.01, 0.2),
        ("fitted", "flip", "off"): (0.01, np.nan, np.nan),
    }
    names = ["bins", "choice", "alternative"]
    table = pd.DataFrame(rows, ["change", "low", "high"]).T
    return table.rename_axis(names)


def test_tornado_puts_the_largest_change_on_top(ax):
    p.show_tornado(ax, tornado_table(), "delta1")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["template: word", "flip: off"]
    bars = {round(bar.get_width(), 3): bar for bar in ax.patches if np.isfinite(bar.get_width())}
    assert bars[0.1].get_alpha() is None and bars[0.1].get_facecolor()[3] == 0.35  # includes zero
    assert bars[-0.02].get_facecolor()[3] == 1
    assert bars[0.01].get_facecolor()[3] == 0.35  # no interval
    low, high = ax.get_xlim()
    assert low == -high and high > 0.2
    assert ax.get_xlabel() == "change of δ1 ↑ against the default"


def test_tornado_without_any_change_is_drawn(ax):
    p.show_tornado(ax, tornado_table() * np.nan, "rmse")
    assert ax.get_xlim()[1] > 0


def test_curves_have_a_line_for_each_kind(ax):
    index = pd.MultiIndex.from_product([["given", "fitted"], [3, 7]], names=["bins", "words"])
    curves = pd.DataFrame({"mean": [0.1, 0.2, 0.3, 0.4]}, index)
    curves = curves.assign(low=curves["mean"] - 0.1, high=curves["mean"] + 0.1)
    p.show_curves(ax, curves, "delta1", (3, 7), ["fitted"])
    given, fitted = ax.get_lines()
    assert list(given.get_ydata()) == [0.1, 0.2] and list(fitted.get_xdata()) == [3, 7]
    assert len(ax.collections) == 1  # the band
    assert ax.get_ylim() == (0, 1) and ax.get_ylabel() == "δ1 ↑"
    p.mark_values(ax, {"released": 7})
    assert [text.get_text() for text in ax.texts] == ["released"]


@pytest.mark.parametrize(("metric", "name"), [("delta2", "δ2"), ("rmse", "rmse (m)")])
def test_symbols(metric, name):
    assert p.symbol(metric) == name
