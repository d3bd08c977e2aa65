"""Heads at several input resolutions against a cloud of random heads."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from depthclip_core.plots import score_plots
from depthclip_core.plots.style import MARKS, name_rows

CLOUD = "0.6"
LABELS = {
    "delta1": "δ1 ↑",
    "spearman": "rank correlation within an image ↑",
    "partial": "partial rank correlation within an image ↑",
}


def show_heads(
    ax: Axes,
    scores: Mapping[str, pd.DataFrame],
    cloud: Sequence[float],
    label: str,
    title: str = "",
) -> None:
    """A measure of each head, a row each, at several input resolutions.

    scores: for each resolution's name a table, rows heads, columns mean, low and high. cloud: the
    lower quantile, the median and the upper one of random heads, drawn as a band and a line.
    """
    low, middle, high = cloud
    ax.axvspan(low, high, color=CLOUD, alpha=0.25, lw=0, label="random heads, 5 to 95 %")
    ax.axvline(middle, color=CLOUD, lw=1.2, label="random heads, median")
    heads = list(next(iter(scores.values())).index)
    offsets = (np.arange(len(scores)) - (len(scores) - 1) / 2) * 0.24
    for i, (name, table) in enumerate(scores.items()):
        height = np.arange(len(heads)) + offsets[i]
        table = table.loc[heads]
        ax.hlines(height, table["low"], table["high"], color=f"C{i}", lw=1.5)
        ax.plot(table["mean"], height, MARKS[i], color=f"C{i}", ms=4.5, label=f"input {name}")
    name_rows(ax, heads)
    ax.set(xlabel=label, title=title)


def show_measures(
    axes: Sequence[Axes],
    means: Mapping[str, pd.DataFrame],
    quantiles: pd.DataFrame,
    measures: Sequence[str],
    bins: str = "fitted",
) -> None:
    """`show_heads` of a measure on each axis, and one legend below the figure.

    means: of each input resolution, rows (system, bins, measure), columns mean, low and high.
    quantiles: of random heads, rows (bins, measure), three columns.
    """
    for ax, measure in zip(axes, measures, strict=True):
        scores = {name: table.xs((bins, measure), level=(1, 2)) for name, table in means.items()}
        show_heads(ax, scores, quantiles.loc[(bins, measure)], label(measure))
    _legend_below(axes)


def show_clouds(
    axes: Sequence[Axes],
    cloud: Mapping[str, pd.DataFrame],
    heads: pd.DataFrame,
    measures: Sequence[str],
    bins: str = "fitted",
) -> None:
    """`show_cloud` of a measure on each axis. cloud, heads: rows (system, bins, frame)."""
    of_kind = {kind: rows.xs(bins, level="bins") for kind, rows in cloud.items()}
    of_heads = heads.xs(bins, level="bins").groupby("system", sort=False).mean()
    for ax, measure in zip(axes, measures, strict=True):
        means = {k: r.groupby("system")[measure].mean().to_numpy() for k, r in of_kind.items()}
        show_cloud(ax, means, of_heads[measure], label(measure))
    _legend_below(axes)


def _legend_below(axes: Sequence[Axes]) -> None:
    """One legend below the figure for axes that show the same things."""
    handles, names = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, names, loc="outside lower center", ncols=len(names))


def label(measure: str) -> str:
    """A measure's name for an axis, with which end of it is better."""
    return LABELS.get(measure) or score_plots.label(measure)


def show_cloud(
    ax: Axes, cloud: Mapping[str, np.ndarray], marks: pd.Series, label: str, title: str = ""
) -> None:
    """Histograms of a measure of random heads, and where named heads lie on the same axis.

    cloud: for each kind of random head its means, (n,). marks: a mean for each head's name.
    """
    values = [*cloud.values(), marks.dropna().to_numpy()]
    low, high = _ends(np.concatenate(values))
    for i, (kind, of_kind) in enumerate(cloud.items()):
        style = {"color": f"C{i + 3}", "alpha": 0.45, "label": f"random {kind}"}
        ax.hist(of_kind, np.linspace(low, high, 25), **style)
    top = ax.get_ylim()[1]
    # The farther right, the higher: no name crosses the line of another, all being on the left.
    for i, (name, value) in enumerate(marks.dropna().sort_values().items()):
        height = top * (1.1 + 0.13 * i)
        ax.plot([value, value], [0, height], color="0.35", lw=0.8)
        ax.plot(value, height, "o", color="0.1", ms=3.5)
        place = {"xytext": (-5, 0), "textcoords": "offset points"}
        ax.annotate(name, (value, height), ha="right", va="center", **place)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_yticks([tick for tick in ax.get_yticks() if 0 <= tick <= top])
    # Room for the leftmost name.
    ax.set(xlim=(low - 0.15 * (high - low), high), ylim=(0, top * (1.15 + 0.13 * len(marks))))
    ax.set(xlabel=label, ylabel="random heads", title=title)


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.03 * (high - low) or 0.01
    return low - margin, high + margin
