"""Locks between processes: files that vanish when they are let go.

Some file systems have no locks, as Lustre and NFS when mounted so. There nothing is locked, and one
warning says so. All that this package writes is written whole and is the same whoever writes it, so
that without locks only work may be done twice.
"""

import errno
import os
import warnings
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from depthclip_core.errors import Notice

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_folders_without: set[Path] = set()


class Lock:
    """A lock that is held until `let_go`, the end of its block, or the end of the process.

    real: False on a file system without locks, where others may hold the same one. Any thread may
    let it go.
    """

    def __init__(self, lock: FileLock | None):
        self._lock = lock
        self.real = lock is not None

    def let_go(self) -> None:
        """End the lock and remove its file; a second call does nothing."""
        if self._lock and self._lock.is_locked:
            with suppress(OSError):
                os.unlink(self._lock.lock_file)  # held, so that nobody else has it
            self._lock.release()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()


def take(path: Path, wait: float = 0.0) -> Lock | None:
    """The lock at a path, or None if another one holds it for `wait` seconds.

    Raises `OSError` where its file or folder cannot be made.
    """
    folder, opened = Path(os.path.abspath(path.parent)), []
    if folder in _folders_without:
        return Lock(None)
    lock = FileLock(
        path,
        thread_local=False,
        fallback_to_soft=False,  # a killed process would leave a lock that nobody ends
        on_acquired=lambda descriptor: opened.append(os.fstat(descriptor)),
    )
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        _go_without(folder, path)
        return Lock(None)
    # The holder before may have removed the file after it was opened here. filelock asks for links
    # to it, which NFS keeps as long as it is open.
    with suppress(OSError):
        if os.path.samestat(opened[0], os.stat(path)):
            return Lock(lock)
    lock.release()
    return None


def _go_without(folder: Path, path: Path) -> None:
    with suppress(OSError):
        path.unlink()
    if folder not in _folders_without:
        _folders_without.add(folder)
        warnings.warn(
            f"{folder} is on a file system without locks: "
            "processes that use it at the same time may do the same work twice",
            Notice,
            stacklevel=3,
        )
