"""Metrics of many predictions of one frame: fitted to its truth first, if a protocol says so."""

import math
from collections.abc import Sequence

import numpy as np

from depthclip_core.evaluation.kernels import Ratios, block_sums, device_sums
from depthclip_core.evaluation.pixels import PixelMaps, Truth, moments
from depthclip_core.evaluation.protocols import Protocol, least_squares_scale_shift

# Of which sums each metric is made; d = q − 1, so that depth errors are d · truth.
NEEDS = {
    "delta1": ("near1",),
    "delta2": ("near2",),
    "delta3": ("near3",),
    "abs_rel": ("relative",),
    "log10": ("log_size",),
    "rmse": ("square",),
    "mae": ("error",),
    "sq_rel": ("relative_square",),
    "rmse_log": ("log_square",),
    "silog": ("log", "log_square"),
}


def align(
    maps: PixelMaps, coefficients: np.ndarray, bins: np.ndarray, truth: Truth, protocol: Protocol
) -> Ratios:
    """P predictions coefficients · maps, each fitted to the truth as the protocol says.

    bins: (P, K), between the nearest and farthest of which each prediction lies.
    """
    scale, shift = _scales_and_shifts(maps, coefficients, truth, protocol.align)
    ends = scale[:, None] * bins + shift[:, None]
    limits = (protocol.min_depth, protocol.max_depth)
    needs_clamping = bool(ends.min() <= limits[0] or ends.max() > limits[1])
    return Ratios(maps, scale[:, None] * coefficients, shift, truth, limits, needs_clamping)


def _scales_and_shifts(
    maps: PixelMaps, coefficients: np.ndarray, truth: Truth, alignment: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """What `protocols.scale_and_shift` says of each prediction, (P,) each."""
    if alignment is None or not truth.n_valid:
        return np.ones(len(coefficients)), np.zeros(len(coefficients))
    if alignment == "median":
        rows = maps.rows(0, maps.shape[1])[:, truth.valid_mask]
        middle = [
            np.median(np.einsum("b,bn->n", part, rows)) for part in coefficients.astype(np.float32)
        ]
        return np.median(truth.depth[truth.valid_mask]) / np.array(middle), np.zeros(
            len(coefficients)
        )
    n, mean_g = truth.n_valid, truth.depth.sum(dtype=np.float64) / truth.n_valid
    total, gram, product = (moment / n for moment in moments(maps, truth))
    mean_p = coefficients @ total
    variance = np.einsum("pi,ij,pj->p", coefficients, gram, coefficients) - mean_p**2
    return least_squares_scale_shift(
        mean_p, mean_g, variance, coefficients @ product - mean_p * mean_g
    )


def scores(ratios: Ratios, metrics: Sequence[str], device: str = "cpu") -> np.ndarray:
    """Metrics of each of the P predictions, float64 (P, M); NaN without valid pixels."""
    n, n_mix = ratios.truth.n_valid, len(ratios.coefficients)
    if not n:
        return np.full((n_mix, len(metrics)), np.nan)
    names = sorted({name for metric in metrics for name in NEEDS[metric]})
    total = (
        block_sums(ratios, names)
        if device.startswith("cpu")
        else device_sums(ratios, names, device)
    )
    sums = dict(zip(names, total, strict=True))
    for name in names:
        if name.startswith("near"):
            sums[name] -= ratios.truth.valid_mask.size - n
    return np.stack([_metric(metric, sums, n) for metric in metrics], axis=1)


def _metric(metric: str, sums: dict[str, np.ndarray], n: int) -> np.ndarray:
    means = [sums[name] / n for name in NEEDS[metric]]
    if metric == "log10":
        return means[0] / math.log(10)
    if metric in ("rmse", "rmse_log"):
        return np.sqrt(means[0])
    if metric == "silog":
        return 100 * np.sqrt(np.maximum(means[1] - means[0] ** 2, 0))
    return means[0]
