"""Depth in OpenEXR files, through whichever library is installed: the package needs none."""

import os
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import numpy as np

from depthclip_core.errors import DepthClipError

NAMES = ("Z", "Y")  # channels that hold depth where there are several


def read_exr(path: Path, source: Path | BinaryIO) -> np.ndarray:
    """The values (H, W) of an .exr file, floating-point, as OpenEXR or OpenCV reads it.

    source: the path, or the file's content, which OpenCV alone reads. Of several channels that are
    all alike the first is taken. Raises `DepthClipError` without a library, and where channels
    differ.
    """
    readers = {"OpenEXR": _with_openexr, "cv2": _with_opencv}
    if not isinstance(source, Path):
        del readers["OpenEXR"]
    for name, read in readers.items():
        try:
            if name == "cv2":  # OpenCV asks once, before its first .exr
                os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
            library = import_module(name)
        except ImportError:
            continue
        return _one_channel(read(library, source), path)
    unpacked = "" if isinstance(source, Path) else "unpack the archive, and "
    raise DepthClipError(f"{path}: reading .exr needs a library: {unpacked}pip install OpenEXR")


def _with_openexr(library, source: Path) -> np.ndarray:
    with library.File(str(source), separate_channels=True) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
        if len(channels) > 1 and (name := next((n for n in NAMES if n in channels), None)):
            return np.array(channels[name])
        return np.stack(list(channels.values()), axis=-1)


def _with_opencv(library, source: Path | BinaryIO) -> np.ndarray:
    content = source.read_bytes() if isinstance(source, Path) else source.read()
    values = library.imdecode(np.frombuffer(content, np.uint8), library.IMREAD_UNCHANGED)
    if values is None or not values.any():  # a channel called Z becomes zeros
        # OpenCV 5 is built without OpenEXR.
        raise ValueError("OpenCV cannot decode it; with OpenEXR installed, that is used instead")
    return values


def _one_channel(values: np.ndarray, path: Path) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim == 3 and values.shape[-1] > 1:
        colours = values[..., :3]  # a fourth is opacity
        if (colours != colours[..., :1]).any():
            fault = f"has {values.shape[-1]} channels that differ"
            raise DepthClipError(f"{path} {fault}: save depth as one channel")
        values = values[..., 0]
    return values
