"""What words say at cells and how words are related: functions of (ax, data)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthclip_core.plots.map_plots import show_grid, show_photo
from depthclip_core.plots.style import (
    ACROSS,
    ANSWER_COLOURS,
    MARKS,
    WIDTH,
    Cell,
    Limits,
    heat_map,
    name_rows,
)
from depthclip_core.settings import Window

Words, Metres, Cells = Sequence[str], Sequence[float], Sequence[Cell]


def show_weights(ax: Axes, weights: np.ndarray, words: Words, bins: Metres, colour: str) -> float:
    """A cell's bin weights (K,) as bars with their words and bins; returns its depth in metres."""
    ax.barh(range(len(words)), weights, color=colour)
    ax.set_yticks(range(len(words)), [f"{w}  {b:.2f} m" for w, b in zip(words, bins, strict=True)])
    ax.set(xlim=(0, 1), xlabel="bin weight")
    ax.invert_yaxis()
    return float(np.dot(weights, bins))


def semantic_bins(
    rgb: np.ndarray,
    window: Window,
    weights: np.ndarray,
    words: Words,
    bins: Metres,
    marked: Cells,
    ground_truths: Metres,
    title: str,
) -> Figure:
    """The slide "Semantic Bin Response": the photograph under its cells, and for each marked cell
    its patch, its bin weights, its depth as predicted and as measured.

    rgb: (H, W, 3), whole. weights: (K, h, w). ground_truths: metres, NaN where not known.
    """
    grid = weights.shape[1:]
    figure = plt.figure(figsize=(WIDTH, 1.7 * len(marked) + 0.4))
    left, right = figure.subfigures(1, 2, width_ratios=[1.05, 1])
    photo = left.subplots()
    show_photo(photo, rgb, f"{grid[0]} × {grid[1]} cells, {len(marked)} of them marked")
    show_grid(photo, window, grid, marked)
    height, width = (side / n for side, n in zip(window.shape, grid, strict=True))
    shape = {"width_ratios": [1, 2.1], "squeeze": False}
    rows = zip(right.subplots(len(marked), 2, **shape), marked, ground_truths, strict=True)
    for i, (axes, (row, column), truth) in enumerate(rows):
        top, start = window.top + row * height, window.left + column * width
        patch = rgb[round(top) : round(top + height), round(start) : round(start + width)]
        show_photo(axes[0], patch, f"cell ({row}, {column})")
        axes[0].spines[:].set(visible=True, color=f"C{i + 1}", linewidth=2.2)
        predicted = show_weights(axes[1], weights[:, row, column], words, bins, f"C{i + 1}")
        known = "not known" if np.isnan(truth) else f"{truth:.2f} m"
        known = "" if np.isnan(ground_truths).all() else f", true {known}"
        # From the right: it is longer than the bars.
        axes[1].set_title(f"predicted {predicted:.2f} m{known}", loc="right")
    figure.suptitle(title)
    return figure


def show_counts(ax: Axes, counts: pd.DataFrame) -> None:
    """Counts (words × depth intervals) as a heat map; colour is the share of the interval."""
    shares = counts / counts.sum().replace(0, np.nan)
    heat_map(ax, shares, counts, (0, 1), ANSWER_COLOURS, "share of the depth's cells")
    ax.set_xticklabels(ax.get_xticklabels(), rotation=0)


def response_panels(curves: pd.DataFrame, bins: Sequence[float], title: str) -> Figure:
    """Mean weight of each word by true depth, four panels a row, with its interval and its bin.

    The axis of depth is logarithmic: most words share the first few metres. The dashed line is what
    all words alike have. curves: as `word_responses.response_curves` gives them.
    """
    words = list(dict.fromkeys(curves["word"]))
    rows = -(-len(words) // ACROSS)
    shape = {"figsize": (WIDTH, 1.8 * rows + 0.9), "squeeze": False}
    figure, axes = plt.subplots(rows, min(ACROSS, len(words)), sharey=True, **shape)
    for ax in axes.flat[len(words) :]:
        ax.remove()
    for ax, word, metres in zip(axes.flat, words, bins, strict=False):
        curve = curves[curves["word"] == word]
        ax.axvline(metres, color="C1", lw=1.5, label="the word's bin")
        ax.axhline(1 / len(words), color="0.5", lw=0.8, ls="--", label="1 / number of words")
        ax.fill_between(curve["depth"], curve["low"], curve["high"], color="C0", alpha=0.25, lw=0)
        ax.plot(curve["depth"], curve["mean"], color="C0", marker="o", ms=3, label="mean weight")
        ax.set(title=f"“{word}”", xscale="log", xlim=(0.6, 10))
        ax.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        ax.set_xticks([], minor=True)
    axes[0, 0].set(ylim=(0, 1))
    for ax in axes[:, 0]:
        ax.set_ylabel("bin weight")
    for ax in axes.flat[max(0, len(words) - axes.shape[1]) : len(words)]:  # the lowest ones
        ax.set_xlabel("true depth (m)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def show_entropies(ax: Axes, entropies: dict[str, np.ndarray], n_words: int) -> None:
    """Distribution of cells' entropies in bits, a line per name."""
    import seaborn as sns  # slow to import, and rarely used

    for (name, bits), dashes in zip(entropies.items(), ("-", "--", ":", "-."), strict=False):
        sns.ecdfplot(x=bits.ravel(), ax=ax, label=name, ls=dashes)
    most = np.log2(n_words)
    ax.axvline(most, color="0.5", lw=0.8, label=f"all {n_words} words alike")
    ax.set(xlim=(-0.06, most + 0.1), xlabel="entropy of a cell's bin weights (bits)")
    ax.set(ylim=(0, 1.02), ylabel="share of cells with at most that")
    ax.legend(loc="lower right", bbox_to_anchor=(0.95, 0))


def show_cosines(ax: Axes, cosines: Mapping[str, pd.DataFrame], title: str) -> None:
    """Cosine similarities of the words of each list, a row each: neighbours above, others below.

    cosines: by list, as from `control_words.cosines`.
    """
    for row, table in enumerate(cosines.values()):
        for near, kind, colour, shift in ((True, "o", "C0", -0.14), (False, "D", "C1", 0.14)):
            own = table["cosine"][table["neighbours"] == near]
            label = ("neighbouring words" if near else "other pairs") if row == 0 else None
            dots = {"s": 22, "marker": kind, "color": colour, "alpha": 0.6, "lw": 0}
            ax.scatter(own, np.full(len(own), row + shift), label=label, **dots)
    name_rows(ax, list(cosines))
    ax.set(xlabel="cosine similarity of two words", title=title)
    ax.set_xlim(right=1.01)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1))


