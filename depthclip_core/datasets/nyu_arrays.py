"""NYU Depth v2 as arrays: DenseDepth's nyu_test.zip, and one HDF5 file a frame."""

import hashlib
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np

from depthclip_core.datasets.base import Checksums, Frame, checked_split
from depthclip_core.datasets.depth_files import in_metres, npy_header
from depthclip_core.datasets.handles import Handle
from depthclip_core.datasets.hdf5 import StoredArray, open_hdf5, own_dataset
from depthclip_core.datasets.incoming import open_file, reason
from depthclip_core.datasets.known_files import KnownFiles
from depthclip_core.datasets.nyu import (
    FRAME_SHAPE,
    NYU_FRAMES,
    NYU_TEST,
    SPLITS,
    Nyu,
    preprocess_rgb,
    whole_millimetres,
)
from depthclip_core.datasets.nyu_mat import check_room
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

ZIP_NAME = "nyu_test.zip"
RGB_NAME, DEPTH_NAME = "eigen_test_rgb.npy", "eigen_test_depth.npy"
SEQUENCE = re.compile(r"(.+)_\d{4}[a-z]?")
TEST_FOLDERS = ("test", "val")


class _ArrayFrames(Nyu):
    """Frames whose RGB and depth are arrays, to which the released preprocessing can be applied."""

    def read_frame(self, index: int) -> Frame:
        places = {fact: self.each(fact)[index] for fact in ("name", "scene", "group")}
        windows = {"crop": self.crop, "content": self.content}
        rgb, raw_depth = self.read_rgb(index), self.read_raw_depth(index)
        return Frame(**places, rgb=rgb, raw_depth=raw_depth, **windows)

    def read_rgb(self, index: int) -> np.ndarray:
        rgb = self.stored_rgb(index)
        return preprocess_rgb(rgb) if self.released_preprocessing else rgb

    def read_raw_depth(self, index: int) -> np.ndarray:
        depth = in_metres(self.stored_depth(index), 1)
        label = f"{self.title}, {self.each('name')[index]}"
        check_room(depth, label)
        return whole_millimetres(depth, label) if self.released_preprocessing else depth

    def stored_rgb(self, index: int) -> np.ndarray:
        """RGB (480, 640, 3) uint8 as in the file."""
        raise NotImplementedError

    def stored_depth(self, index: int) -> np.ndarray:
        """Depth (480, 640) in metres as in the file."""
        raise NotImplementedError


class NyuArrays(_ArrayFrames):
    """The 654 test frames of DenseDepth's nyu_test.zip, or of its folder after unzipping.

    place: the zip, the folder that holds the zip or eigen_test_rgb.npy and eigen_test_depth.npy, or
    one of these files. split: "test", or "all", which is the same. The arrays of a zip are held in
    memory (1.4 GB), those of a folder are read frame by frame. released_preprocessing: as for the
    .mat.
    raw_depth is what the file holds; its authors do not state whether holes were filled. Their own
    crop (eigen_test_crop.npy) is not read: frames are scored in NYU's.
    Frames are called by their place, "0001" to "0654", and their scenes are not known.
    Raises `DepthClipError` for another split, and for files that are missing, damaged or of another
    shape.
    """

    def __init__(self, place: Path, split: str = "test", *, released_preprocessing: bool = False):
        if checked_split(split, SPLITS) == "train":
            only = "DenseDepth's arrays hold the test frames alone"
            raise DepthClipError(f"{place}: {only}, not split {split!r}: choose 'test'")
        self.split, self.released_preprocessing = split, released_preprocessing
        self.title = f"NYU, {split}"
        place = Path(place)
        place = place.parent if place.suffix == ".npy" else place
        if place.is_dir() and not (place / RGB_NAME).is_file():
            place = place / ZIP_NAME
        self.place = place
        self._rgb_file = place / RGB_NAME if place.is_dir() else place
        self._known_files = KnownFiles([self._rgb_file])
        self._arrays = {name: Handle(_open_array, place, name) for name in (RGB_NAME, DEPTH_NAME)}
        shapes = [_shape_of(place, name) for name in (RGB_NAME, DEPTH_NAME)]
        n_frames = shapes[0][0][0] if shapes[0][0] else 0
        wanted = [((n_frames, *FRAME_SHAPE, 3), "uint8"), ((n_frames, *FRAME_SHAPE), "float")]
        for name, (shape, dtype), own in zip(self._arrays, shapes, wanted, strict=True):
            if shape != own[0] or not dtype.name.startswith(own[1]):
                fault = f"{name} is {dtype} of shape {shape}, not {own[1]} of {own[0]}"
                raise DepthClipError(f"{place}: {fault}: it is not DenseDepth's")
        self._n_frames = n_frames

    def __len__(self) -> int:
        return self._n_frames

    def stored_rgb(self, index: int) -> np.ndarray:
        return np.array(self._arrays[RGB_NAME].get()[index])

    def stored_depth(self, index: int) -> np.ndarray:
        return np.array(self._arrays[DEPTH_NAME].get()[index])

    def each(self, fact: str) -> list[str | None]:
        return [f"{i + 1:04d}" if fact == "name" else None for i in range(len(self))]

    def is_labelled_set(self) -> bool:
        return len(self) == NYU_TEST

    def rgb_files(self, index: int) -> Sequence[Path]:
        return [self._rgb_file]

    def identity(self, checksums: Checksums) -> dict:
        (file,) = self.file_checksums([self._rgb_file], checksums)
        facts = {"title": self.title, "file": file}
        return facts | {"prepared": self.released_preprocessing}

    def close(self) -> None:
        super().close()
        for array in self._arrays.values():
            array.close()


