"""Ceilings: how far each part of the method is from perfect, and what its bins cannot reach."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.plots.score_plots import label
from depthclip_core.plots.style import name_rows

BETTER, WORSE = "C0", "C1"
# From the nearest depths to the farthest, and how each part of a bar is filled.
PARTS = {
    "near miss": ("nearer than the bins, wrong by δ1", "C0", ""),
    "nearer": ("nearer, within a factor 1.25", "C5", ""),
    "within": ("between the bins", "0.9", ""),
    "farther": ("farther, within a factor 1.25", "C4", ""),
    "far miss": ("farther than the bins, wrong by δ1", "C1", ""),
}


def show_waterfall(ax: Axes, table: pd.DataFrame, metric: str, start: str, title: str = "") -> None:
    """Steps from a method to perfect, a bar each, from the mean before to the mean after.

    table: from `ceilings.waterfall`. start: the name of the method. Blue steps are better, orange
    ones worse; beside each stands the change with its interval, if there is one.
    """
    sign, span = METRICS[metric].sign, table[["before", "after"]].to_numpy()
    ax.plot(span[0, 0], 0, "D", color="0.3", ms=6)
    for row, step in enumerate(table.itertuples(), start=1):
        colour = BETTER if sign * step.mean >= 0 else WORSE
        ax.barh(row, step.mean, left=step.before, color=colour, alpha=0.6, height=0.6)
        ax.plot([step.after] * 2, [row, row + 1], color="0.6", lw=0.8, ls=":")
        # On the side that the route comes from, where nothing else is drawn.
        at = min(step.before, step.after) if sign > 0 else max(step.before, step.after)
        where = {"ha": "right" if sign > 0 else "left", "va": "center"}
        away = {"xytext": (-5 * sign, 0), "textcoords": "offset points"}
        ax.annotate(_change(step), (at, row), **away, **where)
    name_rows(ax, [start, *table.index])
    far = 1.0 if sign > 0 else span.max() * 1.75 or 1.0
    ax.set(xlim=(0, far), title=title, xlabel=label(metric))


def _change(step) -> str:
    """A step's change with its interval: "+0.28 [0.23, 0.34]"."""
    bounds = "" if np.isnan(step.low) else f" [{step.low:.2f}, {step.high:.2f}]"
    return f"{step.mean:+.2f}{bounds}".replace("-", "\N{MINUS SIGN}")


def show_reach(ax: Axes, shares: pd.DataFrame, title: str = "") -> None:
    """Pixels by where they lie beside the bins, a stacked bar for each row.

    shares: columns of `ceilings.reach`, mean shares of pixels.
    """
    parts = shares.assign(within=1 - shares["nearer"] - shares["farther"])
    parts["nearer"] -= parts["near miss"]
    parts["farther"] -= parts["far miss"]
    left, y = np.zeros(len(parts)), np.arange(len(parts))
    for name, (text, colour, hatch) in PARTS.items():
        ax.barh(y, parts[name], left=left, color=colour, height=0.75, label=text, hatch=hatch)
        left += parts[name].to_numpy()
    name_rows(ax, list(parts.index))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlim=(0, 1), xlabel="share of pixels", title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
