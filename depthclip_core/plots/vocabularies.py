"""Figures of vocabularies: how alike words are, where they lie along distance, what they score."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from depthclip_core.plots.figures import ANSWER_COLOURS

MARKS = "osD^v"


def show_similarities(
    ax: Axes, matrix: np.ndarray, words: Sequence[str], limits: tuple[float, float], title: str
) -> AxesImage:
    """Cosine similarities (K, K) of words with each other, each written into its field."""
    image = ax.imshow(matrix, cmap=ANSWER_COLOURS, vmin=limits[0], vmax=limits[1])
    middle = sum(limits) / 2
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if value < middle else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=6.5)
    ax.set_xticks(range(len(words)), words, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(words)), words)
    ax.tick_params(length=0, labelsize=7)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return image


def show_positions(ax: Axes, positions: pd.DataFrame, title: str) -> None:
    """Place of each word along its list's axis against its rank, a line for each list (column).

    Beyond −1 and 2 a line leaves the picture: its list's ends are nearly one vector.
    """
    ranks = np.arange(1, len(positions) + 1)
    ax.plot(
        [1, len(positions)], [0, 1], color="0.45", lw=1.2, ls="--", zorder=0, label="even steps"
    )
    for i, (name, column) in enumerate(positions.items()):
        ax.plot(ranks, column, f"{MARKS[i % len(MARKS)]}-", ms=4, lw=1.2, label=name)
    ax.set_xticks(ranks)
    ax.set(xlabel="word, from near to far as listed", title=title)
    ax.set(ylabel="place from first (0) to last (1)", ylim=(-1, 2))
    ax.legend(fontsize=7.5, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def show_where(ax: Axes, table: pd.DataFrame, limits: tuple[float, float], title: str) -> None:
    """True depth where each word wins (a table of `controls.where_words_win`), first word on top.

    Dots are medians, their area the share of cells; lines span the quartiles.
    """
    ranks, share = np.arange(len(table)), table["cells"] / table["cells"].sum()
    ax.hlines(ranks, table["25 %"], table["75 %"], color="C0", lw=2, alpha=0.6)
    ax.scatter(table["median"], ranks, s=8 + 160 * share, color="C0", zorder=3)
    for rank in ranks[table["cells"] == 0]:
        ax.text(limits[0], rank, " never wins", va="center", fontsize=7, color="0.4")
    ax.set_yticks(ranks, table.index, fontsize=7.5)
    ax.set(xlim=limits, ylim=(len(table) - 0.4, -0.6), title=title)


def show_scores(
    ax: Axes, scores: pd.DataFrame, reference: float, label: str, title: str = ""
) -> None:
    """Scores of lists under several bins: rows (list, bins), columns mean, low and high.

    reference: a score to beat, drawn as a line.
    """
    names = list(dict.fromkeys(scores.index.get_level_values(0)))
    kinds = list(dict.fromkeys(scores.index.get_level_values(1)))
    offsets = (np.arange(len(kinds)) - (len(kinds) - 1) / 2) * 0.22
    for i, (kind, offset) in enumerate(zip(kinds, offsets, strict=True)):
        rows = scores.xs(kind, level=1)
        height = np.array([names.index(name) for name in rows.index]) + offset
        ax.hlines(height, rows["low"], rows["high"], color=f"C{i}", lw=1.5)
        ax.plot(rows["mean"], height, MARKS[i], color=f"C{i}", ms=4.5, label=f"{kind} bins")
    ax.axvline(reference, color="0.35", ls="--", lw=1, label="best constant")
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=label, title=title)
