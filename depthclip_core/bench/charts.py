"""Charts of a benchmark's row: functions of (ax, data), in the workbook's style."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

PLAIN = FuncFormatter(lambda value, _: f"{value:,.12g}")


def show_passes(ax: Axes, passes: pd.DataFrame) -> None:
    """Seconds per image of each pass, quartiles as whiskers, and its speed-up in words."""
    places = np.arange(len(passes))
    seconds = passes["seconds"]
    spread = [seconds - passes["seconds_low"], passes["seconds_high"] - seconds]
    colours = ["0.6" if name == "released" else "C0" for name in passes.index]
    ax.barh(places, seconds, xerr=spread, color=colours, error_kw={"lw": 1.2})
    for place, end, ratio in zip(places, passes["seconds_high"], passes["speedup"], strict=True):
        ax.text(end + seconds.max() * 0.015, place, f"{ratio:.2f} ×", va="center")
    ax.set_yticks(places, passes.index)
    ax.set(xlim=(0, seconds.max() * 1.18), xlabel="seconds per image, with its mirror image")
    ax.invert_yaxis()


def show_roofline(ax: Axes, roofline: pd.DataFrame) -> None:
    """Operations per second that each pass reaches, under the measured peak of its precision."""
    places = np.arange(len(roofline))
    ax.barh(places, roofline["gflops"], color="C0", label="reached")
    ax.plot(roofline["peak_gflops"], places, "|", ms=16, mew=2.5, color="C1", label="matrix peak")
    for place, reached, share in zip(places, roofline["gflops"], roofline["share"], strict=True):
        ax.text(reached * 0.95, place, f"{share:.0%}", va="center", ha="right", color="white")
    ax.set_yticks(places, roofline.index)
    ax.set(xscale="log", xlabel="GFLOP per second")
    ax.xaxis.set_major_formatter(PLAIN)
    ax.set_xlim(roofline["gflops"].min() / 4, roofline["peak_gflops"].max() * 1.6)
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def show_stages(ax: Axes, stages: pd.DataFrame) -> None:
    """Milliseconds per frame of each stage, on a logarithmic scale."""
    places = np.arange(len(stages))
    middle = stages["milliseconds"]
    ax.barh(places, middle, color="C0")
    for place, value in zip(places, middle, strict=True):
        ax.text(value * 1.1, place, f"{value:.3g}", va="center")
    ax.set_yticks(places, stages.index)
    ax.set(xscale="log", xlabel="milliseconds per frame")
    ax.xaxis.set_major_formatter(PLAIN)
    ax.set_xlim(middle.min() / 3, middle.max() * 4)
    ax.invert_yaxis()


def show_growth(
    ax: Axes, x: Sequence[float], lines: pd.DataFrame, xlabel: str, ylabel: str, scale: str
) -> None:
    """One or more quantities over a count; scale: of the quantities, "log", or "linear" from 0."""
    for marker, (name, values) in zip("os^v", lines.items(), strict=False):
        ax.plot(x, values, marker=marker, label=name)
    ax.set(xscale="log", yscale=scale, xlabel=xlabel, ylabel=ylabel)
    if scale == "linear":
        ax.set_ylim(0, lines.max().max() * 1.25)
    else:
        ax.set_ylim(lines.min().min() / 2, lines.max().max() * 2)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.set_xticks(list(x))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PLAIN)
    ax.minorticks_off()
    if len(lines.columns) > 1:
        ax.legend()