def show_orders(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Rmse of a list with the same bins in all orders, a row each, and in the listed order.

    table: rows lists; columns of `word_lists.Lists.order_rmse`. The thin line spans all orders, the
    thick one 90 % of them with their median; the dot is the order of the list.
    """
    rows = np.arange(len(table))
    ax.hlines(rows, table["best"], table["worst"], color="0.7", lw=1.2, label="all orders")
    ax.hlines(rows, table["5 %"], table["95 %"], color="0.7", lw=6, label="90 % of them")
    ax.scatter(table["median"], rows, marker="|", s=90, color="black", label="their median")
    ax.scatter(table["as listed"], rows, s=34, color="C1", zorder=3, label="the listed order")
    name_rows(ax, list(table.index))
    ax.set(xlabel="rmse (m) ↓", title=title)


def orders_figure(panels: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """`show_orders` of each of its arguments by name, side by side with the lists' names once."""
    n_rows = max(len(table) for table in panels.values())
    size, shared = (WIDTH, 0.34 * n_rows + 1.7), {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(1, len(panels), figsize=size, **shared)
    for ax, (name, table) in zip(axes[0], panels.items(), strict=True):
        show_orders(ax, table, name)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)
    return figure


def show_positions(ax: Axes, positions: pd.DataFrame, title: str) -> None:
    """Place of each word along its list's axis against its rank, a line for each list (column).

    Beyond −1 and 2 a line leaves the picture: its first and last word are nearly one vector.
    """
    ranks = np.arange(1, len(positions) + 1)
    dashed = {"color": "0.45", "lw": 1.2, "ls": "--", "zorder": 0}
    ax.plot([1, len(positions)], [0, 1], label="even steps", **dashed)
    for i, (name, column) in enumerate(positions.items()):
        ax.plot(ranks, column, f"{MARKS[i % len(MARKS)]}-", ms=4, lw=1.2, label=name)
    ax.set_xticks(ranks)
    ax.set(xlabel="word, from near to far as listed", title=title)
    ax.set(ylabel="place from first (0) to last (1)", ylim=(-1, 2))
    ax.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def show_where(ax: Axes, table: pd.DataFrame, limits: Limits, title: str) -> None:
    """True depth where each word wins, as `control_words.where_words_win` has it, first on top.

    Dots are medians, their area the share of cells; lines span the quartiles.
    """
    ranks, share = np.arange(len(table)), table["cells"] / table["cells"].sum()
    ax.hlines(ranks, table["25 %"], table["75 %"], color="C0", lw=2, alpha=0.6)
    ax.scatter(table["median"], ranks, s=6 + 70 * share, color="C0", zorder=3)
    for rank in ranks[table["cells"] == 0]:
        ax.text(limits[0], rank, " never wins", va="center", color="0.4")
    ax.set_yticks(ranks, table.index)
    ax.set(xlim=limits, ylim=(len(table) - 0.4, -0.6), title=title)


def where_figure(tables: Mapping[str, pd.DataFrame], depths: np.ndarray, title: str) -> Figure:
    """`show_where` of each list, three beside each other, on one scale of depth.

    depths: true depth of all cells, metres, NaN where not known; their 98 % quantile sets the end.
    """
    known = depths[np.isfinite(depths)]
    limits = (0, float(np.ceil(np.quantile(known, 0.98))) if known.size else 10.0)
    lines = -(-len(tables) // 3)
    shape = {"figsize": (WIDTH, 2.1 * lines + 0.5), "squeeze": False}
    figure, axes = plt.subplots(lines, 3, sharex=True, **shape)
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=False):
        show_where(ax, table, limits, name)
    for ax in axes.flat[len(tables) :]:
        ax.remove()
    label = "true depth where the word wins (m): median, quartiles; area: share of cells"
    figure.supxlabel(label, fontsize="medium")
    figure.suptitle(title)
    return figure


def counts_figure(counts: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """`show_counts` of several methods by name, one above the other."""
    size = (8.5, 0.4 + 2.5 * len(counts))
    figure, axes = plt.subplots(len(counts), 1, figsize=size, sharex=True, squeeze=False)
    for ax, (method, table) in zip(axes[:, 0], counts.items(), strict=True):
        show_counts(ax, table)
        ax.set_title(method)
    for ax in axes[:-1, 0]:
        ax.set_xlabel("")
    figure.suptitle(title)
    return figure
