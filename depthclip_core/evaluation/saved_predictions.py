"""Saved depth maps of other systems: read one by one, matched by name, scored like ours.

Files as `map_files.open_maps` reads them. Floating-point values are metres; 16-bit integers are in
units of 1/scale metres. Zero, negative and NaN mean "no prediction".
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.datasets.nyu import EIGEN_CROP, FRAME_SHAPE
from depthclip_core.datasets.options import number_option
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.map_files import MILLIMETRES, MapFiles, open_maps
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import Protocol, protocol_for, resolve_protocol
from depthclip_core.files import content_of, together, user_path
from depthclip_core.method.depth import upsample

COVERS = ("frame", "window", "region")
FEWEST = 20  # pixels of a side beside which one that is missing can be rounding


@dataclass(frozen=True, eq=False)
class SavedPredictions(Sequence):
    """Depth maps in the order of `names`, float32 metres, 0 where there is no prediction.

    A map has the shape of the protocol's frame or of its window, as `evaluate` takes it: see
    `open_predictions`, which makes these.
    """

    maps: MapFiles
    protocol: Protocol
    covers: str

    @property
    def path(self) -> Path:
        return self.maps.path

    @property
    def names(self) -> list[str]:
        return self.maps.names

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, position: int) -> np.ndarray:
        metres = self.maps[position]
        label = self.maps.label(position)
        frame, window = self.protocol.frame, self.protocol.window.shape
        region = EIGEN_CROP if frame == FRAME_SHAPE else self.protocol.region
        shapes = dict(zip(COVERS, (frame, window, region.shape), strict=True))
        covered = self.covers or _nearest_aspect(metres.shape, shapes, label)
        depth = _resized(metres, shapes[covered])
        if covered != "region":
            return depth
        whole = np.zeros(frame, np.float32)
        whole[region.slices] = depth
        return whole


def open_predictions(
    path: str | Path,
    names: Sequence[str],
    protocol: str | Protocol = "released",
    *,
    scale: float = MILLIMETRES,
    covers: str = "",
) -> SavedPredictions:
    """The saved depth maps of exactly these frames; only names are read until a map is used.

    path: a folder or a file, see `open_maps`.
    covers: what a map shows: the "frame", DepthCLIP's "window", or the "region" of 426 × 560 pixels
        that BTS and AdaBins cut out; empty: decided by its aspect. Maps are resized to that
        bilinearly, corners aligned; a pixel with a missing neighbour stays missing.
    scale: stored units per metre of 16-bit integers.
    Raises `DepthClipError` for missing or unknown names; and, when a map is read, for a damaged
    file or a wrong dtype or shape.
    """
    if covers and covers not in COVERS:
        raise unknown_name("cover of the saved maps", covers, COVERS)
    scale = number_option("scale", scale, "stored units per metre, such as 1000 or 256")
    maps = open_maps(path, names, divisor=scale)
    return SavedPredictions(maps, resolve_protocol(protocol), covers)


def score_saved(
    frames: Sequence[Frame], maps: Sequence[np.ndarray], protocol: str | Protocol = "released"
) -> pd.DataFrame:
    """Rows as from `scoring.score` for depth maps in the order of the frames, read one by one.

    A map of the whole frame is scored in the protocol's whole region, DepthCLIP's in its window.
    Adds coverage, the share of the region's valid pixels that have a prediction.
    Raises `DepthClipError` for a map that predicts none of them.
    """
    if len(frames) != len(maps):
        raise DepthClipError(f"{len(maps)} depth maps for {len(frames)} frames")
    frames = as_dataset(frames)
    protocol, rows = protocol_for(frames, protocol), []
    for name, depth, truth in zip(frames.names, maps, frames.ground_truths(), strict=True):
        row = evaluate(depth[None], truth[None], protocol, [name])
        wanted = np.count_nonzero(protocol.valid_depth_mask(truth[protocol.region.slices]))
        if wanted and not row["n_pixels"].iloc[0]:
            fault = f"predicts none of the {wanted} pixels that count"
            raise DepthClipError(f"the depth map of {name!r} {fault}")
        rows.append(row.assign(coverage=row["n_pixels"] / wanted if wanted else np.nan))
    return pd.concat(rows).assign(scene=frames.scenes)


def save_predictions(
    folder: str | Path, names: Sequence[str], maps: Iterable[np.ndarray], *, overwrite: bool = False
) -> list[Path]:
    """Write folder/NAME.npy, float32 metres, for each name and its depth map (H, W).

    All files appear at the end, or none. Raises `DepthClipError` for duplicate names, names that
    are not file names, more or fewer maps than names, and where a file cannot be written; without
    `overwrite` also, before anything is written, for existing files.
    """
    folder = user_path(folder)
    paths = []
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or "\0" in name or not name:
            raise DepthClipError(f"{name!r} is not a file name")
        paths.append(folder / f"{name}.npy")
        if paths.count(paths[-1]) > 1:
            raise DepthClipError(f"duplicate name {name!r}: each map needs its own")
    if not overwrite and (there := next(filter(os.path.lexists, paths), None)):
        raise DepthClipError(f"{there} exists: choose another folder, or pass overwrite=True")
    with together(overwrite=overwrite) as write:
        for path, depth in zip_longest(paths, maps):
            if path is None or depth is None:
                raise DepthClipError(f"there are not as many maps as the {len(paths)} names")
            write(path, content_of(np.save, _one_map(depth, path.stem)))
    return paths


def _one_map(depth: np.ndarray, name: str) -> np.ndarray:
    """A map to save, float32 (H, W); `DepthClipError` for what is not one of real numbers."""
    try:
        values = np.asarray(depth)
    except ValueError:  # lists of several lengths
        values = np.array(depth, object)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        wanted = "a depth map is an array (H, W) of numbers in metres"
        fault = f"got {values.dtype} {values.shape}"
        raise DepthClipError(f"the map {name!r} cannot be saved: {wanted}, {fault}")
    return values.astype(np.float32)


def _nearest_aspect(shape: tuple[int, int], shapes: dict[str, tuple], label: str) -> str:
    """What a map of this shape covers, decided by its aspect."""
    # By how many pixels the sides miss the aspect: less than one may be rounding.
    off = {what: abs(shape[0] * w - shape[1] * h) / max(h, w) for what, (h, w) in shapes.items()}
    nearest = min(off, key=off.get)
    # A map of a few pixels would fit any aspect.
    if off[nearest] >= min(1, max(shape) / FEWEST):
        known = ", ".join(f"{what} {h} × {w}" for what, (h, w) in shapes.items())
        raise DepthClipError(
            f"{label} has {shape[0]} × {shape[1]} pixels, an unknown aspect ratio "
            f"({known}): say which of them it covers"
        )
    return nearest


def _resized(depth: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear, corners aligned; 0 where a contributing pixel is missing."""
    if depth.shape == shape:
        return depth
    known = depth > 0
    both = upsample(torch.from_numpy(np.stack([depth, known.astype(np.float32)])), shape).numpy()
    return np.where(both[1] > 1 - 1e-5, both[0], 0).astype(np.float32)
