"""The one place where files are written: whole or not at all; and notes between runs.

Everything that this package writes goes through `write_whole`, `together` or `replacing`.
tests/test_writes.py holds that.
"""

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from depthclip_core.errors import ELSEWHERE, CannotWrite, DepthClipError, cannot_write
from depthclip_core.file_locks import take
from depthclip_core.temporaries import temporary_beside

CHECKSUMS = "depthclip-checksums.json"  # where a store remembers the checksums of files
PATIENCE = 5.0  # seconds to wait for another process that writes notes
TICK = 20_000_000  # nanoseconds: two changes of a file within less may have one time
LONGEST_JSON = 64 * 2**20  # bytes
NOT_WAITING = getattr(os, "O_NONBLOCK", 0)  # a pipe would wait for somebody to write into it

WITHOUT_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def user_path(path: str | Path) -> Path:
    """The path with the user's home for `~`; `DepthClipError` for a user who does not exist."""
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:
        raise DepthClipError(f"{path} starts with the home of an unknown user") from None
    if "\0" in str(expanded):
        raise DepthClipError(f"{str(expanded)!r} cannot be a path: it holds a null character")
    return expanded


def write_whole(path: str | Path, content: bytes | memoryview | str, *, overwrite=True) -> Path:
    """Write a file, text as UTF-8, as `replacing` does; returns its path."""
    with replacing(path, overwrite=overwrite) as part:
        _write(part, content)
    return user_path(path)


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield an empty temporary file beside `path`, and rename it to `path` if the block succeeds.

    For what has to be written to a path, such as a download; all else takes `write_whole`. A reader
    finds the old file or the new one, never half of one. Missing folders are made, and removed if
    the block fails; so are temporary files of `path` that killed processes have left. A symbolic
    link at `path` is replaced, not followed. Nothing is forced to the disk, so a power cut may lose
    the file.

    Raises `CannotWrite` where the block or the renaming cannot write; without `overwrite` also if
    `path` exists, even if it has come into being meanwhile.
    """
    path = user_path(path)
    with _explained(path), _part_of(path) as part:
        yield part
        _place(part, path, overwrite)


@contextmanager
def together(*, overwrite: bool = True) -> Iterator[Callable[[Path, bytes | str], None]]:
    """Yield a function that takes a path and its content: all files appear at the end, or none.

    Errors are those of `replacing`. Killed between two of its last steps, the process leaves the
    first files: each of them is whole.
    """
    parts: dict[Path, Path] = {}
    with ExitStack() as stack:

        def write(path: str | Path, content: bytes | memoryview | str) -> None:
            path = user_path(path)
            with _explained(path):
                parts[path] = stack.enter_context(_part_of(path))
                _write(parts[path], content)

        yield write
        placed: list[Path] = []
        try:
            for path, part in parts.items():
                with _explained(path):
                    _place(part, path, overwrite)
                placed.append(path)
        except BaseException:
            for path in () if overwrite else placed:
                path.unlink()
            raise


def content_of(save: Callable, *args: object, **options: object) -> bytes:
    """What a function such as `figure.savefig` or `np.save` writes, by giving it a file in memory.

    args, options: its arguments after the file.
    """
    file = BytesIO()
    save(file, *args, **options)
    return file.getvalue()


@contextmanager
def claimed(path: str | Path) -> Iterator[None]:
    """Be the only process that writes `path` meanwhile; `CannotWrite` if another one does.

    On a file system without locks nothing is claimed. A claim ends with its process.
    """
    path = user_path(path)
    made = []
    try:
        with _explained(path):
            made = _make_folders(path.parent)
            lock = take(path.with_name(f".{path.name}.lock"))
        if lock is None:
            fault = f"{path} is being written by another process"
            raise CannotWrite(f"{fault}: wait until that ends, or {ELSEWHERE}")
        with lock:
            yield
    finally:
        _remove_empty(made)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder outside of the user's own, removed afterwards; `CannotWrite` if there is none."""
    try:
        folder = TemporaryDirectory(prefix="depthclip-", ignore_cleanup_errors=True)
    except OSError as error:
        fault = f"cannot make a temporary folder: {error.strerror or error}"
        raise CannotWrite(f"{fault}: set TMPDIR to a folder on a disk with space") from None
    with folder as path:
        yield Path(path)


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading; `OSError` if it cannot be read or, like a pipe, is not a file."""
    opened = open(path, "rb", opener=lambda name, flags: os.open(name, flags | NOT_WAITING))
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return opened


def read_json(path: Path) -> object:
    """The content of a JSON file; `ValueError` for whatever is not one, `OSError` if unreadable."""
    with open_file(path) as file:
        content = file.read(LONGEST_JSON + 1)
    if len(content) > LONGEST_JSON:
        raise ValueError(f"{path} is larger than {LONGEST_JSON} bytes")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """An empty temporary file beside `path`, whose folder exists; what is left of it is removed."""
    made = _make_folders(path.parent)
    try:
        with temporary_beside(path) as part:
            yield part
    finally:
        _remove_empty(made)


def _write(part: Path, content: bytes | memoryview | str) -> None:
    with open(part, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _place(part: Path, path: Path, overwrite: bool) -> None:
    """Give a temporary file its own name."""
    if not overwrite:
        try:
            os.link(part, path)  # unlike a renaming, it fails if the name is taken
            return
        except OSError as error:
            if error.errno not in WITHOUT_LINKS:
                raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    os.replace(part, path)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns those that were made, the innermost last."""
    made = []
    for place in reversed([folder, *folder.parents]):
        try:
            if not place.is_dir():
                place.mkdir()
                made.append(place)
        except OSError:
            if not os.path.isdir(place):  # another process may have made it
                _remove_empty(made)
                raise
    return made


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


