"""Depth, scores and fitted bins of a whole data set, from its stored similarities."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.datasets import Dataset, Frame, as_dataset
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.fitting import fit_bins
from depthclip_core.evaluation.metrics import METRICS, evaluate, pooled_correlation
from depthclip_core.evaluation.protocols import Protocol, protocol_for, resolve_protocol
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.settings import TEMPERATURE

BATCH = 8


def predictions(
    similarities: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> Iterator[np.ndarray]:
    """Yield the depth map (H, W) of each frame in the protocol's window, metres.

    It is averaged with that of the mirror image if the protocol says so and there are two views.
    """
    protocol = resolve_protocol(protocol)
    for part in similarities[:, : 1 + protocol.flip].split(BATCH):
        yield from depth_maps(part, bins, protocol.window.shape, temperature)


def score(
    frames: Sequence[Frame],
    similarities: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """Rows as from `evaluate`, one per frame and named for it, with its scene beside them.

    protocol: see `protocols.protocol_for`; the same in `correlation` and `fit`.
    """
    frames, protocol = _checked(frames, len(similarities), protocol)
    names, ground_truths = frames.names, frames.ground_truths()
    if min(bins) > protocol.min_depth:
        settings = ([bins], [temperature], [protocol])
        found = sweep(ground_truths, similarities, *settings, names=names, metrics=[*METRICS])
        rows = found.rows()
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
    protocol: str | Protocol = "released",
) -> float:
    """Pearson correlation of predicted and true depth over all valid pixels of all frames."""
    frames, protocol = _checked(frames, len(similarities), protocol)
    maps = predictions(similarities, bins, temperature, protocol)
    return pooled_correlation(zip(maps, frames.ground_truths(), strict=True), protocol)


def fit(
    frames: Sequence[Frame],
    similarities: Tensor,
    method: str = "median",
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> tuple[float, ...]:
    """Bins in metres fitted on frames and their similarities; see `fitting.fit_bins`."""
    frames, protocol = _checked(frames, len(similarities), protocol)
    return fit_bins(frames.ground_truths(), similarities, method, temperature, protocol)


def positions_of(scenes: Sequence[str | None], scene: str) -> list[int]:
    """The positions of a scene type's frames; an unknown type raises and names the known ones."""
    if scene not in scenes:
        raise unknown_name("scene", scene, sorted({str(name) for name in scenes}))
    return [position for position, name in enumerate(scenes) if name == scene]


def _checked(
    frames: Sequence[Frame], n_similarities: int, protocol: str | Protocol
) -> tuple[Dataset, Protocol]:
    """The frames and their protocol, if there are similarities for each frame of its window."""
    frames, found = as_dataset(frames), protocol_for(frames, protocol)
    if len(frames) != n_similarities:
        numbers = f"{n_similarities} frames for {len(frames)} frames"
        raise DepthClipError(f"similarities of {numbers}: re-run collect_responses")
    if len(frames) and (window := found.window) != frames[0].window:
        frames.ground_truth(0)  # photographs raise their own error: they have no depth
        raise DepthClipError(
            f"the protocol {protocol!r} scores rows {window.top}:{window.bottom} and columns "
            f"{window.left}:{window.right} of each frame, and the network must have seen the same: "
            "give the frames this crop"
        )
    return frames, found
