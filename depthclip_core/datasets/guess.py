"""Guess how a folder of RGB-D files is to be read: patterns of names, divisor, holes, sizes.

A guess is a proposal to look at, never used unasked: `depthclip data inspect` shows it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from depthclip_core.datasets.checks import (
    DIVISORS,
    SATURATED,
    SPARSE,
    STREET,
    fitting_divisors,
)
from depthclip_core.datasets.depth_files import LARGEST, read_depth_file
from depthclip_core.datasets.maps import file_shape, rotated_back
from depthclip_core.datasets.pairing import (
    DEPTH_SUFFIXES,
    MASK_SUFFIXES,
    Pair,
    by_name,
    by_time,
    files_below,
    matched,
)
from depthclip_core.datasets.pictures import SUFFIXES
from depthclip_core.errors import DepthClipError

# What files or their folders are called, RGB and depth.
WORDS = (
    *(("rgb", "depth"), ("color", "depth"), ("colour", "depth"), ("image", "depth")),
    *(("images", "depths"), ("images", "depth"), ("img", "depth"), ("rgb", "sync_depth")),
    *(("rgb", "raw_depth"), ("rgb", "gt"), ("left", "depth")),
)
FORMS = ("**/*_{}.*", "**/*.{}.*", "**/*-{}.*", "**/{}_*.*", "**/{}/*.*", "**/{}.*")
DIODE = ("**/*.png", "**/*_depth.npy")
NO_NAMES = (
    "no two kinds of files are named alike but for rgb and depth, color and depth, or image and "
    "depth: describe their names in a .toml file"
)
TIME_STAMPS = 0.02  # seconds, TUM RGB-D's own tolerance
LOOKED_AT = 8  # depth files
ROTATED = 0.9  # share of levels that are multiples of 8 in SUN RGB-D's files; an eighth elsewhere
MANY = 50  # different levels, so that few are not multiples of 8 by accident


def guessed_options(folder: Path) -> dict[str, object]:
    """Options for `PairFrames` that fit the files in a folder.

    Raises `DepthClipError` where no names fit, and for files that cannot be read.
    """
    options = _names(folder)
    pairs = _pairs(folder, options)
    spread = np.linspace(0, len(pairs) - 1, min(LOOKED_AT, len(pairs))).round().astype(int)
    maps = [read_depth_file(pairs[i].depth) for i in spread]
    levels = np.concatenate([values[np.isfinite(values) & (values > 0)] for values in maps])
    if levels.dtype == np.uint16 and _rotated(levels):
        options["rotated_bits"], levels = 3, rotated_back(levels, 3, pairs[0].depth)
    if levels.dtype == np.uint16 and (levels == LARGEST).sum() > SATURATED * levels.size:
        options["missing"], levels = [LARGEST], levels[levels != LARGEST]
    if not levels.size:
        raise DepthClipError(f"the depth files in {folder} have no valid depth")
    valid = levels.size / sum(values.size for values in maps)
    options |= guessed_scale(levels, sparse=valid < SPARSE)
    first = pairs[0]
    if file_shape(first.rgb) != file_shape(first.depth):
        options["resize"] = "rgb-to-depth"
    return options


def _rotated(levels: np.ndarray) -> bool:
    """Whether 16-bit levels look like SUN RGB-D's, whose lowest bits are depth's highest."""
    return (levels % 8 == 0).sum() > ROTATED * levels.size and len(np.unique(levels)) > MANY


def guessed_scale(levels: np.ndarray, sparse: bool) -> dict[str, float]:
    """The divisor, and the depth cap if it is not a room's, for valid stored values.

    sparse: as from a LiDAR, so that a street is likelier than a room. With no fit: the divisor
    most common for whole levels, 1000, and for floating-point numbers 1.
    """
    median, far = np.percentile(levels, [50, 95])
    likely = [1, *DIVISORS] if levels.dtype.kind == "f" else list(DIVISORS)
    fits = fitting_divisors(float(median), float(far))
    if not fits:
        return {"divisor": likely[0]}
    divisor, kind = min(
        fits, key=lambda fit: ((fit[1] is STREET) != sparse, _liking(fit, likely, sparse))
    )
    return {"divisor": divisor} | ({"depth_cap": 80} if kind is STREET else {})


def as_toml(options: dict[str, object]) -> str:
    """Options as lines of a .toml file: text, numbers, flags and lists of numbers."""

    def value(option: object) -> str:
        if isinstance(option, bool):
            return str(option).lower()
        if isinstance(option, str):
            return '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return str(option)

    return "\n".join(f"{name} = {value(option)}" for name, option in options.items())


def _liking(fit: tuple, likely: Sequence[int], sparse: bool) -> int:
    """KITTI's divisor first for sparse depth, else the order of the known ones."""
    return -1 if sparse and fit[0] == 256 else likely.index(fit[0])


def _names(folder: Path) -> dict[str, object]:
    """Patterns of RGB and depth files, those that form most pairs."""
    files = files_below(folder)
    if {"rgb.txt", "depth.txt"} <= set(files):
        return {"time_stamps": TIME_STAMPS}
    patterns = [tuple(map(form.format, words)) for form in FORMS for words in WORDS]
    best: tuple[int, dict[str, object]] = (0, {})
    for rgb, depth in [*patterns, DIODE]:
        try:
            photos = matched(rgb, files, SUFFIXES)
            depths = matched(depth, files, DEPTH_SUFFIXES) if photos else {}
        except DepthClipError:  # two files for one frame
            continue
        common = photos.keys() & depths.keys()
        if len(common) <= best[0]:
            continue
        found: dict[str, object] = {"rgb": rgb, "depth": depth}
        if len(common) < max(len(photos), len(depths)):
            found["unpaired"] = "skip"
        if (rgb, depth) == DIODE:
            masks = matched("**/*_depth_mask.npy", files, MASK_SUFFIXES)
            found |= {"mask": "**/*_depth_mask.npy"} if common <= masks.keys() else {}
        if not any(folders for folders, *_ in common):  # all lie in the folder itself
            patterns_in_it = {k: v.removeprefix("**/") for k, v in found.items() if "*" in v}
            found |= patterns_in_it
        best = (len(common), found)
    if not best[1]:
        raise DepthClipError(NO_NAMES)
    return best[1]


def _pairs(folder: Path, options: dict) -> list[Pair]:
    if "time_stamps" in options:
        return by_time(folder, "rgb.txt", "depth.txt", TIME_STAMPS)
    names = [options.get(key) for key in ("rgb", "depth", "mask")]
    return by_name(folder, *names, options.get("unpaired", "refuse"))
