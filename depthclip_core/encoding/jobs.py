"""What a pass is over: a data set and an encoder, and the stored arrays that depend on them."""

import operator
from collections.abc import Sequence

import numpy as np
import torch

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.encoding.store import Store, StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import OBJECT, TEMPLATES, network_window

DTYPES = ("float32", "float16")


class EncodingJob:
    """A data set and an encoder, and the arrays of a store that depend on the two.

    size: rows and columns of the network's input; None: those of the window. dtype: how numbers are
    stored, "float32" or "float16". Raises `DepthClipError` for no frames, frames of several sizes,
    a size smaller than a cell, and another dtype.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        encoder: Encoder,
        size: tuple[int, int] | None,
        store: Store,
        dtype: str = "float32",
    ):
        if dtype not in DTYPES:
            raise DepthClipError(f"dtype is {' or '.join(map(repr, DTYPES))}, not {dtype!r}")
        if not len(frames):
            raise DepthClipError("there are no frames to encode")
        self.frames, self.encoder, self.store = as_dataset(frames), encoder, store
        window = network_window(self.frames.rgb_batch([0]).shape[1:3], self.frames.crop)
        self.size = _checked_size(size or window.shape)
        encoder.grid(*self.size, None if size else self.frames.own_size(0))
        self.origin = {
            "data": self.frames.identity(store.checksums),
            "encoder": encoder.identity,
            "arithmetic": encoder.arithmetic,
            "window": [window.top, window.bottom, window.left, window.right],
            "size": list(self.size),
        }
        if dtype != "float32":  # arrays of fp32 keep the keys of when there was no choice
            self.origin["dtype"] = dtype
        self.dtype = np.dtype(dtype)
        device, compiled = str(encoder.device), str(encoder.compiled)
        self.provenance = {"device": device, "torch": torch.__version__, "compiled": compiled}

    def vectors(self, head: str) -> StoredArray:
        """(N, 2, D, h, w)."""
        return self._array(kind="vectors", head=head)

    def similarities(self, head: str, words: Sequence[str]) -> StoredArray:
        """(N, 2, K, h, w)."""
        sentences = {"words": list(words), "templates": list(TEMPLATES), "object": OBJECT}
        return self._array(kind="similarities", head=head, **sentences)

    def _array(self, **settings: object) -> StoredArray:
        return self.store.array(settings | self.origin, len(self.frames))

    def write(self, array: StoredArray, chunk: int, values: np.ndarray) -> None:
        """Store finite fp32 values; `DepthClipError` for one that the dtype cannot hold."""
        with np.errstate(over="ignore"):
            kept = values.astype(self.dtype, copy=False)
        if kept is not values and not np.isfinite(kept).all():
            largest, most = np.abs(values).max(), np.finfo(self.dtype).max
            fault = f"{array.path(chunk)} cannot hold {largest:.4g}"
            advice = 'keep these arrays with dtype="float32"'
            raise DepthClipError(f"{fault}: {self.dtype} ends at {most:.0f}: {advice}")
        array.write(chunk, kept, **self.provenance)


def read_fp32(array: StoredArray, chunk: int) -> np.ndarray:
    """`StoredArray.read` as fp32, whatever is stored."""
    return array.read(chunk).astype(np.float32, copy=False)


def _checked_size(size: Sequence[int]) -> tuple[int, int]:
    try:
        rows, columns = (operator.index(side) for side in size)
    except (TypeError, ValueError):
        raise DepthClipError(f"size is rows and columns in whole pixels, not {size!r}") from None
    return rows, columns
