"""A question asked of a whole data set: responses once, then depth, scores and fits from them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from depthclip_core.encoders import Encoder
from depthclip_core.errors import DepthClipError
from depthclip_core.fitting import fit_bins
from depthclip_core.frames import Frame, batches
from depthclip_core.metrics import evaluate, pooled_correlation
from depthclip_core.pipeline import depth_maps, pixel_weights, respond
from depthclip_core.protocols import resolve_protocol
from depthclip_core.settings import TEMPERATURE

BATCH = 8


def collect_responses(
    frames: Sequence[Frame],
    encoder: Encoder,
    words: Sequence[str],
    heads: Sequence[str],
    flip: bool = True,
    progress: bool = True,
) -> dict[str, Tensor]:
    """One network pass over a data set of frames of one size.

    Returns for each head the similarities (N, V, K, h, w) fp32 on the CPU, as `pipeline.respond`:
    12 kB a frame for seven words and 221 cells.
    """
    parts: dict[str, list[Tensor]] = {head: [] for head in heads}
    with tqdm(total=len(frames), desc="encoding", unit="frame", disable=not progress) as bar:
        for batch in batches(frames, BATCH):
            rgb = np.stack([frame.rgb for frame in batch])
            for head, part in respond(rgb, encoder, words, heads, flip).items():
                parts[head].append(part.cpu())
            bar.update(len(batch))
    return {head: torch.cat(part) for head, part in parts.items()}


def predictions(
    similarity: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> Iterator[np.ndarray]:
    """Depth maps (H, W) of the protocol's window, metres, one frame after the other."""
    shape = resolve_protocol(protocol).window.shape
    for part in similarity.split(BATCH):
        yield from depth_maps(part, bins, shape, temperature)


def score(
    frames: Sequence[Frame],
    similarity: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> pd.DataFrame:
    """Rows as from `evaluate`, one per frame and named for it, with its scene beside them."""
    maps = predictions(similarity, bins, temperature, protocol)
    rows = [
        evaluate(depth[None], ground_truth(frame)[None], protocol, [frame.name]).assign(
            scene=frame.scene
        )
        for frame, depth in _paired(frames, maps, len(similarity))
    ]
    return pd.concat(rows)


def correlation(
    frames: Sequence[Frame],
    similarity: Tensor,
    bins: Sequence[float],
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> float:
    """Pearson correlation of predicted and true depth over all valid pixels of all frames."""
    maps = predictions(similarity, bins, temperature, protocol)
    pairs = _paired(frames, maps, len(similarity))
    return pooled_correlation(((d, ground_truth(frame)) for frame, d in pairs), protocol)


def fit(
    frames: Sequence[Frame],
    similarity: Tensor,
    method: str = "median",
    temperature: float = TEMPERATURE,
    protocol: str = "released",
) -> tuple[float, ...]:
    """Bins in metres fitted on frames and their responses; see `fitting.fit_bins`."""
    shape = resolve_protocol(protocol).window.shape
    maps = (w for part in similarity.split(BATCH) for w in pixel_weights(part, shape, temperature))
    pairs = _paired(frames, maps, len(similarity))
    return fit_bins(((w, ground_truth(frame)) for frame, w in pairs), method, protocol)


def ground_truth(frame: Frame) -> np.ndarray:
    """What a frame is scored against: raw depth, holes 0; `DepthClipError` where it has none."""
    if frame.raw_depth is None:
        raise DepthClipError(f"{frame.name} has no depth to be scored against")
    return frame.raw_depth


def _paired(frames: Sequence[Frame], maps: Iterator[np.ndarray], n_maps: int):
    if len(frames) != n_maps:
        raise DepthClipError(f"{n_maps} responses for {len(frames)} frames: collect them anew")
    return zip(frames, maps, strict=True)
