"""Depth metrics, pure functions of the valid pixels, and their evaluation over many frames.

p is the prediction, g the ground truth: float64 arrays of n valid pixels, metres, positive. Of
pixels that are not finite no metric is finite.
"""

from collections.abc import Iterable, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol, scale_and_shift


def delta(p: np.ndarray, g: np.ndarray, power: int) -> float:
    """Share of pixels with max(p/g, g/p) < 1.25^power.

    >>> delta(np.array([1.0, 2.0]), np.array([1.1, 3.0]), power=1)
    0.5
    """
    if not (np.isfinite(p).all() and np.isfinite(g).all()):
        return float("nan")  # no comparison with NaN is true: the pixel would count as wrong
    return float(np.mean(np.maximum(p / g, g / p) < 1.25**power))


def abs_rel(p: np.ndarray, g: np.ndarray) -> float:
    """mean |p − g| / g ("rel")."""
    return float(np.mean(np.abs(p - g) / g))


def sq_rel(p: np.ndarray, g: np.ndarray) -> float:
    """mean (p − g)² / g, metres."""
    return float(np.mean((p - g) ** 2 / g))


def log10(p: np.ndarray, g: np.ndarray) -> float:
    """mean |log10 p − log10 g|."""
    return float(np.mean(np.abs(np.log10(p) - np.log10(g))))


def rmse(p: np.ndarray, g: np.ndarray) -> float:
    """sqrt(mean (p − g)²), metres."""
    return float(np.sqrt(np.mean((p - g) ** 2)))


def mae(p: np.ndarray, g: np.ndarray) -> float:
    """mean |p − g|, metres."""
    return float(np.mean(np.abs(p - g)))


def rmse_log(p: np.ndarray, g: np.ndarray) -> float:
    """sqrt(mean (ln p − ln g)²)."""
    return float(np.sqrt(np.mean((np.log(p) - np.log(g)) ** 2)))


def silog(p: np.ndarray, g: np.ndarray) -> float:
    """100 · sqrt(var(ln p − ln g)): the scale-invariant log error in KITTI's and BTS's units."""
    return float(100 * np.std(np.log(p) - np.log(g)))


METRICS = MappingProxyType(
    {
        "delta1": lambda p, g: delta(p, g, 1),
        "delta2": lambda p, g: delta(p, g, 2),
        "delta3": lambda p, g: delta(p, g, 3),
        "abs_rel": abs_rel,
        "log10": log10,
        "rmse": rmse,
        "mae": mae,
        "sq_rel": sq_rel,
        "rmse_log": rmse_log,
        "silog": silog,
    }
)
HIGHER_IS_BETTER = frozenset({"delta1", "delta2", "delta3"})


