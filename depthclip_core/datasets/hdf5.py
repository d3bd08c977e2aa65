"""HDF5 files that others wrote: checked before they are used, and read in parts.

HDF5 follows links to other files, reads the bytes of any file as an array, runs filters that are
installed somewhere, and gives zeros for data that is not there. None of that is wanted here.
"""

import errno
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from depthclip_core.datasets.incoming import open_file, other_content, reason
from depthclip_core.errors import DepthClipError
from depthclip_core.file_locks import WITHOUT_LOCKS
from depthclip_core.text import printable

LARGEST_CHUNK = 2**28  # bytes, unpacked; HDF5 unpacks a chunk whole
LARGEST_LZF_CHUNK = 2**24  # LZF unpacks to at most about 90 times its size
MOST_CHUNKS = 2**22
TRUSTED_PACKED = 2**20  # bytes; gzip unpacks them to at most a gigabyte
LONGEST_LABEL = 10_000  # characters of a text
LOCKED = (errno.EAGAIN, errno.EACCES)
SHUFFLE, DEFLATE, FLETCHER32, LZF = (
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
)
PACKERS = (DEFLATE, LZF)
FILTERS = (SHUFFLE, FLETCHER32, *PACKERS)


def open_hdf5(path: Path, what: str = "HDF5 file") -> h5py.File:
    """An HDF5 file, open for reading; what: its kind, for errors.

    Others may read it at the same time. Raises `DepthClipError` that says why it cannot be read:
    missing, no permission, locked by a program that writes it, truncated, or another kind of file.
    """
    with open_file(path, what) as file:
        head = file.read(1024)
    try:
        if not h5py.is_hdf5(path):
            found = other_content(head)
            found = f", but {found}" if found else ""
            raise DepthClipError(f"{path} is no {what}{found}: fetch it again")
        return _opened(path)
    except DepthClipError:
        raise
    except Exception as error:  # h5py raises many kinds
        raise DepthClipError(f"{path} {_refusal(error)}") from error


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    return h5py.File(path, "r", locking=False)


def _refusal(error: Exception) -> str:
    text = hdf5_reason(error)
    if getattr(error, "errno", None) in LOCKED and "lock" in text:
        return "is open in another program that may change it: close it there"
    if "already open for" in text:
        return "was not closed by the program that wrote it: fetch it again"
    if "truncated" in text:
        return "is truncated: fetch it again"
    return f"is damaged: {text}"


def hdf5_reason(error: BaseException) -> str:
    """What HDF5 says of a fault, without the names of its functions and its numbers of errors."""
    text = re.sub(r"^\[Errno \d+\] ", "", str(error).strip("'\""))
    inner = re.fullmatch(r"[^(]*\((.*)\)", " ".join(text.split()))
    return reason(ValueError(inner[1] if inner else text))


@contextmanager
def told(label: str) -> Iterator[None]:
    """Raise a `DepthClipError` for whatever h5py raises on a damaged file."""
    try:
        yield
    except DepthClipError:
        raise
    except Exception as error:  # h5py and HDF5 raise many kinds
        raise DepthClipError(f"{label} is damaged: {hdf5_reason(error)}") from error


