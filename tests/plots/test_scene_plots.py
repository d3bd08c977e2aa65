import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots import scene_plots, style

matplotlib.use("Agg")
CHANGES = ["one set − fixed bins", "a set per type − one set"]


@pytest.fixture(autouse=True)
def in_style():
    with plt.style.context(str(style.STYLE)):
        yield
    plt.close("all")


def labels(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def changes(known=True):
    index = pd.MultiIndex.from_product([CHANGES, ["delta1", "rmse"]], names=["change", "measure"])
    values = {"mean": [0.2, -0.1, 0.0, 0.0], "low": [0.1, -0.2, -0.1, -0.1]}
    values |= {"high": [0.3, 0.0, 0.1, 0.1], "verdict": ["better", "better", *["no telling"] * 2]}
    table = pd.DataFrame(values, index)
    if not known:
        table = table.assign(mean=np.nan, low=np.nan, high=np.nan, verdict="too few groups")
    return table


@pytest.mark.parametrize("known", [True, False])
def test_types_and_changes_show_types_bins_and_both_methods(known):
    quantiles = pd.DataFrame([[1, 2, 3, 4, 5], [2, 3, 4, 5, 6.0]], ["a", "b"], scene_plots.BOX)
    counts = pd.DataFrame({"images": [3, 12], "few": [True, False]}, ["a", "b"])
    of_methods = {"DepthCLIP": changes(), "DepthCLIP + value head": changes(known)}
    figure = scene_plots.types_and_changes(quantiles, counts, (1.5, 2.5), of_methods, "title")
    left, right = figure.axes
    assert labels(left.yaxis) == ["a, n = 3 (few)", "b, n = 12"]
    dotted = [line.get_xdata()[0] for line in left.lines if line.get_linestyle() == ":"]
    assert dotted == [1.5, 2.5]
    assert labels(right.yaxis) == [f"{c}\n{m}" for c in CHANGES for m in of_methods]
    dots = [line for line in right.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots][::2] == [0.2, 0.0]  # of δ1, not of rmse
    assert right.get_xlabel() == "change in δ1 ↑"


def test_bin_tables_share_one_scale_and_bracket_doubtful_numbers():
    words = ["near", "far"]
    tables = {"one": pd.DataFrame([[1, 2], [1, 3.0]], ["fixed", "a"], words)}
    tables["other"] = tables["one"] * 2
    doubtful = {name: pd.DataFrame([[False, True]], ["a"], words) for name in tables}
    figure = scene_plots.bin_tables(tables, doubtful, "title")
    first, second = figure.axes[:2]
    assert first.get_title("left") + first.get_title() == "one"
    assert first.collections[0].get_clim() == second.collections[0].get_clim()
    assert [text.get_text() for text in second.texts] == ["2.00", "4.00", "2.00", "(6.00)"]
