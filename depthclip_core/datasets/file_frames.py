"""Frames of which RGB and depth lie in files of their own, and lists that name such files."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthclip_core.datasets.base import Checksums, Dataset, Frame
from depthclip_core.datasets.depth_files import in_metres, read_depth_file
from depthclip_core.datasets.incoming import read_text
from depthclip_core.datasets.photos import open_photo
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import Window
from depthclip_core.text import printable

MISSING = "files are missing in"  # says that a data set is known, but not all of it is there


@dataclass(frozen=True)
class Pair:
    """The files of one frame, and what their names tell of it."""

    name: str
    rgb: Path
    depth: Path | None = None
    scene: str | None = None
    group: str | None = None


class FileFrames(Dataset):
    """Frames of `pairs`, one read at a time. A subclass sets `pairs` and what follows.

    divisor: stored units of depth per metre. frame_shape: where set, every frame must have it.
    """

    pairs: Sequence[Pair] = ()
    divisor: float = 1000

    def cut(self, shape: tuple[int, int]) -> Window | None:
        """The rectangle that is delivered of a frame whose files are of (H, W); None for all."""
        return None

    def identity_settings(self) -> dict[str, object]:
        """What else than its files this data set's RGB depends on."""
        return {}

    def read_levels(self, path: Path) -> np.ndarray:
        """Stored depth (H, W), of which `divisor` is a metre."""
        return read_depth_file(path)

    def __len__(self) -> int:
        return len(self.pairs)

    def read_frame(self, index: int) -> Frame:
        pair, rgb, raw_depth = self.pairs[index], self.read_rgb(index), self.read_raw_depth(index)
        filled = self.read_filled_depth(index)
        for depth in (raw_depth, filled):
            if depth is not None and depth.shape != rgb.shape[:2]:
                sizes = "RGB of {} x {} pixels and depth of {} x {}"
                fault = sizes.format(*rgb.shape[:2], *depth.shape)
                raise DepthClipError(f"{pair.rgb}: the frame has {fault}")
        places = {"scene": pair.scene, "group": pair.group}
        windows = {"crop": self.crop, "content": self.content}
        return Frame(pair.name, rgb, raw_depth, filled, **places, **windows)

    def read_rgb(self, index: int) -> np.ndarray:
        path = self.pairs[index].rgb
        return self._delivered(np.array(open_photo(path)), path)

    def read_raw_depth(self, index: int) -> np.ndarray | None:
        return self.read_depth(self.pairs[index].depth)

    def read_filled_depth(self, index: int) -> np.ndarray | None:
        """Depth without holes; None where the data set has none."""
        return None

    def read_depth(self, path: Path | None) -> np.ndarray | None:
        """A depth file as the data set delivers it: metres, float32."""
        if path is None:
            return None
        return self._delivered(in_metres(self.read_levels(path), self.divisor), path)

    def each(self, fact: str) -> list[str | None]:
        return [getattr(pair, fact) for pair in self.pairs]

    def other_names(self) -> list[list[str]]:
        return [[pair.rgb.as_posix() for pair in self.pairs]]

    def rgb_files(self, index: int) -> Sequence[Path]:
        return [self.pairs[index].rgb]

    def identity(self, checksums: Checksums) -> dict:
        digests = self.file_checksums([pair.rgb for pair in self.pairs], checksums)
        files = hashlib.sha256("".join(digests).encode()).hexdigest()
        return {"title": self.title, "files": files} | self.identity_settings()

    def _delivered(self, whole: np.ndarray, path: Path) -> np.ndarray:
        """The part of a picture or map that is delivered, of the size that the data set states."""
        try:
            window = self.cut(whole.shape[:2])
        except DepthClipError as error:
            raise DepthClipError(f"{path}: {error}") from None
        part = whole if window is None else np.ascontiguousarray(whole[window.slices])
        if self.frame_shape and part.shape[:2] != self.frame_shape:
            found, usual = (" x ".join(map(str, s)) for s in (part.shape[:2], self.frame_shape))
            raise DepthClipError(f"{path} has {found} pixels, {self.title} has {usual}")
        return part


def read_list(path: Path) -> list[tuple[str, str | None]]:
    """What a list of frames names: RGB and depth file of each line, in their order.

    A line is "bathroom/rgb_00045.jpg bathroom/sync_depth_00045.png 518.8579"; the focal length may
    be absent, and depth None. A slash at the beginning of a name does not count. Raises
    `DepthClipError` for a file that is missing or no such list.
    """
    named = []
    for number, line in enumerate(read_text(path, "list of frames").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) not in (2, 3):
            wanted = "an RGB file, a depth file or None, and perhaps a focal length"
            raise DepthClipError(f"{path}, line {number}: wanted {wanted}, got {printable(line)!r}")
        rgb, depth = (word.lstrip("/") for word in words[:2])
        named.append((rgb, None if depth == "None" else depth))
    if not named:
        raise DepthClipError(f"the list of frames {path} is empty")
    return named


def given_file(path: str | Path, folder: Path) -> Path:
    """A file that an option names: as it is, or in the data's folder if it lies there."""
    path = Path(path).expanduser()
    return path if path.exists() or not (folder / path).exists() else folder / path


def checked_pairs(pairs: Sequence[Pair], where: Path) -> list[Pair]:
    """The pairs, if all of their files exist; else `DepthClipError` names the first missing one."""
    files = [file for pair in pairs for file in (pair.rgb, pair.depth) if file is not None]
    missing = [file for file in files if not file.is_file()]
    if missing:
        count = f"{len(missing)} of {len(files)} {MISSING} {where}"
        raise DepthClipError(f"{count}, the first is {missing[0]}: copy them there")
    return list(pairs)


def checked_cap(metres: object) -> float:
    """A depth cap as a float; `DepthClipError` for what is not a positive, finite number."""
    if isinstance(metres, bool) or not isinstance(metres, int | float) or not 0 < metres < np.inf:
        wanted = "depth_cap is a positive, finite number of metres"
        raise DepthClipError(f"{wanted}, not {metres!r}")
    return float(metres)
