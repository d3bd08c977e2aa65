"""OpenEXR files are read through whichever library is installed."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from depthclip_core.datasets.depth_files import read_depth_file
from depthclip_core.errors import DepthClipError

Z = np.linspace(0.5, 5, 6, dtype=np.float32).reshape(2, 3)
LIBRARIES = ("OpenEXR", "cv2")


@pytest.fixture
def without_libraries(monkeypatch):
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails


def library(monkeypatch, name, **functions):
    module = ModuleType(name)
    for function, what in functions.items():
        setattr(module, function, what)
    monkeypatch.setitem(sys.modules, name, module)


class File:
    """OpenEXR's, of these channels."""

    def __init__(self, channels):
        self._channels = channels

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def channels(self):
        return {name: SimpleNamespace(pixels=values) for name, values in self._channels.items()}


@pytest.mark.parametrize(
    "channels",
    [{"Z": Z}, {"depth": Z}, {"R": Z, "G": Z, "B": Z}, {"A": 0 * Z, "B": Z, "Y": Z.copy()}],
)
def test_openexr_gives_the_depth_channel(tmp_path, monkeypatch, without_libraries, channels):
    library(monkeypatch, "OpenEXR", File=lambda path, separate_channels: File(channels))
    np.testing.assert_array_equal(read_depth_file(tmp_path / "a.exr"), Z)


def test_opencv_reads_bytes_too(tmp_path, monkeypatch, without_libraries):
    library(monkeypatch, "cv2", imdecode=lambda content, flags: Z * 2, IMREAD_UNCHANGED=-1)
    np.testing.assert_array_equal(read_depth_file(tmp_path / "a.exr", b"any"), Z * 2)


def test_faults_are_one_clear_line(tmp_path, monkeypatch, without_libraries):
    with pytest.raises(DepthClipError, match="reading .exr needs a library: pip install OpenEXR"):
        read_depth_file(tmp_path / "a.exr")
    with pytest.raises(DepthClipError, match="unpack the archive, and pip install OpenEXR"):
        read_depth_file(tmp_path / "a.exr", b"any")
    library(monkeypatch, "cv2", imdecode=lambda content, flags: None, IMREAD_UNCHANGED=-1)
    with pytest.raises(DepthClipError, match=r"cannot read .*a.exr: OpenCV cannot decode it"):
        read_depth_file(tmp_path / "a.exr", b"any")
    colours = {"R": Z, "G": Z, "B": 2 * Z}
    library(monkeypatch, "OpenEXR", File=lambda path, separate_channels: File(colours))
    with pytest.raises(DepthClipError, match="3 channels that differ: save depth as one channel"):
        read_depth_file(tmp_path / "a.exr")
