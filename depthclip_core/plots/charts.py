"""Charts of answers and of depths: functions of (ax, data), and what is composed of them.

What the slides draw of single cells and rooms, and what holds for a whole data set: heat maps,
curves with intervals, distributions. Style and depth maps are `figures`'.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from depthclip_core.plots.figures import (
    ANSWER_COLOURS,
    DEPTH_COLOURS,
    depth_bar,
    depth_limits,
    show_depth,
    show_grid,
    show_photo,
    show_weights,
)
from depthclip_core.settings import Window

BOX = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles that a box shows: whiskers, box, middle


def semantic_bins(
    rgb: np.ndarray,
    window: Window,
    weights: np.ndarray,
    words: Sequence[str],
    bins: Sequence[float],
    marked: Sequence[tuple[int, int]],
    truths: Sequence[float],
    title: str,
) -> Figure:
    """The slide "Semantic Bin Response": the photograph under its cells, and for each marked cell
    its patch, its bin weights, its depth as predicted and as measured.

    rgb: (H, W, 3), whole. weights: (K, h, w). truths: metres, NaN where not known.
    """
    grid = weights.shape[1:]
    figure = plt.figure(figsize=(11, 1.9 * len(marked) + 0.4))
    left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1])
    photo = left.subplots()
    show_photo(photo, rgb, f"{grid[0]} × {grid[1]} cells, {len(marked)} of them marked")
    show_grid(photo, window, grid, marked)
    height, width = (side / n for side, n in zip(window.shape, grid, strict=True))
    shape = {"width_ratios": [1, 2.1], "squeeze": False}
    rows = zip(right.subplots(len(marked), 2, **shape), marked, truths, strict=True)
    for i, (axes, (row, column), truth) in enumerate(rows):
        top, start = window.top + row * height, window.left + column * width
        patch = rgb[round(top) : round(top + height), round(start) : round(start + width)]
        show_photo(axes[0], patch, f"cell ({row}, {column})")
        axes[0].spines[:].set(visible=True, color=f"C{i + 1}", linewidth=2.2)
        show_weights(axes[1], weights[:, row, column], words, bins, colour=f"C{i + 1}")
        predicted = float(np.dot(weights[:, row, column], bins))
        known = "not known" if np.isnan(truth) else f"{truth:.2f} m"
        axes[1].set_title(f"predicted {predicted:.2f} m, true {known}")
    figure.suptitle(title)
    return figure


def show_counts(ax: Axes, counts: pd.DataFrame) -> None:
    """Counts (words × depth intervals) as a heat map; colour is the share of the interval."""
    shares = counts / counts.sum().replace(0, np.nan)
    sns.heatmap(
        shares,
        ax=ax,
        annot=counts.to_numpy(),
        fmt="d",
        annot_kws={"size": 7.5},
        vmin=0,
        vmax=1,
        cmap=ANSWER_COLOURS,
        linewidths=0.5,
        cbar_kws={"label": "share of the depth's cells", "pad": 0.01},
    )
    ax.tick_params(length=0)
    ax.set_yticklabels(ax.get_yticklabels(), rotation=0)
    ax.set_xticklabels(ax.get_xticklabels(), rotation=0, size=8)


def response_panels(curves: pd.DataFrame, bins: Sequence[float], title: str) -> Figure:
    """Mean weight of each word by true depth, a panel per word, with its interval and its bin.

    The axis of depth is logarithmic: most words share the first few metres.

    curves: as `answers.response_curves` gives them. The dashed line is what all words alike have.
    """
    words = list(dict.fromkeys(curves["word"]))
    size = (1.55 * len(words) + 0.6, 2.7)
    figure, axes = plt.subplots(1, len(words), figsize=size, sharey=True, squeeze=False)
    for ax, word, metres in zip(axes[0], words, bins, strict=True):
        curve = curves[curves["word"] == word]
        ax.axvline(metres, color="C1", lw=1.5, label="the word's bin")
        ax.axhline(1 / len(words), color="0.5", lw=0.8, ls="--", label="1 / number of words")
        ax.fill_between(curve["depth"], curve["low"], curve["high"], color="C0", alpha=0.25, lw=0)
        ax.plot(curve["depth"], curve["mean"], color="C0", marker="o", ms=3, label="mean weight")
        ax.set(title=f"“{word}”", xscale="log", xlim=(0.6, 10))
        ax.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        ax.set_xticks([], minor=True)
    axes[0, 0].set(ylim=(0, 1), ylabel="bin weight")
    axes[0, len(words) // 2].set_xlabel("true depth (m), logarithmic")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.suptitle(title)
    return figure


def show_entropies(ax: Axes, entropies: dict[str, np.ndarray], n_words: int) -> None:
    """Distribution of cells' entropies in bits, a line per name."""
    for (name, bits), dashes in zip(entropies.items(), ("-", "--", ":", "-."), strict=False):
        sns.ecdfplot(x=bits.ravel(), ax=ax, label=name, ls=dashes)
    most = np.log2(n_words)
    ax.axvline(most, color="0.5", lw=0.8, label=f"all {n_words} words alike")
    ax.set(
        xlim=(-0.06, most + 0.1), ylim=(0, 1.02), xlabel="entropy of a cell's bin weights (bits)"
    )
    ax.set_ylabel("share of cells with at most that")
    ax.legend(loc="lower right", bbox_to_anchor=(0.95, 0))


