"""Frames read in the background, so that the network does not wait for the disk."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.errors import DepthClipError

Item, Read = TypeVar("Item"), TypeVar("Read")


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item], workers: int = 1
) -> Iterator[Read]:
    """Yield read(item) of each item, in order; threads read a few items ahead.

    At most workers + 1 results wait at a time. What `read` raises is raised here, in its turn.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="read") as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also when the reader of these results stops early
            for task in waiting:
                task.cancel()


def reading_threads(device_type: str) -> int:
    """One thread beside a network on the CPU; up to eight for a GPU, which decoding would stall."""
    return 1 if device_type == "cpu" else min(8, os.cpu_count() or 1)


def read_rgb(frames: Sequence[Frame], positions: Sequence[int]) -> np.ndarray:
    """RGB of some frames, uint8 (B, H, W, 3); `DepthClipError` where their sizes differ."""
    frames = as_dataset(frames)
    pictures = [frames.rgb(position) for position in positions]
    for position, picture in zip(positions, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            sizes = [" x ".join(map(str, p.shape[:2])) for p in (picture, pictures[0])]
            raise DepthClipError(
                f"frame {position} has {sizes[0]} pixels and others {sizes[1]}: frames that are "
                "encoded together must have one size"
            )
    return np.stack(pictures)
