"""The store: arrays on disk, frame by frame in chunks that are never half-written.

Who writes a chunk holds its lock: see `locks`.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from depthclip_core.errors import DepthClipError
from depthclip_core.files import (
    CHECKSUMS,
    CannotWrite,
    Notes,
    checksums,
    open_file,
    read_json,
    write_whole,
)
from depthclip_core.settings import store_folder

CHUNK = 16  # frames: 340 MB for three heads of ViT-L/14
FORMAT = 2  # part of every key, so that no format reads another's files
SEAL = 512  # bytes before HDF5's content, its "user block": they hold the checksum
MOST_FRAMES = 10**12
ABOUT = "array.json"
SIGN = b"DepthCLIP store"  # the first bytes of every chunk
_KEY = re.compile(r"[0-9a-f]{16}")
_CHUNK_NAME = re.compile(r"chunk-(\d{5,18})\.h5")
_TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
# A chunk of format 1 was a "part".
_OWN_NAME = re.compile(rf"array\.json|(chunk|part)-\d{{5,}}\.h5|{_TEMPORARY_NAME.pattern}")


class AbsentChunk(DepthClipError, FileNotFoundError):
    """The chunk is not in the store: it was not written yet, or was removed."""


class DamagedChunk(DepthClipError):
    """The chunk's file no longer holds what was written."""


