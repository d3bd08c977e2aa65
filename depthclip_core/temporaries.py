"""Temporary files beside results: locked while they are written, removed once their writer is dead.

The names beside one result are numbered, so that its next writer finds what a killed one left
without listing the folder. A lock ends with its process, whatever ends that.
"""

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import randbits

try:
    import fcntl
except ImportError:  # Windows: what killed processes leave stays there
    fcntl = None

NAME = re.compile(r"\..+\.([0-9a-f]{8}\.tmp|lock)")
KEPT_OF_NAME = 40  # characters in a temporary name, so that a name that fits never gets too long
WRITERS = 8  # of one file at once, of which all may be killed
# A link is not followed, and a pipe is not waited for.
LOOKING = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def is_temporary(path: Path) -> bool:
    """Whether a file is one that a process is writing, or has left when it was killed."""
    return bool(NAME.fullmatch(path.name))


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """An empty temporary file beside `path`, which is removed unless the block renames it.

    What killed writers of `path` have left is removed. Raises `OSError` where no file can be made.
    """
    for number in range(WRITERS):
        _remove_abandoned(_numbered(path, number))
    part, descriptor = _locked_new(path)
    made = os.fstat(descriptor)
    if fcntl is None:
        os.close(descriptor)  # Windows renames no open file
    try:
        yield part
    finally:
        # Once renamed, its name may be another writer's already.
        if _is_at(made, part):
            with suppress(OSError):
                part.unlink()
        if fcntl is not None:
            os.close(descriptor)


def _locked_new(path: Path) -> tuple[Path, int]:
    """A new temporary file, and the descriptor that holds its lock."""
    for number in itertools.count(0 if fcntl else randbits(31)):
        part = _numbered(path, number)
        descriptor = None
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            if _lock(descriptor) is not False and _is_at(os.fstat(descriptor), part):
                return part, descriptor
        except FileExistsError:
            continue  # another process writes it
        except BaseException:  # a signal
            if descriptor is not None:
                os.close(descriptor)
            _remove_abandoned(part)
            raise
        os.close(descriptor)  # to another process it looked abandoned, before it was locked


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f".{path.name[:KEPT_OF_NAME]}.{number:08x}.tmp")


def _remove_abandoned(part: Path) -> None:
    """Remove a temporary file that no process has locked."""
    with suppress(OSError):  # it does not exist, or is another user's
        descriptor = os.open(part, LOOKING)
        try:
            if _lock(descriptor) and _is_at(os.fstat(descriptor), part):
                part.unlink()
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file; False if another process has locked it, None if it cannot be locked."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _is_at(about: os.stat_result, part: Path) -> bool:
    """Whether a path leads to that file."""
    with suppress(OSError):
        return os.path.samestat(about, os.lstat(part))
    return False
