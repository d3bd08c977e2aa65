"""Saved depth maps of other systems: read one by one, matched by name, scored like ours.

A folder of NAME.npy or 16-bit NAME.png, or one HDF5 file. Floating-point values are metres; 16-bit
integers are in units of 1/scale metres. Zero, negative and NaN mean "no prediction".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from PIL import Image

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.datasets.nyu import EIGEN_CROP, FRAME_SHAPE
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import Protocol, protocol_for, resolve_protocol
from depthclip_core.files import replacing
from depthclip_core.method.depth import upsample

MILLIMETRES = 1000.0  # stored units per metre; KITTI's PNG files have 256
COVERS = ("frame", "window", "region")
DEEPEST = 100.0  # metres: deeper values must be in another unit
SHOWN = 5  # how many wrong names an error lists


@dataclass(frozen=True, eq=False)
class SavedPredictions(Sequence):
    """Depth maps in the order of `names`, float32 metres, 0 where there is no prediction.

    A map has the shape of the protocol's frame or of its window, as `evaluate` takes it: see
    `open_predictions`, which makes these.
    """

    path: Path
    readers: dict[str, Callable[[], np.ndarray]]
    protocol: Protocol
    scale: float
    covers: str

    @property
    def names(self) -> list[str]:
        return list(self.readers)

    def __len__(self) -> int:
        return len(self.readers)

    def __getitem__(self, position: int) -> np.ndarray:
        name = self.names[position]
        label = f"{self.path.name}: the depth map of {name!r}"
        metres = _metres(self.readers[name](), self.scale, label)
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

    path: a folder of NAME.npy and 16-bit NAME.png; or an HDF5 file with a dataset (H, W) for each
        name, or with one dataset (N, H, W) and `names` beside it.
    covers: what a map shows: the "frame", DepthCLIP's "window", or the "region" of 426 × 560 pixels
        that BTS and AdaBins cut out; empty: decided by its aspect. Maps are resized to that
        bilinearly, corners aligned; a pixel with a missing neighbour stays missing.
    scale: stored units per metre of 16-bit integers.
    Raises `DepthClipError` for missing or unknown names; and, when a map is read, for a damaged
    file or a wrong dtype or shape.
    """
    path = Path(path).expanduser()
    if covers and covers not in COVERS:
        raise unknown_name("cover of the saved maps", covers, COVERS)
    if not 0 < scale < float("inf"):
        raise DepthClipError(f"scale is stored units per metre, such as 1000 or 256, not {scale}")
    if not path.exists():
        raise DepthClipError(f"no saved predictions at {path}: give a folder or an HDF5 file")
    found = _in_folder(path) if path.is_dir() else _in_hdf5(path)
    _check_names(path, list(found), list(names))
    readers = {name: found[name] for name in names}
    return SavedPredictions(path, readers, resolve_protocol(protocol), scale, covers)


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

    Raises `DepthClipError` for duplicate names, names that are not file names, and more or fewer
    maps than names; without `overwrite` also, before anything is written, for existing files.
    """
    folder = Path(folder).expanduser()
    paths = []
    for name in names:
        if Path(name).name != name:
            raise DepthClipError(f"{name!r} is not a file name")
        paths.append(folder / f"{name}.npy")
        if paths.count(paths[-1]) > 1:
            raise DepthClipError(f"duplicate name {name!r}: each map needs its own")
    if not overwrite and (there := next((path for path in paths if path.exists()), None)):
        raise DepthClipError(f"{there} exists: choose another folder, or pass overwrite=True")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path, depth in zip(paths, maps, strict=True):
            with replacing(path) as part, open(part, "xb") as file:
                np.save(file, np.asarray(depth, dtype=np.float32))
    except ValueError:
        raise DepthClipError(f"there are not as many maps as the {len(paths)} names") from None
    return paths


def _in_folder(folder: Path) -> dict[str, Callable[[], np.ndarray]]:
    """A reader for each depth map of a folder, by name; other files are ignored."""
    found = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in (".npy", ".png") or file.name.startswith("."):
            continue
        if other := found.get(file.stem):
            raise DepthClipError(f"{folder} has {other.name} and {file.name}: leave one of them")
        found[file.stem] = file
    if not found:
        raise DepthClipError(f"no depth maps (.npy or 16-bit .png) in {folder}")
    return {name: partial(_from_file, file) for name, file in found.items()}


def _in_hdf5(path: Path) -> dict[str, Callable[[], np.ndarray]]:
    """A reader for each depth map of an HDF5 file, by name."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DepthClipError(f"cannot read {path} as HDF5: {error}") from error
    datasets = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
    if not datasets:
        inside = ", ".join(file) or "nothing"
        raise DepthClipError(f"{path} has no datasets at its top level, only: {inside}")
    if "names" not in datasets:
        return {name: partial(_from_hdf5, path, item) for name, item in datasets.items()}
    stacks = {name: item for name, item in datasets.items() if item.ndim == 3}
    if len(stacks) != 1:
        fault = f"one dataset (N, H, W) is wanted beside `names`, got {', '.join(stacks) or 'none'}"
        raise DepthClipError(f"{path} has {len(stacks)} datasets: {fault}")
    (stack,) = stacks.values()
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in datasets["names"][:].ravel()]
    if len(names) != len(stack) or len(set(names)) != len(names):
        raise DepthClipError(
            f"{path} has {len(stack)} depth maps and {len(names)} names, {len(set(names))} of them "
            "different: give each map its own"
        )
    return {name: partial(_from_hdf5, path, stack, i) for i, name in enumerate(names)}


