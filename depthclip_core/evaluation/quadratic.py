"""RMSE of any number of partitions without going through pixels: a quadratic form per frame.

Depth is linear in the bins b, so the squared error summed over a frame's n pixels is
b·Gb − 2 b·h + s: G is the Gram matrix of the bin weights, h their products with the ground truth,
s the square of the ground truth. A million partitions take seconds, and the best bins solve a
linear system.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.settings import TEMPERATURE

BLOCK = 1 << 22  # squared errors computed at once: 32 MB
ABOVE = 1.001  # a bin at the near limit times this is above it


@dataclass(frozen=True, eq=False)
class ErrorForms:
    """The squared error of N frames as a function of K bins, float64.

    gram: (N, K, K). product: (N, K). square: (N,). count: (N,), valid pixels. limits: metres; the
    forms hold for bins between them, where no prediction is clamped.
    """

    gram: np.ndarray
    product: np.ndarray
    square: np.ndarray
    count: np.ndarray
    limits: tuple[float, float]

    def per_frame(self, bins: np.ndarray) -> np.ndarray:
        """Rmse (P, N) in metres of partitions (P, K); NaN for a frame without valid pixels."""
        bins = self._checked(bins)
        out = np.full((len(bins), len(self.count)), np.nan)
        out[:, self.count > 0] = np.sqrt(self._mean_squares(bins))
        return out

    def rmse(self, bins: np.ndarray) -> np.ndarray:
        """Mean over the frames with valid pixels, (P,) metres, of partitions (P, K)."""
        bins = self._checked(bins)
        step = max(1, BLOCK // len(self.count))
        blocks = (bins[start : start + step] for start in range(0, len(bins), step))
        return np.concatenate([np.sqrt(self._mean_squares(block)).mean(axis=1) for block in blocks])

    def least_squares(self) -> tuple[float, ...]:
        """The bins of least squared error over the pooled pixels of all frames.

        A bin below the near limit is raised to just above it, so that a sweep can score it. Raises
        `DepthClipError` if no frame has a valid pixel, and for forms that are not finite.
        """
        if not self.count.any():
            raise DepthClipError("bins cannot be fitted: no frame has a valid pixel")
        if not (np.isfinite(self.gram).all() and np.isfinite(self.product).all()):
            raise DepthClipError("bins cannot be fitted: the forms hold NaN or infinite values")
        bins = np.linalg.lstsq(self.gram.sum(0), self.product.sum(0), rcond=1e-9)[0]
        return tuple(float(b) for b in np.maximum(bins, self.limits[0] * ABOVE))

    def _mean_squares(self, bins: np.ndarray) -> np.ndarray:
        """Mean squared error (P, N') over the N' frames with valid pixels: one matrix product."""
        some = self.count > 0
        first, second = np.triu_indices(bins.shape[1])
        # Each product of two different bins occurs twice in the form.
        gram = self.gram[some][:, first, second] * np.where(first == second, 1, 2)
        coefficients = np.column_stack([gram, -2 * self.product[some], self.square[some]])
        coefficients /= self.count[some, None]
        monomials = np.column_stack([bins[:, first] * bins[:, second], bins, np.ones(len(bins))])
        return np.maximum(monomials @ coefficients.T, 0)

    def _checked(self, bins: np.ndarray) -> np.ndarray:
        bins = np.asarray(bins, dtype=np.float64)
        n_words = self.product.shape[1]
        if bins.ndim != 2 or not bins.size or bins.shape[1] != n_words:
            raise DepthClipError(f"partitions must be of shape (P, {n_words}), got {bins.shape}")
        near, far = self.limits
        if not (bins.min() > near and bins.max() <= far):
            where = f"({near}, {far}] m, where nothing is clamped"
            raise DepthClipError(f"bins must lie in {where}: use sweep.sweep for others")
        if not self.count.any():
            raise DepthClipError("cannot compute RMSE: no frame has a valid pixel")
        return bins


def error_forms(
    ground_truths: Iterable[np.ndarray],
    similarities: Tensor,
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> ErrorForms:
    """The forms of N frames, each read once; arguments as in `sweep.sweep`.

    Raises `DepthClipError` for a protocol that aligns: its error is not quadratic in the bins.
    """
    protocol = resolve_protocol(protocol)
    if protocol.align:
        raise DepthClipError("an aligned error is not a quadratic form: use sweep.sweep")
    similarities = pixels.checked_similarities(similarities)
    n_frames, _, n_words = similarities.shape[:3]
    gram, product = np.zeros((n_frames, n_words, n_words)), np.zeros((n_frames, n_words))
    square, count = np.zeros(n_frames), np.zeros(n_frames, dtype=np.int64)
    for position, truth in pixels.paired(ground_truths, n_frames):
        known = pixels.counted(truth, protocol)
        cells = pixels.cell_weights(similarities[position], temperature, protocol.flip)
        maps = pixels.pixel_maps(cells, protocol)
        _, gram[position], product[position] = pixels.moments(maps, known)
        square[position] = np.square(known.depth, dtype=np.float64).sum()
        count[position] = known.n_valid
    return ErrorForms(gram, product, square, count, (protocol.min_depth, protocol.max_depth))
