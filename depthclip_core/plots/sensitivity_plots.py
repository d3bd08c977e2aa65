"""How far a score moves with each choice of the method, and along temperature and words."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.plots.style import MARKS, name_rows

HEIGHT = 0.36  # of a bar; two stand in a row
COLOURS = {"given": "C0", "fitted": "C1"}


def symbol(metric: str) -> str:
    """A metric's short name with its unit: "δ1", "rmse (m)"."""
    return METRICS[metric].title


def by_size(table: pd.DataFrame) -> list[tuple[str, str]]:
    """The (choice, alternative) of a tornado table, the largest change of the given bins first."""
    size = table.xs("given")["change"].abs()
    return list(size.sort_values(ascending=False, kind="stable").index)


def show_tornado(ax: Axes, table: pd.DataFrame, metric: str, title: str = "") -> None:
    """The change of a metric by each alternative as bars with intervals, the largest on top.

    table: rows (bins, choice, alternative), bins "given" or "fitted"; columns change, and low and
    high, NaN where there is no interval. The default is the line at zero; a pale bar's interval
    includes it, or is missing.
    """
    order = by_size(table)
    for kind, offset in zip(COLOURS, (-HEIGHT / 2, HEIGHT / 2), strict=True):
        own = table.xs(kind)
        at = np.array([order.index(name) for name in own.index]) + offset
        clear = (own["low"] > 0) | (own["high"] < 0)
        paint = [(COLOURS[kind], 1.0 if sure else 0.35) for sure in clear]
        ax.barh(at, own["change"], HEIGHT, color=paint)
        ax.hlines(at, own["low"], own["high"], color="0.15", lw=1.1)
        ax.barh([np.nan], [np.nan], color=COLOURS[kind], label=f"{kind} bins")
    ax.axvline(0, color="0.15", lw=1)
    ax.plot([], [], "|", color="0.15", ms=10, label="the default")  # in the legend as drawn
    name_rows(ax, [f"{choice}: {alternative}" for choice, alternative in order])
    ax.set(title=title, xlabel=f"change of {_axis(metric)} against the default")
    ends = np.nanmax(table[["change", "low", "high"]].abs().to_numpy(), initial=1e-3) * 1.06
    ax.set_xlim(-ends, ends)
    ax.legend(loc="lower right")


def show_curves(
    ax: Axes, curves: pd.DataFrame, metric: str, ticks: Sequence[float], bands: Sequence[str] = ()
) -> None:
    """A metric along a logarithmic axis, a line for each kind of bins.

    curves: rows (bins, position); columns mean, low and high. ticks: where the axis has numbers.
    bands: the kinds whose interval is drawn as a band.
    """
    for place, kind in enumerate(dict.fromkeys(curves.index.get_level_values(0))):
        own, style = curves.xs(kind), {"color": f"C{place}"}
        mark = MARKS[place % len(MARKS)]
        ax.plot(own.index, own["mean"], mark, ls="-", ms=4, label=f"{kind} bins", **style)
        if kind in bands and own["low"].notna().all():
            ax.fill_between(own.index, own["low"], own["high"], alpha=0.18, lw=0, **style)
    ax.set(xscale="log", ylabel=_axis(metric))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    if metric.startswith("delta"):
        ax.set_ylim(0, 1)
    ax.grid(color="0.92")
    ax.set_axisbelow(True)


def mark_values(ax: Axes, values: dict[str, float]) -> None:
    """Vertical lines at named values of the axis, each with its name on top."""
    for name, value in values.items():
        ax.axvline(value, color="0.35", ls="--", lw=1)
        at = {"xy": (value, 1), "xycoords": ("data", "axes fraction"), "xytext": (3, -3)}
        ax.annotate(name, **at, textcoords="offset points", va="top", color="0.25")


def _axis(metric: str) -> str:
    """A metric's short name for an axis, with which end of it is better."""
    return f"{symbol(metric)} {'↑' if METRICS[metric].higher_is_better else '↓'}"