class StoredArray:
    """A numeric array of an HDF5 file; what is read of it is stored there, or an error.

    shape, dtype: as in the file. label: names it in errors. kinds: NumPy's letters of the wanted
    types. Raises `DepthClipError` for arrays that refer to other files, have chunks too large
    to unpack or filters that are not read, or hold anything but numbers.
    """

    def __init__(self, data: h5py.Dataset, label: str, kinds: str = "fiu"):
        self.label, self._data, self._kinds = label, data, kinds
        with told(label):
            self.shape, self.dtype = data.shape, data.dtype
            self._properties = data.id.get_create_plist()
            self._check()
        self._packed: np.ndarray | None = None  # bytes of each chunk in the file

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int | None = None, frame: str = "") -> np.ndarray:
        """The array, or its part at an index of the first axis. frame: names it in errors."""
        with told(self.label + (f" at {frame}" if frame else "")):
            self._check_stored(index, frame)
            return self._data[() if index is None else index]

    def _check(self) -> None:
        layout, properties = self._properties.get_layout(), self._properties
        if self.shape is None or self.dtype.kind not in self._kinds:
            fault = "nothing" if self.shape is None else f"{self.dtype}, not numbers"
            raise DepthClipError(f"{self.label} holds {fault}")
        if layout == h5py.h5d.VIRTUAL or properties.get_external_count():
            raise DepthClipError(f"{self.label} takes its data from another file: that is not read")
        self.chunks = self._data.chunks
        if layout == h5py.h5d.CHUNKED:
            self._check_chunks()
        elif layout == h5py.h5d.CONTIGUOUS and self._data.size:
            stored = self._data.id.get_storage_size()
            if self._data.id.get_offset() is None or stored < self._data.nbytes:
                raise DepthClipError(f"{self.label} was never written: fetch the file again")

    def _check_chunks(self) -> None:
        self._packer = self._only_packer()
        self._chunk_bytes = self.dtype.itemsize * math.prod(self.chunks)
        most = LARGEST_LZF_CHUNK if self._packer == LZF else LARGEST_CHUNK
        if self._chunk_bytes > most:
            fault = f"has chunks of {self._chunk_bytes:,} bytes, and at most {most:,} are read"
            raise DepthClipError(f"{self.label} {fault}: save it with smaller chunks")
        self._grid = tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))
        if math.prod(self._grid) > MOST_CHUNKS:
            fault = f"has {math.prod(self._grid):,} chunks, and at most {MOST_CHUNKS:,} are read"
            raise DepthClipError(f"{self.label} {fault}: it is damaged, or make them larger")

    def _only_packer(self) -> int | None:
        """The filter that packs chunks, of those whose unpacking is bounded; None without one."""
        n_filters = self._properties.get_nfilters()
        filters = [self._properties.get_filter(i)[0] for i in range(n_filters)]
        if unknown := [number for number in filters if number not in FILTERS]:
            fault = f"is packed by HDF5's filter {unknown[0]}, which is not read"
            raise DepthClipError(f"{self.label} {fault}: save it with gzip, as h5repack does")
        packers = [number for number in filters if number in PACKERS]
        shuffled_last = packers and SHUFFLE in filters[filters.index(packers[0]) :]
        if shuffled_last or len(packers) > 1 or len(set(filters)) < len(filters):
            raise DepthClipError(f"{self.label} is packed more than once: save it with gzip")
        return packers[0] if packers else None

    def _check_stored(self, index: int | None, frame: str) -> None:
        """Raise unless every chunk of the part is in the file, and unpacks to its own size."""
        if not self.chunks:
            return
        if self._packed is None:
            self._packed = self._sizes()
        first = 0 if index is None else index // self.chunks[0]
        sizes = self._packed if index is None else self._packed[first : first + 1]
        if not sizes.all():
            part = f"at {frame} " if frame else ""
            lost = f"{np.count_nonzero(sizes == 0)} chunks were lost or never written"
            raise DepthClipError(f"{self.label} {part}is missing: {lost}: fetch the file again")
        for place in np.argwhere(sizes > min(TRUSTED_PACKED, 2 * self._chunk_bytes + 4096)):
            place[0] += first
            self._check_unpacked(tuple(map(int, place * self.chunks)))

    def _sizes(self) -> np.ndarray:
        """The bytes that each chunk has in the file, 0 where it has none."""
        sizes = np.zeros(self._grid, np.int64)

        def note(found: h5py.h5d.StoreInfo) -> None:
            place = tuple(o // c for o, c in zip(found.chunk_offset, self.chunks, strict=True))
            sizes[place] = found.size

        self._data.id.chunk_iter(note)
        return sizes

    def _check_unpacked(self, offset: tuple[int, ...]) -> None:
        """Raise for a chunk that would unpack to more than it can hold: HDF5 has no bound."""
        mask, packed = self._data.id.read_direct_chunk(offset)
        if len(packed) > 2 * self._chunk_bytes + 4096:
            raise DepthClipError(f"{self.label} is damaged: a chunk is larger than its content")
        if self._packer == DEFLATE and not mask:
            unpacked = zlib.decompressobj().decompress(packed, self._chunk_bytes + 64)
            if len(unpacked) > self._chunk_bytes + 4:  # with a checksum
                raise DepthClipError(f"{self.label} is damaged: a chunk is larger than its content")


def own_dataset(file: h5py.File, name: str, label: str) -> h5py.Dataset | None:
    """A dataset of the file's top level; None if it has nothing of that name.

    Raises `DepthClipError` for links, which may lead to other files or in a circle, and for groups.
    """
    with told(label):
        link = file.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise DepthClipError(f"{label} is a link: that is not followed, copy the data itself")
        found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise DepthClipError(f"{label} is a {type(found).__name__.lower()}, not an array")
    return found


class StoredTexts:
    """MATLAB's cells of text: references to arrays of characters. `None` stands for empty text.

    data: of shape (1, N) or (N, 1). label: names it in errors.
    """

    def __init__(self, data: h5py.Dataset, label: str):
        self.label = label
        with told(label):
            shape, kind = data.shape, h5py.check_ref_dtype(data.dtype)
            if kind is not h5py.Reference or len(shape or ()) != 2 or 1 not in shape:
                raise DepthClipError(
                    f"{label} has {data.dtype} of shape {shape}, not cells of text"
                )
            if max(shape) > MOST_CHUNKS:
                raise DepthClipError(f"{label} claims {max(shape):,} texts: it is damaged")
            self._references = StoredArray(data, label, kinds="O").read().ravel()
            self._file = data.file

    def __len__(self) -> int:
        return len(self._references)

    def read(self, index: int) -> str | None:
        """One text; `DepthClipError` where its reference leads to no text of usual length."""
        label = f"{self.label}, entry {index + 1},"
        with told(label):
            reference = self._references[index]
            found = self._file[reference] if reference else None
            if not isinstance(found, h5py.Dataset):
                raise DepthClipError(f"{label} leads to no text")
            if found.attrs.get("MATLAB_empty", 0):
                return None
            return self._decoded(StoredArray(found, label))

    def _decoded(self, stored: StoredArray) -> str | None:
        size = math.prod(stored.shape)
        usual = stored.dtype.kind == "u" and stored.dtype.itemsize <= 2
        if not usual or size > LONGEST_LABEL or len(stored.shape) > 2:
            found = f"{stored.dtype} of shape {stored.shape}"
            raise DepthClipError(f"{stored.label} leads to {found}, not to characters")
        text = stored.read().ravel().astype("<u2").tobytes().decode("utf-16-le", "replace")
        return printable(text) or None
