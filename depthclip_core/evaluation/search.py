"""The best partition for a metric, a scene type and a list of words, found on training frames.

First coarsely, on a sample of each frame's pixels, by differential evolution, which needs no
gradient and so works for the deltas too; then exactly, on all pixels, for the finalists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.frame_scores import align, scores
from depthclip_core.evaluation.metrics import resolve_metric
from depthclip_core.evaluation.protocols import Protocol, protocol_for
from depthclip_core.evaluation.scoring import positions_of
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import BINS, TEMPERATURE

POPULATION, GENERATIONS = 64, 60


@dataclass(frozen=True, eq=False)
class Found:
    """The best partition, and the candidates that it was chosen from.

    bins: K ascending depths, metres. train: its exact mean metric over the n_frames training frames
    that it was chosen on. coarse: the same on the sampled pixels. candidates: the finalists,
    best first, with their names, bins, exact and coarse scores.
    """

    bins: tuple[float, ...]
    metric: str
    train: float
    coarse: float
    n_frames: int
    candidates: pd.DataFrame


def search(
    frames: Sequence[Frame],
    similarities: Tensor,
    metric: str = "delta1",
    *,
    scene: str | None = None,
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
    n_pixels: int = 400,
    finalists: int = 16,
    seed: int = 0,
    limits: tuple[float, float] = (0.5, 10.0),
) -> Found:
    """The ascending bins with the best mean metric on some frames.

    Give training frames, and score the result on test frames with `sweep.sweep`: its training score
    is optimistic.
    frames, similarities: N frames with depth, and (N, V, K, h, w). metric: of
    `metrics.METRICS`. scene: use only frames of that scene type. n_pixels: sampled from each frame.
    finalists: how many partitions are scored exactly, beside the starting ones: the published, the
    words' medians and the least-squares bins, brought into ascending order and within limits
    (metres). The result is at least as good on these frames as each of them.
    Raises `DepthClipError` for unknown names, and where no frame has a valid pixel.
    """
    sign = resolve_metric(metric).sign
    protocol = protocol_for(frames, protocol)
    low, high = limits
    if not (near := protocol.min_depth) < low < high < np.inf:
        raise DepthClipError(f"limits must be finite and ascend from beyond {near} m, got {limits}")
    if n_pixels < 1 or finalists < 1:
        raise DepthClipError("a search needs at least one pixel of each frame and one finalist")
    if len(frames) != len(similarities):
        raise DepthClipError(f"similarities of {len(similarities)} frames for {len(frames)} frames")
    frames = as_dataset(frames)
    chosen = list(range(len(frames))) if scene is None else positions_of(frames.scenes, scene)
    similarities = pixels.checked_similarities(similarities)[chosen]
    rng = np.random.default_rng(seed)
    samples = []
    for views, position in zip(similarities, chosen, strict=True):
        truth = pixels.counted(frames.ground_truth(position), protocol)
        if truth.n_valid:
            cells = pixels.cell_weights(views, temperature, protocol.flip)
            samples.append(_sample(cells, truth, protocol, n_pixels, rng))
    if not samples:
        raise DepthClipError("cannot search: no frame has a valid pixel")

    def coarse(partitions: np.ndarray) -> np.ndarray:
        every = (align(maps, partitions, truth, protocol) for maps, truth in samples)
        return np.mean([scores(predictions, [metric])[:, 0] for predictions in every], axis=0)

    starts = {name: np.sort(np.clip(b, *limits)) for name, b in _starts(samples).items()}
    n_words = similarities.shape[2]
    random = np.sort(rng.uniform(*limits, (POPULATION - len(starts), n_words)), axis=1)
    options = {"maxiter": GENERATIONS, "mutation": (0.3, 0.9), "tol": 1e-4, "polish": False}
    result = scipy.optimize.differential_evolution(
        lambda x: -sign * coarse(np.sort(x.T, axis=1)),
        [limits] * n_words,
        vectorized=True,
        updating="deferred",
        init=np.vstack([*starts.values(), random]),
        rng=rng,
        **options,
    )
    order = np.argsort(result.population_energies, kind="stable")
    best = np.unique(np.sort(result.population[order][:finalists], axis=1), axis=0)
    tried = {**{f"searched {i}": b for i, b in enumerate(best)}, **starts}
    bins = np.array(list(tried.values()))
    settings = (tried, [temperature], [protocol])
    found = sweep(frames[chosen].ground_truths(), similarities, *settings, metrics=[metric])
    columns = {"bins": [tuple(b.tolist()) for b in bins], "train": found.means()[metric].to_numpy()}
    candidates = pd.DataFrame(columns, list(tried)).assign(coarse=coarse(bins))
    candidates = candidates.sort_values("train", ascending=sign == -1, kind="stable")
    first = candidates.iloc[0]
    return Found(first["bins"], metric, first["train"], first["coarse"], len(samples), candidates)


def _sample(
    cells: np.ndarray, truth: pixels.Truth, protocol: Protocol, n: int, rng: np.random.Generator
) -> tuple[pixels.PixelMaps, pixels.Truth]:
    """Weights and depth of n valid pixels of a frame, one drawn from each n-th of them by depth."""
    valid = np.flatnonzero(truth.valid_mask)[np.argsort(truth.values, kind="stable")]
    # A frame with fewer valid pixels than n gives some of them more than once.
    drawn = np.sort(valid[((np.arange(n) + rng.random(n)) * len(valid) / n).astype(np.int64)])
    weights = pixels.pixel_maps(cells, protocol).pixels.reshape(len(cells), -1)[:, drawn]
    # One row of cells, which are the pixels themselves.
    between, shares = np.zeros((1, 2), dtype=np.int64), np.array([[1, 0]], dtype=np.float32)
    columns = np.ascontiguousarray(weights)[:, None]
    depth = truth.depth.ravel()[None, drawn]
    return pixels.PixelMaps(columns, between, shares), pixels.Truth(depth, n)


def _starts(samples: Sequence[tuple[pixels.PixelMaps, pixels.Truth]]) -> dict[str, np.ndarray]:
    """Partitions to start from, by name: published ones of as many words, and two fitted ones."""
    weights = np.hstack([maps.columns.reshape(len(maps.columns), -1) for maps, _ in samples])
    depth = np.concatenate([truth.depth.ravel() for _, truth in samples])
    order = np.argsort(depth)
    # A word without weight gets the median of all.
    weight = np.where(weights.sum(1, keepdims=True) > 1e-9, weights, 1)[:, order]
    share = weight.cumsum(axis=1, dtype=np.float64)
    medians = depth[order][(share >= share[:, -1:] / 2).argmax(axis=1)]
    published = {name: np.array(b) for name, b in BINS.items() if len(b) == len(weights)}
    fitted = np.linalg.lstsq(weights.T.astype(np.float64), depth, rcond=1e-5)[0]
    return {**published, "median": medians, "least-squares": fitted}
