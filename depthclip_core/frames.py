"""Data sets, frame by frame: NYU Depth v2's .mat, the sample in its layout, a folder of photos."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.io import loadmat

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import FRAME_SHAPE, Window, data_folder

MAT_NAME, SPLITS_NAME = "nyu_depth_v2_labeled.mat", "splits.mat"
SPLITS = ("test", "train", "all")
PREPARED_WINDOW = Window(7, 474, 7, 632)  # RGB outside it is white border, blackened when prepared
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class Frame:
    """One photograph and, where known, its depth.

    rgb: (H, W, 3) uint8. raw_depth: (H, W) float32 metres as measured, holes 0. depth: the same
    with holes filled. scene: scene type, such as "bathroom". Depths and scene are None for photos.
    """

    name: str
    rgb: np.ndarray
    raw_depth: np.ndarray | None = None
    depth: np.ndarray | None = None
    scene: str | None = None


def chosen_positions(text: str, n_frames: int) -> list[int]:
    """Positions from "0, 26, 38", counted round where there are fewer frames."""
    try:
        positions = [int(part) for part in text.split(",")]
    except ValueError:
        raise DepthClipError(
            f"frames are chosen by whole numbers with commas, as in '0, 26', not {text!r}"
        ) from None
    return [position % n_frames for position in positions]


class NyuFrames(Sequence):
    """The labelled NYU Depth v2, or any file of its layout, one frame read at a time.

    mat, splits: paths of nyu_depth_v2_labeled.mat and splits.mat. split: "test", "train" or "all".
    prepared: the released data preparation: RGB through `prepare_rgb`, raw depth in whole
    millimetres. Frames come in the order of the split; names are 1-based as in NYU ("0001").
    Raises `DepthClipError` where a file is missing, truncated or of another layout.
    """

    def __init__(
        self,
        mat: Path,
        splits: Path,
        split: str = "test",
        *,
        prepared: bool = False,
        title: str = "NYU",
    ):
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        self.mat, self.split, self.prepared = Path(mat), split, prepared
        self.title = f"{title}, {split}"
        self._file = _open_mat(self.mat)
        self.n_in_file = len(self._file["images"])
        self.indices = _read_split(Path(splits), split, self.n_in_file)  # 0-based

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Frame:
        if not -len(self) <= position < len(self):
            raise IndexError(f"frame {position} of {len(self)} in {self.title}")
        index = self.indices[position]
        raw_depth = self._read("rawDepths", index)
        return Frame(
            name=f"{index + 1:04d}",
            rgb=self.rgb(position),
            raw_depth=whole_millimetres(raw_depth) if self.prepared else raw_depth,
            depth=self._read("depths", index),
            scene=self._scene(index),
        )

    def rgb(self, position: int) -> np.ndarray:
        """A frame's RGB alone, (480, 640, 3) uint8: all that a network pass needs."""
        rgb = self._read("images", self.indices[position])
        return prepare_rgb(rgb) if self.prepared else rgb

    def raw_depth(self, position: int) -> np.ndarray:
        """A frame's raw depth alone, (480, 640) metres: all that scoring needs."""
        raw_depth = self._read("rawDepths", self.indices[position])
        return whole_millimetres(raw_depth) if self.prepared else raw_depth

    def identity(self, checksums: Callable[[Sequence[Path]], list[str]]) -> dict:
        """What the RGB of these frames depends on; checksums: of files' contents."""
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
        """Every frame's scene type, without reading the frames."""
        return [self._scene(index) for index in self.indices]

    def close(self) -> None:
        self._file.close()

    def _read(self, key: str, index: int) -> np.ndarray:
        """One frame of an array, rows first: a transpose, not a rotation, of MATLAB's order."""
        try:
            return np.ascontiguousarray(self._file[key][index].T)
        except OSError as error:
            raise DepthClipError(f"{self.mat} is damaged at frame {index + 1}: {error}") from error

    def _scene(self, index: int) -> str:
        reference = self._file["sceneTypes"][0, index]
        return "".join(map(chr, self._file[reference][:].ravel()))


