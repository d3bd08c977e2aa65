"""Files written whole, and what this package remembers of files between runs."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from filelock import FileLock

from depthclip_core.errors import DepthClipError

CHECKSUMS = "depthclip-checksums.json"  # where a store remembers the checksums of files
PATIENCE = 5.0  # seconds to wait for another process that writes notes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    A reader finds the old file or the new one, never half of one. A symbolic link at `path` is
    replaced, not followed.
    """
    part = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()


class Notes:
    """A JSON file of small facts by name, shared by processes.

    It only saves time: notes that cannot be read or written are forgotten without an error.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> dict[str, object]:
        try:
            known = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def add(self, new: dict[str, object]) -> None:
        with suppress(OSError, NotImplementedError):  # a full or read-only disk, one without locks
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=PATIENCE):
                for leftover in self.path.parent.glob(f".{self.path.name}.*.tmp"):
                    leftover.unlink()  # of a killed process, which held this lock
                with replacing(self.path) as part:
                    part.write_text(json.dumps(self.read() | new, indent=1))


def checksums(paths: Sequence[Path], notes: Notes) -> list[str]:
    """sha256 of each file, 64 hex digits; `DepthClipError` for a file that cannot be read.

    notes: where checksums are remembered until a file's size, times or inode differ.
    """
    known, new, digests = notes.read(), {}, []
    for path in paths:
        path = Path(os.path.abspath(Path(path).expanduser()))
        try:
            with open(path, "rb") as file:
                before, entry = _state(file.fileno()), known.get(str(path))
                if not _is_entry(entry) or entry[:-1] != before:
                    entry = [*before, hashlib.file_digest(file, "sha256").hexdigest()]
                    if before == _state(file.fileno()):
                        new[str(path)] = entry
        except OSError as error:
            raise DepthClipError(f"cannot read {path}: {error.strerror or error}") from error
        digests.append(entry[-1])
    if new:
        notes.add(new)
    return digests


def _state(descriptor: int) -> list[int]:
    about = os.fstat(descriptor)
    # Two checkpoints of one model have one size, and copies keep the time of their content.
    return [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]


def _is_entry(entry: object) -> bool:
    return isinstance(entry, list) and [type(value) for value in entry] == [int, int, int, int, str]