class Store:
    """A folder of arrays, each under a key made of the settings that it depends on.

    folder: None is store/ in the data folder. It is created when something is first written.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder).expanduser() if folder else store_folder()

    def array(self, settings: Mapping[str, object], n_frames: int) -> "StoredArray":
        """The array for these settings, on disk or not, with n_frames along its first axis.

        settings: text, numbers, bools, None, and lists and mappings of them; tuples become lists.
        Raises `DepthClipError` for anything else.
        """
        if isinstance(n_frames, bool) or not hasattr(n_frames, "__index__") or n_frames < 0:
            raise DepthClipError(f"n_frames must be a whole number from 0, got {n_frames!r}")
        plain = _plain(settings, "settings")
        canonical = json.dumps([FORMAT, CHUNK, plain], sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        return StoredArray(self.folder / key, plain, int(n_frames))

    def arrays(self) -> list["StoredArray"]:
        """The arrays on disk, last used first; those that cannot be read are marked `broken`.

        A link to a folder is broken too: what it leads to is not this store's to remove.
        """
        folders = [entry for entry in entries(self.folder) if _KEY.fullmatch(entry.name)]
        found = [_on_disk(folder) for folder in folders if os.path.isdir(folder)]
        return sorted(found, key=lambda array: array.last_used, reverse=True)

    def checksums(self, paths: Sequence[Path]) -> list[str]:
        """sha256 of each file, remembered in the store until its size or time of change differs."""
        return checksums(paths, Notes(self.folder / CHECKSUMS))


@dataclass(frozen=True)
class StoredArray:
    """An array (n_frames, ...) of a store, in chunks of `CHUNK` consecutive frames.

    folder: where its files are; the key is its name. settings: what the array depends on. broken:
    why a folder found in the store cannot be used, else None. Made by `Store`.
    """

    folder: Path
    settings: dict
    n_frames: int
    broken: str | None = None

    @property
    def key(self) -> str:
        """16 hex digits made of the settings."""
        return self.folder.name

    @property
    def n_chunks(self) -> int:
        return -(-self.n_frames // CHUNK)

    def frames_of(self, chunk: int) -> range:
        """The frames of a chunk; the last chunk may be shorter than `CHUNK`."""
        if not 0 <= chunk < self.n_chunks:
            made = f"{self.n_frames} frames make {self.n_chunks} chunks"
            raise DepthClipError(f"no chunk {chunk} in {self.folder}: {made}")
        return range(chunk * CHUNK, min((chunk + 1) * CHUNK, self.n_frames))

    def path(self, chunk: int) -> Path:
        """A chunk's file, which may not exist."""
        return self.folder / f"chunk-{chunk:05d}.h5"

    def present(self) -> list[int]:
        """The chunks with a file, in order; the files are not read."""
        named = [_CHUNK_NAME.fullmatch(path.name) for path in entries(self.folder)]
        chunks = {int(found[1]) for found in named if found}
        return sorted(chunk for chunk in chunks if chunk < self.n_chunks)

    def has(self, chunk: int) -> bool:
        """Whether a chunk has a file; the others are not looked at."""
        return os.path.lexists(self.path(chunk))

    def missing(self) -> list[int]:
        """The chunks without a file."""
        present = set(self.present())
        return [chunk for chunk in range(self.n_chunks) if chunk not in present]

    @property
    def complete(self) -> bool:
        return len(self.present()) == self.n_chunks

    @property
    def size(self) -> int:
        """Bytes on disk; what links lead to is not counted."""
        size = 0
        for path in [] if self.folder.is_symlink() else entries(self.folder):
            with suppress(FileNotFoundError):  # renamed or removed by another process
                size += path.lstat().st_size
        return size

    @property
    def last_used(self) -> float:
        """When it was last read or written, in seconds since 1970; 0 if it is not on disk."""
        for path in (self.folder / ABOUT, self.folder):
            with suppress(OSError):
                return path.stat().st_mtime
        return 0.0

    def write(self, chunk: int, values: np.ndarray, **provenance: str) -> None:
        """Write one chunk, all of it or nothing: numbers (len(frames_of(chunk)), ...).

        provenance: device, versions and the like, kept in the file but not in the key. Raises
        `DepthClipError` for values of another length, and where the disk is full or cannot be
        written.
        """
        frames, values = self.frames_of(chunk), np.asarray(values, order="C")
        if values.dtype.kind not in "biufc":
            raise DepthClipError(f"values of a stored array must be numbers, got {values.dtype}")
        if values.shape[:1] != (len(frames),):
            size = f"has {len(frames)} frames, got values of shape {values.shape}"
            raise DepthClipError(f"chunk {chunk} of {self.folder} {size}")
        with writing(self.folder):
            try:
                self._describe()
                # Not forced to the disk: checksums find what a power cut leaves.
                write_whole(self.path(chunk), self._packed(frames, values, provenance))
            except BaseException:
                with suppress(OSError):
                    self.folder.rmdir()  # only if empty: not even its description was written
                raise
        self._mark_used()

    def read(self, chunk: int) -> np.ndarray:
        """One chunk as it was written, (len(frames_of(chunk)), ...), verified by its checksum.

        Raises `AbsentChunk` (also a FileNotFoundError) or `DamagedChunk`, both `DepthClipError`.
        """
        values = self.check(chunk)
        self._mark_used()
        return values

    def check(self, chunk: int) -> np.ndarray:
        """As `read`, but it does not count as a use of the array."""
        frames, path = self.frames_of(chunk), self.path(chunk)
        try:
            # One open file throughout, so that nobody can replace the chunk between the steps.
            with open_file(path) as raw:
                # Verified before HDF5 reads it, because HDF5 may hang on a damaged header.
                seal = raw.read(SEAL)
                if seal != _seal(hashlib.file_digest(raw, "sha256").hexdigest()):
                    raise ValueError("its content does not match its checksum")
                with h5py.File(raw, "r") as file:
                    stored = file["values"]
                    for name, value in {"key": self.key, "first": frames.start}.items():
                        if stored.attrs[name] != value:
                            raise ValueError(f"its {name} is {stored.attrs[name]}, not {value}")
                    if len(stored) != len(frames):
                        raise ValueError(f"it has {len(stored)} frames, not {len(frames)}")
                    return stored[()]
        except FileNotFoundError:
            raise AbsentChunk(f"{self.folder} has no {path.name}") from None
        except PermissionError as error:
            raise DepthClipError(f"cannot read {path}: {_said(error)}") from error
        except MemoryError:
            raise
        except Exception as error:  # h5py raises many kinds
            raise DamagedChunk(f"{path} is damaged: {_said(error)}") from error

    def discard(self, chunk: int) -> None:
        """Remove a chunk if it exists."""
        with writing(self.folder):
            self.path(chunk).unlink(missing_ok=True)

    def temporaries(self) -> list[Path]:
        """Files under a temporary name: being written, or left by a killed run."""
        return [path for path in entries(self.folder) if _TEMPORARY_NAME.fullmatch(path.name)]

    def discard_temporaries(self) -> None:
        """Remove the temporaries; hold the array `alone`, so that none is being written."""
        with writing(self.folder):
            for path in self.temporaries():
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the whole array; hold it `alone`.

        Of a link, only the link itself. Raises `DepthClipError` and removes nothing if the folder
        holds anybody else's files.
        """
        if self.folder.is_symlink():
            with writing(self.folder):
                self.folder.unlink()
            return
        files = entries(self.folder)
        if others := [path.name for path in files if not _OWN_NAME.fullmatch(path.name)]:
            fault = f"holds {others[0]}, which is not the store's"
            raise DepthClipError(f"{self.folder} {fault}: move it away")
        if files and not any(map(_signed, files)):
            raise DepthClipError(f"{self.folder} is not the store's: move it away")
        with writing(self.folder):
            for path in files:
                path.unlink(missing_ok=True)
            self.folder.rmdir()

    def _describe(self) -> None:
        about = {"format": FORMAT, "n_frames": self.n_frames, "settings": self.settings}
        content = json.dumps(about, indent=1, sort_keys=True).encode()
        with suppress(OSError):
            if (self.folder / ABOUT).read_bytes() == content:
                return
        write_whole(self.folder / ABOUT, content)

    def _packed(self, frames: range, values: np.ndarray, provenance: Mapping) -> memoryview:
        """A chunk as a sealed HDF5 file, in memory: HDF5 does not recover from a full disk."""
        packed = BytesIO()
        with h5py.File(packed, "w", userblock_size=SEAL) as file:
            file.attrs.update({name: str(value) for name, value in provenance.items()})
            stored = file.create_dataset("values", data=values)
            stored.attrs["key"], stored.attrs["first"] = self.key, frames.start
        content = packed.getbuffer()
        content[:SEAL] = _seal(hashlib.sha256(content[SEAL:]).hexdigest())
        return content

    def _mark_used(self) -> None:
        with suppress(OSError):
            os.utime(self.folder / ABOUT)


def entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing if it does not exist."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DepthClipError(f"cannot read the store folder {folder}: {_said(error)}") from error


def _plain(value: object, where: str) -> object:
    """The value as JSON keeps it; `DepthClipError` if JSON would change it."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {str(key): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind) and value == value and value not in (math.inf, -math.inf):
            return kind(value)
    raise DepthClipError(
        f"{where} is {value!r}: the settings of a stored array are text, finite numbers, bools, "
        "None, and lists of them and mappings from text to them"
    )


