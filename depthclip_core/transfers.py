"""Frames to a GPU and results back while it computes: pinned memory, and streams of their own.

On a CPU nothing is copied, and the same calls hand tensors through.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Item = TypeVar("Item")


def upload(tensor: Tensor, device: torch.device) -> Callable[[], Tensor]:
    """Start to copy a tensor to a device; what is returned gives it there, ready for use.

    Where a GPU's memory is too small for it, the tensor itself is given.
    """
    if device.type != "cuda":
        return lambda: tensor
    stream = _side_stream(device, "up")
    try:
        with torch.cuda.stream(stream):
            there = tensor.pin_memory().to(device, non_blocking=True)
    except torch.OutOfMemoryError:
        return lambda: tensor
    copied = stream.record_event()

    def ready() -> Tensor:
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)
        there.record_stream(current)  # its memory is not given away before this stream is done
        return there

    return ready


def download(tensors: Sequence[Tensor]) -> Callable[[], list[np.ndarray]]:
    """Start to copy tensors to memory; what is returned waits, and gives them as arrays."""
    device = tensors[0].device
    if device.type != "cuda":
        return lambda: [tensor.numpy(force=True) for tensor in tensors]
    stream = _side_stream(device, "down")
    stream.wait_stream(torch.cuda.current_stream(device))
    here = []
    with torch.cuda.stream(stream):
        for tensor in tensors:
            pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            here.append(pinned.copy_(tensor, non_blocking=True))
            tensor.record_stream(stream)
    copied = stream.record_event()

    def wait() -> list[np.ndarray]:
        copied.synchronize()
        return [tensor.numpy(force=True) for tensor in here]

    return wait


def ahead(items: Iterable[Item], n: int) -> Iterator[Item]:
    """The same items, of which the next n have been asked for before one is handed out."""
    waiting = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > n:
            yield waiting.popleft()
    yield from waiting


@cache
def _side_stream(device: torch.device, direction: str) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
