"""Oracles of one image: the best scale and the best bins that its ground truth allows.

Those of rmse are least squares. Of those of δ1 the scale is exact, and bins are the best that a
search finds.
"""

import numpy as np
import scipy  # its parts load when they are used

from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.frame_scores import Predictions, scores
from depthclip_core.evaluation.protocols import Protocol

FACTOR = 1.25  # of δ1
SAMPLED = 4000  # pixels of an image on which its bins are searched for
ROUNDS = 6  # through all words, of that search
SILENT = 1e-6  # a word of less weight at a pixel does not move it


def best_scale(p: np.ndarray, g: np.ndarray) -> float:
    """The factor s with the largest share of max(s·p/g, g/(s·p)) < 1.25, exactly; p, g (n,) > 0.

    A pixel is correct if log(g/p) is within log 1.25 of log s: the densest window of that width.
    """
    ratios = np.sort(np.log(g) - np.log(p))
    # A little narrower, so that rounding leaves none of them at the edge.
    ends = np.searchsorted(ratios, ratios + 2 * np.log(FACTOR) * (1 - 1e-9), side="left")
    first = int((ends - np.arange(len(ratios))).argmax())
    return float(np.exp((ratios[first] + ratios[ends[first] - 1]) / 2))


def bounded_least_squares(
    gram: np.ndarray, product: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """The bins (K,) between limits, metres, of least b·Gb − 2 b·h; see `quadratic.ErrorForms`."""
    values, vectors = np.linalg.eigh(gram)
    root = np.sqrt(np.maximum(values, values[-1] * 1e-9))  # a silent word gets some bin
    return scipy.optimize.lsq_linear(
        root[:, None] * vectors.T, vectors.T @ product / root, limits, method="bvls"
    ).x


def most_within(
    weights: np.ndarray, depth: np.ndarray, bins: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """Bins (K,) with more pixels correct by δ1, from given ones: one word after the other.

    weights: (K, n). depth: (n,) metres. Given the other bins, a pixel is correct for an interval of
    a word's bin, so its best value, where most intervals overlap, is exact. It ends where no single
    bin can be bettered, or after ROUNDS.
    """
    bins, weights = np.array(bins, dtype=np.float64), weights.astype(np.float64)
    for _ in range(ROUNDS):
        before = bins.copy()
        for word, weight in enumerate(weights):
            heard = weight > SILENT
            own = weight[heard]
            rest = bins @ weights[:, heard] - bins[word] * own
            ends = ((depth[heard] * f - rest) / own for f in (1 / FACTOR, FACTOR))
            bins[word] = _deepest_overlap(*ends, limits, bins[word])
        if (bins == before).all():
            break
    return bins


def _deepest_overlap(
    low: np.ndarray, high: np.ndarray, limits: tuple[float, float], now: float
) -> float:
    """A value between limits that lies in the most open intervals (low, high); `now` if it does."""
    some = (high > limits[0]) & (low < limits[1])
    if not some.any():
        return now
    low, high = (
        np.sort(np.maximum(low[some], limits[0])),
        np.sort(np.minimum(high[some], limits[1])),
    )
    begun = np.arange(1, len(low) + 1)
    # All that begin at one value begin together.
    begun = begun[np.searchsorted(low, low, side="right") - 1]
    ended = np.searchsorted(high, low, side="right")
    depth = begun - ended
    at = int(depth.argmax())
    here = np.searchsorted(low, now, side="left") - np.searchsorted(high, now, side="right")
    if here >= depth[at]:
        return now
    # Up to the next end of an interval, or the next beginning.
    later = low[begun[at] : begun[at] + 1]
    return float((low[at] + min([high[ended[at]], *later])) / 2)


def fit_image(
    metric: str, maps: pixels.PixelMaps, known: pixels.Truth, start: np.ndarray, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """An image's oracles, from the split's bins (K,): these bins scaled, and its own bins."""
    limits = (protocol.min_depth, protocol.max_depth)
    _, gram, product = pixels.moments(maps, known)
    free = bounded_least_squares(gram, product, limits)
    if metric == "rmse":
        return start * (start @ product) / (start @ gram @ start), free
    words, g = maps.pixels[:, known.valid_mask], known.values.astype(np.float64)
    scaled = start * best_scale(start @ words, g)
    n = min(SAMPLED, known.n_valid)
    chosen = np.argsort(known.values, kind="stable")[
        ((np.arange(n) + 0.5) * len(g) / n).astype(int)
    ]
    starts = [np.clip(b, *limits) for b in (scaled, free)]
    tried = np.array(
        [scaled, *starts, *(most_within(words[:, chosen], g[chosen], b, limits) for b in starts)]
    )
    near = _share_within(tried, maps, known, limits)
    return scaled, tried[near.argmax()]


def _share_within(
    partitions: np.ndarray, maps: pixels.PixelMaps, known: pixels.Truth, limits: tuple[float, float]
) -> np.ndarray:
    predictions = Predictions(maps, partitions, np.zeros(len(partitions)), known, limits)
    return scores(predictions, ["delta1"])[:, 0]
