"""The crops that depth code scores or feeds to networks, by name, for a frame of a given size.

Sources: Eigen et al. 2014 and Garg et al. 2016, in the numbers of monodepth, which BTS and its
successors copied. "kb" is the size of the KITTI benchmark's frames.
"""

from types import MappingProxyType

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import RELEASED_WINDOW, Window

NYU_SHAPE = (480, 640)
KB_SHAPE = (352, 1216)
# Rows and columns of NYU's frames.
FIXED = MappingProxyType(
    {
        "eigen-nyu": Window(45, 471, 41, 601),
        "released": Window(45, 471, 46, 601),  # DepthCLIP's and ASTransformer's
        "nyu-21": Window(21, 461, 25, 617),
        "depthclip-window": RELEASED_WINDOW,  # what DepthCLIP's network sees
    }
)
# Top, bottom, left and right as fractions of the height and the width.
FRACTIONS = MappingProxyType(
    {
        "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
        "eigen-kitti": (0.3324324, 0.91351351, 0.0359477, 0.96405229),
    }
)
WIDE = 2.5  # width by height of frames like KITTI's
CROPS = ("none", *FIXED, *FRACTIONS, "kb")


def crop_window(name: str, shape: tuple[int, int]) -> Window:
    """The rectangle that a crop leaves of a frame of shape (H, W).

    "none": all of it. "eigen-nyu", "released", "nyu-21" and "depthclip-window": fixed pixels of
    480 x 640. "garg" and "eigen-kitti": fractions of H and W, truncated to whole pixels. "kb":
    352 x 1216 from the bottom, centred. Raises `DepthClipError` for an unknown name, and for a
    shape that the crop does not fit.
    """
    if not isinstance(name, str) or name not in CROPS:
        raise unknown_name("crop", name, CROPS)
    height, width = shape
    if name in FIXED:
        if (height, width) != NYU_SHAPE:
            wanted = "crop {!r} is for frames of {} x {} pixels".format(name, *NYU_SHAPE)
            raise DepthClipError(f"{wanted}, not {height} x {width}: choose another crop")
        return FIXED[name]
    if name == "kb":
        return bottom_centre(KB_SHAPE, shape)
    if name == "none":
        return Window(0, height, 0, width)
    top, bottom, left, right = FRACTIONS[name]
    return Window(int(top * height), int(bottom * height), int(left * width), int(right * width))


def crops_for(shape: tuple[int, int]) -> list[str]:
    """The crops that are in use for frames of shape (H, W): NYU's, KITTI's, or none but "none"."""
    if tuple(shape) == NYU_SHAPE:
        return ["none", *FIXED]
    if shape[1] >= WIDE * shape[0]:
        fits = shape[0] >= KB_SHAPE[0] and shape[1] >= KB_SHAPE[1]
        return ["none", *FRACTIONS, *(["kb"] if fits else [])]
    return ["none"]


def bottom_centre(part: tuple[int, int], shape: tuple[int, int]) -> Window:
    """A rectangle of `part`'s (H, W) at the bottom of a frame of `shape`, in its middle columns.

    Raises `DepthClipError` for a frame that is smaller.
    """
    top, left = _margins(part, shape)
    return Window(top, shape[0], left // 2, left // 2 + part[1])


def centre(part: tuple[int, int], shape: tuple[int, int]) -> Window:
    """A rectangle of `part`'s (H, W) in the middle of a frame of `shape`.

    Raises `DepthClipError` for a frame that is smaller.
    """
    top, left = (margin // 2 for margin in _margins(part, shape))
    return Window(top, top + part[0], left, left + part[1])


def overlap(one: Window, other: Window) -> Window:
    """The pixels that two rectangles share; without height or width if they share none."""
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom, right = min(one.bottom, other.bottom), min(one.right, other.right)
    return Window(top, max(top, bottom), left, max(left, right))


def _margins(part: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """By how many rows and columns a frame of `shape` is larger than the part."""
    rows, columns = shape[0] - part[0], shape[1] - part[1]
    if rows < 0 or columns < 0:
        small = f"a frame of {shape[0]} x {shape[1]} pixels"
        raise DepthClipError(f"{small} is too small for a crop of {part[0]} x {part[1]}")
    return rows, columns