class PhotoFrames(Sequence):
    """Ordinary photographs (JPEG, PNG; any size, grey, RGBA, EXIF orientation), without depth.

    photos: a folder or a list of files. long_side: larger photos are shrunk to it, in pixels, since
    CLIP looks at cells of a fixed number of pixels; None keeps every size.
    """

    title = "photos"

    def __init__(self, photos: Path | str | Sequence[Path | str], long_side: int | None = 640):
        if isinstance(photos, str | Path):
            folder = Path(photos).expanduser()
            if not folder.exists():
                raise DepthClipError(f"no photo or folder of photos at {folder}")
            files = sorted(folder.iterdir()) if folder.is_dir() else [folder]
            self.files = [f for f in files if f.suffix.lower() in PHOTO_SUFFIXES or f == folder]
            if not self.files:
                raise DepthClipError(f"no photos in {folder}: JPEG and PNG files are looked for")
        else:
            self.files = [Path(photo).expanduser() for photo in photos]
        self.long_side = long_side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, position: int) -> Frame:
        path = self.files[position]
        try:
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                if upright.has_transparency_data:  # seen on white, as a page would show it
                    rgba = upright.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
                photo = upright.convert("RGB")
        except FileNotFoundError:
            raise DepthClipError(f"no photo at {path}") from None
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise DepthClipError(f"{path} is not an image that can be read: {error}") from error
        if self.long_side and max(photo.size) > self.long_side:
            photo.thumbnail((self.long_side, self.long_side), Image.Resampling.LANCZOS)
        return Frame(name=path.name, rgb=np.asarray(photo))

    @property
    def names(self) -> list[str]:
        return [path.name for path in self.files]

    def identity(self, checksums: Callable[[Sequence[Path]], list[str]]) -> dict:
        """What the RGB of these frames depends on; checksums: of files' contents."""
        return {
            "title": self.title,
            "files": checksums(self.files),
            "long_side": self.long_side,
        }


def open_dataset(
    dataset: str = "sample",
    split: str = "test",
    *,
    data: str | Path | None = None,
    prepared: bool = False,
    long_side: int | None = 640,
) -> NyuFrames | PhotoFrames:
    """A data set by name.

    "sample": the rendered world that comes with this package, made at first use.
    "nyu": NYU Depth v2; data is the folder of its two files, or the .mat with splits.mat beside it;
        else nyu/ in the data folder.
    "photos": JPEG and PNG; data is the folder, else photos/ in the data folder.
    prepared: NYU's released data preparation (see `NyuFrames`); for nyu and the sample.
    """
    if dataset == "photos":
        return PhotoFrames(data or data_folder() / "photos", long_side)
    if dataset == "sample":
        from depthclip_core.sample.cache import ensure_sample  # the one way into the sample

        folder = ensure_sample(Path(data) if data else data_folder() / "sample")
    elif dataset == "nyu":
        folder = Path(data).expanduser() if data else data_folder() / "nyu"
    else:
        raise unknown_name("data set", dataset, ["sample", "nyu", "photos"])
    title = "sample" if dataset == "sample" else "NYU"
    mat = folder if folder.suffix == ".mat" else folder / MAT_NAME
    splits = mat.with_name(SPLITS_NAME)
    return NyuFrames(mat, splits, split, prepared=prepared, title=title)


def prepare_rgb(rgb: np.ndarray) -> np.ndarray:
    """The released preparation of RGB (480, 640, 3): white border blackened, JPEG of quality 95."""
    framed = np.zeros_like(rgb)
    framed[PREPARED_WINDOW.slices] = rgb[PREPARED_WINDOW.slices]
    buffer = BytesIO()
    Image.fromarray(framed).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return np.asarray(Image.open(buffer))


def whole_millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth in metres truncated as the released preparation stores it, in uint16 millimetres."""
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