def _from_hdf5(path: Path, item: h5py.Dataset, index: int | tuple = ()) -> np.ndarray:
    try:
        return np.asarray(item[index])
    except OSError as error:
        raise DepthClipError(f"{path} is damaged at {item.name}: {error}") from error


def _from_file(file: Path) -> np.ndarray:
    """The array of a .npy file, or of a grey .png of 16 bits."""
    try:
        if file.suffix.lower() == ".npy":
            return np.load(file, allow_pickle=False)
        with Image.open(file) as image:
            mode, pixels = image.mode, np.asarray(image)
    except (ValueError, OSError, EOFError) as error:
        raise DepthClipError(f"cannot read {file}: {error}") from error
    if not mode.startswith("I"):
        raise DepthClipError(f"{file} is a picture of mode {mode}: depth is grey PNG of 16 bits")
    return pixels.astype(np.uint16)


def _check_names(path: Path, found: list[str], wanted: list[str]) -> None:
    """`DepthClipError` that lists missing and extra names, unless the names match."""
    missing = [name for name in wanted if name not in set(found)]
    extra = [name for name in found if name not in set(wanted)]
    if not missing and not extra:
        return
    parts = [
        f"{len(names)} {what}: {', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
        for what, names in (("missing", missing), ("without a frame", extra))
        if names
    ]
    if {name.lstrip("0") for name in missing} & {name.lstrip("0") for name in extra}:
        parts[-1] += ". They differ in leading zeros: rename them"
    fault = f"{len(found)} depth maps for {len(wanted)} frames; {'; '.join(parts)}"
    raise DepthClipError(f"{path} has {fault}")


def _metres(values: np.ndarray, scale: float, label: str) -> np.ndarray:
    """float32 (H, W), metres, 0 where there is no prediction."""
    if values.ndim != 2 or min(values.shape, default=0) < 2:
        raise DepthClipError(f"{label} must be of shape (H, W), got {values.shape}")
    if values.dtype == np.uint16:
        return (values / scale).astype(np.float32)
    if values.dtype.kind != "f":
        fault = f"floating-point metres or 16-bit integers, got {values.dtype}"
        raise DepthClipError(f"{label} must be {fault}")
    if np.isinf(values).any():
        raise DepthClipError(f"{label} holds infinite depths: mark missing depth with 0 or NaN")
    if (deepest := np.nanmax(values, initial=0)) > DEEPEST:
        raise DepthClipError(
            f"{label} reaches {deepest:g} m: floating-point depths are metres; divide, or save "
            "millimetres as 16-bit integers"
        )
    return np.where(values > 0, values, 0).astype(np.float32)


def _nearest_aspect(shape: tuple[int, int], shapes: dict[str, tuple], label: str) -> str:
    """What a map of this shape covers, decided by its aspect."""
    # By how many pixels the sides miss the aspect: less than one is rounding.
    off = {what: abs(shape[0] * w - shape[1] * h) / max(h, w) for what, (h, w) in shapes.items()}
    nearest = min(off, key=off.get)
    if off[nearest] >= 1:
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
