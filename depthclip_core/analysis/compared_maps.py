"""The depth maps of several systems, read together frame by frame."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

import numpy as np
from torch import Tensor

from depthclip_core.analysis.setup import Run
from depthclip_core.datasets import Dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.scoring import fit, predictions
from depthclip_core.settings import TEMPERATURE

BLIND = "blind map"


def compared(
    similarities: Tensor,
    partitions: Mapping[str, Sequence[float]],
    blind: np.ndarray,
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> dict[str, Iterable[np.ndarray]]:
    """Systems that can be read once: partitions, and BLIND.

    similarities: (N, V, K, h, w). partitions: K bins by name. blind: one map for all frames.
    """
    settings = (temperature, protocol)
    maps = {name: predictions(similarities, bins, *settings) for name, bins in partitions.items()}
    return maps | {BLIND: repeat(blind, len(similarities))}


def given_and_fitted(run: Run) -> dict[str, tuple[float, ...]]:
    """The run's "given bins", and "fitted bins", medians on its train split."""
    train = run.similarities(frames=run.train)
    fitted = fit(run.train, train, "median", run.temperature, run.protocol)
    return {"given bins": run.bins, "fitted bins": fitted}


def predicted_depths(depth: np.ndarray, known: pixels.Truth, protocol: Protocol) -> np.ndarray:
    """A map's depths at the valid pixels, clamped as the protocol clamps, float64 (n,)."""
    if depth.shape != protocol.window.shape:
        shapes = f"{depth.shape}, the window {protocol.window.shape}"
        raise DepthClipError(f"a map has shape {shapes}: give maps of the protocol's window")
    p = depth[protocol.seen][known.valid_mask].astype(np.float64)
    return np.clip(p, protocol.min_depth, protocol.max_depth)


def maps_by_frame(frames: Dataset, systems: Mapping[str, Iterable[np.ndarray]]) -> Iterator[tuple]:
    """The maps of all systems frame by frame; `DepthClipError` for another number of maps."""
    sources = [iter(maps) for maps in systems.values()]
    wanted = f"maps than frames: give one for each of {len(frames)} frames"
    for _ in range(len(frames)):
        maps = tuple(next(source, None) for source in sources)
        if any(each is None for each in maps):
            raise DepthClipError(f"a system has fewer {wanted}")
        yield maps
    if any(next(source, None) is not None for source in sources):
        raise DepthClipError(f"a system has more {wanted}")


def unaligned(protocol: Protocol) -> Protocol:
    """The protocol, if it scores predictions as they are; else `DepthClipError`."""
    if protocol.align:
        raise DepthClipError("errors in metres need a protocol that does not align predictions")
    return protocol
