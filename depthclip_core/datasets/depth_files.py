"""Depth maps in files, as data sets and other systems store them, and as this package does."""

import io
import math
import os
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from depthclip_core.datasets.exr import read_exr
from depthclip_core.datasets.options import number_option
from depthclip_core.datasets.pictures import opened_picture, upright
from depthclip_core.errors import DepthClipError, first_line

LARGEST = 2**16 - 1  # of 16-bit levels
PNG_DIVISOR = 1000  # levels per metre in the PNG files of this package
DEEPEST = LARGEST / PNG_DIVISOR  # metres that 16 bits hold
MOST_PIXELS = 2**26  # of a map: a file that claims more is damaged, or meant to fill the memory
PICTURES = (".png", ".pgm", ".tif", ".tiff")


def read_depth_file(path: Path, content: bytes | None = None) -> np.ndarray:
    """The values (H, W) of a depth file as stored: uint16 levels, or floating-point numbers.

    Grey pictures of 16 bits (PNG, PGM, TIFF), floating-point TIFF, .npy, .npz that holds one array,
    and .exr. Axes of length 1 are dropped.
    content: the bytes of a file that is part of another; its path then names it in errors.
    Raises `DepthClipError` for a file that is missing, damaged, of another kind, or not one map.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(READERS)
        raise DepthClipError(f"{path}: depth is not read from {path.suffix!r} files, but {known}")
    try:
        values = read(path, path if content is None else io.BytesIO(content))
    except FileNotFoundError:
        raise DepthClipError(f"no depth map at {path}") from None
    except DepthClipError:
        raise
    except Exception as error:  # Pillow and NumPy raise many kinds on a damaged file
        raise DepthClipError(f"cannot read {path}: {first_line(error)}") from error
    return checked_map(values, path)


def png_levels(depth: np.ndarray) -> tuple[np.ndarray, int]:
    """Depth in metres as uint16 millimetres, and how many pixels are too deep for them.

    Those get the largest level. None gets 0, which would mean "no depth".
    """
    millimetres = np.rint(depth.astype(np.float64) * PNG_DIVISOR)
    levels = millimetres.clip(1, LARGEST).astype(np.uint16)
    return levels, int(np.count_nonzero(millimetres > LARGEST))


def checked_map(values: np.ndarray, label: object) -> np.ndarray:
    """Stored values without axes of length 1, in this machine's byte order.

    Raises `DepthClipError` unless they are one depth map.
    """
    flat = values.squeeze()
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if flat.ndim != 2 or values.ndim > 4:
        raise DepthClipError(f"{label} is of shape {values.shape}: a depth map has one of (H, W)")
    if flat.dtype.kind not in "fu" or (flat.dtype.kind == "u" and flat.dtype != np.uint16):
        fault = f"holds {flat.dtype}: depth is 16-bit levels (uint16) or floating-point numbers"
        raise DepthClipError(f"{label} {fault}")
    return flat


def check_size(shape: tuple[int, ...], label: object) -> None:
    """`DepthClipError` for a map of more pixels than any camera has."""
    if np.prod(shape, dtype=float) > MOST_PIXELS:
        size = " x ".join(map(str, shape))
        raise DepthClipError(f"{label} claims {size} values: a map has at most {MOST_PIXELS:,}")


def check_one_picture(image: Image.Image, path: Path) -> None:
    """`DepthClipError` for a file of several pictures, of which none is the map."""
    try:
        image.seek(1)  # not counted: a TIFF can claim millions
    except EOFError:
        return
    raise DepthClipError(f"{path} holds several pictures: save the map alone")


def in_metres(values: np.ndarray, divisor: float, missing: Collection[float] = ()) -> np.ndarray:
    """Stored values (H, W) as float32 metres: value / divisor, 0 where nothing was measured.

    missing: stored values that mean "not measured"; 0, negative, NaN and infinity always do.
    """
    divisor = number_option("the divisor", divisor, "stored units per metre, such as 1000")
    known = np.isfinite(values) & (values > 0) & ~np.isin(values, list(missing))
    return np.where(known, values / divisor, 0).astype(np.float32)


def npy_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the order is Fortran's, and dtype of a .npy; the stream is then at its data.

    Raises ValueError for what is no .npy, for arrays of Python objects, and for sizes that no array
    can have.
    """
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError:
        raise ValueError("its content is not that of a .npy") from None
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(stream)
    except Exception as error:  # Python's own parser reads it, and raises many kinds
        raise ValueError(f"its header is damaged: {first_line(error)}") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects, not numbers")
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize >= 2**62:
        raise ValueError(f"its header claims a shape of {shape}")
    return shape, fortran, dtype


def _npy(path: Path, source: Path | BinaryIO) -> np.ndarray:
    with open(source, "rb") if isinstance(source, Path) else source as stream:
        shape, _, dtype = npy_header(stream)
        check_size(shape, path)
        start = stream.tell()
        left = stream.seek(0, os.SEEK_END) - start
        if left < (wanted := dtype.itemsize * int(np.prod(shape, dtype=object))):
            raise DepthClipError(f"{path} is cut off: it has {left} of its {wanted} bytes")
        stream.seek(0)
        return np.load(stream, allow_pickle=False)


def _picture(path: Path, source: Path | BinaryIO) -> np.ndarray:
    stream = None if isinstance(source, Path) else source
    with opened_picture(path, stream, "depth map") as image:
        check_size(image.size[::-1], path)
        check_one_picture(image, path)
        mode, levels = image.mode, np.asarray(upright(image))
    if mode == "F":
        return levels
    if not mode.startswith("I"):
        kind = f"a picture of mode {mode}"
        raise DepthClipError(f"{path} is {kind}: depth is a grey picture of 16 bits")
    if levels.size and not 0 <= levels.min() <= levels.max() <= LARGEST:
        reached = f"{levels.min()} to {levels.max()}"
        raise DepthClipError(f"{path} has levels of {reached}: depth has 16 bits, 0 to {LARGEST}")
    return levels.astype(np.uint16)


def _npz(path: Path, source: Path | BinaryIO) -> np.ndarray:
    opened = open(source, "rb") if isinstance(source, Path) else source
    with opened:  # NumPy leaves a damaged file open
        if not zipfile.is_zipfile(opened):
            raise DepthClipError(f"{path} is no .npz: its content is not that of an archive")
        opened.seek(0)
        return _only_array(path, opened)


def _only_array(path: Path, stream: BinaryIO) -> np.ndarray:
    with np.load(stream, allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            inside = ", ".join(arrays.files) or "none"
            raise DepthClipError(f"{path} holds {len(arrays.files)} arrays ({inside}), not one")
        with arrays.zip.open(arrays.zip.infolist()[0]) as member:
            check_size(npy_header(member)[0], path)
        return arrays[arrays.files[0]]


READERS: dict[str, Callable[[Path, Path | BinaryIO], np.ndarray]] = {
    **dict.fromkeys(PICTURES, _picture),
    ".npy": _npy,
    ".npz": _npz,
    ".exr": read_exr,
}