class NyuHdf5(_ArrayFrames):
    """One HDF5 file a frame, with rgb (3, 480, 640) uint8 and depth (480, 640) metres.

    folder: of such files. split: "test" are those below a folder test/ or val/, "train" those below
    train/, and "all" all of them. Names are paths in the folder ("val/official/00001").
    A folder with the name of a raw sequence, such as bathroom_0004, is the group, and tells
    the scene type. released_preprocessing: as for the .mat.
    Raises `DepthClipError` for a split without files, and for a file of another layout.
    """

    def __init__(self, folder: Path, split: str = "test", *, released_preprocessing: bool = False):
        self.folder, self.split = Path(folder), checked_split(split, SPLITS)
        self.released_preprocessing, self.title = released_preprocessing, f"NYU, {split}"
        parts = {"test": TEST_FOLDERS, "train": ("train",)}.get(split)
        files = sorted(hdf5_files(self.folder))
        self.files = [f for f in files if parts is None or {*f.parts} & {*parts}]
        if not self.files:
            where = f"no HDF5 frames below {' or '.join(f'{p}/' for p in parts)} in {folder}"
            raise DepthClipError(f"{where}: choose split 'all', or arrange them so")

    def __len__(self) -> int:
        return len(self.files)

    def stored_rgb(self, index: int) -> np.ndarray:
        rgb = self._array(index, "rgb", (3, *FRAME_SHAPE), np.uint8)
        return np.ascontiguousarray(rgb.transpose(1, 2, 0))

    def stored_depth(self, index: int) -> np.ndarray:
        return self._array(index, "depth", FRAME_SHAPE, np.floating)

    def each(self, fact: str) -> list[str | None]:
        if fact == "name":
            return [printable(path.with_suffix("").as_posix()) for path in self.files]
        found = [SEQUENCE.fullmatch(printable(path.parent.name)) for path in self.files]
        return [match and match[int(fact == "scene")] for match in found]

    def rgb_files(self, index: int) -> Sequence[Path]:
        return [self.folder / self.files[index]]

    def identity(self, checksums: Checksums) -> dict:
        digests = self.file_checksums([self.folder / path for path in self.files], checksums)
        files = hashlib.sha256("".join(digests).encode()).hexdigest()
        return {"title": self.title, "files": files, "prepared": self.released_preprocessing}

    def _array(self, index: int, key: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
        """An array of a frame's file; kind: NumPy's type, or a family of types."""
        path = self.folder / self.files[index]
        with open_hdf5(path, "HDF5 frame of NYU's") as file:
            data = own_dataset(file, key, f"{path}, {key},")
            if data is None:
                raise DepthClipError(f"{path} has no {key}: it is no frame of NYU's")
            array = StoredArray(data, f"{path}, {key},")
            if array.shape != shape or not np.issubdtype(array.dtype, kind):
                found = f"{key} is {array.dtype} of shape {array.shape}"
                wanted = f"{'uint8' if kind is np.uint8 else 'floating-point metres'} of {shape}"
                raise DepthClipError(f"{path}: {found}, NYU's is {wanted}")
            return array.read()


def hdf5_files(folder: Path) -> Iterator[Path]:
    """The HDF5 files in and below the folder, relative to it."""
    return (p.relative_to(folder) for end in ("h5", "hdf5") for p in folder.rglob(f"*.{end}"))


def _open_array(place: Path, name: str) -> np.ndarray:
    """An array of a folder, mapped, or of a zip, in memory."""
    with _told(place, name):
        if place.is_dir():
            return np.load(place / name, mmap_mode="r", allow_pickle=False)
        with ZipFile(place) as packed, packed.open(_member(packed, place, name)) as file:
            return np.lib.format.read_array(file, allow_pickle=False)


def _shape_of(place: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, of which as many bytes are there, without reading them."""
    if not place.exists() or (place.is_dir() and not os.path.lexists(place / name)):
        missing = place / name if place.is_dir() else place
        raise DepthClipError(f"no {missing.name} in {missing.parent}: put DenseDepth's test there")
    with _told(place, name):
        if place.is_dir():
            with open_file(place / name, "array of DenseDepth's") as file:
                return _checked_header(file, os.fstat(file.fileno()).st_size)
        with open_file(place, "nyu_test.zip of DenseDepth's") as file, ZipFile(file) as packed:
            member = _member(packed, place, name)
            with packed.open(member) as stream:
                return _checked_header(stream, packed.getinfo(member).file_size)


def _checked_header(file: BinaryIO, size: int) -> tuple[tuple[int, ...], np.dtype]:
    shape, _, dtype = npy_header(file)
    if not shape or not 0 < shape[0] <= NYU_FRAMES:
        raise ValueError(f"its shape is {shape}: it has 1 to {NYU_FRAMES} frames")
    wanted = file.tell() + dtype.itemsize * math.prod(shape)
    if wanted != size:
        raise ValueError(f"it has {size:,} bytes, and an array of shape {shape} {wanted:,}")
    return shape, dtype


@contextmanager
def _told(place: Path, name: str) -> Iterator[None]:
    """Raise a `DepthClipError` for whatever a damaged array or zip leads to."""
    try:
        yield
    except DepthClipError:
        raise
    except Exception as error:  # NumPy, zipfile and its packers raise many kinds
        raise DepthClipError(f"cannot read {name} of {place}: {reason(error)}") from error


def _member(packed: ZipFile, place: Path, name: str) -> str:
    """The path of an array in the zip, which may lie in a folder there."""
    found = next((member for member in packed.namelist() if Path(member).name == name), None)
    if found is None:
        raise DepthClipError(f"{place} has no {name}: it is not DenseDepth's nyu_test.zip")
    return found
