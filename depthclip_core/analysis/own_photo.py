"""A photograph under any words, bins and heads, after one pass through the network."""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from depthclip_core.analysis.published import results
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.datasets.base import Frame
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.photo_depths import Setting, what_to_expect
from depthclip_core.method.pipeline import depth_maps, head_vectors, not_finite, project

SHOWN = ("delta1", "abs_rel", "rmse")  # of the paper's metrics; the last is in metres


@dataclass(frozen=True, eq=False)
class PhotoReading:
    """What the method says of a photograph.

    weights: (K, h, w), of each word at each cell. cells: (h, w), their depth in metres. depth:
    (H, W) float32 metres, what `predict_depth` returns.
    """

    weights: np.ndarray
    cells: np.ndarray
    depth: np.ndarray


class PhotoReader:
    """Reads photographs; the one that was read last stays in memory with all heads.

    store: where text vectors are kept.
    """

    def __init__(self, encoder: Encoder, store: Store | None = None):
        self.encoder = encoder
        self._texts = cache(partial(text_vectors, encoder, store=store))
        self._frame, self._vectors = None, {}

    def read(self, frame: Frame, setting: Setting) -> PhotoReading:
        """The photograph in a setting.

        Raises `DepthClipError` for a photograph smaller than a cell, words that cannot be encoded,
        and a network that yields no finite numbers.
        """
        text = self._texts(setting.words)
        if frame is not self._frame:
            self._frame = None  # stays so if the next line fails
            self._vectors = head_vectors(frame.rgb[None], self.encoder, MAIN_HEADS, crop=frame.crop)
            self._frame = frame
        similarities = project(self._vectors[setting.head], text).cpu()
        shape, temperature = frame.window.shape, setting.temperature
        (depth,) = depth_maps(similarities, setting.bins, shape, temperature)
        if not np.isfinite(depth.sum()):
            raise not_finite(self.encoder, "depth")
        weights = cell_weights(similarities[0], temperature, flip=True)
        return PhotoReading(weights, np.tensordot(np.float32(setting.bins), weights, 1), depth)


def expectations(encoder: Encoder, setting: Setting) -> str:
    """What is known of this encoder's depths, beside what they can mean at all; one line."""
    meaning = what_to_expect(encoder, setting)
    if encoder.weights in ("own", "random"):
        return meaning
    if not (encoder.name == "RN50" and encoder.from_openai):
        return f"{meaning}; the paper has no numbers of {encoder.name} with these weights"
    own = results().loc["DepthCLIP"]
    printed = ", ".join(f"{METRICS[name].label} {own[name]:.3f}" for name in SHOWN) + " m"
    return f"{meaning}; the paper prints {printed} for RN50 and the released head on NYU"
