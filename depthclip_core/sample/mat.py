"""Write the sample as NYU Depth v2's two files: nyu_depth_v2_labeled.mat and splits.mat.

The labelled file is MATLAB v7.3, which is HDF5 with axes reversed: a (480, 640) picture is stored
(640, 480), transposed and not turned. Nothing in either file depends on the date or on the number
of workers, so the same version always gives the same bytes on one machine.
"""

import io
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import h5py
import numpy as np
import scipy.io
from tqdm.auto import tqdm

from depthclip_core.sample.render import OBJECT_NAMES, View, render_view
from depthclip_core.sample.world import SCENE_TYPES

__all__ = [
    "DATASET_SEED_BASE",
    "LABELED_NAME",
    "PRETRAIN_SEED_LIMIT",
    "SAMPLE_VERSION",
    "SPLITS_NAME",
    "Frame",
    "frames_of_the_sample",
    "is_current",
    "make_sample",
    "write_sample",
]

SAMPLE_VERSION = "1"
LABELED_NAME, SPLITS_NAME = "nyu_depth_v2_labeled.mat", "splits.mat"
PRETRAIN_SEED_LIMIT = 1_000_000  # the pretraining world's seeds stay below this ...
DATASET_SEED_BASE = 1_000_000  # ... and the data set's start here: they never meet
ROUNDS = 28  # frames per scene type
TEST_ROUNDS = frozenset(range(3, ROUNDS, 4)) | {0}  # eight of them, spread over the file
USERBLOCK = 512
MATLAB_TEXT = "MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
CREATION = "MATLAB 5.0 MAT-file, Platform: GLNXA64"


@dataclass(frozen=True)
class Frame:
    """One frame to render: its type and seed, and the split it belongs to."""

    scene_type: str
    seed: int
    test: bool


