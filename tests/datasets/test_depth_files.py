"""Depth files give what they store, or one clear line."""

import os

import numpy as np
import pytest
from PIL import Image

from depthclip_core.datasets.depth_files import in_metres, read_depth_file
from depthclip_core.errors import DepthClipError

LEVELS = np.array([[0, 1, 65535], [1000, 2500, 256]], np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "a.PNG"])
def test_16_bit_pictures_give_their_levels(tmp_path, name):
    Image.fromarray(LEVELS).save(tmp_path / name)
    read = read_depth_file(tmp_path / name)
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, LEVELS)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (2, 3, 1)])
def test_arrays_lose_axes_of_length_one(tmp_path, shape):
    metres = np.linspace(0.5, 3, 6, dtype=np.float32).reshape(shape)
    np.save(tmp_path / "a.npy", metres)
    np.savez(tmp_path / "a.npz", depth=metres)
    Image.fromarray(metres.reshape(2, 3)).save(tmp_path / "a.tiff")
    for name in ("a.npy", "a.npz", "a.tiff"):
        np.testing.assert_array_equal(read_depth_file(tmp_path / name), metres.reshape(2, 3))


def test_in_metres_marks_what_was_not_measured():
    stored = np.array([[0, 500, 65535, 2000]], np.uint16)
    np.testing.assert_array_equal(in_metres(stored, 1000, [65535]), [[0, 0.5, 0, 2]])
    floats = np.array([[np.nan, -1, np.inf, 256]])
    np.testing.assert_array_equal(in_metres(floats, 256), [[0, 0, 0, 1]])
    with pytest.raises(DepthClipError, match="stored units per metre"):
        in_metres(stored, 0)


def _bad(folder):
    for suffix in ("npy", "npz"):
        os.mkfifo(folder / f"pipe.{suffix}")
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(folder / "grey8.png")
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(folder / "colour.png")
    Image.fromarray(np.full((2, 3), 70_000, np.int32)).save(folder / "wide.tif")
    (folder / "text.png").write_text("<html>")
    (folder / "text.npy").write_text("<html>")
    np.save(folder / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.save(folder / "stack.npy", np.zeros((4, 2, 3)))
    np.save(folder / "bytes.npy", np.zeros((2, 3), np.uint8))
    np.savez(folder / "two.npz", a=np.zeros((2, 3)), b=np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("grey8.png", "mode L: depth is a grey picture of 16 bits"),
        ("colour.png", "mode RGB"),
        ("wide.tif", "70000"),
        ("text.png", "cannot read"),
        ("text.npy", "cannot read"),
        ("objects.npy", "cannot read"),
        ("stack.npy", "shape \\(4, 2, 3\\)"),
        ("bytes.npy", "holds uint8"),
        ("two.npz", "2 arrays \\(a, b\\)"),
        ("none.png", "no depth map at"),
        ("pipe.npy", "is a pipe or a device, not a depth map"),
        ("pipe.npz", "is a pipe or a device, not a depth map"),
        ("map.jpg", "not read from '.jpg'"),
    ],
)
def test_bad_files_raise_one_clear_line(tmp_path, name, says):
    _bad(tmp_path)
    with pytest.raises(DepthClipError, match=says) as caught:
        read_depth_file(tmp_path / name)
    assert "\n" not in str(caught.value)
