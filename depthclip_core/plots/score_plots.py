"""Scores of partitions, words and systems, and ours against the paper's."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.plots.null_plots import axis_label
from depthclip_core.plots.style import MARKS, WIDTH, name_rows
from depthclip_core.settings import PUBLISHED_METRICS

NOT_JUDGED = "0.6"
VERDICT_COLOURS = {"agrees": "C0", "differs": "C1", "not comparable": NOT_JUDGED}
DELTAS = ("delta1", "delta2", "delta3")
REFERENCE_LINES = ({"color": "C1", "ls": "--"}, {"color": "C2", "ls": ":"})
MARKERS = dict(zip(PUBLISHED_METRICS, "osDv^P", strict=True))


def symbol(metric: str) -> str:
    """A metric's name in figures: "δ1", "rel", "rmse (m)"."""
    return METRICS[metric].title


def label(metric: str) -> str:
    """A metric's name for an axis, with which end of it is better."""
    return f"{symbol(metric)} {'↑' if METRICS[metric].higher_is_better else '↓'}"


def show_scores(ax: Axes, scores: pd.DataFrame, metric: str, title: str = "") -> None:
    """A metric of several partitions as dots, a row each; the best is filled.

    scores: rows partitions; columns mean, and low and high where intervals are known. A dashed line
    stands at the mean of the original partition, where it is one of them.
    """
    best = (METRICS[metric].sign * scores["mean"]).idxmax()
    for row, (name, score) in enumerate(scores.iterrows()):
        if "low" in scores:
            ax.plot([score["low"], score["high"]], [row, row], color="C0", lw=1.6, alpha=0.5)
        face = "C0" if name == best else "white"
        ax.scatter(score["mean"], row, s=30, facecolor=face, edgecolor="C0", zorder=3)
    if "original" in scores.index:
        ax.axvline(scores.loc["original", "mean"], color="0.5", lw=0.9, ls="--", zorder=0)
    name_rows(ax, list(scores.index))
    ax.set(title=title, xlabel=label(metric))


def show_intervals(ax: Axes, table: pd.DataFrame, references: pd.Series, title: str) -> None:
    """Means with intervals, a row each: columns mean, low and high; references as named lines."""
    y = np.arange(len(table))
    ax.hlines(y, table["low"], table["high"], color="C0", lw=2)
    ax.plot(table["mean"], y, "o", color="C0", ms=5)
    for (name, value), style in zip(references.items(), REFERENCE_LINES, strict=False):
        ax.axvline(value, lw=1.4, label=name, **style)
    ax.set(yticks=y, yticklabels=table.index, ylim=(len(table) - 0.5, -0.5), title=title)
    ax.grid(axis="x", alpha=0.3)


def interval_panels(spread: pd.DataFrame, references: pd.DataFrame, title: str) -> Figure:
    """A panel of `show_intervals` for each of the paper's metrics.

    spread: rows (metric, name). references: rows metrics, a column for each line.
    """
    n = spread.index.get_level_values(1).nunique()
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 0.5 * n + 2), sharey=True)
    for ax, metric in zip(axes.flat, PUBLISHED_METRICS, strict=True):
        show_intervals(ax, spread.loc[metric], references.loc[metric], label(metric))
    lines, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)
    return figure


def show_rooms(ax: Axes, curves: pd.DataFrame, printed: float, label: str, ends: float) -> None:
    """A metric (columns: readings) against the depth of an empty room (index, m), as printed too.

    ends: the largest value shown.
    """
    # Dashes, so that a curve that lies under another is seen.
    for position, (reading, values) in enumerate(curves.items()):
        style = {"color": f"C{position}", "ls": ("-", (0, (3, 3)), "-")[position % 3]}
        ax.plot(curves.index, values, label=f"random {reading}", **style)
    ax.axhline(printed, color="0.3", ls=":", lw=1.2, label="printed by the paper")
    ax.set(xlabel="true depth, the same everywhere (m)", xlim=(0, curves.index.max()))
    ax.set(ylabel=label, ylim=(0, ends))