def frames_of_the_sample() -> tuple[Frame, ...]:
    """The 224 frames in file order: 28 rounds of the 8 types, 8 rounds of them for testing."""
    n = len(SCENE_TYPES)
    return tuple(
        Frame(SCENE_TYPES[i % n], DATASET_SEED_BASE + i, i // n in TEST_ROUNDS)
        for i in range(ROUNDS * n)
    )


def make_sample(folder: Path, progress: bool = True, workers: int | None = None) -> Path:
    """Render the sample into ``folder`` as NYU's two files; returns the folder.

    ``workers`` is the number of rendering processes (None: one per core; 0: render in this one).
    """
    return write_sample(Path(folder), frames_of_the_sample(), progress, workers)


def is_current(folder: Path) -> bool:
    """Whether ``folder`` holds both files, whole and of this version."""
    path = Path(folder) / LABELED_NAME
    if not path.is_file() or not (Path(folder) / SPLITS_NAME).is_file():
        return False
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("sample_version") == SAMPLE_VERSION
    except OSError:
        return False


def write_sample(
    folder: Path, frames: Sequence[Frame], progress: bool = True, workers: int | None = None
) -> Path:
    """Write both files for a list of frames; each appears under its name only when complete."""
    folder.mkdir(parents=True, exist_ok=True)
    labeled, splits = _temporary(folder), _temporary(folder)
    try:
        _write_labeled(labeled, frames, progress, workers)
        splits.write_bytes(_splits_bytes(frames))
        # The large file goes last: where it is, the other is too.
        os.replace(splits, folder / SPLITS_NAME)
        os.replace(labeled, folder / LABELED_NAME)
    finally:
        labeled.unlink(missing_ok=True)
        splits.unlink(missing_ok=True)
    return folder


def _temporary(folder: Path) -> Path:
    with NamedTemporaryFile(dir=folder, prefix=".sample-", suffix=".part", delete=False) as file:
        path = Path(file.name)
    path.chmod(0o644)
    return path


def _render(frame: Frame) -> View:
    return render_view(frame.scene_type, frame.seed)


def _views(frames: Sequence[Frame], workers: int | None) -> Iterator[View]:
    """The frames' views in order."""
    workers = min(workers if workers is not None else os.cpu_count() or 1, len(frames))
    if workers == 0:
        yield from map(_render, frames)
        return
    # Spawned, not forked: the caller may hold threads (torch) that do not survive a fork.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        ahead = 3 * workers  # bounded, so that a slow disk does not fill the memory
        waiting = [pool.submit(_render, f) for f in frames[:ahead]]
        for i in range(len(frames)):
            if i + ahead < len(frames):
                waiting.append(pool.submit(_render, frames[i + ahead]))
            yield waiting[i].result()
            waiting[i] = None
    finally:
        pool.shutdown(cancel_futures=True)


def _write_labeled(
    path: Path, frames: Sequence[Frame], progress: bool, workers: int | None
) -> None:
    n = len(frames)
    with h5py.File(path, "w", userblock_size=USERBLOCK, libver=("earliest", "v108")) as file:
        file.attrs["sample_version"] = SAMPLE_VERSION
        stored = {
            name: _array(file, name, (n, *shape), dtype, matlab)
            for name, shape, dtype, matlab in (
                ("images", (3, 640, 480), "u1", "uint8"),
                ("depths", (640, 480), "f4", "single"),
                ("rawDepths", (640, 480), "f4", "single"),
                ("labels", (640, 480), "u2", "uint16"),
                ("instances", (640, 480), "u1", "uint8"),
            )
        }
        views = tqdm(
            _views(frames, workers),
            total=n,
            desc="rendering the sample",
            unit="frame",
            disable=not progress,
        )
        for i, view in enumerate(views):
            stored["images"][i] = view.rgb.transpose(2, 1, 0)
            stored["depths"][i] = view.depth.T
            stored["rawDepths"][i] = view.raw_depth.T
            stored["labels"][i] = view.labels.T
            stored["instances"][i] = view.instances.T
        # Several frames share a "scene", as in NYU: here a type's every fourth round.
        scenes = [
            f"{f.scene_type}_{i // (4 * len(SCENE_TYPES)) + 1:04d}" for i, f in enumerate(frames)
        ]
        _cells(file, "names", OBJECT_NAMES)
        _cells(file, "sceneTypes", [f.scene_type for f in frames])
        _cells(file, "scenes", scenes)
        _cells(
            file,
            "rawRgbFilenames",
            [f"{s}/r-{f.seed}.ppm" for s, f in zip(scenes, frames, strict=False)],
        )
        _cells(
            file,
            "rawDepthFilenames",
            [f"{s}/d-{f.seed}.pgm" for s, f in zip(scenes, frames, strict=False)],
        )
    with open(path, "r+b") as raw:
        raw.write(MATLAB_TEXT.encode().ljust(116) + bytes(8) + b"\x00\x02IM")


def _array(
    file: h5py.File, name: str, shape: tuple[int, ...], dtype: str, matlab: str
) -> h5py.Dataset:
    out = file.create_dataset(
        name,
        shape,
        dtype,
        chunks=(1, *shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
        track_times=False,
    )
    out.attrs["MATLAB_class"] = np.bytes_(matlab)
    return out


def _cells(file: h5py.File, name: str, texts: Sequence[str]) -> None:
    """A (1, n) cell of references to strings, each (length, 1) uint16 as MATLAB stores chars."""
    group = file.require_group("#refs#")
    references = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for i, text in enumerate(texts):
        codes = np.array([ord(c) for c in text], np.uint16)[:, None]
        cell = group.create_dataset(f"{name}_{i}", data=codes, track_times=False)
        cell.attrs["MATLAB_class"] = np.bytes_("char")
        cell.attrs["MATLAB_int_decode"] = np.int32(2)
        references[0, i] = cell.ref
    out = file.create_dataset(name, data=references, dtype=h5py.ref_dtype, track_times=False)
    out.attrs["MATLAB_class"] = np.bytes_("cell")


def _splits_bytes(frames: Sequence[Frame]) -> bytes:
    """The split file: 1-based trainNdxs and testNdxs, (n, 1) uint16; no date in its header."""
    test = np.array([f.test for f in frames], bool)
    numbers = {"trainNdxs": np.flatnonzero(~test), "testNdxs": np.flatnonzero(test)}
    columns = {k: (v + 1).astype(np.uint16)[:, None] for k, v in numbers.items()}
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, columns, format="5", do_compression=True)
    return CREATION.encode().ljust(116) + buffer.getvalue()[116:]
