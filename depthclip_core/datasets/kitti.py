"""KITTI in its own folders: frames of a list, such as Eigen's split, with either ground truth."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from depthclip_core.crops import KB_SHAPE, bottom_centre, crop_window
from depthclip_core.datasets.base import Place, checked_split
from depthclip_core.datasets.depth_files import in_metres
from depthclip_core.datasets.file_frames import (
    FileFrames,
    Pair,
    checked_cap,
    checked_pairs,
    given_file,
    read_list,
)
from depthclip_core.datasets.photos import photo_shape
from depthclip_core.datasets.velodyne import project_scan, read_calibration, read_scan
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.paths import user_path
from depthclip_core.settings import Window, data_folder
from depthclip_core.text import printable

SPLITS = ("test", "train", "all")
LISTS = "eigen_{}_files_with_gt.txt"  # as BTS calls them
GROUND_TRUTHS = ("official", "raw")
WINDOWS = ("kb", "whole")
EVALUATION_CROPS = ("garg", "eigen-kitti", "kb", "none")
# DATE/DRIVE_sync/image_02/data/NNNNNNNNNN.png
RGB = re.compile(
    r"(\d{4}_\d\d_\d\d)/(\1_drive_\d{4})_sync/(image_0[23])/data/(\d{10})\.(?:png|jpg)", re.I
)
RGB_PLACES = ("", "raw", "raw_data", "kitti_raw", "kitti_raw_data", "input")
DEPTH_PLACES = tuple(
    f"{folder}{part}"
    for folder in ("", "data_depth_annotated/", "gt_depth/")
    for part in ("", "train/", "val/")
)
# Centres of seven even bins over 0 to 80 m: Auty and Mikolajczyk's seven even bins over 0 to 10 m,
# scaled to KITTI's cap.
EVEN_BINS = tuple(round((place + 0.5) * 80 / 7, 4) for place in range(7))


class KittiFrames(FileFrames):
    """Frames of KITTI's raw recordings with depth, one read at a time.

    folder: holds the raw recordings, DATE/DRIVE_sync/image_02/data/NNNNNNNNNN.png, or raw/ with
    them; and for the official ground truth DRIVE_sync/proj_depth/groundtruth/image_02/ of the same
    numbers, in data_depth_annotated/, its train/ or val/, or in the folder or the date's itself.
    split: "test", "train" or "all". files: a list of the split's frames (see `read_list`), by
    default eigen_test_files_with_gt.txt or eigen_train_files_with_gt.txt in the folder; without
    files, "all" is every image on disk that has depth.
    ground_truth: "official", KITTI's depth from several scans, PNG in 1/256 m; frames without it
    are left out (45 of the 697 of Eigen's test). Or "raw", one Velodyne scan projected into the
    image as monodepth does: `velodyne.project_scan`.
    window: "kb" cuts every frame to its 352 x 1216 pixels at the bottom centre, which the network
    sees; "whole" delivers it as it is, and then frames differ in size.
    evaluation_crop: the rectangle of the WHOLE frame that counts: "garg", "eigen-kitti", "kb" or
    "none", see `crops.crop_window`. `ground_truth` is 0 outside it, `raw_depth` is not.
    depth_cap: metres up to which ground truth counts, 80 or 50 in the literature.
    Groups are drives; scene types are not known. DepthCLIP's published bins end at 4 m: give others
    with bins=, such as `EVEN_BINS`.
    Raises `DepthClipError` where a file, list or drive is missing or of another layout.
    """

    splits = SPLITS
    licence = "CC BY-NC-SA 3.0"
    citation = "Geiger, Lenz, Stiller, Urtasun: Vision meets Robotics: The KITTI Dataset, IJRR 2013"
    frame_shape = KB_SHAPE
    evaluation_crop, depth_cap = Window(0, KB_SHAPE[0], 0, KB_SHAPE[1]), 80.0
    divisor = 256
    map_options: Mapping[str, object] = {"window": "whole"}

    def __init__(
        self,
        folder: Path,
        split: str = "test",
        *,
        files: Place = None,
        ground_truth: str = "official",
        window: str = "kb",
        evaluation_crop: str = "garg",
        depth_cap: float = 80.0,
    ):
        self.folder, self.split = Path(folder), checked_split(split, SPLITS)
        for kind, value, known in (
            ("ground truth", ground_truth, GROUND_TRUTHS),
            ("window", window, WINDOWS),
            ("evaluation crop", evaluation_crop, EVALUATION_CROPS),
        ):
            if value not in known:
                raise unknown_name(kind, value, known)
        self.kind, self.crop_name, self.depth_cap = (
            ground_truth,
            evaluation_crop,
            checked_cap(depth_cap),
        )
        if window == "whole":
            self.frame_shape = self.evaluation_crop = None
        self.title = f"KITTI, {split}"
        if not self.folder.is_dir():
            raise DepthClipError(f"no folder {self.folder}: put KITTI there, or set DEPTHCLIP_DATA")
        listed = given_file(files, self.folder) if files else self._own_list()
        pairs = self._listed(listed) if listed else self._on_disk()
        if ground_truth == "official":
            pairs = [pair for pair in pairs if pair.depth]
        if not pairs:
            raise DepthClipError(
                f"{listed or self.folder} has no frame with depth: see KittiFrames"
            )
        self.pairs = checked_pairs(pairs, self.folder)

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        return cls(user_path(data or data_folder() / "kitti"), split, **options)

    def cut(self, shape: tuple[int, int]) -> Window | None:
        return bottom_centre(KB_SHAPE, shape) if self.frame_shape else None

    def other_names(self) -> list[list[str]]:
        as_bts = [f"{pair.group}_sync_{pair.rgb.stem}" for pair in self.pairs]
        return [*super().other_names(), as_bts]

    def identity_settings(self) -> dict[str, object]:
        return {"window": "kb" if self.frame_shape else "whole"}

    def read_raw_depth(self, index: int) -> np.ndarray:
        return self._delivered(self.whole_depth(index), self.pairs[index].depth)

    def whole_depth(self, index: int) -> np.ndarray:
        """Depth of the frame before it is cut, metres, 0 where nothing was measured."""
        pair = self.pairs[index]
        if self.kind == "official":
            return in_metres(self.read_levels(pair.depth), self.divisor)
        projection = read_calibration(_drive(pair.rgb).parent, camera=_camera(pair.rgb))
        return project_scan(read_scan(pair.depth), projection, photo_shape(pair.rgb))

    def ground_truth(self, position: int) -> np.ndarray:
        """Raw depth where it counts, 0 outside the evaluation crop."""
        index = self._index(position)
        whole = self.whole_depth(index)
        kept = crop_window(self.crop_name, whole.shape).slices
        blanked = np.zeros_like(whole)
        blanked[kept] = whole[kept]
        return self._delivered(blanked, self.pairs[index].depth)

    def _own_list(self) -> Path | None:
        """The list of the split that lies in the folder; none for "all"."""
        if self.split == "all":
            return None
        path = self.folder / LISTS.format(self.split)
        if not path.is_file():
            wanted = "put Eigen's list there, give one with option files, or choose split 'all'"
            raise DepthClipError(f"no {path.name} in {self.folder}: {wanted}")
        return path

    def _roots(self, places: tuple[str, ...]) -> list[Path]:
        """Those of the places that exist, the folder itself first."""
        return [self.folder / place for place in places if (self.folder / place).is_dir()]

    def _listed(self, path: Path) -> list[Pair]:
        """The frames of a list, in its order."""
        roots, depth_roots = self._roots(RGB_PLACES), self._roots(DEPTH_PLACES)
        pairs = []
        for rgb, depth in read_list(path):
            found = RGB.fullmatch(rgb)
            if not found:
                wanted = "DATE/DRIVE_sync/image_02/data/NNNNNNNNNN.png"
                raise DepthClipError(f"{path} names {printable(rgb)!r}, not {wanted}")
            picture = _first(roots, rgb, str(Path(rgb).with_suffix(".jpg")))
            pair = _pair(found, picture)
            if self.kind == "raw":
                pair = replace(pair, depth=_scan(picture))
            elif depth:
                pair = replace(pair, depth=_first(depth_roots, depth, f"{found[1]}/{depth}"))
            pairs.append(pair)
        return pairs

    def _on_disk(self) -> list[Pair]:
        """Every image on disk that has depth, in order."""
        roots, depth_roots = self._roots(RGB_PLACES), self._roots(DEPTH_PLACES)
        pairs = []
        for root in roots:
            for picture in sorted(root.glob("*/*_sync/image_0[23]/data/*.*")):
                found = RGB.fullmatch(picture.relative_to(root).as_posix())
                if not found:
                    continue
                date, drive, camera, number = found.groups()
                own = f"{drive}_sync/proj_depth/groundtruth/{camera}/{number}.png"
                official = _first(depth_roots, own, f"{date}/{own}")
                depth = _scan(picture) if self.kind == "raw" else official
                if depth.is_file():
                    pairs.append(replace(_pair(found, picture), depth=depth))
        return pairs


def _pair(found: re.Match, picture: Path) -> Pair:
    _, drive, camera, number = found.groups()
    return Pair(f"{drive}/{camera}/{number}", picture, group=drive)


def _first(roots: list[Path], *names: str) -> Path:
    """The first of some files that exists, else where it would lie first."""
    places = [root / name for root in roots for name in names]
    return next((place for place in places if place.is_file()), places[0])


def _drive(picture: Path) -> Path:
    return picture.parents[2]


def _camera(picture: Path) -> int:
    return int(picture.parents[1].name[-2:])


def _scan(picture: Path) -> Path:
    """The scan of an image's moment."""
    return _drive(picture) / "velodyne_points" / "data" / f"{picture.stem}.bin"
