"""A depth map and the ground truth on one grid of pixels, as a composition's switches say."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from depthclip_core.crops import crop_window, crops_for, overlap
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import Window

COVERS = ("none", "eigen-nyu", "depthclip-window", "kb")  # that maps of other sizes may have
MODES = {
    "corners aligned": {"mode": "bilinear", "align_corners": True},
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "nearest": {"mode": "nearest"},
}


@dataclass(frozen=True, eq=False)
class Arranged:
    """A map and the truth on one grid (H, W), float32 metres, 0 where there is none.

    covered: the part of the frame that the grid shows. frame: shape of the whole truth.
    """

    depth: np.ndarray
    truth: np.ndarray
    covered: Window
    frame: tuple[int, int]

    def inside(self, crop: str) -> tuple[slice, slice]:
        """Rows and columns of the grid that lie in a crop of the frame, to the nearest pixel."""
        part = overlap(crop_window(crop, self.frame), self.covered)
        rows, columns = (n / m for n, m in zip(self.truth.shape, self.covered.shape, strict=True))
        top, bottom = (round((end - self.covered.top) * rows) for end in (part.top, part.bottom))
        left, right = (
            round((end - self.covered.left) * columns) for end in (part.left, part.right)
        )
        return slice(top, bottom), slice(left, right)


def arrange(depth: np.ndarray, truth: np.ndarray, place: str, resize: str) -> Arranged:
    """Bring a map (h, w) and the truth (H, W) onto one grid; metres, 0 where there is none.

    place, resize: options of these switches. A pixel of a resized map is missing where one of the
    pixels that it is made of is.
    """
    covered = covered_window(depth.shape, truth.shape, place)
    part = truth[covered.slices]
    if depth.shape == part.shape:
        return Arranged(_float32(depth), _float32(part), covered, truth.shape)
    what, mode = resize.split(", ")
    if what == "truth":
        return Arranged(_float32(depth), _resized(part, depth.shape, mode), covered, truth.shape)
    both = np.stack([depth, depth > 0]).astype(np.float32)
    resized, known = _resized(both, part.shape, mode)
    resized = np.where(known > 1 - 1e-5, resized, 0)
    return Arranged(_float32(resized), _float32(part), covered, truth.shape)


def covered_window(
    shape: tuple[int, int], frame: tuple[int, int], place: str = "by size"
) -> Window:
    """What part of a frame (H, W) a map of a shape covers.

    place: a crop's name; or "by size": the crop of exactly that size, else the frame or the crop of
    that aspect, within a pixel. Raises `DepthClipError` where no or more than one crop fits.
    """
    if place != "by size":
        return crop_window(place, frame)
    windows = {name: crop_window(name, frame) for name in crops_for(frame)}
    exact = list(dict.fromkeys(window for window in windows.values() if window.shape == shape))
    if len(exact) == 1:
        return exact[0]
    # By how many pixels the sides miss the aspect: less than one is rounding.
    off = {
        name: abs(shape[0] * windows[name].shape[1] - shape[1] * windows[name].shape[0])
        / max(windows[name].shape)
        for name in COVERS
        if name in windows
    }
    fitting = [name for name in off if off[name] < 1]
    if len(fitting) == 1:
        return windows[fitting[0]]
    if shape == tuple(frame)[::-1]:
        fault = "a map of {} × {} pixels is turned, for a frame of {} × {}".format(*shape, *frame)
        raise DepthClipError(f"{fault}: save maps as (height, width)")
    size, found = "{} × {}".format(*shape), " or ".join(fitting) or "no known part"
    raise DepthClipError(
        f"a map of {size} pixels may cover {found} of a frame of {frame[0]} × {frame[1]}: "
        f"say which with the switch 'place', one of {', '.join(windows)}"
    )


def _resized(maps: np.ndarray, shape: tuple[int, int], mode: str) -> np.ndarray:
    """Maps (…, h, w) resized to (…, H, W), float32."""
    batch = torch.from_numpy(_float32(maps)).reshape(1, -1, *maps.shape[-2:])
    return F.interpolate(batch, shape, **MODES[mode]).numpy().reshape(*maps.shape[:-2], *shape)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)