class Notes:
    """A JSON file of small facts by name, shared by processes.

    It only saves time: notes that cannot be read or written are forgotten without an error.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[str, object]:
        try:
            known = read_json(self.path)
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def add(self, new: dict[str, object]) -> None:
        with suppress(OSError, CannotWrite):  # a full or read-only disk
            _make_folders(self.path.parent)
            lock = take(self.path.with_suffix(".lock"), wait=PATIENCE)
            if lock is None:
                return
            with lock:
                write_whole(self.path, json.dumps(self.read() | new, indent=1))


def checksums(paths: Sequence[Path], notes: Notes) -> list[str]:
    """sha256 of each file, 64 hex digits; `DepthClipError` for a file that cannot be read.

    notes: where checksums are remembered until a file's size, times or inode differ.
    """
    known, new, digests = notes.read(), {}, []
    for path in paths:
        path = Path(os.path.abspath(Path(path).expanduser()))
        try:
            with open(path, "rb") as file:
                before, entry = settled_state(file.fileno()), known.get(str(path))
                if not _is_entry(entry) or entry[:-1] != before:
                    entry = [*before, hashlib.file_digest(file, "sha256").hexdigest()]
                    if before == settled_state(file.fileno(), wait=False):
                        new[str(path)] = entry
        except OSError as error:
            raise DepthClipError(f"cannot read {path}: {error.strerror or error}") from error
        digests.append(entry[-1])
    if new:
        notes.add(new)
    return digests


def settled_state(file: Path | int, *, wait: bool = True) -> list[int] | None:
    """What tells a file, by path or descriptor, from what it is after a change; None if absent.

    wait: let a moment pass after a change, so that the next one cannot have the same time.
    """
    try:
        about = os.stat(file)
        if wait and 0 <= time.time_ns() - about.st_ctime_ns < TICK:
            time.sleep(TICK / 1e9)
            about = os.stat(file)
    except OSError:
        return None
    # Two checkpoints of one model have one size, and copies keep the time of their content.
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]


def _is_entry(entry: object) -> bool:
    return isinstance(entry, list) and [type(value) for value in entry] == [int, int, int, int, str]
