"""SUN RGB-D in its own folders: frames of four sensors, with raw or filled depth."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np

from depthclip_core.crops import centre
from depthclip_core.datasets.base import Place, checked_split
from depthclip_core.datasets.depth_files import read_depth_file
from depthclip_core.datasets.file_frames import FileFrames, Pair, checked_cap, given_file
from depthclip_core.datasets.incoming import read_file
from depthclip_core.datasets.mat5 import read_texts
from depthclip_core.datasets.photos import photo_shape
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.paths import user_path
from depthclip_core.settings import Window, data_folder
from depthclip_core.text import printable

SPLITS = ("test", "train", "all")
SENSORS = ("kv1", "kv2", "realsense", "xtion")
DEPTHS = ("raw", "filled")
LONGEST_SCENE = 1000  # bytes of scene.txt
ROOT, SPLIT_NAME = "SUNRGBD", "allsplit.mat"
TOOLBOX = Path("SUNRGBDtoolbox", "traintestSUNRGBD")
# The types of the benchmark's scene classification; frames may have others, such as "idk".
SCENE_TYPES = (
    "bathroom",
    "bedroom",
    "classroom",
    "computer_room",
    "conference_room",
    "corridor",
    "dining_area",
    "dining_room",
    "discussion_area",
    "furniture_store",
    "home_office",
    "kitchen",
    "lab",
    "lecture_theatre",
    "library",
    "living_room",
    "office",
    "rest_space",
    "study_space",
)


class SunRgbdFrames(FileFrames):
    """SUN RGB-D's frames, one read at a time, from its folders SENSOR/…/FRAME/.

    A frame's folder holds one picture in image/, one in depth/ (as measured) and perhaps one in
    depth_bfx/ (holes filled), and scene.txt with the scene type.
    folder: SUNRGBD/, or the folder that holds it. split: "all", every frame on disk; or "test" or
    "train" by splits, the path of allsplit.mat, by default in the folder, beside it, or in
    SUNRGBDtoolbox/traintestSUNRGBD/ at either place.
    sensor: "kv1", "kv2", "realsense" or "xtion" alone; None for all.
    shape: (H, W) that is cut, never resized, from each frame's centre; None keeps frames whole.
    depth: "raw" or "filled", what `raw_depth` and so the ground truth is; `Frame.depth` is the
    filled depth where there is one.
    depth_cap: metres up to which ground truth counts, by default 8 as for ZoeDepth. Depths beyond
    stay in the maps; SUN RGB-D's own reader replaces them by 8.
    Sizes differ by sensor: frame_shape is set if all chosen frames have one size. Groups are known
    for the frames of SUN3D, which lie in a folder a place; of others they are None.
    Raises `DepthClipError` where a file, folder or split is missing or of another layout.
    """

    splits = SPLITS
    licence = "none stated; for research, we may not redistribute the frames"
    citation = (
        "Song, Lichtenberg, Xiao: SUN RGB-D: A RGB-D Scene Understanding Benchmark, CVPR 2015"
    )
    depth_cap = 8.0

    def __init__(
        self,
        folder: Path,
        split: str = "all",
        *,
        splits: Place = None,
        sensor: str | None = None,
        shape: Sequence[int] | None = None,
        depth: str = "raw",
        depth_cap: float = 8.0,
    ):
        self.split = checked_split(split, SPLITS)
        if sensor is not None and sensor not in SENSORS:
            raise unknown_name("sensor", sensor, SENSORS)
        if depth not in DEPTHS:
            raise unknown_name("depth", depth, DEPTHS)
        self.shape, self.kind, self.depth_cap = _size(shape), depth, checked_cap(depth_cap)
        folder = Path(folder)
        self.folder = folder / ROOT if (folder / ROOT).is_dir() else folder
        if not any((self.folder / name).is_dir() for name in SENSORS):
            wanted = "put SUNRGBD/ with its folders kv1, kv2, realsense and xtion there"
            raise DepthClipError(f"no folder of a sensor in {self.folder}: {wanted}")
        self.title = f"SUN RGB-D, {split}" + (f", {sensor}" if sensor else "")
        chosen = [sensor] if sensor else SENSORS
        places = _on_disk(self.folder, chosen) if split == "all" else self._listed(splits, chosen)
        self.pairs = [_pair(self.folder, place) for place in places]
        if not self.pairs:
            raise DepthClipError(f"no frames of {' or '.join(chosen)} in {self.folder}")
        sizes = {self.shape} if self.shape else {photo_shape(pair.rgb) for pair in self.pairs}
        self.frame_shape = sizes.pop() if len(sizes) == 1 else None

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        return cls(user_path(data or data_folder() / "sunrgbd"), split, **options)

    def cut(self, shape: tuple[int, int]) -> Window | None:
        return centre(self.shape, shape) if self.shape else None

    def identity_settings(self) -> dict[str, object]:
        return {"shape": self.shape and list(self.shape)}

    def read_levels(self, path: Path) -> np.ndarray:
        return unrotated(read_depth_file(path))

    def read_raw_depth(self, index: int) -> np.ndarray:
        if self.kind == "raw":
            return super().read_raw_depth(index)
        filled = self.read_filled_depth(index)
        if filled is None:
            missing = f"{self.pairs[index].rgb.parents[1]} has no depth_bfx/"
            raise DepthClipError(f"{missing}: it has no filled depth, choose depth='raw'")
        return filled

    def read_filled_depth(self, index: int) -> np.ndarray | None:
        own = self.pairs[index].rgb.parents[1] / "depth_bfx"
        return self.read_depth(_only(own, "depth map")) if own.is_dir() else None

    def _listed(self, splits: Place, sensors: Sequence[str]) -> list[Path]:
        """The folders of the split's frames, relative to SUNRGBD/, in its order."""
        beside = (self.folder, self.folder.parent)
        places = [where / way / SPLIT_NAME for way in ("", TOOLBOX) for where in beside]
        own = next((place for place in places if place.is_file()), None)
        path = given_file(splits, self.folder) if splits else own
        if path is None:
            wanted = "put it there, give it with option splits, or choose split 'all'"
            raise DepthClipError(f"no {SPLIT_NAME} in {self.folder}: {wanted}")
        listed = [place for place in read_splits(path, self.split) if place.parts[0] in sensors]
        missing = [place for place in listed if not (self.folder / place).is_dir()]
        if missing:
            count = f"{len(missing)} of {len(listed)} frames of {path.name} are missing"
            raise DepthClipError(f"{count} in {self.folder}, the first is {missing[0]}")
        return listed


