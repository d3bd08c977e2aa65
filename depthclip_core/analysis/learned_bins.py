"""Bins learnt on training frames: one set for all, one for each scene type, one for each image.

N training frames, K words, S scene types. Frames are reduced once, to a histogram of depth for each
word and a quadratic form of the error. Everything that is learnt afterwards is a function of how
much each frame counts: one set for all weighs all frames alike, and a scene type's set weighs its
own frames and, so that few frames do not decide alone, a number of average frames of all types.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.datasets import Dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.fitting import STEP, word_histograms
from depthclip_core.evaluation.metrics import resolve_metric
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.quadratic import error_forms
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import PUBLISHED_METRICS, TEMPERATURE

# How many average frames count beside a scene type's own; with infinitely many, all types share
# one set of bins. None at all would leave words undetermined that a scene type never uses.
STRENGTHS = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, np.inf)
FACTORS, STRETCHES = np.geomspace(0.7, 2.8, 13), (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
NEAREST = 0.1  # metres; a bin that is fitted nearer, or behind the camera, is put there
COARSE = 10  # steps of a histogram that are put together: 1 cm


@dataclass(frozen=True, eq=False)
class Evidence:
    """What N frames say about bins, float64; each frame counts alike, whatever its valid pixels.

    histograms: (N, K, D), shares of the weight of all words at depths 1 cm apart. gram: (N, K, K)
    and product: (N, K), the form of the mean squared error, see `quadratic.ErrorForms`. scores:
    (P, N), a metric of P candidates, signed so that higher is better. Frames without a valid pixel
    are zero in all of these, and False in `known` (N,).
    """

    histograms: np.ndarray
    gram: np.ndarray
    product: np.ndarray
    scores: np.ndarray
    known: np.ndarray

    def medians(self, weights: np.ndarray) -> np.ndarray:
        """Weighted median depth of each word (W, K), metres, for W weightings of frames (W, N)."""
        return weighted_medians(np.tensordot(weights, self.histograms, 1))

    def least_squares(self, weights: np.ndarray) -> np.ndarray:
        """Bins (W, K) of least weighted squared error, metres, for W weightings (W, N)."""
        return least_squares_bins(np.tensordot(weights, self.gram, 1), weights @ self.product)

    def best(self, weights: np.ndarray, candidates: np.ndarray, start: int = 0) -> np.ndarray:
        """The candidate (W, K) of the best weighted mean score, for W weightings of frames (W, N).

        candidates: (P', K), those whose scores are at `start` and after it.
        """
        scores = weights @ self.scores[start : start + len(candidates)].T
        # Scores that are equal up to rounding are equal on every processor.
        scores = np.round(scores / weights.sum(axis=1, keepdims=True), 5)
        return candidates[scores.argmax(axis=1)]


def least_squares_bins(grams: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Bins (W, K) in metres of least squared error, from forms (W, K, K) and (W, K).

    A word without weight in a form has the nearest bin there is.
    """
    pairs = zip(grams, products, strict=True)
    return np.maximum([np.linalg.lstsq(g, h, rcond=1e-9)[0] for g, h in pairs], NEAREST)


def weighted_medians(histograms: np.ndarray) -> np.ndarray:
    """Medians (W, K) in metres of histograms (W, K, D) with steps of 1 cm, linear within a step.

    A word without weight gets the median of all words. Raises `DepthClipError` if none has weight.
    """
    total = histograms.sum(axis=2, keepdims=True)
    if not total.any(axis=1).all():
        raise DepthClipError("bins cannot be fitted: no frame has a valid pixel")
    every = histograms.sum(axis=1, keepdims=True)
    below = np.where(total < 1e-12 * total.max(), every, histograms).cumsum(axis=2)
    below = below / below[..., -1:]
    at = (below >= 0.5).argmax(axis=2)[..., None]
    here = np.take_along_axis(below, at, 2)
    before = np.where(at > 0, np.take_along_axis(below, np.maximum(at - 1, 0), 2), 0.0)
    return ((at + (0.5 - before) / (here - before)) * STEP * COARSE)[..., 0]


def stretched(bins: Sequence[float]) -> np.ndarray:
    """Candidates (P, K): bins in metres moved by a factor and stretched about their middle.

    The middle is the geometric mean m, and b becomes factor · m · (b / m)^stretch: two numbers, for
    which any metric can be minimised by trying them all.
    """
    middle = scipy.stats.gmean(bins)
    shape = np.asarray(bins, dtype=float) / middle
    pairs = product(FACTORS, STRETCHES)
    return np.maximum([f * middle * shape**s for f, s in pairs], NEAREST)


def evidence(
    frames: Dataset,
    similarities: Tensor,
    candidates: np.ndarray,
    metric: str = "delta1",
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> Evidence:
    """The evidence of N frames; arguments as in `sweep.sweep`, candidates (P, K) in metres.

    Raises `DepthClipError` if no frame has a valid pixel.
    """
    setting = (temperature, protocol)
    forms = error_forms(frames.ground_truths(), similarities, *setting)
    known = forms.count > 0
    if not known.any():
        raise DepthClipError("bins cannot be learnt: no frame has a valid pixel")
    each = np.maximum(forms.count, 1)
    histograms = []
    words = {"words": similarities}
    for found in word_histograms(frames.ground_truths(), words, *setting):
        fine = found["words"]
        histograms.append(np.add.reduceat(fine, np.arange(0, fine.shape[1], COARSE), axis=1))
    settings = (candidates, [temperature], [protocol])
    scores = sweep(frames.ground_truths(), similarities, *settings, metrics=[metric]).values[..., 0]
    return Evidence(
        np.array(histograms) / each[:, None, None],
        forms.gram / each[:, None, None],
        forms.product / each[:, None],
        np.where(known, resolve_metric(metric).sign * scores, 0.0),
        known,
    )


def frame_weights(
    scenes: Sequence[str | None], kinds: Sequence[str], within: np.ndarray, strength: float
) -> np.ndarray:
    """How much each frame counts for each of S scene types, (S, N).

    scenes: of the N frames. within: (N,) bool, the frames that may be used. A scene type's own
    frames count 1, and `strength` average frames of all types are spread over all frames.
    """
    share = within / within.sum()
    if np.isinf(strength):
        return np.tile(share, (len(kinds), 1))
    own = np.array([[scene == kind for scene in scenes] for kind in kinds], dtype=float)
    return own * within + strength * share


@dataclass(frozen=True, eq=False)
class Continuous:
    """Bins as a linear function of an image's embedding: centre (D,), axes (D, A), and
    coefficients (1 + A, K) of 1 and of the embedding along the axes."""

    centre: np.ndarray
    axes: np.ndarray
    coefficients: np.ndarray

    def bins(self, vectors: np.ndarray) -> np.ndarray:
        """Bins (B, K) in metres of images with embeddings (B, D)."""
        return np.maximum(_features(vectors, self.centre, self.axes) @ self.coefficients, NEAREST)


def fit_continuous(
    evidence: Evidence,
    vectors: np.ndarray,
    within: np.ndarray,
    strengths: Sequence[float],
    n_axes: int = 8,
) -> list[Continuous]:
    """Bins as a ridge regression on image embeddings (N, D), one for each strength.

    The squared error is quadratic in a frame's bins and those are linear in the coefficients, so
    the best are the solution of a linear system: the sum over frames of φφᵀ ⊗ G, φ the embedding
    along its first principal axes, each of variance 1. A deviation from bins for all costs, along
    each axis, what it would cost on `strength` average frames. within: (N,) bool, the frames used.
    """
    some = np.asarray(vectors, dtype=np.float64)[within]
    centre = some.mean(axis=0)
    _, spread, axes = np.linalg.svd(some - centre, full_matrices=False)
    n_axes = min(n_axes, int((spread > 1e-6 * max(spread[0], 1e-12)).sum()))
    axes = axes[:n_axes].T / (spread[:n_axes] / np.sqrt(len(some)))
    phi = _features(some, centre, axes)
    gram, target = evidence.gram[within], evidence.product[within]
    n_words, size = gram.shape[1], phi.shape[1]
    system = np.einsum("na,nb,nkl->akbl", phi, phi, gram, optimize=True)
    right = np.einsum("na,nk->ak", phi, target)
    fits = []
    for strength in strengths:
        # With an infinite strength nothing but the constant is left.
        free = 1 if np.isinf(strength) else size
        ridge = np.diag([0.0] + [1.0] * (free - 1))[:, None, :, None] * gram.mean(0)[None, :, None]
        whole = system[:free, :, :free] + (ridge * strength if free > 1 else 0)
        shape = (free * n_words, free * n_words)
        solved = np.linalg.lstsq(whole.reshape(shape), right[:free].ravel(), rcond=1e-9)[0]
        coefficients = np.zeros((size, n_words))
        coefficients[:free] = solved.reshape(free, n_words)
        fits.append(Continuous(centre, axes, coefficients))
    return fits


def _features(vectors: np.ndarray, centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    along = (np.asarray(vectors, dtype=np.float64) - centre) @ axes
    return np.column_stack([np.ones(len(along)), along])


def room_folds(
    groups: Sequence, scenes: Sequence[str | None], n_folds: int = 5, seed: int = 0
) -> np.ndarray:
    """The fold (N,) of each frame: all frames of a group are in one, and groups are dealt in turn.

    Groups of one scene type are spread over the folds. Fewer groups than folds make fewer folds;
    `DepthClipError` for fewer than two groups or folds.
    """
    names, first, place = np.unique(
        np.asarray(groups, dtype=str), return_index=True, return_inverse=True
    )
    n_folds = min(n_folds, len(names))
    if n_folds < 2:
        raise DepthClipError(
            f"{len(names)} groups cannot be left out in turn: give frames of two rooms or more, "
            "and two folds or more"
        )
    shuffled = np.random.default_rng(seed).permutation(len(names))
    kinds = np.array([str(scenes[position]) for position in first])
    order = shuffled[np.argsort(kinds[shuffled], kind="stable")]
    fold = np.empty(len(names), dtype=int)
    fold[order] = np.arange(len(names)) % n_folds
    return fold[place]


def mixed(bins: np.ndarray, shares: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Bins (…, B, K) of B images: means of the scene types' bins (…, S, K) with shares (B, S).

    rest: (…, K), what an image gets for the shares that it lacks, all of them if its scene type is
    unknown.
    """
    missing = 1 - shares.sum(axis=1)
    return shares @ bins + missing[:, None] * rest[..., None, :]


def own_scores(
    frames: Dataset,
    similarities: Tensor,
    bins: np.ndarray,
    metrics: Sequence[str] = PUBLISHED_METRICS,
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> np.ndarray:
    """Metrics (R, N, M) of R systems that give each of N frames its own bins (R, N, K), metres.

    Bins are rounded to micrometres, so that equal sets score equally. NaN for a frame without valid
    pixels.
    """
    if bins.ndim != 3 or bins.shape[1] != len(frames):
        raise DepthClipError(f"bins of shape {bins.shape} for {len(frames)} frames: give (R, N, K)")
    found = np.empty((*bins.shape[:2], len(metrics)))
    for position, truth in enumerate(frames.ground_truths()):
        # Many systems agree on a frame's bins, but for the last digits of their arithmetic.
        own = bins[:, position].round(6)
        distinct, place = np.unique(own, axis=0, return_inverse=True)
        views = similarities[position : position + 1]
        scores = sweep([truth], views, distinct, [temperature], [protocol], metrics=metrics)
        found[:, position] = scores.values[place.ravel(), 0]
    return found
