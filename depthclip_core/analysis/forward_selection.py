"""Greedy forward selection of words, on the cells of training frames.

Given the words, the best bins are a linear least-squares problem; but the softmax couples the
words, so that the weights of a list are computed anew for every candidate.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import checked_similarities
from depthclip_core.settings import TEMPERATURE, logit_factor

LIMITS = (0.5, 10.0)  # metres, of bins


@dataclass(frozen=True, eq=False)
class Path:
    """A greedy selection: the best list of each size among those that extend the one before.

    chosen: candidates in the order in which they were taken. bins: for each size from 2, metres.
    error: root mean squared error over the training cells for each size, metres.
    """

    chosen: tuple[int, ...]
    bins: tuple[np.ndarray, ...]
    error: tuple[float, ...]


def least_squares_bins(gram: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Bins (K,) of least squared error, each moved into `LIMITS`.

    gram: (K, K), of the bin weights over cells. product: (K,), of weights and depths.
    """
    return np.clip(np.linalg.lstsq(gram, product, rcond=1e-9)[0], *LIMITS)


def forward_selection(
    similarities: Tensor,
    depths: np.ndarray,
    most: int = 10,
    *,
    temperature: float = TEMPERATURE,
    flip: bool = True,
    n_cells: int = 2000,
    seed: int = 0,
) -> Path:
    """The best pair of W candidates, and then, one at a time, the best word to add, up to `most`.

    similarities: (N, V, W, h, w). depths: (N, h, w) of `word_responses.cell_depths`, metres, NaN
    where unknown. n_cells: how many cells, drawn at random, choose the words; the bins of the
    chosen lists are then fitted to all cells. Bins are those of `least_squares_bins`.
    Raises `DepthClipError` for fewer candidates than words, and without a cell of known depth.
    """
    similarities = checked_similarities(similarities)
    n_candidates = similarities.shape[2]
    if not 2 <= most <= n_candidates:
        raise DepthClipError(f"cannot choose {most} of {n_candidates} words: give 2 or more")
    if similarities[:, 0, 0].shape != depths.shape:
        cells = tuple(similarities[:, 0, 0].shape)
        raise DepthClipError(f"similarities at {cells} cells for depths at {depths.shape}")
    known = np.isfinite(depths)
    if not known.any():
        raise DepthClipError("words cannot be chosen: no cell has a known depth")
    logits = _logits(similarities, temperature, flip)[:, known]  # (V, C, W)
    depth = depths[known].astype(np.float64)
    drawn = np.random.default_rng(seed).permutation(len(depth))[:n_cells]
    chosen = _greedy(logits[:, drawn].astype(np.float64), depth[drawn], most)
    fits = [_fit(_softmax(logits[:, :, chosen[:k]]), depth) for k in range(2, most + 1)]
    return Path(tuple(chosen), *(tuple(part) for part in zip(*fits, strict=True)))


def _logits(similarities: Tensor, temperature: float, flip: bool) -> np.ndarray:
    """Logits (V, N, h, w, W) of each view, the mirror image's at the cell that it shows."""
    views = similarities[:, : 1 + flip].cpu().numpy() * np.float32(logit_factor(temperature))
    views = [view if i == 0 else view[..., ::-1] for i, view in enumerate(views.swapaxes(0, 1))]
    return np.stack([view.transpose(0, 2, 3, 1) for view in views])


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Weights (V, C, K) of logits (V, C, K), float64."""
    from scipy.special import softmax  # its parts load when they are used

    return softmax(logits.astype(np.float64), axis=-1)


def _fit(weights: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, float]:
    """Bins, and the error that they leave, of weights (V, C, K) of the views of C cells."""
    mean = weights.mean(0)
    bins = least_squares_bins(mean.T @ mean, mean.T @ depth)
    return bins, float(np.sqrt(np.mean((mean @ bins - depth) ** 2)))


def _greedy(logits: np.ndarray, depth: np.ndarray, most: int) -> list[int]:
    """Indices of the chosen words; logits (V, C, W)."""
    chosen = list(_best_pair(logits, depth))
    total = np.logaddexp(*(logits[:, :, word] for word in chosen))  # of the softmax, (V, C)
    weights = np.exp(logits[:, :, chosen] - total[:, :, None])
    while len(chosen) < most:
        errors = np.full(logits.shape[2], np.inf)
        for word in set(range(logits.shape[2])) - set(chosen):
            errors[word] = _fit(_extended(weights, total, logits[:, :, word]), depth)[1]
        word = int(errors.argmin())
        weights = _extended(weights, total, logits[:, :, word])
        total = np.logaddexp(total, logits[:, :, word])
        chosen.append(word)
    return chosen


def _extended(weights: np.ndarray, total: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Weights (V, C, K + 1) of a list to which a word is added.

    weights: (V, C, K) of the list, and total (V, C), the logarithm of its softmax's denominator.
    logit: (V, C) of the word. It takes its weight from the others in proportion to theirs.
    """
    new = _sigmoid(logit - total)[:, :, None]
    return np.concatenate([weights * (1 - new), new], axis=2)


def _best_pair(logits: np.ndarray, depth: np.ndarray) -> tuple[int, int]:
    """The two words that leave the least error; logits (V, C, W).

    Their weights, w and 1 − w, add to one, so that the best depth is a line in w.
    """
    best, pair, level = np.inf, (0, 1), depth.mean()
    for first in range(logits.shape[2] - 1):
        others = logits[:, :, first + 1 :].astype(np.float32)
        w = _sigmoid(others - logits[:, :, first, None].astype(np.float32)).mean(0)
        w = w.astype(np.float64)
        mean, square, product = w.mean(0), np.square(w).mean(0), depth @ w / len(depth)
        spread = square - mean**2
        slope = (product - mean * level) / np.where(spread > 1e-12, spread, np.inf)
        near = np.clip(level - slope * mean, *LIMITS)  # the bin of the first word
        far = np.clip(level + slope * (1 - mean), *LIMITS)
        # The mean square of near · (1 − w) + far · w − depth, without that of depth.
        step = far - near
        left = near**2 + 2 * near * step * mean + step**2 * square
        left -= 2 * near * level + 2 * step * product
        if (least := left.min()) < best:
            best, pair = least, (first, first + 1 + int(left.argmin()))
    return pair


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit  # its parts load when they are used

    return expit(x)
