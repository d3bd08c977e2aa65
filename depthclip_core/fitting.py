"""Bins fitted on training frames: what depth each word stands for in a world.

The weights do not change with the bins, so both fits need one look at each frame: a histogram of
depth for each word, or the K × K normal equations.
"""

from collections.abc import Iterable

import numpy as np

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.protocols import Protocol, resolve_protocol

METHODS = ("median", "least-squares")
STEP = 0.001  # metres, the resolution of the medians


def fit_bins(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    method: str = "median",
    protocol: str | Protocol = "released",
) -> tuple[float, ...]:
    """One depth per word, in metres, from frames with ground truth.

    pairs: for each frame the bin weights of every pixel of the protocol's window (K, 416, 544), as
        `pipeline.pixel_weights` gives them, and its ground truth (480, 640), metres, holes 0.
    method: "median", for each word the weighted median depth of the pixels where it answers;
        "least-squares", the bins of least squared error, all frames' pixels pooled.
    Raises `DepthClipError` without a single valid pixel.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    protocol = resolve_protocol(protocol)
    accumulate = _histogram if method == "median" else _normal_equations
    total = None
    for weights, truth in pairs:
        everywhere = np.full(protocol.frame, protocol.max_depth)
        mask = protocol.valid(truth, everywhere)[protocol.window.slices]
        if mask.any():
            depth = truth[protocol.window.slices][mask].astype(np.float64)
            part = accumulate(weights[:, mask], depth, protocol.max_depth)
            total = part if total is None else total + part
    if total is None:
        raise DepthClipError("bins cannot be fitted: no frame has a valid pixel")
    return tuple(float(b) for b in (medians(total) if method == "median" else _solve(total)))


def _histogram(weights: np.ndarray, depth: np.ndarray, max_depth: float) -> np.ndarray:
    """Each word's weight by depth, (K, max_depth / STEP)."""
    size = round(max_depth / STEP)
    index = np.minimum((depth / STEP).astype(np.int64), size - 1)
    return np.stack([np.bincount(index, word, size) for word in weights])


def medians(histogram: np.ndarray) -> np.ndarray:
    """Weighted median depth of each word; a word that never answers takes the median of all."""
    silent = histogram.sum(1) < 1e-9
    histogram = np.where(silent[:, None], histogram.sum(0), histogram)
    share = histogram.cumsum(1) / histogram.sum(1, keepdims=True)
    return (np.argmax(share >= 0.5, axis=1) + 0.5) * STEP


def _normal_equations(weights: np.ndarray, depth: np.ndarray, _max_depth: float) -> np.ndarray:
    """Gram matrix of the words and their product with depth, (K, K + 1)."""
    weights = weights.astype(np.float64)
    return np.column_stack([weights @ weights.T, weights @ depth])


def _solve(equations: np.ndarray) -> np.ndarray:
    gram, product = equations[:, :-1], equations[:, -1]
    bins = np.linalg.lstsq(gram, product, rcond=1e-9)[0]
    return np.maximum(bins, STEP)  # a bin is a depth: positive
