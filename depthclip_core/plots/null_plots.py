"""Clouds of null scores, and scores of searched lists against their size."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.plots.style import WIDTH, name_rows

HEIGHT = 0.3  # of a cloud, in rows, to either side of its middle


def axis_label(metric: str) -> str:
    """A metric's name for an axis, with which end is better: "δ1 ↑", "rmse (m) ↓"."""
    return f"{METRICS[metric].title} {'↑' if METRICS[metric].higher_is_better else '↓'}"


def show_clouds(
    ax: Axes,
    clouds: Mapping[str, np.ndarray],
    own: pd.Series,
    blind: float,
    title: str = "",
) -> None:
    """A dot for each draw of each null, a row each, with a bar at the median.

    clouds: scores (L,) by name. own: mean of what the nulls stand in for, drawn as a line, and low
    and high, drawn as a band where they are known. blind: the best constant's score, dashed.
    """
    for row, scores in enumerate(clouds.values()):
        # Spread evenly in an order without a pattern: no random numbers, no two alike.
        place = np.argsort(np.argsort(np.modf(np.arange(len(scores)) * 0.618034)[0]))
        height = row + HEIGHT * ((2 * place + 1) / len(scores) - 1)
        ax.scatter(scores, height, s=9, color="C0", alpha=0.45, lw=0, zorder=2)
        middle = np.median(scores)
        ax.plot([middle, middle], [row - 0.38, row + 0.38], color="black", lw=1.6, zorder=3)
    if np.isfinite([own["low"], own["high"]]).all():
        ax.axvspan(own["low"], own["high"], color="C1", alpha=0.18, lw=0, zorder=0)
    ax.axvline(own["mean"], color="C1", lw=1.6, label="own", zorder=1)
    ax.axvline(blind, color="0.35", lw=1.1, ls="--", label="best constant", zorder=1)
    name_rows(ax, list(clouds))
    ax.set_title(title)


def name_marks(ax: Axes) -> None:
    """The legend of `show_clouds`, to the right of a panel."""
    ax.scatter([], [], s=9, color="C0", alpha=0.6, lw=0, label="one random draw")
    ax.plot([], [], color="black", lw=1.6, label="median of draws")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02))


def clouds_figure(panels: Mapping[str, Mapping], label: str, title: str) -> Figure:
    """A panel of `show_clouds` under the other for each of its arguments by name, on one scale."""
    rows = [len(panel["clouds"]) for panel in panels.values()]
    size, shared = (WIDTH, 0.42 * sum(rows) + 0.55 * len(rows) + 0.9), {"sharex": True}
    figure, axes = plt.subplots(len(rows), 1, figsize=size, height_ratios=rows, **shared)
    for ax, (name, panel) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        show_clouds(ax, **panel, title=name)
    name_marks(figure.axes[0])
    figure.axes[-1].set_xlabel(label)
    figure.suptitle(title)
    return figure


def searches_figure(
    curves: Mapping[str, pd.DataFrame], lines: Mapping[str, Mapping[str, float]], title: str
) -> Figure:
    """`show_curves` of each metric, side by side. curves, lines: its arguments by metric."""
    figure, axes = plt.subplots(1, len(curves), figsize=(WIDTH, 3.9), squeeze=False)
    for ax, (metric, table) in zip(axes[0], curves.items(), strict=True):
        show_curves(ax, table, lines[metric], axis_label(metric))
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    figure.suptitle(title)
    return figure


def show_curves(ax: Axes, curves: pd.DataFrame, lines: Mapping[str, float], label: str) -> None:
    """Scores of searched lists against their number of words, as `word_search.curves` has them.

    lines: scores to compare with, by name, drawn across. label: of the metric.
    """
    sizes = curves.index
    ax.fill_between(sizes, curves["lowest"], curves["highest"], color="C1", alpha=0.18, lw=0)
    for prefix, colour, name in (("", "C0", "distance"), ("null ", "C1", "ordinary")):
        ax.plot(sizes, curves[f"{prefix}test"], "o-", color=colour, ms=4, label=f"{name}, test")
        style = {"color": colour, "ms": 3.5, "lw": 1}
        ax.plot(sizes, curves[f"{prefix}train"], "s:", **style, label=f"{name}, train")
    for (name, score), dashes in zip(lines.items(), ("--", "-.", ":"), strict=False):
        ax.axhline(score, color="0.35", lw=1.1, ls=dashes, label=name, zorder=0)
    ax.set_xticks(sizes)
    ax.set(xlabel="number of words", ylabel=label)
