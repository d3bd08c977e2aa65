"""NYU Depth v2: what holds of it in all layouts, its labelled .mat, and the released preprocessing.

`nyu_layouts` has the other layouts, and finds out which of them lies in a folder.
"""

import hashlib
from functools import cached_property
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import scipy  # its parts load when they are used
from PIL import Image

from depthclip_core.crops import FIXED
from depthclip_core.crops import NYU_SHAPE as FRAME_SHAPE
from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place, checked_split
from depthclip_core.datasets.handles import Handle
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import MAX_DEPTH, RELEASED_WINDOW, Window, data_folder
from depthclip_core.text import printable

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

        place = Path(data or data_folder() / "nyu").expanduser()
        return open_nyu(place, split, released_preprocessing=released_preprocessing, **options)

    def is_labelled_set(self) -> bool:
        """Whether the files are those of the labelled set, as far as can be told."""
        return False

    def unlike_published(self) -> list[str]:
        if not self.is_labelled_set():
            return super().unlike_published()
        if self.split != "test":
            return [f"the split is {self.split!r}, not 'test'"]
        if len(self) != NYU_TEST:
            return super().unlike_published()
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
        self._handle = Handle(open_mat, self.mat)
        self.n_in_file = len(self._file["images"])
        splits = Path(splits or self.mat.with_name(SPLITS_NAME))
        self.indices = read_split(splits, split, self.n_in_file)  # 0-based

    @property
    def _file(self) -> h5py.File:
        if self._closed:
            raise DepthClipError(f"the data set {self.title!r} is closed: open it again")
        return self._handle.get()

    def __len__(self) -> int:
        return len(self.indices)

    def read_frame(self, index: int) -> Frame:
        in_file, raw_depth = self.indices[index], self.read_raw_depth(index)
        name, depth = f"{in_file + 1:04d}", self._read("depths", in_file)
        places = {fact: self._text(key, in_file) for fact, key in TEXTS.items()}
        windows = {"crop": self.crop, "content": self.content}
        return Frame(name, self.read_rgb(index), raw_depth, depth, **places, **windows)

    def read_rgb(self, index: int) -> np.ndarray:
        rgb = self._read("images", self.indices[index])
        return preprocess_rgb(rgb) if self.released_preprocessing else rgb

    def read_raw_depth(self, index: int) -> np.ndarray:
        raw_depth = self._read("rawDepths", self.indices[index])
        return whole_millimetres(raw_depth) if self.released_preprocessing else raw_depth

    def read_labels(self, index: int) -> np.ndarray | None:
        return self._read("labels", self.indices[index]) if "labels" in self._file else None

    @cached_property
    def object_names(self) -> list[str]:
        """The names that labels count from 1; none where the file has no labels."""
        labelled = {"labels", "names"} <= self._file.keys()
        numbers = range(self._file["names"].shape[1]) if labelled else ()
        return [self._text("names", number) for number in numbers]

    def identity(self, checksums: Checksums) -> dict:
        frames = hashlib.sha256(self.indices.astype(np.int64).tobytes()).hexdigest()[:16]
        facts = {"title": self.title, "file": checksums([self.mat])[0], "frames": frames}
        return facts | {"prepared": self.released_preprocessing}

    def is_labelled_set(self) -> bool:
        return self.mat.stat().st_size == NYU_BYTES and self.n_in_file == NYU_FRAMES

    def each(self, fact: str) -> list[str | None]:
        if fact == "name":
            return [f"{index + 1:04d}" for index in self.indices]
        return [self._text(TEXTS[fact], index) for index in self.indices]

    def close(self) -> None:
        super().close()
        self._handle.close()

    def _read(self, key: str, index: int) -> np.ndarray:
        """One frame of an array, rows first: MATLAB's order transposed, not rotated."""
        try:
            return np.ascontiguousarray(self._file[key][index].T)
        except OSError as error:
            raise DepthClipError(f"{self.mat} is damaged at frame {index + 1}: {error}") from error

    def _text(self, key: str, index: int) -> str | None:
        return read_text(self._file, key, index)


def read_text(file: h5py.File, key: str, index: int) -> str | None:
    """A frame's text from a cell array of a .mat; None where the file has no such array."""
    if key not in file:
        return None
    reference = file[key][0, index]
    return printable("".join(map(chr, file[reference][:].ravel())))


def preprocess_rgb(rgb: np.ndarray) -> np.ndarray:
    """The released preprocessing of RGB (480, 640, 3): border blackened, JPEG at quality 95."""
    framed = np.zeros_like(rgb)
    framed[CONTENT.slices] = rgb[CONTENT.slices]
    buffer = BytesIO()
    Image.fromarray(framed).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def whole_millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth in metres, truncated to whole millimetres as the released preprocessing stores it.

    Raises `DepthClipError` for depth that uint16 cannot hold: negative, NaN, or 65.536 m and more.
    """
    if not ((depth >= 0) & (depth < 65.536)).all():
        found = f"{depth.min():g} to {depth.max():g}"
        wanted = "depth in whole millimetres must lie between 0 and 65.535 m"
        raise DepthClipError(f"{wanted}, got {found}")
    return (depth * 1000).astype(np.uint16).astype(np.float32) / 1000


def open_mat(path: Path) -> h5py.File:
    """Open the .mat and check its layout once, so that later reads can rely on it."""
    if not path.is_file():
        raise DepthClipError(
            f"no {path.name} in {path.parent}: `depthclip fetch nyu` downloads it (2.97 GB); put a "
            "copy of yours there, or set DEPTHCLIP_DATA"
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DepthClipError(f"{path} is truncated or not a MATLAB v7.3 file: {error}") from error
    if fault := _layout_fault(file):
        file.close()
        raise DepthClipError(f"{path}: {fault}")
    return file


def _layout_fault(file: h5py.File) -> str | None:
    """How the file departs from NYU's layout, if it does."""
    missing = {"images", "depths", "rawDepths", "sceneTypes"} - file.keys()
    if missing:
        return f"it has no {', '.join(sorted(missing))}: not NYU's labelled set"
    n, (height, width) = len(file["images"]), FRAME_SHAPE
    maps = dict.fromkeys(("depths", "rawDepths"), (n, width, height))
    for key, shape in {"images": (n, 3, width, height), "sceneTypes": (1, n), **maps}.items():
        if file[key].shape != shape:
            return f"{key} has shape {file[key].shape}, NYU's layout wants {shape}"
    dtype = file["images"].dtype
    return None if dtype == np.uint8 else f"images are {dtype}, NYU's are uint8"


def read_split(path: Path, split: str, n_frames: int) -> np.ndarray:
    """0-based indices of a split, in the order of splits.mat, which counts from 1."""
    if split == "all":
        return np.arange(n_frames)
    if not path.is_file():
        raise DepthClipError(
            f"no {path.name} in {path.parent}: `depthclip fetch splits` downloads it"
        )
    key = f"{split}Ndxs"
    try:
        indices = scipy.io.loadmat(path, variable_names=[key])[key].ravel().astype(np.int64) - 1
    except KeyError:
        raise DepthClipError(f"{path} has no {key}: not NYU's splits.mat") from None
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise DepthClipError(f"cannot read {path}: {error}") from error
    if len(indices) and not 0 <= indices.min() <= indices.max() < n_frames:
        last = indices.max() + 1
        raise DepthClipError(f"{path} names frame {last}, but the data set has {n_frames}")
    return indices
