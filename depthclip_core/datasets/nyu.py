"""NYU Depth v2: its labelled .mat, or any file of its layout, and the released preparation."""

import hashlib
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import loadmat

from depthclip_core.datasets.base import Checksums, Dataset, Frame
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import FRAME_SHAPE, RELEASED_WINDOW, Window
from depthclip_core.text import printable

MAT_NAME, SPLITS_NAME = "nyu_depth_v2_labeled.mat", "splits.mat"
SPLITS = ("test", "train", "all")
CONTENT = Window(7, 474, 7, 632)  # RGB outside it is white border, blackened when prepared


class NyuFrames(Dataset):
    """The labelled NYU Depth v2, or any file of its layout, one frame read at a time.

    mat, splits: paths of nyu_depth_v2_labeled.mat and of splits.mat, which lies beside it unless
    given. split: "test", "train" or "all".
    prepared: the released data preparation: RGB through `prepare_rgb`, raw depth in whole
    millimetres. Frames come in the order of the split; names are 1-based as in NYU ("0001").
    Raises `DepthClipError` where a file is missing, truncated or of another layout.
    """

    crop, content = RELEASED_WINDOW, CONTENT

    def __init__(
        self,
        mat: Path,
        splits: Path | None = None,
        split: str = "test",
        *,
        prepared: bool = False,
    ):
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        self.mat, self.split, self.prepared = Path(mat), split, prepared
        self.title = f"NYU, {split}"
        self._file = _open_mat(self.mat)
        self.n_in_file = len(self._file["images"])
        splits = Path(splits or self.mat.with_name(SPLITS_NAME))
        self.indices = _read_split(splits, split, self.n_in_file)  # 0-based

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Frame:
        index = self.indices[self._place(position)]
        raw_depth = self._read("rawDepths", index)
        return Frame(
            name=f"{index + 1:04d}",
            rgb=self.rgb(position),
            raw_depth=whole_millimetres(raw_depth) if self.prepared else raw_depth,
            depth=self._read("depths", index),
            scene=self._text("sceneTypes", index),
            room=self._text("scenes", index),
            crop=self.crop,
            content=self.content,
        )

    def rgb(self, position: int) -> np.ndarray:
        rgb = self._read("images", self.indices[self._place(position)])
        return prepare_rgb(rgb) if self.prepared else rgb

    def raw_depth(self, position: int) -> np.ndarray:
        raw_depth = self._read("rawDepths", self.indices[self._place(position)])
        return whole_millimetres(raw_depth) if self.prepared else raw_depth

    def identity(self, checksums: Checksums) -> dict:
        frames = hashlib.sha256(self.indices.astype(np.int64).tobytes()).hexdigest()[:16]
        return {
            "title": self.title,
            "file": checksums([self.mat])[0],
            "frames": frames,
            "prepared": self.prepared,
        }

    @property
    def names(self) -> list[str]:
        return [f"{index + 1:04d}" for index in self.indices]

    @property
    def scenes(self) -> list[str]:
        return [self._text("sceneTypes", index) for index in self.indices]

    @property
    def rooms(self) -> list[str | None]:
        return [self._text("scenes", index) for index in self.indices]

    def close(self) -> None:
        self._file.close()

    def _read(self, key: str, index: int) -> np.ndarray:
        """One frame of an array, rows first: a transpose, not a rotation, of MATLAB's order."""
        try:
            return np.ascontiguousarray(self._file[key][index].T)
        except OSError as error:
            raise DepthClipError(f"{self.mat} is damaged at frame {index + 1}: {error}") from error

    def _text(self, key: str, index: int) -> str | None:
        """A frame's text in a cell of texts; None where the file has no such cell."""
        if key not in self._file:
            return None
        reference = self._file[key][0, index]
        return printable("".join(map(chr, self._file[reference][:].ravel())))


def prepare_rgb(rgb: np.ndarray) -> np.ndarray:
    """The released preparation of RGB (480, 640, 3): white border blackened, JPEG of quality 95."""
    framed = np.zeros_like(rgb)
    framed[CONTENT.slices] = rgb[CONTENT.slices]
    buffer = BytesIO()
    Image.fromarray(framed).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def whole_millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth in metres truncated as the released preparation stores it, in uint16 millimetres.

    Raises `DepthClipError` for depth that these cannot hold: negative, NaN, or from 65.536 m on.
    """
    if not ((depth >= 0) & (depth < 65.536)).all():
        raise DepthClipError(
            "depth of the released preparation must lie between 0 and 65.535 m, got "
            f"{depth.min():g} to {depth.max():g}"
        )
    return (depth * 1000).astype(np.uint16).astype(np.float32) / 1000


def _open_mat(path: Path) -> h5py.File:
    """The .mat opened and its layout checked, so that later reads can rely on it."""
    if not path.is_file():
        raise DepthClipError(
            f"no {path.name} in {path.parent}: download NYU Depth v2 (2.97 GB) and put it there, "
            "or set DEPTHCLIP_DATA"
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DepthClipError(f"{path} is truncated or not a MATLAB v7.3 file: {error}") from error
    missing = {"images", "depths", "rawDepths", "sceneTypes"} - file.keys()
    if missing:
        file.close()
        raise DepthClipError(f"{path} has no {', '.join(sorted(missing))}: not NYU's labelled set")
    height, width = FRAME_SHAPE
    n = len(file["images"])
    layout = {"images": (n, 3, width, height), "sceneTypes": (1, n)}
    layout |= dict.fromkeys(("depths", "rawDepths"), (n, width, height))
    for key, shape in layout.items():
        if file[key].shape != shape:
            found = file[key].shape
            file.close()
            raise DepthClipError(f"{path}: {key} has shape {found}, NYU's layout wants {shape}")
    if file["images"].dtype != np.uint8:
        found = file["images"].dtype
        file.close()
        raise DepthClipError(f"{path}: images are {found}, NYU's are uint8")
    return file


def _read_split(path: Path, split: str, n_frames: int) -> np.ndarray:
    """0-based indices of a split in the file's order of it; splits.mat counts from 1."""
    if split == "all":
        return np.arange(n_frames)
    if not path.is_file():
        raise DepthClipError(f"no {path.name} in {path.parent}: put NYU's splits.mat there")
    key = f"{split}Ndxs"
    try:
        indices = loadmat(path, variable_names=[key])[key].ravel().astype(np.int64) - 1
    except KeyError:
        raise DepthClipError(f"{path} has no {key}: not NYU's splits.mat") from None
    except Exception as error:  # scipy raises many kinds on a damaged file
        raise DepthClipError(f"cannot read {path}: {error}") from error
    if len(indices) and not 0 <= indices.min() <= indices.max() < n_frames:
        raise DepthClipError(
            f"{path} names frame {indices.max() + 1}, but the data set has {n_frames}"
        )
    return indices
