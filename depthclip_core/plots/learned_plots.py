"""What learnt bins change, and by which scene types they are chosen: functions of (ax, data)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from depthclip_core.plots.score_plots import label
from depthclip_core.plots.style import MARKS, heat_map, name_rows

COLOURS = {"better": "C0", "worse": "C1"}  # of a verdict; any other is grey
UNDECIDED = "0.55"


def short_label(metric: str) -> str:
    """A metric's name and its better end: "δ1 ↑", "rmse (m) ↓"."""
    return label(metric)


def show_steps(ax: Axes, table: pd.DataFrame, metric: str, title: str = "") -> None:
    """A ladder of systems, the first on top, each drawn from the level of the one before it.

    table: as from `scene_tables.steps`: level, and mean, low and high of the change. The bar is the
    change and the thin line its interval, at the level before plus the change; a colour says better
    or worse, grey that the interval holds zero, or that there is none.
    """
    levels, bar = table["level"].to_numpy(), {"lw": 5, "alpha": 0.35, "solid_capstyle": "butt"}
    ends = [*levels]
    for row, (_, step) in enumerate(table.iterrows()):
        colour = COLOURS.get(step["verdict"], UNDECIDED if row else "0.2")
        ax.plot(step["level"], row, "o", color=colour, ms=6, zorder=3)
        text = f"{step['level']:.3f}"
        if row:
            before = levels[row - 1]
            ax.plot([before, before], [row - 1, row], color="0.8", lw=0.9, ls=":", zorder=0)
            ax.plot([before, step["level"]], [row, row], color=colour, **bar)
            interval = before + step[["low", "high"]].to_numpy(dtype=float)
            ax.plot(interval, [row, row], color=colour, lw=1.2, zorder=2)
            ends += [*interval[np.isfinite(interval)]]
            text += f"  ({step['mean']:+.3f})"
        ax.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center")
    name_rows(ax, list(table.index))
    margin = 0.06 * (max(ends) - min(ends) or 1)
    ax.set(xlim=(min(ends) - margin, max(ends) + margin), title=title, xlabel=short_label(metric))


def show_changes(ax: Axes, table: pd.DataFrame, metric: str, title: str = "") -> None:
    """Changes with intervals, a row each; zero is a line, and colours are verdicts as elsewhere.

    table: index the rows' names; columns mean, low, high and verdict.
    """
    for row, (_, change) in enumerate(table.iterrows()):
        colour = COLOURS.get(change["verdict"], UNDECIDED)
        ax.plot(change[["low", "high"]].to_numpy(dtype=float), [row, row], color=colour, lw=1.8)
        ax.plot(change["mean"], row, "o", color=colour, ms=5)
    ax.axvline(0, color="0.5", lw=0.9, ls="--", zorder=0)
    name_rows(ax, list(table.index))
    ax.set(title=title, xlabel=f"change in {short_label(metric)}")


def show_confusion(ax: Axes, confusion: pd.DataFrame, title: str = "") -> None:
    """How many images of each true scene type (rows) are predicted as each (columns)."""
    written = confusion.astype(str).mask(confusion == 0, "")
    limits = (0, max(1, int(confusion.to_numpy().max(initial=0))))
    heat_map(ax, confusion, written, limits, "Blues", "images")
    ax.set(xlabel="predicted scene type", ylabel="true scene type", title=title)
    ax.set_xticklabels(ax.get_xticklabels(), rotation=35, ha="right", rotation_mode="anchor")


def show_reliability(ax: Axes, table: pd.DataFrame, title: str = "") -> None:
    """The share of right answers against their confidence, a line for each way to be confident.

    table: rows (way, level); columns confidence, right, images. Dots are as large as their images.
    """
    ax.plot([0, 1], [0, 1], color="0.7", lw=0.9, ls="--", zorder=0)
    for i, (way, rows) in enumerate(table.groupby(level=0, sort=False)):
        style = {"color": f"C{i}", "lw": 1.2, "marker": MARKS[i], "ms": 0}
        ax.plot(rows["confidence"], rows["right"], **style)
        sizes = 12 + 140 * rows["images"] / table["images"].max()
        ax.scatter(rows["confidence"], rows["right"], sizes, color=f"C{i}", alpha=0.55, label=way)
    ax.set(xlim=(0, 1.03), ylim=(-0.03, 1.06), title=title)
    ax.set(xlabel="probability of the answer", ylabel="share of right answers")
    legend = ax.legend(title="temperature", loc="lower right")
    for handle in legend.legend_handles:
        handle.set_sizes([40])


def show_strengths(ax: Axes, validation: pd.DataFrame, metric: str, title: str = "") -> None:
    """The mean metric on rooms that were left out, against the strength of sharing; a line each.

    validation: index the lines' names; columns the strengths in frames, ascending to infinity.
    """
    places = np.arange(validation.shape[1])
    for i, (name, row) in enumerate(validation.iterrows()):
        style = {"color": f"C{i}", "marker": MARKS[i], "ms": 4, "lw": 1.3}
        ax.plot(places, row.to_numpy(dtype=float), label=name, **style)
    names = ["∞" if np.isinf(s) else f"{s:g}" for s in validation.columns]
    every_second = slice((len(names) - 1) % 2, None, 2)  # has room, and ends in infinity
    ax.set_xticks(places[every_second], names[every_second])
    ax.set_xticks(places, minor=True)
    ax.grid(axis="y", color="0.92")
    ax.set(title=title, xlabel="frames mixed in")
    ax.set_ylabel(short_label(metric))
    ax.label_outer()
