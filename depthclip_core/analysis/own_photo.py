"""Photographs of one's own under any words, bins and heads, after one pass through the network."""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd

from depthclip_core.analysis.published import results
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.datasets import Dataset, Frame, open_dataset
from depthclip_core.datasets.photos import Photo, PhotoFrames
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.photo_depths import Setting, what_to_expect
from depthclip_core.method.pipeline import depth_maps, head_vectors, not_finite, project
from depthclip_core.method.point_cloud import camera_angle

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

    def read(
        self, frame: Frame, setting: Setting, own_size: tuple[int, int] | None = None
    ) -> PhotoReading:
        """The photograph in a setting. own_size: (H, W) before it was shrunk, for errors.

        Raises `DepthClipError` for a photograph smaller than a cell, words that cannot be encoded,
        and a network that yields no finite numbers.
        """
        text = self._texts(setting.words)
        if frame is not self._frame:
            self._frame = None  # stays so if the next lines fail
            self.encoder.grid(*frame.window.shape, own_size)
            self._vectors = head_vectors(frame.rgb[None], self.encoder, MAIN_HEADS, crop=frame.crop)
            self._frame = frame
        similarities = project(self._vectors[setting.head], text).cpu()
        shape, temperature = frame.window.shape, setting.temperature
        (depth,) = depth_maps(similarities, setting.bins, shape, temperature)
        if not np.isfinite(depth.sum()):
            raise not_finite(self.encoder, "depth")
        weights = cell_weights(similarities[0], temperature, flip=True)
        return PhotoReading(weights, np.tensordot(np.float32(setting.bins), weights, 1), depth)


@dataclass(frozen=True, eq=False)
class OwnPhotos:
    """Photographs with their readings, and one line for each photograph that cannot be read."""

    photos: list[Photo]
    readings: list[PhotoReading]
    faults: list[str]

    @property
    def drawn(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Name, RGB and depth of each, for `photo_plots.photos_and_predictions`."""
        pairs = zip(self.photos, self.readings, strict=True)
        return [(photo.frame.name, photo.frame.rgb, read.depth) for photo, read in pairs]

    @property
    def depths(self) -> pd.DataFrame:
        """A row per photograph: its pixels, those that the network saw, its cells, its depths.

        The depths are the 5th percentile, the median and the 95th percentile, metres.
        """
        rows = {}
        for photo, read in zip(self.photos, self.readings, strict=True):
            sizes = {"pixels": photo.size, "as the network sees it": read.depth.shape}
            sizes |= {"cells": read.cells.shape}
            row = {name: " × ".join(map(str, size)) for name, size in sizes.items()}
            ends = np.quantile(read.depth, [0.05, 0.5, 0.95])
            row |= dict(zip(("5 % (m)", "median (m)", "95 % (m)"), ends, strict=True))
            rows[photo.frame.name] = row
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("photograph")

    def cameras(self, field_of_view: float = 0.0) -> pd.DataFrame:
        """A row per photograph: its angle of view, where that is from, and how wide the scene is.

        The width is what the angle spans at the photograph's median depth. See `camera_angle`.
        """
        rows = {}
        for photo, read in zip(self.photos, self.readings, strict=True):
            angle, source = camera_angle(photo.size, photo.field_of_view, field_of_view)
            width = 2 * np.tan(np.radians(angle / 2)) * np.median(read.depth)
            rows[photo.frame.name] = {
                "angle across the width (°)": angle,
                "known": source,
                "width at the median depth (m)": width,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("photograph")


def open_photos(data: str) -> Dataset:
    """Photographs: a file or a folder; the sample's test frames if `data` is empty."""
    return open_dataset("photos", data=data) if data else open_dataset("sample")


def read_photos(
    frames: Dataset, encoder: Encoder, setting: Setting, first: int = 0, most: int = 4
) -> OwnPhotos:
    """At most so many photographs from a position on, modulo their number.

    Raises `DepthClipError` if none of them can be read.
    """
    reader, photos, readings, faults = PhotoReader(encoder), [], [], []
    for i in range(min(most, len(frames))):
        try:
            photo = photo_of(frames, (first + i) % len(frames))
            readings.append(reader.read(photo.frame, setting, photo.size))
            photos.append(photo)
        except DepthClipError as error:
            faults.append(str(error))
    if not photos:
        raise DepthClipError(faults[0] if faults else "there are no photographs to read")
    return OwnPhotos(photos, readings, faults)


def photo_of(frames: Dataset, position: int) -> Photo:
    """A photograph, or a data set's frame as if it were one."""
    if isinstance(frames, PhotoFrames):
        return frames.photo(position)
    return Photo.of_frame(frames[position])


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
