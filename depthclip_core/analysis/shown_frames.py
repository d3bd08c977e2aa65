"""Which frames to show so that they do not flatter, and what is wrong with their maps."""

import numpy as np
import pandas as pd

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import resolve_metric


def best_median_worst(scores: pd.DataFrame, metric: str) -> dict[str, int]:
    """The positions of the best, the median and the worst frame by a metric, by these names.

    scores: a row per frame, as from `scoring.score`; frames with NaN do not count. Raises
    `DepthClipError` if none is scored.
    """
    values = scores[metric].reset_index(drop=True).dropna()
    if values.empty:
        raise DepthClipError(f"no frame has {metric}: none has a valid pixel")
    order = (-resolve_metric(metric).sign * values).sort_values(kind="stable").index
    places = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    return {name: int(place) for name, place in places.items()}


def bias_and_shape(depth: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """A map's error split up: bias, shape and rmse in metres, and the bias's share of the square.

    depth and truth: (H, W) metres; pixels of truth 0 do not count. bias: the mean error. shape:
    the rmse that is left without it. NaN without pixels; the share is NaN without error, too.
    """
    error = (depth - truth)[truth > 0].astype(np.float64)
    names = ("bias (m)", "shape (m)", "rmse (m)", "share of bias")
    if not error.size:
        return dict.fromkeys(names, np.nan)
    bias, rmse = error.mean(), np.sqrt((error**2).mean())
    share = bias**2 / rmse**2 if rmse else np.nan
    return dict(zip(names, (bias, error.std(), rmse, share), strict=True))
