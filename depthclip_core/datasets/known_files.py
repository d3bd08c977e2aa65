"""Files whose checksums are known: whether they are still the same when frames are read from them.

A store keeps what a network made of a file under the file's checksum, so that a file which is
replaced between the two must not be taken for the one before.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from depthclip_core.datasets.incoming import open_file
from depthclip_core.errors import DepthClipError
from depthclip_core.files import settled_state

State = list[int] | None  # size, times and inode; None for a file that is not there


class KnownFiles:
    """Checksums of a data set's files, and the state that each file had before it was read.

    opened: files that the data set keeps open, or in memory, from now on.
    """

    def __init__(self, opened: Sequence[Path] = ()):
        self._opened: dict[Path, State] = {path: settled_state(path) for path in opened}
        self._known: dict[Path, tuple[State, str]] = {}

    def checksums(
        self, files: Sequence[Path], compute: Callable[[Sequence[Path]], list[str]]
    ) -> list[str]:
        """sha256 of each file as `compute` gives it, which is remembered with the file's state.

        Raises `DepthClipError` for a file that is not the one that was opened.
        """
        states = [settled_state(path) for path in files]
        for path, state in zip(files, states, strict=True):
            if self._opened.get(path, state) != state:
                raise DepthClipError(f"{path} has changed since it was opened: open it again")
        digests = compute(files)
        self._known |= zip(files, zip(states, digests, strict=True), strict=True)
        return digests

    def unchanged(self, files: Sequence[Path]) -> bool:
        """Whether files are as they were before their checksums were taken, if these are known."""
        known = ((path, self._known[path][0]) for path in files if path in self._known)
        return all(settled_state(path, wait=False) == state for path, state in known)

    def check(self, files: Sequence[Path]) -> None:
        """Compare checksums anew, because a file may have been touched, moved or copied.

        Raises `DepthClipError` for a file of another content.
        """
        for path in files:
            if path in self._known:
                state, digest = settled_state(path), self._known[path][1]
                with open_file(path) as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                        raise changed(path)
                self._known[path] = state, digest


def changed(path: Path | str) -> DepthClipError:
    """The error for a file that is not what it was."""
    return DepthClipError(f"{path} has changed while it was used: run again")
