"""Where saved depth maps lie: folders, HDF5 files, .npz, .zip and .npy, each map read on its own.

Only names are read until a map is used, and nothing is unpacked to disk.
"""

import math
import zipfile
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock

import h5py
import numpy as np

from depthclip_core.datasets.depth_files import (
    MOST_PIXELS,
    READERS,
    check_size,
    checked_map,
    npy_header,
    read_depth_file,
)
from depthclip_core.datasets.hdf5 import StoredArray, open_hdf5, told
from depthclip_core.datasets.incoming import open_file
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.evaluation.map_names import names_in_hdf5, names_in_npy
from depthclip_core.text import printable

Reader = Callable[[], np.ndarray]  # of one map, (H, W) as stored
SUFFIXES = tuple(suffix for suffix in READERS if suffix != ".pgm")
HDF5 = (".h5", ".hdf5", ".hdf")
LARGEST_MEMBER = 8 * MOST_PIXELS  # bytes of a file in a .zip
KEPT = 8  # maps of a packed stack that are kept: readers may ask a little out of order


@dataclass(frozen=True, eq=False)
class Source:
    """Readers of depth maps by name; or, of a stack without names, in its order."""

    by_name: dict[str, Reader] = field(default_factory=dict)
    in_order: list[Reader] = field(default_factory=list)


def find_maps(path: Path, nested: bool) -> Source:
    """The depth maps at a path.

    nested: whether names have folders, such as "bathroom/rgb_00045": then the folders in a folder,
    and the groups in an HDF5 file, are read too. Those in a .zip always are.
    Raises `DepthClipError` for what holds no depth maps, or two of one name.
    """
    suffix = path.suffix.lower()
    try:
        if not path.exists():
            known = "give a folder, or an .h5, .npz, .npy or .zip file"
            raise DepthClipError(f"no saved predictions at {path}: {known}")
        if path.is_dir():
            return _in_folder(path, nested)
        open_file(path, "file of depth maps").close()  # NumPy and zipfile would wait for a pipe
        if suffix == ".npy":
            return _in_npy(path)
        if suffix in (".npz", ".zip"):
            return _in_archive(path)
        if suffix in READERS:
            return Source({path.stem: partial(read_depth_file, path)})
        return _in_hdf5(path, nested)
    except DepthClipError:
        raise
    except Exception as error:  # zipfile, NumPy and h5py raise many kinds on a damaged file
        raise DepthClipError(f"cannot read {path}: {printable(first_line(error))}") from error


def _named(label: object, files: Iterable[str], reader: Callable[[str], Reader]) -> dict:
    """Readers by name of relative file names; `DepthClipError` for two files of one name."""
    found: dict[str, str] = {}
    for file in files:
        name = str(PurePosixPath(file).with_suffix(""))
        if other := found.get(name):
            two = f"{printable(other)} and {printable(file)}"
            raise DepthClipError(f"{label} has {two}: leave one of them")
        found[name] = file
    return {name: reader(file) for name, file in found.items()}


def _is_map(file: PurePosixPath) -> bool:
    """Whether a file is a depth map by its name, and not hidden or a system's own."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in file.parts)
    return file.suffix.lower() in SUFFIXES and not hidden


def _in_folder(folder: Path, nested: bool) -> Source:
    """The depth maps of a folder, and with `nested` of the folders in it; others are ignored."""
    files = folder.rglob("*") if nested else folder.iterdir()
    kept = sorted(
        file.as_posix()
        for file in (each.relative_to(folder) for each in files if each.is_file())
        if _is_map(PurePosixPath(file.as_posix()))
    )
    if not kept:
        kinds = "/".join(SUFFIXES)
        raise DepthClipError(f"no depth maps ({kinds}) in {folder}")
    return Source(_named(folder, kept, lambda file: partial(read_depth_file, folder / file)))


def _in_npy(path: Path) -> Source:
    """A stack (N, H, W), or one map, which has the file's name."""
    with open(path, "rb") as stream:
        shape = npy_header(stream)[0]
    if not _is_stack(shape):
        return Source({path.stem: partial(read_depth_file, path)})
    check_size(shape[1:], path)
    stack = np.load(path, mmap_mode="r", allow_pickle=False)  # fails where the file is cut off
    return Source(in_order=[partial(_of_stack, path, stack, i) for i in range(len(stack))])


