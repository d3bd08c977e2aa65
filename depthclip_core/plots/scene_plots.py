"""How deep scenes are, and where bins lie beside them: functions of (ax, data)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from depthclip_core.plots.learned_plots import show_changes
from depthclip_core.plots.map_plots import depth_limits
from depthclip_core.plots.style import (
    ANSWER_COLOURS,
    DEPTH_COLOURS,
    MARKS,
    WIDTH,
    Limits,
    heat_map,
    name_rows,
)

BOX = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles that a box shows: whiskers, box, middle


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


def types_and_changes(
    quantiles: pd.DataFrame,
    counts: pd.DataFrame,
    bins: Sequence[float],
    changes: Mapping[str, pd.DataFrame],
    title: str,
) -> Figure:
    """Depth of the scene types beside the bins, and what other bins change in δ1.

    quantiles and counts: see `show_boxes`. bins: metres. changes: for each method a table as from
    `left_out_bins.left_out_changes`, a row per change and measure.
    """
    size = (WIDTH, max(0.3 * len(quantiles), 0.34 * 2 * len(changes)) + 1.6)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, width_ratios=[1.25, 1])
    show_boxes(left, quantiles, counts)
    for depth in bins:
        left.axvline(depth, color="C1", lw=0.9, ls=":", zorder=0)
    left.set_title("Depth by scene type (dotted: the bins)")
    names = next(iter(changes.values())).index.unique("change")
    rows = {
        f"{change}\n{method}": table.loc[(change, "delta1")]
        for change in names
        for method, table in changes.items()
    }
    table = pd.DataFrame(rows).T
    show_changes(right, table, "delta1", "Other bins, on unseen rooms")
    figure.suptitle(title)
    return figure


def bin_tables(
    tables: Mapping[str, pd.DataFrame], doubtful: Mapping[str, pd.DataFrame], title: str
) -> Figure:
    """A heat map of bins in metres for each method, one below the other, on one scale.

    tables: scene types × words. doubtful: bools, where a number stands in brackets.
    """
    first = next(iter(tables.values()))
    size = (min(WIDTH, 0.85 * first.shape[1] + 2.8), len(tables) * (0.28 * len(first) + 0.7) + 0.9)
    figure, axes = plt.subplots(len(tables), 1, figsize=size, sharex=True, squeeze=False)
    limits = depth_limits(*(table.to_numpy() for table in tables.values()))
    for ax, (name, table) in zip(axes[:, 0], tables.items(), strict=True):
        show_table(ax, table, "depth (m)", limits, doubtful=doubtful[name])
        ax.set_title(name)
        ax.label_outer()
    figure.suptitle(title)
    return figure


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
    ax: Axes, table: pd.DataFrame, label: str, limits: Limits, colours=DEPTH_COLOURS, doubtful=None
) -> None:
    """A table of numbers as a heat map on one scale, each number written in its place.

    doubtful: a table of bools: where the number stands in brackets; rows may lack.
    """
    written = table.map("{:.2f}".format)
    if doubtful is not None:
        marks = doubtful.reindex(table.index, fill_value=False)
        written = written.mask(marks, "(" + written + ")")
    heat_map(ax, table, written, limits, colours, label)
    ax.set(xlabel="", ylabel="")
    ax.set_xticklabels(ax.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")


def show_confusion(ax: Axes, counts: pd.DataFrame) -> None:
    """How often each scene type (rows) was given each answer (columns), as numbers and shares."""
    shares = counts.div(counts.sum(axis=1), axis=0)
    written = counts.astype(str).where(counts > 0, "")
    heat_map(ax, shares, written, (0, 1), ANSWER_COLOURS, "share of the scene's photographs")
    ax.set(xlabel="answer", ylabel="scene")
    ax.set_xticklabels(ax.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")


def show_partitions(ax: Axes, partitions: Mapping[str, Sequence[float]], title: str = "") -> None:
    """Bins of partitions on one axis in metres: a row each, the first on top."""
    for row, bins in enumerate(partitions.values()):
        ax.plot([min(bins), max(bins)], [row, row], color="0.8", lw=1, zorder=1)
        ax.scatter(bins, [row] * len(bins), s=28, color="C0", zorder=2)
    name_rows(ax, list(partitions))
    top = max(max(bins) for bins in partitions.values())
    ax.set(xlim=(0, top * 1.05), xlabel="bin (m)", title=title)


def show_depths(ax: Axes, depths: pd.DataFrame, title: str = "") -> None:
    """How deep some things are, in metres: a row each: median as a dot, a line from 5 % to 95 %."""
    ax.hlines(range(len(depths)), depths["5 %"], depths["95 %"], color="0.6", lw=2, zorder=1)
    ax.scatter(depths["median"], range(len(depths)), s=28, color="0.2", zorder=2)
    name_rows(ax, list(depths.index))
    end = max(ax.get_xlim()[1], depths["95 %"].max() * 1.05)  # of what shares the axis, or of these
    ax.set(xlim=(0, end), xlabel="depth (m)", title=title)


def show_steps(ax: Axes, changes: pd.DataFrame, label: str, title: str = "") -> None:
    """Changes of a score by scene type: a row for each, a mark for each step, a line at zero.

    changes: rows (scene, step); columns mean, and low and high, drawn as a line where known, images
    and groups (rooms), which the row's name says.
    """
    scenes = list(dict.fromkeys(changes.index.get_level_values("scene")))
    steps = list(dict.fromkeys(changes.index.get_level_values("step")))
    places = (np.arange(len(steps)) - (len(steps) - 1) / 2) * 0.3
    for i, (step, place) in enumerate(zip(steps, places, strict=True)):
        rows, height = changes.xs(step, level="step").loc[scenes], np.arange(len(scenes)) + place
        low, high, mean = (rows[name].astype(float) for name in ("low", "high", "mean"))
        ax.hlines(height, low, high, color=f"C{i}", lw=2, alpha=0.7)
        ax.scatter(mean, height, s=26, marker=MARKS[i], color=f"C{i}", label=step, zorder=3)
    ax.axvline(0, color="0.35", lw=1, zorder=0)
    counts = changes.xs(steps[0], level="step").loc[scenes, ["images", "groups"]].astype(int)
    name_rows(ax, [f"{name}: {n} in {rooms}" for name, n, rooms in counts.itertuples()])
    ax.set(xlabel=label, title=title)


def steps_figure(panels: Mapping[str, pd.DataFrame], label: str, title: str) -> Figure:
    """`show_steps` of each of its arguments by name, side by side on one scale."""
    n_rows = max(len(table) for table in panels.values()) / 2
    size, shared = (WIDTH, 0.32 * n_rows + 1.6), {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(1, len(panels), figsize=size, **shared)
    for ax, (name, table) in zip(axes[0], panels.items(), strict=True):
        show_steps(ax, table, label, name)
    axes[0, 0].set_ylabel("scene type: images in rooms")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)
    return figure
