"""Scores of saved maps under several protocols, and the frames that they miss by most.

Figures are narrow: they stay readable on a telephone.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthclip_core.plots.map_plots import (
    STACKED,
    depth_bar,
    depth_limits,
    error_limit,
    show_depth,
    show_error,
    show_photo,
)
from depthclip_core.plots.score_plots import label
from depthclip_core.plots.style import name_rows

SHOWN_METRICS = ("delta1", "abs_rel", "rmse")
WIDTH = 5.0  # inches


def show_protocols(ax: Axes, table: pd.DataFrame, metric: str) -> None:
    """A metric under protocols, a row each: columns mean, low and high, or NaN."""
    y = np.arange(len(table))
    known = table["low"].notna().to_numpy()
    ax.hlines(y[known], table["low"][known], table["high"][known], color="C0", lw=2, alpha=0.5)
    ax.plot(table["mean"], y, "o", color="C0", ms=4)
    name_rows(ax, list(table.index))
    ax.set(xlabel=label(metric))


def protocol_panels(
    intervals: pd.DataFrame, metrics: Sequence[str] = SHOWN_METRICS, title: str = ""
) -> Figure:
    """A panel of `show_protocols` for each metric, one below the other.

    intervals: rows (protocol, metric); columns mean, low, high.
    """
    n = intervals.index.get_level_values(0).nunique()
    size = (WIDTH, len(metrics) * (0.22 * n + 0.6) + 0.3)
    figure, axes = plt.subplots(len(metrics), 1, figsize=size, squeeze=False)
    for ax, metric in zip(axes.flat, metrics, strict=True):
        show_protocols(ax, intervals.xs(metric, level=1), metric)
    figure.suptitle(title)
    return figure


def map_and_error(rgb: np.ndarray, truth: np.ndarray, depth: np.ndarray, title: str = "") -> Figure:
    """Photograph (H, W, 3), true and predicted depth (h, w) on one scale, and prediction − truth.

    Metres, 0 where there is none. Two by two; one below the other for wide frames.
    """
    error = np.where((truth > 0) & (depth > 0), depth - truth, np.nan)
    limits, limit = depth_limits(truth, depth), error_limit(error)
    aspect = rgb.shape[1] / rgb.shape[0]
    columns = 1 if aspect > STACKED else 2
    rows = 4 // columns
    size = (WIDTH, rows * ((WIDTH - 0.7) / columns / aspect + 0.3) + 0.2)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    photo, measured, predicted, off = axes.flat
    show_photo(photo, rgb, "photograph")
    image = show_depth(measured, truth, limits, "ground truth")
    show_depth(predicted, depth, limits, "prediction")
    of_error = show_error(off, error, limit, "prediction − ground truth")
    depth_bar(figure, image, measured)
    depth_bar(figure, image, predicted)
    depth_bar(figure, of_error, off, "error (m)")
    figure.suptitle(title)
    return figure
