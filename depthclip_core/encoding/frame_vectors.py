"""Head vectors of one frame at a time, for whoever looks at frames one by one.

What the store has is read from there; for another frame the network runs on it alone, and nothing
is stored: a pass over the whole data set would be waited for before the first frame is seen.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Dataset
from depthclip_core.encoding.jobs import EncodingJob
from depthclip_core.encoding.store import CHUNK, AbsentChunk, DamagedChunk, Store, StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.method.pipeline import head_vectors, not_finite
from depthclip_core.settings import Window

REMEMBERED = 4  # frames and chunks in memory


class FrameVectors:
    """Vectors of the frames of a data set, and of pictures that belong to none, by several heads.

    store: None for the user's own; with random weights, which never recur, none is read.
    """

    def __init__(
        self, frames: Dataset, encoder: Encoder, heads: Sequence[str], store: Store | None = None
    ):
        self.frames, self.encoder, self.heads = frames, encoder, tuple(heads)
        self._store = store
        self._chunk = lru_cache(REMEMBERED)(self._read_chunk)
        self._encoded = lru_cache(REMEMBERED)(self._encode)

    def of(self, position: int) -> dict[str, Tensor]:
        """By head, (1, 2, D, h, w) of a frame and its mirror image, on the encoder's device.

        Raises `DepthClipError` for a frame that cannot be read, and for vectors not finite.
        """
        chunk, place = divmod(position, CHUNK)
        with suppress(AbsentChunk, DamagedChunk):
            return {
                head: torch.from_numpy(self._chunk(head, chunk)[place, None]).to(
                    self.encoder.device
                )
                for head in self.heads
            }
        return self._encoded(position)

    def of_picture(self, rgb: np.ndarray, crop: Window | None = None) -> dict[str, Tensor]:
        """The same of any picture, uint8 (H, W, 3), by a pass through the network."""
        made = head_vectors(rgb[None], self.encoder, self.heads, crop=crop)
        for head, vectors in made.items():
            if not vectors.isfinite().all():
                raise not_finite(self.encoder, f"a {head} vector")
        return made

    def _encode(self, position: int) -> dict[str, Tensor]:
        return self.of_picture(self.frames.rgb(position), self.frames.crop)

    def _read_chunk(self, head: str, chunk: int) -> np.ndarray:
        if self._arrays is None:
            raise AbsentChunk("nothing of these frames is stored")
        return self._arrays[head].read(chunk)

    @cached_property
    def _arrays(self) -> dict[str, StoredArray] | None:
        if self._store is None and self.encoder.weights == "random":
            return None
        with suppress(DepthClipError):  # such as frames of several sizes, which are never stored
            job = EncodingJob(self.frames, self.encoder, None, self._store or Store())
            return {head: job.vectors(head) for head in self.heads}
        return None
