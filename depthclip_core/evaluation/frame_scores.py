"""Metrics of many predictions of one frame: fitted to its truth first, if a protocol says so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import finished, terms_of
from depthclip_core.evaluation.pixels import PixelMaps, Truth, moments
from depthclip_core.evaluation.protocols import Protocol, least_squares_scale_shift
from depthclip_core.evaluation.terms import ABS_LOG10, SQUARE_LOG, WITHIN, Term


@dataclass(frozen=True, eq=False)
class Predictions:
    """P predictions of one frame, coefficients · maps + shift, at the pixels of its truth.

    coefficients: (P, B) of the B maps. shift: (P,), metres. limits: the depths that predictions are
    clamped to. Raises `DepthClipError` for predictions that are not finite.
    """

    maps: PixelMaps
    coefficients: np.ndarray
    shift: np.ndarray
    truth: Truth
    limits: tuple[float, float]

    def __post_init__(self) -> None:
        # A comparison with NaN is false and a clamp makes infinity a depth: both would be counted.
        arrays = (self.maps.columns, self.coefficients, self.shift)
        if not all(np.isfinite(array.sum()) for array in arrays):
            raise DepthClipError("predictions hold NaN or infinite values: they cannot be scored")

    def __len__(self) -> int:
        return len(self.coefficients)


def align(
    maps: PixelMaps, coefficients: np.ndarray, truth: Truth, protocol: Protocol
) -> Predictions:
    """The predictions coefficients · maps, each fitted to the truth as the protocol says."""
    scale, shift = _scales_and_shifts(maps, coefficients, truth, protocol.align)
    limits = (protocol.min_depth, protocol.max_depth)
    return Predictions(maps, scale[:, None] * coefficients, shift, truth, limits)


def _scales_and_shifts(
    maps: PixelMaps, coefficients: np.ndarray, truth: Truth, alignment: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """What `protocols.scale_and_shift` says of each prediction, (P,) each."""
    none = np.zeros(len(coefficients))
    if alignment is None or not truth.n_valid:
        return none + 1, none
    if alignment == "median":
        pixels = maps.pixels[:, truth.valid_mask]
        middles = [np.median(part @ pixels) for part in coefficients.astype(np.float32)]
        return np.median(truth.values) / np.array(middles), none
    n, mean_g = truth.n_valid, truth.depth.sum(dtype=np.float64) / truth.n_valid
    total, gram, product = (moment / n for moment in moments(maps, truth))
    mean_p = coefficients @ total
    variance = np.einsum("pi,ij,pj->p", coefficients, gram, coefficients) - mean_p**2
    covariance = coefficients @ product - mean_p * mean_g
    return least_squares_scale_shift(mean_p, mean_g, variance, covariance)


def scores(predictions: Predictions, metrics: Sequence[str], device: str = "cpu") -> np.ndarray:
    """Metrics of each prediction, float64 (P, M); NaN without valid pixels."""
    n, terms = predictions.truth.n_valid, terms_of(metrics)
    if not n:
        return np.full((len(predictions), len(metrics)), np.nan)
    # Both take time to import, and few programs need both.
    if device.startswith("cpu"):
        sums = _cpu_sums(predictions, terms)
    else:
        from depthclip_core.evaluation.gpu import fused_sums

        sums = fused_sums(predictions, terms, device)
    means = {term: total / n for term, total in sums.items()}
    if plain := [term for term in terms if term not in means]:
        means |= _plain_means(predictions, plain)
    return np.stack(list(finished(metrics, means).values()), axis=1)


def _cpu_sums(predictions: Predictions, terms: Sequence[Term]) -> dict[Term, np.ndarray]:
    """Sums (P,) of those of the terms that `kernel` fuses."""
    from depthclip_core.evaluation import kernel

    maps, truth, (near, far) = predictions.maps, predictions.truth, predictions.limits
    n, n_terms = len(predictions), len(kernel.SUMMED)
    totals, square_logs = np.empty((n, n_terms)), np.empty(n)
    pixels, columns = (maps.between, maps.shares, truth.depth), np.ascontiguousarray(maps.columns)
    # A product of ratios must stay within the range of float32.
    group = min(kernel.GROUP, max(2, int(37 / math.log10(far / near)) // 2 * 2))
    fused = [term for term in terms if term in kernel.FUSED]
    for start in range(0, n if fused else 0, kernel.AT_ONCE):
        part = slice(start, start + kernel.AT_ONCE)
        coefficients, shift = predictions.coefficients[part], predictions.shift[part]
        cells = kernel.combined(coefficients, columns, shift)
        if any(term in kernel.SUMMED for term in fused):
            words = (cells, columns, coefficients, shift)
            kernel.term_sums(*words, *pixels, near, far, group, totals[part])
        if SQUARE_LOG in fused:
            kernel.square_log_sums(cells, *pixels, near, far, square_logs[part])
    sums = dict(zip(kernel.SUMMED, totals.T, strict=True)) | {SQUARE_LOG: square_logs}
    for term in WITHIN:  # a pixel that does not count was counted as near
        sums[term] -= truth.depth.size - truth.n_valid
    sums[ABS_LOG10] /= math.log(10)
    return {term: sums[term] for term in fused}


def _plain_means(predictions: Predictions, terms: Sequence[Term]) -> dict[Term, np.ndarray]:
    """Means (P,) of any terms, by their own expressions, one prediction after the other."""
    truth, means = predictions.truth, []
    pixels, g = predictions.maps.pixels[:, truth.valid_mask], truth.values.astype(np.float64)
    for part, shift in zip(predictions.coefficients, predictions.shift, strict=True):
        depth = (part.astype(np.float32) @ pixels).astype(np.float64) + shift
        p = np.clip(depth, *predictions.limits)
        means.append([term.of(p, g).mean() for term in terms])
    return dict(zip(terms, np.array(means).T, strict=True))
