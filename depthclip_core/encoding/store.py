"""What network passes yield, kept on disk: arrays of frames in parts, each of them whole."""

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from filelock import FileLock, Timeout

from depthclip_core.errors import DepthClipError
from depthclip_core.files import replacing
from depthclip_core.settings import store_folder

PART = 16  # frames: of ViT-L/14 and three heads 340 MB
FORMAT = 1  # part of every address: a later format never meets files of this one
PATIENCE = 1800.0  # seconds: a part of the slowest network on the slowest CPU takes less
SEAL = 512  # bytes ahead of HDF5's own, its "user block": a part's checksum
ABOUT, CHECKSUMS = "array.json", "depthclip-checksums.json"
SIGN = b"DepthCLIP store"  # how a part begins
_ADDRESS = re.compile(r"[0-9a-f]{16}")
_TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_OWN_NAME = re.compile(rf"array\.json|part-\d{{5,}}\.h5|{_TEMPORARY_NAME.pattern}")


class AbsentPart(DepthClipError, FileNotFoundError):
    """The part is not in the store: not made yet, or removed."""


class DamagedPart(DepthClipError):
    """The part's file does not hold what was written: it has to be made again."""


class Store:
    """A folder of arrays, each addressed by the settings that it depends on.

    folder: None is store/ in the data folder. Nothing is made on disk before something is written.
    """

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder).expanduser() if folder else store_folder()

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

    def array(self, settings: Mapping[str, object], n_frames: int) -> "StoredArray":
        """The array of these settings, on disk or not; its first axis is n_frames frames.

        settings: text, numbers, bools, None, and lists and mappings of them; tuples become lists.
        Raises `DepthClipError` for anything else.
        """
        if isinstance(n_frames, bool) or not hasattr(n_frames, "__index__") or n_frames < 0:
            raise DepthClipError(f"n_frames must be a whole number from 0, got {n_frames!r}")
        if not isinstance(settings, Mapping):
            raise DepthClipError(f"settings must be a mapping, got {settings!r}")
        plain = _plain(settings, "settings")
        return StoredArray(self.folder / _address(plain), plain, int(n_frames))

    def arrays(self) -> list["StoredArray"]:
        """Those on disk, the last used first; what cannot be understood is among them, `broken`."""
        try:
            folders = [entry for entry in self.folder.iterdir() if _ADDRESS.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DepthClipError(f"cannot read the store {self.folder}: {_said(error)}") from error
        found = [_on_disk(folder) for folder in folders if folder.is_dir()]
        return sorted(found, key=lambda array: array.last_used, reverse=True)

    def checksum(self, path: Path) -> str:
        """sha256 of a file, 64 hex digits; remembered until its size or time of change differs."""
        return self.checksums([path])[0]

    def checksums(self, paths: Sequence[Path]) -> list[str]:
        """sha256 of each file, as `checksum`; what is remembered is read and written once."""
        known, new, digests = self._checksums(), {}, []
        for path in paths:
            path = Path(os.path.abspath(Path(path).expanduser()))
            try:
                with open(path, "rb") as file:
                    before = os.fstat(file.fileno())
                    entry = known.get(str(path), [])
                    if entry[:2] != [before.st_size, before.st_mtime_ns]:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                        after = os.fstat(file.fileno())
                        entry = [before.st_size, before.st_mtime_ns, digest]
                        if entry[:2] == [after.st_size, after.st_mtime_ns]:
                            new[str(path)] = entry
            except OSError as error:
                raise DepthClipError(f"cannot read {path}: {_said(error)}") from error
            digests.append(entry[2])
        if new:  # only a convenience: in a folder that cannot be written, computed every time
            with suppress(DepthClipError, OSError):
                self._remember(new)
        return digests

    def _checksums(self) -> dict:
        try:
            known = json.loads((self.folder / CHECKSUMS).read_bytes())
        except (OSError, ValueError):
            return {}
        whole = isinstance(known, dict) and all(
            isinstance(entry, list) and [type(value) for value in entry] == [int, int, str]
            for entry in known.values()
        )
        return known if whole else {}

    def _remember(self, new: dict[str, list]) -> None:
        with _locked(self.folder / "depthclip-checksums.lock", None, patience=5):
            for leftover in self.folder.glob(f".{CHECKSUMS}.*.tmp"):
                leftover.unlink()  # whoever wrote it held this lock, and was killed
            known = self._checksums() | new
            _write_whole(self.folder / CHECKSUMS, json.dumps(known, indent=1).encode())


@dataclass(frozen=True)
class StoredArray:
    """An array (n_frames, ...) of a store, in parts of `PART` consecutive frames.

    folder: of its files, named by the address. settings: what it depends on. broken: why a folder
    that was found in the store cannot be used, else None. `Store` makes these.
    """

    folder: Path
    settings: dict
    n_frames: int
    broken: str | None = None

    @property
    def address(self) -> str:
        """16 hex digits that stand for the settings."""
        return self.folder.name

    @property
    def n_parts(self) -> int:
        return math.ceil(self.n_frames / PART)

    def frames_of(self, part: int) -> range:
        """The frames of a part; the last part may be shorter than `PART`."""
        if not 0 <= part < self.n_parts:
            raise DepthClipError(
                f"no part {part} in {self.folder}: {self.n_frames} frames make {self.n_parts} parts"
            )
        return range(part * PART, min((part + 1) * PART, self.n_frames))

    def path(self, part: int) -> Path:
        """The file of a part, there or not."""
        return self.folder / f"part-{part:05d}.h5"

    def missing(self) -> list[int]:
        """The parts that are not there; those that are there are not looked into."""
        names = {path.name for path in self._files()}
        return [part for part in range(self.n_parts) if self.path(part).name not in names]

    @property
    def complete(self) -> bool:
        return not self.missing()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        size = 0
        for path in self._files():
            with suppress(FileNotFoundError):  # renamed or removed meanwhile
                size += path.stat().st_size
        return size

    @property
    def last_used(self) -> float:
        """When it was last read or written, in seconds since 1970; 0 where it is not on disk."""
        for path in (self.folder / ABOUT, self.folder):
            with suppress(OSError):
                return path.stat().st_mtime
        return 0.0

    def write(self, part: int, values: np.ndarray, **provenance: str) -> None:
        """One part, all of it or nothing: values (len(frames_of(part)), ...), numbers.

        provenance: what made it (device, versions ...), kept in the file, no part of the address.
        Hold the `lock`, so that nobody makes the same part. Raises `DepthClipError` for another
        length, and where the disk is full or cannot be written.
        """
        frames, values = self.frames_of(part), np.asarray(values, order="C")
        if values.dtype.kind not in "biufc":
            raise DepthClipError(f"values of a stored array must be numbers, got {values.dtype}")
        if values.shape[:1] != (len(frames),):
            raise DepthClipError(
                f"part {part} of {self.folder} has {len(frames)} frames, "
                f"got values of shape {values.shape}"
            )
        with _writing(self.folder):
            try:
                self._describe()
                _write_whole(self.path(part), self._packed(frames, values, provenance))
            except BaseException:
                with suppress(OSError):
                    self.folder.rmdir()  # only if empty: not even its description was written
                raise
        self._mark_used()

    def read(self, part: int) -> np.ndarray:
        """One part as it was written, (len(frames_of(part)), ...), proved by its checksum.

        Raises `AbsentPart` (a FileNotFoundError too) or `DamagedPart`, both `DepthClipError`.
        """
        values = self._verified(part)
        self._mark_used()
        return values

    def check(self, part: int) -> None:
        """Raise as `read` would; does not count as a use of the array."""
        self._verified(part)

    def discard(self, part: int) -> None:
        """Remove a part, there or not."""
        with _writing(self.folder):
            self.path(part).unlink(missing_ok=True)

    def temporaries(self) -> list[Path]:
        """Files under a temporary name: being written now, or left by a killed run."""
        return [path for path in self._files() if _TEMPORARY_NAME.fullmatch(path.name)]

    def discard_temporaries(self) -> None:
        """Remove them; hold the `lock`, so that none is being written."""
        with _writing(self.folder):
            for path in self.temporaries():
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the whole array; hold the `lock`.

        Raises `DepthClipError`, and removes nothing, where the folder holds files of another kind.
        """
        files = self._files()
        others = [path.name for path in files if not _OWN_NAME.fullmatch(path.name)]
        if others:
            raise DepthClipError(f"{self.folder} holds {others[0]}, not of the store: move it away")
        if files and not any(map(_signed, files)):
            raise DepthClipError(f"{self.folder} is not of the store: move it away")
        with _writing(self.folder):
            for path in files:
                path.unlink(missing_ok=True)
            self.folder.rmdir()

    @contextmanager
    def lock(
        self, waiting: Callable[[], None] | None = None, patience: float = PATIENCE
    ) -> Iterator[None]:
        """While it is held, no other process or thread holds it; it ends with its process.

        waiting: called once where another holds it, before waiting; may raise, to give up.
        patience: seconds without any change in the array's folder after which waiting ends with a
        `DepthClipError`.
        """
        path = self.folder.with_name(f"{self.address}.lock")
        with _locked(path, waiting, patience, lambda: sorted(p.name for p in self._files())):
            try:
                yield
            finally:
                if not self.folder.exists():
                    with suppress(OSError):
                        path.unlink()

    def _files(self) -> list[Path]:
        try:
            return list(self.folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DepthClipError(f"cannot read {self.folder}: {_said(error)}") from error

    def _describe(self) -> None:
        about = {"format": FORMAT, "n_frames": self.n_frames, "settings": self.settings}
        content = json.dumps(about, indent=1, sort_keys=True).encode()
        with suppress(OSError):
            if (self.folder / ABOUT).read_bytes() == content:
                return
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_whole(self.folder / ABOUT, content)

    def _packed(self, frames: range, values: np.ndarray, provenance: Mapping) -> memoryview:
        """A part as a sealed HDF5 file in memory: HDF5 itself does not recover from a full disk."""
        packed = BytesIO()
        with h5py.File(packed, "w", userblock_size=SEAL) as file:
            file.attrs.update({name: str(value) for name, value in provenance.items()})
            stored = file.create_dataset("values", data=values)
            stored.attrs["address"], stored.attrs["first"] = self.address, frames.start
        content = packed.getbuffer()
        content[:SEAL] = _seal(hashlib.sha256(content[SEAL:]).hexdigest())
        return content

    def _verified(self, part: int) -> np.ndarray:
        frames, path = self.frames_of(part), self.path(part)
        try:
            # One open file throughout: whoever replaces or removes the part leaves this one whole.
            with open(path, "rb") as raw:
                # All of it is verified before HDF5, which may hang on a damaged header, sees it.
                seal = raw.read(SEAL)
                if seal != _seal(hashlib.file_digest(raw, "sha256").hexdigest()):
                    raise ValueError("its content does not match its checksum")
                with h5py.File(raw, "r") as file:
                    stored = file["values"]
                    for name, value in {"address": self.address, "first": frames.start}.items():
                        if stored.attrs[name] != value:
                            raise ValueError(f"its {name} is {stored.attrs[name]}, not {value}")
                    if len(stored) != len(frames):
                        raise ValueError(f"it has {len(stored)} frames, not {len(frames)}")
                    return stored[()]
        except FileNotFoundError:
            raise AbsentPart(f"no {path.name} in {self.folder}: it has to be made first") from None
        except PermissionError as error:
            raise DepthClipError(f"cannot read {path}: {_said(error)}") from error
        except MemoryError:
            raise
        except Exception as error:  # h5py raises many kinds
            raise DamagedPart(
                f"{path} is damaged, it has to be made again: {_said(error)}"
            ) from error

    def _mark_used(self) -> None:
        with suppress(OSError):
            os.utime(self.folder / ABOUT)


def _plain(value: object, where: str) -> object:
    """The value as JSON holds it; `DepthClipError` where JSON would lose something of it."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DepthClipError(f"{where}: names must be text, got {key!r}")
        return {str(key): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind) and value == value and value not in (math.inf, -math.inf):
            return kind(value)
    raise DepthClipError(
        f"{where} is {value!r}: settings of a stored array are text, finite numbers, bools, None, "
        "and lists and mappings of them"
    )


def _address(settings: dict) -> str:
    canonical = json.dumps([FORMAT, PART, settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _seal(sha256: str) -> bytes:
    return f"{SIGN.decode()}, sha256 of what follows {SEAL} bytes: {sha256}\n".encode().ljust(SEAL)


def _signed(path: Path) -> bool:
    """Whether a file of an array's folder shows that the store has written it."""
    if _TEMPORARY_NAME.fullmatch(path.name):
        return True
    try:
        if path.name == ABOUT:
            return {"format", "n_frames", "settings"} <= json.loads(path.read_bytes()).keys()
        with open(path, "rb") as file:
            return file.read(len(SIGN)) == SIGN
    except (OSError, ValueError, AttributeError):
        return False


def _on_disk(folder: Path) -> StoredArray:
    """The array of a folder in a store; one that cannot be used says why."""
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        if about["format"] != FORMAT:
            why = f"it is of format {about['format']}, this version reads format {FORMAT}"
            return StoredArray(folder, {}, 0, why)
        array = Store(folder.parent).array(about["settings"], about["n_frames"])
    except OSError as error:
        return StoredArray(folder, {}, 0, f"its {ABOUT} cannot be read: {_said(error)}")
    except (ValueError, KeyError, TypeError):
        return StoredArray(folder, {}, 0, f"its {ABOUT} does not describe an array")
    if array.address != folder.name:
        return StoredArray(folder, {}, 0, f"its {ABOUT} describes another array, {array.address}")
    return array


def _write_whole(path: Path, content: bytes | memoryview) -> None:
    """A file at once: whoever reads finds the old one or the new, never half of one.

    Not forced to the disk: what a power cut leaves, checksums find.
    """
    with replacing(path) as part, open(part, "xb") as file:
        file.write(content)


@contextmanager
def _locked(
    path: Path,
    waiting: Callable[[], None] | None,
    patience: float,
    state: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Hold a lock. Waiting for it ends once `state` has not changed for `patience` seconds."""
    lock = FileLock(path)
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            lock.acquire(timeout=0)
    if not lock.is_locked:
        if waiting:
            waiting()
        seen, since = state(), time.monotonic()
        while not lock.is_locked:
            with _writing(path.parent), suppress(Timeout):
                lock.acquire(timeout=min(1.0, patience))
            if (now := state()) != seen:
                seen, since = now, time.monotonic()
            if not lock.is_locked and time.monotonic() - since >= patience:
                raise DepthClipError(
                    f"{path} is held by another process, which has written nothing for "
                    f"{patience:.0f} s: end that process, or set DEPTHCLIP_STORE to another folder"
                )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DepthClipError(
            f"cannot write to {folder}: {_said(error)}: free space or allow writing there, "
            "or set DEPTHCLIP_STORE to another folder"
        ) from error


def _said(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