def room_panels(rooms: pd.DataFrame, printed: pd.Series, title: str) -> Figure:
    """Two panels of `show_rooms`: δ1 and rmse.

    rooms: six metrics, rows (reading, depth of the room in metres). printed: the six in print.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3))
    for ax, metric, end in zip(axes, ["delta1", "rmse"], [0.4, 6], strict=True):
        curves = rooms[metric].unstack("reading", sort=False).add_prefix("per ")
        show_rooms(ax, curves, printed[metric], symbol(metric), end)
    axes[1].legend()
    figure.suptitle(title)
    return figure


def show_list_scores(ax: Axes, scores: pd.DataFrame, reference: float, label: str) -> None:
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
    ax.set(ylim=(len(names) - 0.4, -0.6), xlabel=label)


def list_scores_figure(
    panels: Mapping[str, pd.DataFrame], reference: float, label: str, title: str
) -> Figure:
    """`show_list_scores` of each of its arguments by name, side by side on one scale."""
    n_rows = max(len(table) for table in panels.values()) / 2
    size, shared = (WIDTH, 0.34 * n_rows + 1.7), {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(1, len(panels), figsize=size, **shared)
    for ax, (name, table) in zip(axes[0], panels.items(), strict=True):
        show_list_scores(ax, table, reference, label)
        ax.set_title(name)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)
    return figure


def scores_by_scene(scores: pd.DataFrame, n_frames: pd.Series, metric: str, title: str) -> Figure:
    """Small multiples of `show_scores`, a panel for each scene type, all on one scale.

    scores: rows (scene, bins); columns mean, and low and high. n_frames: of each scene type.
    """
    kinds = list(dict.fromkeys(scores.index.get_level_values("scene")))
    n_bins = scores.index.get_level_values("bins").nunique()
    columns = 3 if len(kinds) <= 9 else 4
    lines = -(-len(kinds) // columns)
    size = (WIDTH, (0.2 * n_bins + 0.5) * lines + 0.7)
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(lines, columns, figsize=size, **shared)
    for ax, kind in zip(axes.flat, kinds, strict=False):
        show_scores(ax, scores.loc[kind], metric, f"{kind}, {n_frames[kind]} frames")
        ax.set_xlabel("")
        ax.tick_params(labelbottom=True)
    for ax in axes.flat[len(kinds) :]:
        ax.remove()
    legend = f"{axis_label(metric)}; filled: the best of the panel, dashed: original"
    figure.supxlabel(legend, fontsize="medium")
    figure.suptitle(title)
    return figure


def show_against(ax: Axes, ledger: pd.DataFrame, title: str = "", scale: str = "linear") -> None:
    """Ours against the published of a part of the ledger, on one scale; grey is not judged.

    ledger: rows as from `tables.ledger`; those without both numbers are left out.
    """
    both = ledger[ledger["published"].notna() & ledger["ours"].notna()]
    for (metric, verdict), rows in both.groupby(["metric", "verdict"], sort=False):
        colour = VERDICT_COLOURS.get(verdict, NOT_JUDGED)
        style = {"fc": "none", "ec": colour, "marker": MARKERS[metric]}
        ax.scatter(rows["published"], rows["ours"], s=24, lw=1.1, **style)
    numbers = both[["published", "ours"]].to_numpy()
    low, high = (numbers.min(), numbers.max()) if numbers.size else (0.1, 1)
    margin = 0.05 * (high - low or 1)
    ends = (low / 1.2, high * 1.2) if scale == "log" else (low - margin, high + margin)
    ax.plot(ends, ends, color="0.8", lw=1, zorder=0)
    for metric in [name for name in PUBLISHED_METRICS if name in set(both["metric"])]:
        style = {"fc": "none", "ec": "0.3", "marker": MARKERS[metric]}
        ax.scatter([], [], s=24, label=symbol(metric), **style)
    if len(both):
        ax.legend(handletextpad=0.2)
    ax.set(xscale=scale, yscale=scale, xlim=ends, ylim=ends, aspect="equal", title=title)
    if scale == "log":  # ticks in plain numbers
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5) if ends[0] <= tick <= ends[1]]
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_ticks([], minor=True)
    ax.set(xlabel="the paper's", ylabel="ours")


def ours_against_printed(ledger: pd.DataFrame, title: str) -> Figure:
    """Three panels of `show_against`: deltas, errors (logarithmic), gains. Colours are verdicts."""
    gain = ledger["table"] == "gains"
    delta = ledger["metric"].map(lambda name: METRICS[name].higher_is_better)
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 3.6))
    show_against(axes[0], ledger[delta & ~gain], "deltas")
    show_against(axes[1], ledger[~delta & ~gain], "errors", "log")
    show_against(axes[2], ledger[gain], "gains")
    seen = [verdict for verdict in VERDICT_COLOURS if (ledger["verdict"] == verdict).any()]
    handles = [axes[0].scatter([], [], s=24, fc="none", ec=VERDICT_COLOURS[v]) for v in seen]
    names = [f"verdict: {verdict}" for verdict in seen]
    figure.legend(handles, names, loc="outside lower center", ncols=len(seen))
    figure.suptitle(title)
    return figure