def _is_stack(shape: tuple[int, ...]) -> bool:
    """Whether an array is of several maps: (N, H, W), or with one channel before or after these."""
    if len(shape) == 4 and 1 in (shape[1], shape[3]):
        shape = (shape[0], *(shape[2:] if shape[1] == 1 else shape[1:3]))
    return len(shape) == 3 and 1 not in (shape[0], shape[2])


def _of_stack(path: Path, stack: np.ndarray, index: int) -> np.ndarray:
    return checked_map(np.asarray(stack[index]), f"{path}, map {index},")


def _in_hdf5(path: Path, nested: bool) -> Source:
    """A dataset (H, W) for each name; or one dataset (N, H, W), with `names` beside it or not."""
    if path.suffix.lower() not in HDF5 and not h5py.is_hdf5(path):
        known = "a folder, .h5, .npz, .npy or .zip"
        raise DepthClipError(f"{path} is no file of depth maps: give {known}")
    file = open_hdf5(path)
    datasets: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (nested or "/" not in name):
            datasets[name] = item

    file.visititems(collect)
    if not datasets:
        inside = ", ".join(map(printable, file)) or "nothing"
        raise DepthClipError(f"{path} has no datasets at its top level, only: {inside}")
    if "names" not in datasets:
        (first, *others) = datasets.values()
        if not others and _is_stack(first.shape):
            stack = _stored(path, first, stacked=True)
            return Source(in_order=[partial(_of_hdf5, stack, i) for i in range(len(stack))])
        return Source({name: partial(_map_in_hdf5, path, item) for name, item in datasets.items()})
    stacks = {name: item for name, item in datasets.items() if item.ndim in (3, 4)}
    names = names_in_hdf5(datasets["names"], path)
    stack = _stored(path, _one_stack(path, stacks, names, len), stacked=True)
    return Source({name: partial(_of_hdf5, stack, i) for i, name in enumerate(names)})


def _one_stack(path: Path, stacks: dict, names: list[str], length: Callable):
    """The one array (N, H, W) beside `names`, if there are as many different names."""
    if len(stacks) != 1:
        inside = ", ".join(map(printable, stacks)) or "none"
        fault = f"one dataset (N, H, W) is wanted beside `names`, got {inside}"
        raise DepthClipError(f"{path} has {len(stacks)} datasets: {fault}")
    (stack,) = stacks.values()
    if len(names) != length(stack) or len(set(names)) != len(names):
        raise DepthClipError(
            f"{path} has {length(stack)} depth maps and {len(names)} names, {len(set(names))} of "
            "them different: give each map its own"
        )
    return stack


def _stored(path: Path, item: h5py.Dataset, stacked: bool) -> StoredArray:
    """An array of one map, or of several that are stacked along its first axis."""
    label = f"{path}, dataset {printable(item.name)},"
    with told(label):
        shape = item.shape or ()
        check_size(shape[1:] if stacked else shape, label)
        return StoredArray(item, label, kinds="biufc")  # which of them is depth is said later


def _of_hdf5(stack: StoredArray, index: int) -> np.ndarray:
    return checked_map(stack.read(index, f"map {index + 1}"), stack.label)


def _map_in_hdf5(path: Path, item: h5py.Dataset) -> np.ndarray:
    stored = _stored(path, item, stacked=False)
    return checked_map(stored.read(), stored.label)


