"""Depth maps in files, as data sets and other systems store them."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from PIL import Image

from depthclip_core.errors import DepthClipError

LARGEST = 2**16 - 1  # of 16-bit levels
PICTURES = (".png", ".pgm", ".tif", ".tiff")


def read_depth_file(path: Path) -> np.ndarray:
    """The values (H, W) of a depth file as stored: uint16 levels, or floating-point numbers.

    Grey pictures of 16 bits (PNG, PGM, TIFF), floating-point TIFF, .npy, and .npz that holds one
    array. Axes of length 1 are dropped. Raises `DepthClipError` for a file that is missing,
    damaged, of another kind, or not one map.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        known = ", ".join(READERS)
        raise DepthClipError(f"{path}: depth is not read from {path.suffix!r} files, but {known}")
    try:
        values = read(path)
    except FileNotFoundError:
        raise DepthClipError(f"no depth map at {path}") from None
    except DepthClipError:
        raise
    except Exception as error:  # Pillow and NumPy raise many kinds on a damaged file
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DepthClipError(f"cannot read {path}: {detail}") from error
    flat = values.squeeze()
    if flat.ndim != 2 or values.ndim > 4:
        raise DepthClipError(f"{path} is of shape {values.shape}: a depth map has one of (H, W)")
    if flat.dtype.kind not in "fu" or (flat.dtype.kind == "u" and flat.dtype != np.uint16):
        fault = f"holds {flat.dtype}: depth is 16-bit levels or floating-point numbers"
        raise DepthClipError(f"{path} {fault}")
    return flat


def in_metres(values: np.ndarray, divisor: float, missing: Collection[float] = ()) -> np.ndarray:
    """Stored values (H, W) as float32 metres: value / divisor, 0 where nothing was measured.

    missing: stored values that mean "not measured"; 0, negative, NaN and infinity always do.
    """
    if not 0 < divisor < float("inf"):
        raise DepthClipError(f"the divisor is stored units per metre, such as 1000, not {divisor}")
    known = np.isfinite(values) & (values > 0) & ~np.isin(values, list(missing))
    return np.where(known, values / divisor, 0).astype(np.float32)


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        mode, levels = image.mode, np.asarray(image)
    if mode == "F":
        return levels
    if not mode.startswith("I"):
        kind = f"a picture of mode {mode}"
        raise DepthClipError(f"{path} is {kind}: depth is a grey picture of 16 bits")
    if levels.size and not 0 <= levels.min() <= levels.max() <= LARGEST:
        reached = f"{levels.min()} to {levels.max()}"
        raise DepthClipError(f"{path} has levels of {reached}: depth has 16 bits, 0 to {LARGEST}")
    return levels.astype(np.uint16)


def _npz(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            inside = ", ".join(arrays.files) or "none"
            raise DepthClipError(f"{path} holds {len(arrays.files)} arrays ({inside}), not one")
        return arrays[arrays.files[0]]


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    **dict.fromkeys(PICTURES, _picture),
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".npz": _npz,
}
