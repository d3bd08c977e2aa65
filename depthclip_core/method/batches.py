"""Frames through the network in as large batches as memory holds, the next ones read meanwhile."""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from depthclip_core.clip.encoders import Encoder
from depthclip_core.errors import DepthClipError
from depthclip_core.transfers import ahead, download, upload

BATCH = 16  # frames: the most that go through the network together

# Bytes of a GPU's memory for a pixel of a view, with cuDNN's scratch memory: an RN50 on an H100
# takes 78 and 1,450. Wider networks take more in proportion.
HALF_BYTES, FULL_BYTES = 120, 1800
SPARE = 0.8  # the share of the free memory that a batch may take

# How cuDNN and cuBLAS say that memory is short; all else raises torch.OutOfMemoryError.
SHORT = ("unable to find an engine", "STATUS_ALLOC_FAILED", "out of memory")


def default_batch_size(size: tuple[int, int], encoder: Encoder) -> int:
    """How many frames of that many rows and columns go through the network together.

    On a GPU 16, or as many as its free memory holds. On a CPU as many as have the pixels of one NYU
    window, because data in its caches is fastest.
    """
    pixels = math.prod(size)
    if encoder.device.type == "cpu":
        return max(1, min(BATCH, 416 * 544 // pixels))
    if encoder.device.type != "cuda":
        return BATCH
    per_pixel = FULL_BYTES if encoder.precision == "fp32" else HALF_BYTES
    per_frame = 2 * pixels * per_pixel * max(1, encoder.channels / 2048)
    return max(1, min(BATCH, int(SPARE * free_memory(encoder.device) / per_frame)))


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that this process can still take, those that torch holds in reserve too."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held


def through_network(
    parts: Iterable[Tensor],
    encoder: Encoder,
    batch: int,
    compute: Callable[[Tensor], tuple[Tensor, ...]],
) -> Iterator[list[np.ndarray]]:
    """What `compute` makes of each part, as arrays; on a GPU it never waits for a copy.

    parts: uint8 frames (B, H, W, 3). compute: takes some of them, on the device, and returns
    tensors whose first axis may be joined. batch: the most frames at once; where a GPU's memory
    proves too small, it is halved for good. Raises `DepthClipError` where one frame is too large.
    """
    batches, n = Batches(batch, encoder.device), int(encoder.device.type == "cuda")
    there = ahead((upload(part, encoder.device) for part in parts), n)
    launched = (download(batches.over(ready(), compute)) for ready in there)
    for finished in ahead(launched, n):
        yield finished()


class Batches:
    """A batch size that shrinks where memory proves too small."""

    def __init__(self, size: int, device: torch.device):
        self.size, self.device = size, device

    def over(
        self, frames: Tensor, compute: Callable[[Tensor], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """compute(frames), in batches, joined."""
        made, start = [], 0
        while start < len(frames):
            part = frames[start : start + self.size]
            try:
                made.append(compute(part))
            except RuntimeError as error:
                if not memory_is_short(error):
                    raise
                if len(part) == 1:
                    height, width = part.shape[1:3]
                    raise DepthClipError(
                        f"{self.device} has too little memory for one frame of {height} x {width} "
                        "pixels and its mirror image: choose a smaller size, or device cpu"
                    ) from None
            else:
                start += len(part)
                continue
            # Only here, after the handler, are the tensors of the failed pass let go.
            self.size = len(part) // 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        if len(made) == 1:
            return made[0]
        return tuple(torch.cat(of_parts) for of_parts in zip(*made, strict=True))


def memory_is_short(error: RuntimeError) -> bool:
    """Whether a pass failed for lack of memory, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(sign in str(error) for sign in (*SHORT, "can't allocate memory"))