def _in_archive(path: Path) -> Source:
    """The files of a .zip; or the arrays of a .npz, which is a .zip of .npy files.

    A .npz may also hold one array (N, H, W), with `names` beside it or not.
    """
    archive = zipfile.ZipFile(path)
    files = sorted(
        each.filename
        for each in archive.infolist()
        if not each.is_dir() and _is_map(PurePosixPath(each.filename))
    )
    if not files:
        kinds = "/".join(SUFFIXES)
        raise DepthClipError(f"no depth maps ({kinds}) in {path}")
    if path.suffix.lower() == ".npz" and (len(files) == 1 or "names.npy" in files):
        arrays = [file for file in files if file != "names.npy"]
        packed = {file: PackedStack(archive, path, file) for file in arrays}
        stacks = {file: stack for file, stack in packed.items() if len(stack.shape) in (3, 4)}
        if "names.npy" in files:
            stack = _one_stack(path, stacks, _names(archive, path), len)
            readers = [partial(stack.read, i) for i in range(len(stack))]
            return Source(dict(zip(_names(archive, path), readers, strict=True)))
        if stacks and _is_stack(stacks[files[0]].shape):
            stack = stacks[files[0]]
            return Source(in_order=[partial(stack.read, i) for i in range(len(stack))])
    return Source(_named(path, files, lambda file: partial(_of_archive, archive, path, file)))


def _of_archive(archive: zipfile.ZipFile, path: Path, file: str) -> np.ndarray:
    return read_depth_file(path / file, _content(archive, path, file))


def _content(archive: zipfile.ZipFile, path: Path, file: str) -> bytes:
    """The bytes of a file in an archive, not more than its directory says."""
    size, label = archive.getinfo(file).file_size, f"{path}, {printable(file)},"
    if size > LARGEST_MEMBER:
        raise DepthClipError(f"{label} claims {size:,} bytes: a map has at most {LARGEST_MEMBER:,}")
    try:
        return archive.read(file)
    except Exception as error:  # zipfile and the packers raise many kinds
        raise DepthClipError(f"{label} is damaged: {printable(first_line(error))}") from error


def _names(archive: zipfile.ZipFile, path: Path) -> list[str]:
    return names_in_npy(_content(archive, path, "names.npy"), path)


class PackedStack:
    """Maps (N, H, W) of a .npy in an archive, read in order without unpacking all of them."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, file: str):
        self._archive, self._file, self._label = archive, file, f"{path}, {printable(file)},"
        self._lock, self._kept = Lock(), deque(maxlen=KEPT)
        self._stream, self._next = None, 0
        with archive.open(file) as stream:
            self.shape, self._fortran, self.dtype = npy_header(stream)
            self._header = stream.tell()
        if len(self.shape) not in (3, 4):
            return
        check_size(self.shape[1:], self._label)
        self._size = self.dtype.itemsize * math.prod(self.shape[1:])
        claimed = archive.getinfo(file).file_size
        if claimed != self._header + self._size * self.shape[0]:
            raise DepthClipError(f"{self._label} is damaged: {claimed} bytes for {self.shape}")
        if self._fortran:
            raise DepthClipError(f"{self._label} is in Fortran order: save it in C order")

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int) -> np.ndarray:
        """The map at an index; those before it are skipped, and the last few kept."""
        with self._lock:
            for kept, values in self._kept:
                if kept == index:
                    return checked_map(values, self._label)
            try:
                return checked_map(self._forward(index), self._label)
            except DepthClipError:
                raise
            except Exception as error:
                fault = printable(first_line(error))
                raise DepthClipError(f"{self._label} is damaged: {fault}") from error

    def _forward(self, index: int) -> np.ndarray:
        if self._stream is None or self._next > index:
            self._stream, self._next = self._archive.open(self._file), 0
            self._stream.read(self._header)
        while self._next <= index:
            content = self._stream.read(self._size)
            values = np.frombuffer(content, self.dtype).reshape(self.shape[1:])
            self._kept.append((self._next, values))
            self._next += 1
        return values
