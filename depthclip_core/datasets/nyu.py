"""NYU Depth v2: what holds of it in all layouts, its labelled .mat, and the released preprocessing.

`nyu_layouts` has the other layouts, and finds out which of them lies in a folder.
"""

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from depthclip_core.crops import FIXED
from depthclip_core.crops import NYU_SHAPE as FRAME_SHAPE
from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place, checked_split
from depthclip_core.datasets.handles import Handle
from depthclip_core.datasets.known_files import KnownFiles
from depthclip_core.datasets.mat5 import frame_indices, read_numbers
from depthclip_core.datasets.nyu_mat import NyuMat
from depthclip_core.errors import DepthClipError
from depthclip_core.paths import user_path
from depthclip_core.settings import MAX_DEPTH, RELEASED_WINDOW, Window, data_folder

MAT_NAME, SPLITS_NAME = "nyu_depth_v2_labeled.mat", "splits.mat"
SPLITS = ("test", "train", "all")
CONTENT = Window(7, 474, 7, 632)  # outside lies a white border, which preprocessing blackens
EIGEN_CROP = FIXED["eigen-nyu"]
TEXTS = {"scene": "sceneTypes", "group": "scenes"}  # the .mat's names of what we call so
# The labelled set as its authors distribute it.
NYU_BYTES, NYU_FRAMES, NYU_TEST = 2_972_037_809, 1449, 654


class Nyu(Dataset):
    """What holds of NYU Depth v2 in whichever files it lies."""

    splits = SPLITS
    licence = "none stated; we may not redistribute the frames"
    citation = (
        "Silberman, Hoiem, Kohli, Fergus: Indoor Segmentation and Support Inference from RGBD "
        "Images, ECCV 2012"
    )
    frame_shape = FRAME_SHAPE
    crop, content = RELEASED_WINDOW, CONTENT
    evaluation_crop, depth_cap = EIGEN_CROP, MAX_DEPTH
    published_preprocessing = True
    split: str
    released_preprocessing: bool

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> "Nyu":
        from depthclip_core.datasets.nyu_layouts import open_nyu  # it imports this module

        place = user_path(data or data_folder() / "nyu")
        return open_nyu(place, split, released_preprocessing=released_preprocessing, **options)

    def is_labelled_set(self) -> bool:
        """Whether the files are those of the labelled set, as far as can be told."""
        return False

    def unlike_published(self) -> list[str]:
        if not self.is_labelled_set():
            return [f"the frames are not NYU Depth v2's {NYU_TEST} test frames"]
        if self.split != "test":
            return [f"the split is {self.split!r}, not 'test'"]
        if len(self) != NYU_TEST:
            return [f"the frames are not NYU Depth v2's {NYU_TEST} test frames"]
        prepared = self.released_preprocessing
        return [] if prepared else ["the frames are not preprocessed as in the released code"]


