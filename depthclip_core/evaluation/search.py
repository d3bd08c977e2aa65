"""The best partition for a metric, a scene type and a list of words, found on training frames.

First coarsely, on a sample of each frame's pixels, by differential evolution, which needs no
gradient and so works for the deltas too; then exactly, on all pixels, for the finalists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import differential_evolution
from torch import Tensor

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.frame_scores import align, scores
from depthclip_core.evaluation.metrics import resolve_metric
from depthclip_core.evaluation.pixels import (
    PixelMaps,
    Truth,
    cell_weights,
    checked_similarities,
    counted,
)
from depthclip_core.evaluation.pixels import pixel_maps as upsampled
from depthclip_core.evaluation.protocols import Protocol, protocol_for
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
    if not protocol.min_depth < low < high < np.inf:
        raise DepthClipError(
            f"limits must be finite and ascend from beyond {protocol.min_depth} m, got {limits}"
        )
    if n_pixels < 1 or finalists < 1:
        raise DepthClipError("a search needs at least one pixel of each frame and one finalist")
    if len(frames) != len(similarities):
        raise DepthClipError(f"similarities of {len(similarities)} frames for {len(frames)} frames")
    frames = as_dataset(frames)
    chosen = _of_scene(frames.scenes, scene)
    similarities = checked_similarities(similarities)[chosen]
    rng = np.random.default_rng(seed)
    samples = []
    for views, position in zip(similarities, chosen, strict=True):
        cells = cell_weights(views, temperature, protocol.flip)
        samples.append(_sample(cells, frames.ground_truth(position), protocol, n_pixels, rng))
    samples = [sample for sample in samples if sample is not None]
    if not samples:
        raise DepthClipError("cannot search: no frame has a valid pixel")

    def coarse(partitions: np.ndarray) -> np.ndarray:
        return np.mean([_score(*s, partitions, metric, protocol) for s in samples], axis=0)

    starts = {name: np.sort(np.clip(b, *limits)) for name, b in _starts(samples).items()}
    random = np.sort(
        rng.uniform(*limits, (POPULATION - len(starts), similarities.shape[2])), axis=1
    )
    result = differential_evolution(
        lambda x: -sign * coarse(np.sort(x.T, axis=1)),
        [limits] * similarities.shape[2],
        init=np.vstack([*starts.values(), random]),
        maxiter=GENERATIONS,
        mutation=(0.3, 0.9),
        tol=1e-4,
        polish=False,
        vectorized=True,
        updating="deferred",
        rng=rng,
    )
    order = np.argsort(result.population_energies, kind="stable")
    best = np.unique(np.sort(result.population[order][:finalists], axis=1), axis=0)
    tried = {**{f"searched {i}": b for i, b in enumerate(best)}, **starts}
    bins = np.array(list(tried.values()))
    ground_truths = frames[chosen].ground_truths()
    exact = sweep(
        ground_truths, similarities, tried, [temperature], [protocol], metrics=[metric]
    ).means()
    candidates = pd.DataFrame(
        {"bins": [tuple(b.tolist()) for b in bins], "train": exact[metric].to_numpy()},
        index=list(tried),
    ).assign(coarse=coarse(bins))
    candidates = candidates.sort_values("train", ascending=sign == -1, kind="stable")
    first = candidates.iloc[0]
    n_frames = int(exact["n_frames"].iloc[0])
    return Found(first["bins"], metric, first["train"], first["coarse"], n_frames, candidates)


def _of_scene(scenes: Sequence[str | None], scene: str | None) -> list[int]:
    """Positions of the frames of a scene type; of all frames where none is given."""
    if scene is None:
        return list(range(len(scenes)))
    if scene not in scenes:
        raise unknown_name("scene", scene, sorted({str(name) for name in scenes}))
    return [position for position, name in enumerate(scenes) if name == scene]


def _sample(
    cells: np.ndarray, truth: np.ndarray, protocol: Protocol, n: int, rng: np.random.Generator
) -> tuple[PixelMaps, Truth] | None:
    """Weights and depth of n valid pixels of a frame, one drawn from each n-th of them by depth.

    None without valid pixels.
    """
    whole = counted(truth, protocol)
    if not whole.n_valid:
        return None
    valid = np.flatnonzero(whole.valid_mask)
    valid = valid[np.argsort(whole.depth.ravel()[valid], kind="stable")]
    # A frame with fewer valid pixels than n gives some of them more than once.
    drawn = valid[((np.arange(n) + rng.random(n)) * len(valid) / n).astype(np.int64)]
    drawn = np.sort(drawn)
    maps = upsampled(cells, protocol)
    weights = maps.rows(0, maps.shape[1]).reshape(len(cells), -1)[:, drawn]
    # One row of cells, which are the pixels themselves.
    between, shares = np.zeros((1, 2), dtype=np.int64), np.array([[1, 0]], dtype=np.float32)
    columns = np.ascontiguousarray(weights)[:, None]
    return PixelMaps(columns, between, shares), Truth(
        whole.depth.ravel()[None, drawn], np.ones((1, n), dtype=bool), n
    )


def _score(
    maps: PixelMaps, truth: Truth, partitions: np.ndarray, metric: str, protocol: Protocol
) -> np.ndarray:
    """The metric of each partition on one frame's sample, (P,)."""
    return scores(align(maps, partitions, truth, protocol), [metric])[:, 0]


def _starts(samples: Sequence[tuple[PixelMaps, Truth]]) -> dict[str, np.ndarray]:
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
