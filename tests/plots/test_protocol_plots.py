"""Figures of protocols show the numbers of their tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots.protocol_plots import BETTER, WORSE, show_ranks, show_shares


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


SCORES = pd.DataFrame(
    {"bts": [0.5, 0.7, 0.6], "marigold": [0.9, 0.8, np.nan]}, ["words", "flat map", "saved $x$"]
)


def test_ranks_are_lines_with_scores(ax):
    show_ranks(ax, SCORES, "delta1", "ranks")
    lines = [line.get_ydata().tolist() for line in ax.lines]
    assert lines[:2] == [[3, 1], [1, 2]] and lines[2][0] == 2 and np.isnan(lines[2][1])
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.90", "0.70", "0.80", "0.60"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["bts", "marigold"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the best is on top"
    (names,) = ax.child_axes
    assert [t.get_text().strip() for t in names.get_yticklabels()] == list(SCORES.index)


def test_smaller_errors_rank_first(ax):
    show_ranks(ax, SCORES, "rmse")
    assert ax.lines[0].get_ydata().tolist() == [1, 2]
    assert "rmse" in ax.get_ylabel()


def shares_table(shares, least, most):
    columns = {"before": "none", "after": "median", "share": shares, "least": least, "most": most}
    return pd.DataFrame(columns, ["align", "crop"])


def test_shares_lead_from_one_score_to_the_other(ax):
    table = shares_table([0.2, -0.05], [0.1, -0.1], [0.3, 0.0])
    show_shares(ax, table, (0.5, 0.65), "delta1", "gap")
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [pytest.approx((0.5, 0.2)), pytest.approx((0.7, -0.05))]
    colours = [bar.get_facecolor()[:3] for bar in ax.patches]
    assert colours == [plt.matplotlib.colors.to_rgb(c) for c in (BETTER, WORSE)]
    ends = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "|"]
    assert ends == [pytest.approx([0.6, 0.8]), pytest.approx([0.6, 0.7])]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "before", "align: none → median", "crop: none → median", "after",
    ]  # fmt: skip
    assert [text.get_text() for text in ax.texts] == ["+0.200", "\N{MINUS SIGN}0.050"]


def test_a_lower_error_is_better(ax):
    show_shares(ax, shares_table([-0.2, 0.1], [-0.2, 0.1], [-0.2, 0.1]), (1, 0.9), "rmse")
    colours = [bar.get_facecolor()[:3] for bar in ax.patches]
    assert colours == [plt.matplotlib.colors.to_rgb(c) for c in (BETTER, WORSE)]


def test_no_gap_is_drawn_too(ax):
    show_shares(ax, shares_table([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]), (0.5, 0.5), "delta1")
    left, right = ax.get_xlim()
    assert left < 0.5 < right
