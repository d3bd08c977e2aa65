"""Who makes which chunk: a lock for each, so that processes share the work on an array.

The lock of chunk 12 is KEY-00012.lock beside the array's folder; KEY.lock is that of the whole
array, taken to remove it. Nobody waits for a lock of an array while holding one of it.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer

from depthclip_core.encoding.folders import names, writing
from depthclip_core.encoding.store import StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.file_locks import Lock, take

PATIENCE = 1800.0  # seconds: the slowest network makes a chunk in less on the slowest CPU
SILENCE = 60.0  # seconds of waiting before a run without progress bars says that it waits
PAUSES = (0.02, 1.0)  # seconds between two looks at what others hold: the first, and the longest


class InUse(DepthClipError):
    """Another process holds the array, or one of its chunks."""


class Claim:
    """A chunk that nobody else makes until it is let go.

    arrays: those that lack it, of the ones that it was claimed for.
    """

    def __init__(self, chunk: int, arrays: Sequence[StoredArray], locks: ExitStack):
        self.chunk, self.arrays, self._locks = chunk, arrays, locks
        self.held = True

    def let_go(self) -> None:
        """End the claim; a second call does nothing. Any thread may call it."""
        self.held = False
        self._locks.close()


def claim(arrays: Sequence[StoredArray], chunk: int) -> Claim | None:
    """A chunk of those arrays that lack it; None if another process holds it in one of them.

    Raises `DepthClipError` where a lock cannot be made.
    """
    with ExitStack() as locks:
        for array in sorted(_lacking(arrays, chunk), key=lambda array: array.key):
            lock = _chunk_lock(array, chunk)
            if lock is None:
                return None
            locks.enter_context(lock)
        # Looked up again, because the holder before may have written it.
        lacking = _lacking(arrays, chunk)
        return Claim(chunk, lacking, locks.pop_all())


def share(
    arrays: Sequence[StoredArray],
    chunks: Iterable[int],
    make: Callable[[Iterator[Claim]], None],
    *,
    progress: bool = False,
    found: Callable[[int], object] = lambda chunk: None,
    patience: float = PATIENCE,
) -> None:
    """Have `make` make the chunks that an array lacks, while other processes make others.

    make: takes claims one by one, and lets each go once its chunk is written. It is called again,
    after waiting, for chunks that others held. found: called with each chunk that turns out to be
    there. progress: say at once that this process waits. patience: seconds without a change in the
    arrays' folders after which waiting ends with a `DepthClipError`.
    """
    left = list(chunks)
    while left:
        claims = _Claims(arrays, left, found)
        try:
            make(iter(claims))
        finally:
            claims.let_go()
        if left := claims.held_by_others:
            with _announced(progress):
                _wait(lambda left=left: _any_free(arrays, left), arrays, left[0], patience)


@contextmanager
def hold(
    array: StoredArray, chunk: int, *, progress: bool = False, patience: float = PATIENCE
) -> Iterator[None]:
    """Hold one chunk, whether it is there or not; waits for another holder as `share` does."""
    locks = []

    def taken() -> bool:
        lock = _chunk_lock(array, chunk)
        locks.extend([lock] if lock else [])
        return bool(locks)

    if not taken():
        with _announced(progress):
            _wait(taken, [array], chunk, patience)
    with locks[0]:
        yield


@contextmanager
def hold_whole(array: StoredArray) -> Iterator[None]:
    """Hold a whole array; `InUse` if another process holds it or one of its chunks.

    On a file system without locks, an array that was written to lately counts as held.
    """
    with ExitStack() as stack:

        def take_or_raise(path: Path) -> None:
            lock = _taken(array, path)
            if lock is None:
                raise InUse("another process uses it")
            stack.enter_context(lock)
            if not lock.real and time.time() - _changed([array])[0] / 1e9 < PATIENCE:
                recent = f"it was written to in the last {PATIENCE / 60:.0f} minutes"
                raise InUse(f"{recent}, and without locks nobody knows whether it still is")

        take_or_raise(_path(array))
        # Only now: whoever claims a chunk from here on sees the lock of the whole array.
        for name in names(array.folder.parent):
            if name.startswith(f"{array.key}-") and name.endswith(".lock"):
                take_or_raise(array.folder.with_name(name))
        yield


class _Claims:
    """The claims of one round; what others hold is passed over and noted in `held_by_others`."""

    def __init__(
        self, arrays: Sequence[StoredArray], chunks: Iterable[int], found: Callable[[int], object]
    ):
        self._arrays, self._chunks, self._found = arrays, chunks, found
        self._claims: list[Claim] = []
        self.held_by_others: list[int] = []

    def __iter__(self) -> Iterator[Claim]:
        for chunk in self._chunks:
            made = claim(self._arrays, chunk)
            if made is None:
                self.held_by_others.append(chunk)
            elif not made.arrays:
                made.let_go()
                self._found(chunk)
            else:
                self._claims = [one for one in self._claims if one.held] + [made]
                yield made

    def let_go(self) -> None:
        for one in self._claims:
            one.let_go()


def _lacking(arrays: Sequence[StoredArray], chunk: int) -> list[StoredArray]:
    return [array for array in arrays if not array.has(chunk)]


def _any_free(arrays: Sequence[StoredArray], chunks: Sequence[int]) -> bool:
    for chunk in chunks:
        if made := claim(arrays, chunk):
            made.let_go()
            return True
    return False


def _chunk_lock(array: StoredArray, chunk: int) -> Lock | None:
    """The lock of one chunk, unless another process holds that or the whole array."""
    with ExitStack() as stack:
        lock = _taken(array, _path(array, chunk))
        if lock is None:
            return None
        stack.enter_context(lock)
        if os.path.lexists(whole := _path(array)):
            of_array = _taken(array, whole)
            if of_array is None:
                return None
            of_array.let_go()  # left by a killed process
        stack.pop_all()
        return lock


def _taken(array: StoredArray, path: Path) -> Lock | None:
    with writing(array.folder.parent):
        return take(path)


def _path(array: StoredArray, chunk: int | None = None) -> Path:
    """The file of a chunk's lock, or of the whole array's."""
    of_chunk = "" if chunk is None else f"-{chunk:05d}"
    return array.folder.with_name(f"{array.key}{of_chunk}.lock")


def _wait(
    free: Callable[[], bool], arrays: Sequence[StoredArray], chunk: int, patience: float
) -> None:
    """Look again and again until `free()`; chunk: one that another process holds, for the error."""
    pause, longest = PAUSES
    seen, since = _changed(arrays), time.monotonic()
    while not free():
        if (now := _changed(arrays)) != seen:
            seen, since = now, time.monotonic()
        left = patience - (time.monotonic() - since)
        if left <= 0:
            fault = f"another process holds {_path(arrays[0], chunk)} and has written nothing for"
            advice = "end that process, or set DEPTHCLIP_STORE to another folder"
            raise DepthClipError(f"{fault} {patience:.0f} s: {advice}")
        time.sleep(min(pause, left))
        pause = min(2 * pause, longest)


def _changed(arrays: Sequence[StoredArray]) -> list[int]:
    """When something was last written to each array's folder, in nanoseconds."""
    times = []
    for array in arrays:
        try:
            times.append(array.folder.stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return times


@contextmanager
def _announced(at_once: bool) -> Iterator[None]:
    """Say that this process waits, at once or when it takes long.

    Notebook tests compare stderr, so runs without progress bars stay silent for a while.
    """
    says = "waiting: another process encodes the same frames"
    alarm = Timer(0 if at_once else SILENCE, print, [says], {"file": sys.stderr})
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
