"""The sample: frames of a small rendered world, which come with this package."""

import csv
import hashlib
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from typing import Self
from zipfile import BadZipFile, ZipFile

import numpy as np
from PIL import Image

from depthclip_core import sample
from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place, checked_split
from depthclip_core.datasets.known_files import KnownFiles
from depthclip_core.datasets.nyu import CONTENT, EIGEN_CROP, FRAME_SHAPE, SPLITS, preprocess_rgb
from depthclip_core.errors import DepthClipError
from depthclip_core.sample.sensor import measure
from depthclip_core.settings import MAX_DEPTH, RELEASED_WINDOW


class SampleFrames(Dataset):
    """The sample's frames, one read at a time, in the order of its file.

    They have NYU's size, white border, crop and kinds of depth, and decode to the same bytes on
    every processor. Depths are whole millimetres.
    split: "test", "train" or "all". released_preprocessing: RGB through NYU's `preprocess_rgb`.
    Raises `DepthClipError` for an unknown split, and where the file is missing or damaged.
    """

    splits = SPLITS
    licence = "MIT"
    citation = "the DepthCLIP workbook, CITATION.cff"
    frame_shape = FRAME_SHAPE
    crop, content = RELEASED_WINDOW, CONTENT
    evaluation_crop, depth_cap = EIGEN_CROP, MAX_DEPTH

    def __init__(
        self, split="test", *, released_preprocessing: bool = False, path: Path = sample.FRAMES
    ):
        self.split = checked_split(split, SPLITS)
        self.released_preprocessing, self.path = released_preprocessing, Path(path)
        self.title = f"sample, {split}"
        self._known_files = KnownFiles([self.path])
        try:
            packed = self.path.read_bytes()
        except OSError:
            raise DepthClipError(f"no file at {path}: reinstall the package") from None
        own = self.path == sample.FRAMES
        if own and hashlib.sha256(packed).hexdigest() != sample.FRAMES_SHA256:
            raise DepthClipError(f"{path} is damaged: reinstall the package")
        try:
            # In memory, so that forked processes do not share one file position.
            self._file = ZipFile(BytesIO(packed))
            table = self._file.read(sample.TABLE).decode()
        except (BadZipFile, KeyError) as error:
            raise DepthClipError(f"{path} does not hold the sample: {error}") from error
        # Small, 0.6 MB a frame, and read again and again.
        self._measured: dict[str, np.ndarray] = {}
        rows = csv.DictReader(StringIO(table))
        self._rows = [row for row in rows if split in ("all", row["split"])]

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        if data:
            why = "the sample comes with the package and has no data folder"
            raise DepthClipError(f"{why}: to open {data}, choose dataset 'nyu' or 'photos'")
        return cls(split, released_preprocessing=released_preprocessing, **options)

    def __len__(self) -> int:
        return len(self._rows)

    def read_frame(self, index: int) -> Frame:
        row, raw_depth = self._rows[index], self.read_raw_depth(index)
        name, depth = row["name"], metres(self._picture("depth", row["name"]))
        places = {"scene": row["scene"], "group": row["room"]}
        windows = {"crop": self.crop, "content": self.content}
        return Frame(name, self.read_rgb(index), raw_depth, depth, **places, **windows)

    def read_rgb(self, index: int) -> np.ndarray:
        rgb = self._picture("rgb", self._rows[index]["name"])
        return preprocess_rgb(rgb) if self.released_preprocessing else rgb

    def read_raw_depth(self, index: int) -> np.ndarray:
        row, name = self._rows[index], self._rows[index]["name"]
        if name not in self._measured:
            holes = self._picture("holes", name) > 0
            self._measured[name] = measure(self._picture("depth", name), holes, int(row["seed"]))
        return metres(self._measured[name])

    def read_labels(self, index: int) -> np.ndarray:
        return self._picture("labels", self._rows[index]["name"])

    @property
    def object_names(self) -> list[str]:
        return self._file.read(sample.LABEL_NAMES).decode().split("\n")[:-1]

    def each(self, fact: str) -> list[str]:
        return [row["room" if fact == "group" else fact] for row in self._rows]

    def identity(self, checksums: Checksums) -> dict:
        (file,) = self.file_checksums([self.path], checksums)
        return {"title": self.title, "file": file, "prepared": self.released_preprocessing}

    def __reduce__(self) -> tuple:
        settings = {"released_preprocessing": self.released_preprocessing, "path": self.path}
        return partial(SampleFrames, self.split, **settings), ()

    def close(self) -> None:
        super().close()
        self._file.close()

    def _picture(self, kind: str, name: str) -> np.ndarray:
        with Image.open(BytesIO(self._file.read(sample.member(kind, name)))) as picture:
            return np.array(picture)


def metres(millimetres: np.ndarray) -> np.ndarray:
    """Whole millimetres → metres, float32."""
    return millimetres.astype(np.float32) / 1000
