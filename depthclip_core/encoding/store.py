"""The store: arrays on disk, frame by frame in chunks that are never half-written.

Who writes a chunk holds its lock: see `locks`.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthclip_core.encoding.chunk_files import is_chunk, packed, unpacked
from depthclip_core.encoding.folders import names, said, sizes, writing
from depthclip_core.encoding.keys import FORMAT, key_of, plain
from depthclip_core.errors import DepthClipError
from depthclip_core.files import (
    CHECKSUMS,
    Notes,
    checksums,
    open_file,
    read_json,
    write_whole,
)
from depthclip_core.settings import store_folder

CHUNK = 16  # frames: 340 MB for three heads of ViT-L/14
MOST_FRAMES = 10**12
ABOUT = "array.json"
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
        kept = plain(settings, "settings")
        return StoredArray(self.folder / key_of(kept, CHUNK), kept, int(n_frames))

    def arrays(self) -> list["StoredArray"]:
        """The arrays on disk, last used first; those that cannot be read are marked `broken`.

        A link to a folder is broken too: what it leads to is not this store's to remove.
        """
        folders = [self.folder / name for name in names(self.folder) if _KEY.fullmatch(name)]
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
        return self._chunks_of(names(self.folder))

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

    def contents(self) -> tuple[list[int], int]:
        """The chunks with a file, and the bytes on disk, from one look at the folder.

        What links lead to is not counted.
        """
        found = {} if self.folder.is_symlink() else dict(sizes(self.folder))
        return self._chunks_of(found), sum(found.values())

    @property
    def size(self) -> int:
        """Bytes on disk, as in `contents`."""
        return self.contents()[1]

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
                content = packed(values, self.key, frames.start, provenance)
                write_whole(self.path(chunk), content)
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
            with open_file(path) as file:
                return unpacked(file, self.key, frames)
        except FileNotFoundError:
            raise AbsentChunk(f"{self.folder} has no {path.name}") from None
        except PermissionError as error:
            raise DepthClipError(f"cannot read {path}: {said(error)}") from error
        except MemoryError:
            raise
        except Exception as error:  # h5py raises many kinds
            raise DamagedChunk(f"{path} is damaged: {said(error)}") from error

    def discard(self, chunk: int) -> None:
        """Remove a chunk if it exists."""
        with writing(self.folder):
            self.path(chunk).unlink(missing_ok=True)

    def temporaries(self) -> list[Path]:
        """Files under a temporary name: being written, or left by a killed run."""
        found = [name for name in names(self.folder) if _TEMPORARY_NAME.fullmatch(name)]
        return [self.folder / name for name in found]

    def discard_temporaries(self) -> None:
        """Remove the temporaries; call it within `hold_whole`, so that none is being written."""
        with writing(self.folder):
            for path in self.temporaries():
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the whole array; call it within `hold_whole`.

        Of a link, only the link itself. Raises `DepthClipError` and removes nothing if the folder
        holds anybody else's files.
        """
        if self.folder.is_symlink():
            with writing(self.folder):
                self.folder.unlink()
            return
        files = names(self.folder)
        if others := [name for name in files if not _OWN_NAME.fullmatch(name)]:
            fault = f"holds {others[0]}, which is not the store's"
            raise DepthClipError(f"{self.folder} {fault}: move it away")
        if files and not any(_signed(self.folder / name) for name in files):
            raise DepthClipError(f"{self.folder} is not the store's: move it away")
        with writing(self.folder):
            for name in files:
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()

    def _describe(self) -> None:
        about = {"format": FORMAT, "n_frames": self.n_frames, "settings": self.settings}
        content = json.dumps(about, indent=1, sort_keys=True).encode()
        with suppress(OSError):
            if (self.folder / ABOUT).read_bytes() == content:
                return
        write_whole(self.folder / ABOUT, content)

    def _chunks_of(self, names: Iterable[str]) -> list[int]:
        found = map(_CHUNK_NAME.fullmatch, names)
        chunks = {int(one[1]) for one in found if one}
        return sorted(chunk for chunk in chunks if chunk < self.n_chunks)

    def _mark_used(self) -> None:
        with suppress(OSError):
            os.utime(self.folder / ABOUT)


def _signed(path: Path) -> bool:
    """Whether the store wrote this file of an array's folder."""
    if not path.is_file() or path.is_symlink():
        return False
    if _TEMPORARY_NAME.fullmatch(path.name):
        return True
    try:
        if path.name == ABOUT:
            return {"format", "n_frames", "settings"} <= read_json(path).keys()
        return is_chunk(path)
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
        why = f"its {ABOUT} cannot be read: {said(error)}"
    except (ValueError, KeyError, TypeError, RecursionError):
        why = f"its {ABOUT} does not describe an array"
    return StoredArray(folder, {}, 0, why)
