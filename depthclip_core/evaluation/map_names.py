"""Names of frames that lie beside a stack of saved depth maps, bounded before they are read."""

import io
import math
from pathlib import Path

import h5py
import numpy as np

from depthclip_core.datasets.depth_files import npy_header
from depthclip_core.datasets.hdf5 import StoredArray, told
from depthclip_core.errors import DepthClipError

MOST_NAMES = 1_000_000  # of frames; NYU's raw recordings have 407,024
LONGEST_NAME = 4096  # bytes


def names_in_hdf5(item: h5py.Dataset, path: Path) -> list[str]:
    """The texts of a dataset; `DepthClipError` where it holds anything else, or far too much."""
    label = f"{path}, dataset names,"
    with told(label):
        stored = StoredArray(item, label, kinds="SO")
        if h5py.check_string_dtype(stored.dtype) is None or not stored.shape:
            fault = f"{stored.dtype} of shape {stored.shape}"
            raise DepthClipError(f"{label} holds {fault}, not a list of texts")
        _check_names(stored.shape, stored.dtype, label)
        return [name.decode() for name in stored.read().ravel()]


def names_in_npy(content: bytes, path: Path) -> list[str]:
    """The texts of the names.npy in an archive; errors as for `names_in_hdf5`."""
    try:
        shape, _, dtype = npy_header(io.BytesIO(content))
        _check_names(shape, dtype, f"{path}, names.npy,")
        names = np.load(io.BytesIO(content), allow_pickle=False)
    except DepthClipError:
        raise
    except ValueError as error:
        wanted = "save it as text, np.array(names, dtype=str)"
        raise DepthClipError(f"{path}: cannot read `names`: {wanted}") from error
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names.ravel().tolist()]


def _check_names(shape: tuple[int, ...], dtype: np.dtype, label: str) -> None:
    """`DepthClipError` for more names than there are frames, or longer ones than files have."""
    n_names = math.prod(shape)
    if n_names > MOST_NAMES or dtype.itemsize > LONGEST_NAME:
        claimed = f"claims {n_names:,} names of {dtype.itemsize:,} bytes"
        most = f"at most {MOST_NAMES:,} of {LONGEST_NAME:,} are read"
        raise DepthClipError(f"{label} {claimed}, and {most}: it is damaged")
