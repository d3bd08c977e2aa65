"""Fit bins on training frames: the depth that each word stands for.

The weights do not depend on the bins, so both fits read each frame once: for a histogram of depth
per word, or for the quadratic form of its error.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from torch import Tensor

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.evaluation.quadratic import error_forms
from depthclip_core.settings import TEMPERATURE

METHODS = ("median", "least-squares")
STEP = 0.001  # metres, the resolution of the medians


def fit_bins(
    ground_truths: Iterable[np.ndarray],
    similarities: Tensor,
    method: str = "median",
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> tuple[float, ...]:
    """One depth per word, in metres, from frames with ground truth.

    ground_truths: (480, 640) maps, metres, holes 0. similarities: (N, V, K, h, w) of the same
        frames.
    method: "median", for each word the median depth of all pixels, weighted with its bin weight;
        "least-squares", the bins of least squared error over the pooled pixels of all frames.
    Raises `DepthClipError` if no frame has a valid pixel.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if method == "least-squares":
        return error_forms(ground_truths, similarities, temperature, protocol).least_squares()
    return fit_medians(ground_truths, {"words": similarities}, temperature, protocol)["words"]


def fit_medians(
    ground_truths: Iterable[np.ndarray],
    similarities: Mapping[str, Tensor],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> dict[str, tuple[float, ...]]:
    """`fit_bins` by medians for many heads or lists of words, reading each frame once.

    similarities: for each name (N, V, K, h, w) of the same frames and grid.
    """
    totals: dict[str, np.ndarray] = {}
    for histograms in word_histograms(ground_truths, similarities, temperature, protocol):
        for name, histogram in histograms.items():
            totals[name] = totals.get(name, 0) + histogram
    return {name: medians(totals.get(name)) for name in similarities}


def word_histograms(
    ground_truths: Iterable[np.ndarray],
    similarities: Mapping[str, Tensor],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> Iterator[dict[str, np.ndarray]]:
    """For each frame, by name, how much weight each word has at each depth: (K, max_depth / STEP).

    Sums of the word's weight over pixels, float64; arguments as in `fit_medians`.
    """
    protocol = resolve_protocol(protocol)
    similarities = {name: pixels.checked_similarities(each) for name, each in similarities.items()}
    kinds = {(len(s), *s.shape[-2:]) for s in similarities.values()}
    if len(kinds) != 1:
        raise DepthClipError("give similarities of the same frames and grid for every name")
    ((n_frames, *_),) = kinds
    for position, truth in pixels.paired(ground_truths, n_frames):
        known, found = pixels.counted(truth, protocol), {}
        for name, each in similarities.items():
            cells = pixels.cell_weights(each[position], temperature, protocol.flip)
            found[name] = _histogram(cells, known, protocol)
        yield found


def _histogram(cells: np.ndarray, truth: pixels.Truth, protocol: Protocol) -> np.ndarray:
    """Sums of the weights of cells (K, h, w), upsampled, over the pixels of each depth: (K, D)."""
    from depthclip_core.evaluation.kernel import add_to_histogram  # it takes time to import

    across = pixels.overlap_interpolation(cells.shape[1:], protocol)[1].astype(np.float64)
    columns = np.ascontiguousarray((cells @ across.T).transpose(1, 2, 0))  # (h, W, K)
    maps = pixels.pixel_maps(cells, protocol)
    histogram = np.zeros((round(protocol.max_depth / STEP), len(cells)))
    add_to_histogram(columns, maps.between, maps.shares, truth.depth, STEP, histogram)
    return histogram.T


def medians(histogram: np.ndarray | None) -> tuple[float, ...]:
    """Weighted median depth of each word, metres; a word without weight gets that of all words.

    histogram: (K, D), sums of `word_histograms`; `DepthClipError` if it is empty or not finite.
    """
    if histogram is None or not histogram.any():
        raise DepthClipError("bins cannot be fitted: no frame has a valid pixel")
    if not np.isfinite(histogram).all():
        raise DepthClipError("bins cannot be fitted: a histogram holds NaN or infinite values")
    silent = histogram.sum(1) < 1e-9
    histogram = np.where(silent[:, None], histogram.sum(0), histogram)
    share = histogram.cumsum(1) / histogram.sum(1, keepdims=True)
    return tuple(float(b) for b in (np.argmax(share >= 0.5, axis=1) + 0.5) * STEP)