def evaluate(
    depth: np.ndarray,
    ground_truth: np.ndarray,
    protocol: str | Protocol = "released",
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score predictions frame by frame.

    depth: (B, 416, 544), the protocol's window, or (B, 480, 640), whole frames; metres ≥ 0,
        where 0 means "no prediction". ground_truth: (B, 480, 640), metres, holes 0, taken as given.
    protocol: a name in `PROTOCOLS`, or a `Protocol`; one that aligns fits each prediction to its
        ground truth first. names: the rows' index; else 0 … B − 1.
    Returns a DataFrame, a row per frame: the metrics of `METRICS` and n_pixels, the count of valid
    pixels. A frame without any has NaN metrics; `summarise` counts it and leaves it out.
    Raises `DepthClipError` for arrays of other shapes, and for NaN, infinite or negative depths.
    """
    protocol = resolve_protocol(protocol)
    depth = checked_depth("depth", depth, {protocol.window.shape, protocol.frame})
    ground_truth = checked_depth("ground truth", ground_truth, {protocol.frame})
    if len(depth) != len(ground_truth):
        raise DepthClipError(f"{len(depth)} predictions for {len(ground_truth)} ground truths")
    if names is not None and len(names) != len(depth):
        raise DepthClipError(f"{len(names)} names for {len(depth)} predictions")
    rows = [_score(*pair, protocol) for pair in zip(depth, ground_truth, strict=True)]
    columns = [*METRICS, "n_pixels"]
    return pd.DataFrame(rows, index=None if names is None else list(names), columns=columns)


def summarise(rows: pd.DataFrame) -> pd.Series:
    """Mean over images, the paper's average, of the frames that have valid pixels.

    Adds n_frames, how many were averaged, and n_empty, how many had no valid pixel. A metric that
    is NaN for a frame with valid pixels is NaN in the mean.
    """
    scored = rows[rows["n_pixels"] > 0]
    means = scored[[name for name in METRICS if name in rows]].mean(skipna=False)
    counts = {"n_frames": len(scored), "n_empty": len(rows) - len(scored)}
    return pd.concat([means, pd.Series(counts)])


def pooled_correlation(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], protocol: str | Protocol = "released"
) -> float:
    """Pearson correlation of predicted and true depth over the valid pixels of all frames.

    pairs: a prediction and its ground truth for each frame, as in `evaluate`; read once.
    NaN where no frame has a valid pixel, or one of the two is the same everywhere.
    """
    protocol = resolve_protocol(protocol)
    shapes = {protocol.window.shape, protocol.frame}
    n, mean, moments = 0, np.zeros(2), np.zeros((2, 2))
    for depth, truth in pairs:
        (depth,) = checked_depth("depth", [depth], shapes)
        (truth,) = checked_depth("ground truth", [truth], {protocol.frame})
        pixels = np.stack(_valid_pixels(depth, truth, protocol))  # (2, m)
        if m := pixels.shape[1]:  # merge the moments of what came before with this frame's
            step = pixels.mean(1) - mean
            moments += np.cov(pixels, bias=True) * m + np.outer(step, step) * n * m / (n + m)
            n, mean = n + m, mean + step * m / (n + m)
    if not n:
        return float("nan")
    return float(moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1]))


def _score(depth: np.ndarray, ground_truth: np.ndarray, protocol: Protocol) -> dict[str, float]:
    """All metrics of one frame."""
    p, g = _valid_pixels(depth, ground_truth, protocol)
    scores = {name: metric(p, g) if p.size else np.nan for name, metric in METRICS.items()}
    return scores | {"n_pixels": p.size}


def _valid_pixels(
    depth: np.ndarray, ground_truth: np.ndarray, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and ground truth of a frame's n valid pixels, aligned, clamped, float64 (n,)."""
    if depth.shape != protocol.frame:
        canvas = np.zeros(protocol.frame, dtype=depth.dtype)
        canvas[protocol.window.slices] = depth
        depth = canvas
    mask = protocol.valid_mask(ground_truth, depth)
    p, g = (m[mask].astype(np.float64) for m in (depth, ground_truth))
    if p.size and protocol.align:
        scale, shift = scale_and_shift(p, g, protocol.align)
        p = scale * p + shift
    clamp = (protocol.min_depth, protocol.max_depth)
    return np.clip(p, *clamp), np.clip(g, *clamp)


def checked_depth(what: str, array: object, shapes: set[tuple[int, int]]) -> np.ndarray:
    """The array as (B, H, W) numbers of one of the shapes, finite and not negative."""
    array = np.asarray(array)
    if array.ndim != 3 or array.shape[1:] not in shapes:
        wanted = " or ".join(f"(B, {h}, {w})" for h, w in sorted(shapes))
        raise DepthClipError(f"{what} must be of shape {wanted}, got {array.shape}")
    if array.dtype.kind not in "fiu":
        raise DepthClipError(f"{what} must be numbers in metres, got dtype {array.dtype}")
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        frame, row, column = np.argwhere(bad)[0]
        raise DepthClipError(
            f"{what} holds {bad.sum()} NaN, infinite or negative values, the first "
            f"{array[frame, row, column]} at frame {frame}, row {row}, column {column}"
        )
    return array
