"""Frames read in the background, so that the network does not wait for the disk."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from depthclip_core.cores import usable_cores

Item, Read = TypeVar("Item"), TypeVar("Read")


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item], workers: int = 1
) -> Iterator[Read]:
    """Yield read(item) of each item, in order; threads read a few items ahead.

    At most workers + 1 results wait at a time. What `read` raises is raised here, in its turn.
    """
    pool, waiting = ThreadPoolExecutor(workers, thread_name_prefix="read"), deque()
    try:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when the reader of these results stops early
        pool.shutdown(cancel_futures=True)


def reading_threads(device_type: str) -> int:
    """One thread beside a network on the CPU; up to eight for a GPU, which decoding would stall."""
    return 1 if device_type == "cpu" else min(8, usable_cores())
