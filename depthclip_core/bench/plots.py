"""Charts of a benchmark's row: functions of (ax, data), in the workbook's style."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, PercentFormatter

from depthclip_core.plots.style import WIDTH

PLAIN = FuncFormatter(lambda value, _: f"{value:,.12g}")


def show_passes(ax: Axes, passes: pd.DataFrame) -> None:
    """Seconds per image of each pass, quartiles as whiskers, and its speed-up in words."""
    seconds, places = passes["seconds"], _name_rows(ax, passes)
    spread = [seconds - passes["seconds_low"], passes["seconds_high"] - seconds]
    colours = ["0.6" if name == "released" else "C0" for name in passes.index]
    ax.barh(places, seconds, xerr=spread, color=colours, error_kw={"lw": 1.2})
    for place, end, ratio in zip(places, passes["seconds_high"], passes["speedup"], strict=True):
        ax.text(end + seconds.max() * 0.015, place, f"{ratio:.2f} ×", va="center")
    ax.set(xlim=(0, seconds.max() * 1.18), xlabel="seconds per image, with its mirror image")


def show_roofline(ax: Axes, roofline: pd.DataFrame) -> None:
    """What share of its precision's measured matrix peak each pass reaches, and both in words."""
    places = _name_rows(ax, roofline)
    ax.barh(places, roofline["share"], color="C0")
    for place, (_, row) in zip(places, roofline.iterrows(), strict=True):
        reached = f"{row['gflops']:,.0f} of {row['peak_gflops']:,.0f} GFLOP/s, {row['precision']}"
        ax.text(0.01, place, reached, va="center", color="white")
    ax.axvline(1, color="C1", lw=1.5)
    ax.set(xlim=(0, 1.02), xlabel="share of the measured matrix peak")
    ax.xaxis.set_major_formatter(PercentFormatter(1))


def show_stages(ax: Axes, stages: pd.DataFrame) -> None:
    """Milliseconds per frame of each stage on a logarithmic scale: medians, quartiles as lines."""
    middle, places = stages["milliseconds"], _name_rows(ax, stages)
    ax.hlines(places, stages["milliseconds_low"], stages["milliseconds_high"], color="C0", lw=2)
    ax.plot(middle, places, "o", color="C0", ms=6)
    for place, value, end in zip(places, middle, stages["milliseconds_high"], strict=True):
        ax.text(end * 1.2, place, f"{value:.3g}", va="center")
    ax.set(xscale="log", xlabel="milliseconds per frame")
    ax.xaxis.set_major_formatter(PLAIN)
    ax.set_xlim(middle.min() / 3, middle.max() * 4)
    ax.grid(axis="x", alpha=0.3)


def _name_rows(ax: Axes, table: pd.DataFrame) -> np.ndarray:
    """Write the table's index along the y axis, the first row on top: the rows' positions."""
    places = np.arange(len(table))
    ax.set_yticks(places, table.index)
    ax.invert_yaxis()
    return places


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


def frames_figure(grown: pd.DataFrame, title: str) -> Figure:
    """Seconds and memory beyond the model's over the number of frames.

    grown: rows numbers of frames; columns seconds and memory_mib (MiB).
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    show_growth(axes[0], grown.index, grown[["seconds"]], "frames", "seconds", "log")
    memory = grown[["memory_mib"]]
    show_growth(axes[1], grown.index, memory, "frames", "MiB beyond the model", "linear")
    figure.suptitle(title)
    return figure
