"""Frames read in the background, so that no network waits for a disk."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from depthclip_core.errors import DepthClipError
from depthclip_core.frames import Frame

Item, Read = TypeVar("Item"), TypeVar("Read")


def read_ahead(
    read: Callable[[Item], Read], items: Iterable[Item], workers: int = 1
) -> Iterator[Read]:
    """read(item) of each item, in order; a few are read in threads before they are asked for.

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
    """One thread beside a network on the CPU; up to eight before a GPU, for decoding takes time."""
    return 1 if device_type == "cpu" else min(8, os.cpu_count() or 1)


def read_rgb(frames: Sequence[Frame], positions: Sequence[int]) -> np.ndarray:
    """RGB of some frames, uint8 (B, H, W, 3); `DepthClipError` where their sizes differ."""
    pictures = [_rgb(frames, position) for position in positions]
    for position, picture in zip(positions, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            sizes = [" x ".join(map(str, p.shape[:2])) for p in (picture, pictures[0])]
            raise DepthClipError(
                f"frame {position} has {sizes[0]} pixels and others {sizes[1]}: frames that are "
                "encoded together must be of one size"
            )
    return np.stack(pictures)


def read_truth(frames: Sequence[Frame], position: int) -> np.ndarray:
    """What a frame is scored against: raw depth, holes 0; `DepthClipError` where it has none."""
    if hasattr(frames, "raw_depth"):
        return frames.raw_depth(position)
    frame = frames[position]
    if frame.raw_depth is None:
        raise DepthClipError(f"{frame.name} has no depth to be scored against")
    return frame.raw_depth


def identity(frames: Sequence[Frame], checksums: Callable[[Sequence[Path]], list[str]]) -> dict:
    """What the RGB of a data set depends on: its files' checksums, else the pictures themselves."""
    if hasattr(frames, "identity"):
        return frames.identity(checksums)
    digest = hashlib.sha256()
    for position in range(len(frames)):
        picture = np.ascontiguousarray(_rgb(frames, position))
        digest.update(f"{picture.shape}".encode())
        digest.update(picture)
    return {"title": f"{len(frames)} frames", "pixels": digest.hexdigest()}


def _rgb(frames: Sequence[Frame], position: int) -> np.ndarray:
    return frames.rgb(position) if hasattr(frames, "rgb") else frames[position].rgb
