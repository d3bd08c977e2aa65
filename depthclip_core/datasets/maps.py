"""Operations on stored maps: rotated bits, another size, masks, and the size of a file's map."""

from pathlib import Path

import numpy as np

from depthclip_core.datasets.depth_files import check_one_picture, read_depth_file
from depthclip_core.datasets.incoming import reason
from depthclip_core.datasets.pictures import opened_picture, upright, upright_shape
from depthclip_core.errors import DepthClipError


def rotated_back(values: np.ndarray, bits: int, path: Path) -> np.ndarray:
    """16-bit levels rotated right by some bits; `DepthClipError` for floating-point numbers."""
    if values.dtype != np.uint16:
        raise DepthClipError(f"{path} holds {values.dtype}: only 16-bit levels have rotated bits")
    return (values >> bits) | (values << (16 - bits))


def nearest(depth: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (h, w) at another size (H, W): each pixel is the nearest one's, none are mixed."""
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(shape, depth.shape, strict=True)
    )
    return depth[np.ix_(rows, columns)]


def read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Where depth is valid, (H, W) bool: pixels of a .npy or grey picture that are not 0 or NaN."""
    try:
        if path.suffix.lower() == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            with opened_picture(path, what="mask") as image:
                check_one_picture(image, path)
                values = np.asarray(upright(image))
        values = values.squeeze().astype(float)
    except DepthClipError:
        raise
    except Exception as error:  # Pillow and NumPy raise many kinds on a damaged file
        raise DepthClipError(f"cannot read the mask {path}: {reason(error)}") from error
    if values.shape != shape:
        raise DepthClipError(f"the mask {path} is of shape {values.shape}, its depth {shape}")
    return (values != 0) & ~np.isnan(values)


def file_shape(path: Path) -> tuple[int, int]:
    """(H, W) of an image or an array, from its header where there is one."""
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False).squeeze().shape
        if path.suffix.lower() == ".npz":
            return read_depth_file(path).shape
        with opened_picture(path) as image:
            return upright_shape(image)
    except DepthClipError:
        raise
    except Exception as error:  # Pillow and NumPy raise many kinds on a damaged file
        raise DepthClipError(f"cannot read {path}: {reason(error)}") from error