def photos_and_depths(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], title: str) -> Figure:
    """RGB above, measured depth below, a column per frame (name, rgb, depth) on one scale."""
    limits = depth_limits(*(depth for _, _, depth in pairs))
    size = (3.3 * len(pairs) + 0.8, 5.3)
    figure, axes = plt.subplots(2, len(pairs), figsize=size, squeeze=False)
    for column, (name, rgb, depth) in zip(axes.T, pairs, strict=True):
        show_photo(column[0], rgb, f"RGB image, {name}")
        image = show_depth(column[1], depth, limits, "depth map (grey: not measured)")
    depth_bar(figure, image, axes)
    figure.suptitle(title)
    return figure


def show_boxes(ax: Axes, quantiles: pd.DataFrame, counts: pd.DataFrame) -> None:
    """A box of depth per scene type: 5 % and 95 %, the middle half, the median.

    quantiles: a row per scene type, the columns of BOX, metres. counts: images and few, by scene.
    """
    names = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [dict(zip(names, row, strict=True), fliers=[]) for row in quantiles[list(BOX)].values]
    style = {"patch_artist": True, "boxprops": {"facecolor": "C5", "edgecolor": "C0"}}
    lines = {f"{part}props": {"color": "C0"} for part in ("whisker", "cap")}
    places = np.arange(len(boxes))
    ax.bxp(
        boxes, positions=places, widths=0.6, orientation="horizontal", showfliers=False,
        medianprops={"color": "C6", "linewidth": 1.8}, **style, **lines,
    )  # fmt: skip
    few = counts.loc[quantiles.index]
    labels = [f"{s}, n = {n}{' (few)' if f else ''}" for s, n, f in few.itertuples()]
    ax.set_yticks(places, labels)
    ax.set(xlim=(0, 10), xlabel="depth (m)")
    ax.invert_yaxis()


def show_densities(ax: Axes, shares: pd.DataFrame, step: float = 0.25) -> None:
    """Distribution of depth, a line per row: the share of pixels in each step of depth, metres."""
    middles = shares.columns.to_numpy()
    edges = np.arange(0, middles[-1] + step, step)
    lines = []
    for colour, row in enumerate(shares.to_numpy(), start=1):
        heights = np.histogram(middles, edges, weights=row)[0]
        lines.append(ax.stairs(heights, edges, color=f"C{colour}", lw=1.6, fill=False))
        ax.stairs(heights, edges, color=f"C{colour}", alpha=0.2, fill=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlim=(0, 10), ylim=(0, None), xlabel="depth (m)", ylabel=f"pixels per {step:g} m")
    ax.legend(lines, list(shares.index))  # as labels of lines, names that begin with _ are hidden


def show_table(
    ax: Axes,
    table: pd.DataFrame,
    label: str,
    limits: tuple[float, float],
    colours: Colormap | str = DEPTH_COLOURS,
    doubtful: pd.DataFrame | None = None,
) -> None:
    """A table of numbers as a heat map on one scale, each number written in its place.

    doubtful: where the number stands in brackets, a bool for each; rows of the table may lack.
    """
    written = table.map("{:.2f}".format)
    if doubtful is not None:
        marks = doubtful.reindex(table.index, fill_value=False)
        written = written.mask(marks, "(" + written + ")")
    sns.heatmap(
        table,
        ax=ax,
        annot=written.to_numpy(dtype=object),
        fmt="",
        annot_kws={"size": 8},
        vmin=limits[0],
        vmax=limits[1],
        cmap=colours,
        linewidths=0.5,
        cbar_kws={"label": label, "pad": 0.01},
    )
    ax.tick_params(length=0)
    ax.set(xlabel="", ylabel="")
    ax.set_yticklabels(ax.get_yticklabels(), rotation=0)
    ax.set_xticklabels(ax.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")
