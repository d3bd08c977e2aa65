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


def show_waterfall(ax: Axes, table: pd.DataFrame, metric: str, title: str = "") -> None:
    """Steps from DepthCLIP to perfect, a bar each, from the mean before to the mean after.

    table: from `ceilings.waterfall`. Blue steps are better, orange ones worse; a black line is the
    interval of the change, at the end of its bar.
    """
    sign, span = METRICS[metric].sign, table[["before", "after"]].to_numpy()
    ax.plot(span[0, 0], 0, "D", color="0.3", ms=6)
    for row, step in enumerate(table.itertuples(), start=1):
        colour = BETTER if sign * step.mean >= 0 else WORSE
        ax.barh(row, step.mean, left=step.before, color=colour, alpha=0.55, height=0.6)
        ends = (step.before + step.low, step.before + step.high)
        ax.plot(ends, [row, row], color="black", lw=1.4)
        ax.plot([step.after] * 2, [row, row + 1], color="0.6", lw=0.8, ls=":")
        # Beside the end of the bar at which there is more room.
        at, side = (
            (max(step.before, step.after, *ends), "left")
            if sign < 0
            else (
                min(step.before, step.after, *ends),
                "right",
            )
        )
        ax.annotate(f"{step.mean:+.2f}", (np.nan_to_num(at, nan=step.after), row),
                    (6 if side == "left" else -6, 0), textcoords="offset points",
                    ha=side, va="center", fontsize=8)  # fmt: skip
    name_rows(ax, ["DepthCLIP", *table.index])
    far = max(1.0, span.max() * 1.2) if sign < 0 else 1.02
    ax.set(xlim=(0, far), title=title, xlabel=label(metric))


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
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3, fontsize="small")
