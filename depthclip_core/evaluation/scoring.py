"""Depth, scores and fits of a whole data set, from its stored similarities."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.datasets import Dataset, Frame, as_dataset
from depthclip_core.datasets.reading import read_ahead, read_truth
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.fitting import fit_bins
from depthclip_core.evaluation.metrics import METRICS, evaluate, pooled_correlation
from depthclip_core.evaluation.protocols import resolve_protocol
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.settings import TEMPERATURE

BATCH = 8


def predictions(
    similarities: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> Iterator[np.ndarray]:
    """Depth maps (H, W) of the protocol's window, metres, frame by frame.

    Averaged with the mirror image's if the protocol does so and the similarities have it.
    """
    protocol = resolve_protocol(protocol)
    shape = protocol.window.shape
    similarities = similarities if protocol.flip else similarities[:, :1]
    for part in similarities.split(BATCH):
        yield from depth_maps(part, bins, shape, temperature)


def score(
    frames: Sequence[Frame],
    similarities: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> pd.DataFrame:
    """Rows as from `evaluate`, one per frame, indexed by name, with the scene as a column."""
    frames = _checked(frames, len(similarities), protocol)
    names, ground_truths = frames.names, _truths(frames)
    if min(bins) > resolve_protocol(protocol).min_depth:
        everything = sweep(
            ground_truths,
            similarities,
            [bins],
            [temperature],
            [protocol],
            names=names,
            metrics=[*METRICS],
        )
        rows = everything.rows()
    else:  # which pixels count depends on the prediction
        maps = predictions(similarities, bins, temperature, protocol)
        pairs = zip(names, maps, ground_truths, strict=True)
        rows = pd.concat([evaluate(m[None], t[None], protocol, [name]) for name, m, t in pairs])
    return rows.assign(scene=frames.scenes)


def correlation(
    frames: Sequence[Frame],
    similarities: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> float:
    """Pearson correlation of predicted and true depth over all valid pixels of all frames."""
    frames = _checked(frames, len(similarities), protocol)
    maps = predictions(similarities, bins, temperature, protocol)
    return pooled_correlation(zip(maps, _truths(frames), strict=True), protocol)


def fit(
    frames: Sequence[Frame],
    similarities: Tensor,
    method: str = "median",
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> tuple[float, ...]:
    """Bins in metres fitted on frames and their similarities; see `fitting.fit_bins`."""
    frames = _checked(frames, len(similarities), protocol)
    return fit_bins(_truths(frames), similarities, method, temperature, protocol)


def _truths(frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    return read_ahead(lambda position: read_truth(frames, position), range(len(frames)))


def _checked(frames: Sequence[Frame], n_similarities: int, protocol: str) -> Dataset:
    """The frames; `DepthClipError` unless they match the similarities and the protocol's window."""
    frames, window = as_dataset(frames), resolve_protocol(protocol).window
    if len(frames) != n_similarities:
        raise DepthClipError(
            f"similarities of {n_similarities} frames for {len(frames)} frames: "
            "run collect_responses again"
        )
    if frames.crop != window:
        read_truth(frames, 0)  # for photographs, "has no depth" is the better error
        raise DepthClipError(
            f"the protocol {protocol!r} scores rows {window.top}:{window.bottom} and columns "
            f"{window.left}:{window.right}, which must be what the network saw: "
            "give the frames this crop"
        )
    return frames