def _seal(sha256: str) -> bytes:
    return f"{SIGN.decode()}, sha256 of what follows {SEAL} bytes: {sha256}\n".encode().ljust(SEAL)


def _signed(path: Path) -> bool:
    """Whether the store wrote this file of an array's folder."""
    if not path.is_file() or path.is_symlink():
        return False
    if _TEMPORARY_NAME.fullmatch(path.name):
        return True
    try:
        if path.name == ABOUT:
            return {"format", "n_frames", "settings"} <= read_json(path).keys()
        with open_file(path) as file:
            return file.read(len(SIGN)) == SIGN
    except (OSError, ValueError, AttributeError):
        return False


def _on_disk(folder: Path) -> StoredArray:
    """The array in a folder of a store; `broken` says why it cannot be used."""
    if folder.is_symlink():
        return StoredArray(folder, {}, 0, "it is a link to another folder")
    try:
        about = read_json(folder / ABOUT)
        why = f"it has format {about['format']}; this version reads format {FORMAT}"
        if about["format"] == FORMAT and about["n_frames"] > MOST_FRAMES:
            why = f"its {ABOUT} speaks of more than {MOST_FRAMES} frames"
        elif about["format"] == FORMAT:
            array = Store(folder.parent).array(about["settings"], about["n_frames"])
            if array.key == folder.name:
                return array
            why = f"its {ABOUT} describes another array, {array.key}"
    except OSError as error:
        why = f"its {ABOUT} cannot be read: {_said(error)}"
    except (ValueError, KeyError, TypeError, RecursionError):
        why = f"its {ABOUT} does not describe an array"
    return StoredArray(folder, {}, 0, why)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, CannotWrite) as error:
        fault = _said(error.__cause__ if isinstance(error, CannotWrite) else error)
        raise DepthClipError(
            f"cannot write to {folder}: {fault}: free space or allow writing there, "
            "or set DEPTHCLIP_STORE to another folder"
        ) from error


def _said(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