class NyuFrames(Nyu):
    """The labelled NYU Depth v2, or any file of its layout, one frame read at a time.

    mat, splits: paths of nyu_depth_v2_labeled.mat and of splits.mat, by default beside it. split:
    "test", "train" or "all".
    released_preprocessing: RGB through `preprocess_rgb`, raw depth in whole millimetres.
    Frames come in the order of the split; names are 1-based as in NYU ("0001").
    Raises `DepthClipError` where a file is missing, truncated or of another layout.
    """

    def __init__(
        self, mat: Path, splits: Place = None, split="test", *, released_preprocessing: bool = False
    ):
        self.split = checked_split(split, SPLITS)
        self.mat, self.released_preprocessing = Path(mat), released_preprocessing
        self.title = f"NYU, {split}"
        self._known_files = KnownFiles([self.mat])
        self._handle = Handle(open_mat, self.mat)
        self.n_in_file = self._file.n_frames
        splits = Path(splits or self.mat.with_name(SPLITS_NAME))
        self.indices = read_split(splits, split, self.n_in_file)  # 0-based

    @property
    def _file(self) -> NyuMat:
        if self._closed:
            raise DepthClipError(f"the data set {self.title!r} is closed: open it again")
        return self._handle.get()

    def __len__(self) -> int:
        return len(self.indices)

    def read_frame(self, index: int) -> Frame:
        in_file, raw_depth = self.indices[index], self.read_raw_depth(index)
        name, depth = f"{in_file + 1:04d}", self._file.frame("depths", in_file)
        places = {fact: self._file.text(key, in_file) for fact, key in TEXTS.items()}
        windows = {"crop": self.crop, "content": self.content}
        return Frame(name, self.read_rgb(index), raw_depth, depth, **places, **windows)

    def read_rgb(self, index: int) -> np.ndarray:
        rgb = self._file.frame("images", self.indices[index])
        return preprocess_rgb(rgb) if self.released_preprocessing else rgb

    def read_raw_depth(self, index: int) -> np.ndarray:
        in_file = self.indices[index]
        raw_depth = self._file.frame("rawDepths", in_file)
        if not self.released_preprocessing:
            return raw_depth
        return whole_millimetres(raw_depth, f"{self.mat}, frame {in_file + 1}")

    def read_labels(self, index: int) -> np.ndarray | None:
        known = "labels" in self._file.arrays
        return self._file.frame("labels", self.indices[index]) if known else None

    @cached_property
    def object_names(self) -> list[str]:
        """The names that labels count from 1; none where the file has no labels."""
        return [self._file.text("names", i) or "" for i in range(self._file.n_names)]

    def rgb_files(self, index: int) -> Sequence[Path]:
        return [self.mat]

    def identity(self, checksums: Checksums) -> dict:
        frames = hashlib.sha256(self.indices.astype(np.int64).tobytes()).hexdigest()[:16]
        (file,) = self.file_checksums([self.mat], checksums)
        facts = {"title": self.title, "file": file, "frames": frames}
        return facts | {"prepared": self.released_preprocessing}

    def is_labelled_set(self) -> bool:
        return self.mat.stat().st_size == NYU_BYTES and self.n_in_file == NYU_FRAMES

    def each(self, fact: str) -> list[str | None]:
        if fact == "name":
            return [f"{index + 1:04d}" for index in self.indices]
        return [self._file.text(TEXTS[fact], index) for index in self.indices]

    def close(self) -> None:
        super().close()
        self._handle.close()


def preprocess_rgb(rgb: np.ndarray) -> np.ndarray:
    """The released preprocessing of RGB (480, 640, 3): border blackened, JPEG at quality 95."""
    framed = np.zeros_like(rgb)
    framed[CONTENT.slices] = rgb[CONTENT.slices]
    buffer = BytesIO()
    Image.fromarray(framed).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def whole_millimetres(depth: np.ndarray, label: object = "depth") -> np.ndarray:
    """Depth in metres, truncated to whole millimetres as the released preprocessing stores it.

    label: names the depth in errors. Raises `DepthClipError` for depth that uint16 cannot hold:
    negative, NaN, or 65.536 m and more, which the released code turns into other depths.
    """
    if not ((depth >= 0) & (depth < 65.536)).all():
        found = f"{depth.min():g} to {depth.max():g}"
        wanted = "depth in whole millimetres must lie between 0 and 65.535 m"
        raise DepthClipError(f"{label}: {wanted}, got {found}: set released_preprocessing=False")
    return (depth * 1000).astype(np.uint16).astype(np.float32) / 1000


def open_mat(path: Path) -> NyuMat:
    """The .mat, with an error that says where it comes from if it is missing."""
    if not os.path.lexists(path):
        raise DepthClipError(
            f"no {path.name} in {path.parent}: `depthclip fetch nyu` downloads it (2.97 GB); put a "
            "copy of yours there, or set DEPTHCLIP_DATA"
        )
    return NyuMat(path)


def read_split(path: Path, split: str, n_frames: int) -> np.ndarray:
    """0-based indices of a split, in the order of splits.mat, which counts from 1.

    Raises `DepthClipError` for a file that is missing or damaged, and for what is no list of
    different whole numbers from 1 to n_frames.
    """
    if split == "all":
        return np.arange(n_frames)
    if not os.path.lexists(path):
        raise DepthClipError(
            f"no {path.name} in {path.parent}: `depthclip fetch splits` downloads it"
        )
    numbers = read_numbers(path, f"{split}Ndxs", "NYU's splits.mat")
    return frame_indices(numbers, n_frames, f"{path}, {split}Ndxs,")
