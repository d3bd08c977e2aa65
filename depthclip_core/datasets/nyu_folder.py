"""NYU Depth v2 as JPEG and PNG files in a folder for each scene, as most depth code has it."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from depthclip_core.datasets.base import Place, checked_split
from depthclip_core.datasets.file_frames import (
    FileFrames,
    Pair,
    checked_pairs,
    given_file,
    read_list,
)
from depthclip_core.datasets.nyu import SPLITS, Nyu, open_mat
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

FOLDER_NAME = "official_splits"
LISTS = "nyudepthv2_{}_files_with_gt.txt"  # as BTS calls them
RGB, DEPTH = "rgb_*.*", "sync_depth_?*.png"
NUMBER = re.compile(r"rgb_(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
SEQUENCE = re.compile(r"(.+)_\d{4}[a-z]?")  # a raw sequence: bathroom_0004, kitchen_0028b


class NyuFolder(Nyu, FileFrames):
    """NYU's frames as SCENE/rgb_NNNNN.jpg with SCENE/sync_depth_NNNNN.png beside it.

    folder: the official_splits of BTS, AdaBins and the released DepthCLIP, which has test/ and
    train/ or one of them; or a folder of scenes, whose one split is "all". split: "test", "train",
    or "all", every frame that lies there.
    files: a list of the split's frames (see `read_list`), by default the one that lies in the
    folder, beside it or in the split's own folder; without a list, all frames in order of number.
    mat: the path of nyu_depth_v2_labeled.mat, for rooms alone.

    These files are preprocessed: the RGB border is blackened, RGB is a JPEG, and depth is in
    whole millimetres. released_preprocessing is accepted and changes nothing.
    The files count the 1449 labelled frames from 0 and the .mat's names from 1, so that
    bathroom/rgb_00045.jpg is "0046". Frames of a raw sequence, such as bathroom_0004, have names
    like "bathroom_0004/00045". scene: from the folder's name. group: the raw sequence; with `mat`
    its room; otherwise None, because a folder such as bathroom/ holds many rooms. depth: from
    dense/sync_depth_dense_NNNNN.png, which the released DepthCLIP's script writes; else None.
    Raises `DepthClipError` where files or splits are missing.
    """

    def __init__(
        self,
        folder: Path,
        split: str = "test",
        *,
        files: Place = None,
        mat: Place = None,
        released_preprocessing: bool = False,
    ):
        self.folder, self.split = Path(folder), checked_split(split, SPLITS)
        self.title, self.released_preprocessing = f"NYU, {split}", True
        names = [(self._split_folder(), files)]
        if split == "all" and files is None and self._has_splits():
            names = [(self.folder / part, None) for part in self._own_splits()]
        found = [pair for root, listed in names for pair in self._pairs(root, listed)]
        if split == "all" and files is None:
            found.sort(key=lambda pair: pair.name)
        rooms = (
            _rooms(given_file(mat, self.folder), found) if mat else [pair.group for pair in found]
        )
        self.pairs = [
            Pair(pair.name, pair.rgb, pair.depth, pair.scene, room)
            for pair, room in zip(found, rooms, strict=True)
        ]

    def is_labelled_set(self) -> bool:
        return all(pair.name.isdecimal() for pair in self.pairs)

    def read_filled_depth(self, index: int) -> np.ndarray | None:
        raw = self.pairs[index].depth
        path = raw.parent / "dense" / raw.name.replace("depth", "depth_dense")
        return self.read_depth(path) if path.is_file() else None

    def depth_without_photograph(self) -> list[Path]:
        """Depth files, relative to the folder, with no photograph of their scene and number."""
        photos = {_scene_and_number(path) for path in self.folder.rglob(RGB)}
        depths = sorted(self.folder.rglob(DEPTH))
        alone = [path for path in depths if _scene_and_number(path) not in photos]
        return [path.relative_to(self.folder) for path in alone]

    def identity_settings(self) -> dict[str, object]:
        return {"prepared": "in the files"}

    def _has_splits(self) -> bool:
        return bool(self._own_splits())

    def _own_splits(self) -> list[str]:
        return [split for split in ("train", "test") if has_scenes(self.folder / split)]

    def _split_folder(self) -> Path:
        """Where the split's scenes lie."""
        whole = self.split == "all" or not self._has_splits()
        return self.folder if whole else self.folder / self.split

    def _pairs(self, root: Path, files: Place) -> list[Pair]:
        """The frames of one folder of scenes, by its list or all of them."""
        split = root.name if self._has_splits() else self.split
        places = (root, self.folder, self.folder.parent)
        listed = given_file(files, self.folder) if files else _first(places, LISTS.format(split))
        if listed:
            pairs = [_pair(root, *named) for named in read_list(listed)]
            return checked_pairs(pairs, root)
        if split != "all" and not self._has_splits():
            have = f"{root} has scenes but no {split}/ folder and no {LISTS.format(split)}"
            raise DepthClipError(f"{have}: choose split 'all', or give a list with option files")
        if not root.is_dir():
            raise DepthClipError(f"no {root.name}/ in {root.parent}: put the split's folder there")
        pictures = [p for p in root.glob(f"*/{RGB}") if NUMBER.fullmatch(p.name)]
        if not pictures:
            raise DepthClipError(f"no SCENE/rgb_00000.jpg in {root}: put the split's frames there")
        pairs = [_pair(root, str(picture.relative_to(root))) for picture in pictures]
        return checked_pairs(sorted(pairs, key=lambda pair: pair.name), root)


def has_scenes(folder: Path) -> bool:
    """Whether the folder holds folders with frames."""
    return next(folder.glob(f"*/{RGB}"), None) is not None


def _scene_and_number(path: Path) -> tuple[Path, str]:
    """The folder of a scene, and the number of a file in it or of a filled depth in its dense/."""
    scene = path.parent.parent if path.parent.name == "dense" else path.parent
    return scene, path.stem.rpartition("_")[2]


def _first(folders: Sequence[Path], name: str) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _pair(root: Path, rgb: str, depth: str | None = None) -> Pair:
    path, number = root / rgb, NUMBER.fullmatch(Path(rgb).name)
    if not number:
        raise DepthClipError(f"{path} is not called rgb_NNNNN.jpg: it is no frame of NYU's")
    # NYU has depth for each frame.
    other = root / depth if depth else path.with_name(f"sync_depth_{number[1]}.png")
    scene = printable(path.parent.name)
    if sequence := SEQUENCE.fullmatch(scene):
        return Pair(f"{scene}/{number[1]}", path, other, sequence[1], scene)
    return Pair(f"{int(number[1]) + 1:04d}", path, other, scene)


def _rooms(mat: Path, pairs: Sequence[Pair]) -> list[str | None]:
    """The room of each frame of the labelled set by its number in the .mat."""
    with open_mat(mat) as file:
        n_frames = file.n_frames
        rooms = []
        for pair in pairs:
            if not pair.name.isdecimal() or not 0 < int(pair.name) <= n_frames:
                raise DepthClipError(f"{mat} has {n_frames} frames, none of them {pair.name}")
            rooms.append(file.text("scenes", int(pair.name) - 1))
    return rooms