def unrotated(levels: np.ndarray) -> np.ndarray:
    """SUN RGB-D's stored levels, uint16 (H, W), as whole millimetres: rotated right by 3 bits."""
    if levels.dtype != np.uint16:
        raise DepthClipError(f"SUN RGB-D stores depth as 16-bit levels, not {levels.dtype}")
    return (levels >> 3) | (levels << 13)


def read_splits(path: Path, split: str) -> list[Path]:
    """The frames of a split of allsplit.mat, relative to SUNRGBD/.

    The file has absolute folders of its authors' machine, of which the part after SUNRGBD/ counts.
    Raises `DepthClipError` for a file that is missing or of another kind.
    """
    if not os.path.lexists(path):
        raise DepthClipError(f"no {path.name} in {path.parent}: put SUN RGB-D's split file there")
    texts = read_texts(path, f"all{split}", "SUN RGB-D's allsplit.mat")
    found = []
    for text in texts:
        parts = PurePosixPath(text.replace("\\", "/")).parts
        if ROOT not in parts[:-1] or ".." in parts:
            raise DepthClipError(f"{path} names {printable(text)!r}, not a folder in {ROOT}/")
        found.append(Path(*parts[parts.index(ROOT) + 1 :]))
    return found


def _size(shape: object) -> tuple[int, int] | None:
    if shape is None:
        return None
    sides = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else ()
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise DepthClipError(f"shape is a height and a width in pixels, not {shape!r}")
    return sides


def _on_disk(folder: Path, sensors: Sequence[str]) -> Iterator[Path]:
    """The folders of frames of some sensors, relative to `folder`, in order."""
    for sensor in sensors:
        for image in sorted((folder / sensor).rglob("image")):
            if (image.parent / "depth").is_dir():
                yield image.parent.relative_to(folder)


def _pair(folder: Path, place: Path) -> Pair:
    own, parts = folder / place, place.parts
    depth = _only(own / "depth", "depth map")
    group = printable("/".join(parts[:-1])) if "sun3ddata" in parts[:-2] else None
    name, rgb = printable(place.as_posix()), _only(own / "image", "picture")
    return Pair(name, rgb, depth, _scene(own / "scene.txt"), group)


def _scene(path: Path) -> str | None:
    """The scene type in a frame's scene.txt; None without it."""
    if not os.path.lexists(path):
        return None
    content = read_file(path, "scene type", LONGEST_SCENE)
    text = printable(content.decode("utf-8", "replace")).strip()
    usual = text.lower().replace(" ", "_")
    return usual if usual in SCENE_TYPES else text or None


def _only(folder: Path, what: str) -> Path:
    """The one file of a folder."""
    files = [f for f in folder.glob("*") if not f.name.startswith(".")] if folder.is_dir() else []
    if len(files) != 1:
        raise DepthClipError(f"{folder} holds {len(files)} files, not one {what}: unpack it again")
    return files[0]
