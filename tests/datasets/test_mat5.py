"""Lists in MATLAB's version 5, against SciPy's reader where the file is sound."""

import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from depthclip_core.datasets.mat5 import frame_indices, read_numbers, read_texts
from depthclip_core.errors import DepthClipError

NUMBERS = np.array([5, 1, 3, 9])


def saved(path, compressed=False, **variables):
    savemat(path, variables, do_compression=compressed)
    return path


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_that_scipy_reads(dtype, compressed, tmp_path):
    others = {"text": "a", "struct": {"b": 1}, "mask": np.ones(3, bool)}
    values = NUMBERS.astype(dtype)[:, None]
    path = saved(tmp_path / "a.mat", compressed, **others, testNdxs=values)
    np.testing.assert_array_equal(read_numbers(path, "testNdxs", "it"), NUMBERS)
    np.testing.assert_array_equal(loadmat(path)["testNdxs"].ravel(), NUMBERS)


def test_texts_of_cells(tmp_path):
    cells = np.empty((1, 3), object)
    cells[0] = ["/a/b", "Küche", np.array([["c"]], object)]
    assert read_texts(saved(tmp_path / "a.mat", x=cells), "x", "it") == ["/a/b", "Küche", "c"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.ones(4, bool), "is a mask"),
        ("12", "holds no whole numbers"),
        (NUMBERS + 1j, "holds no whole numbers"),
        (np.eye(3), r"of shape \(3, 3\), not a list"),
        (np.zeros((0, 0)), "not a list"),
        ({"a": 1}, "holds no whole numbers"),
    ],
)
def test_what_is_no_list_of_numbers_is_refused(values, says, tmp_path):
    with pytest.raises(DepthClipError, match=says):
        read_numbers(saved(tmp_path / "a.mat", x=values), "x", "it")


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([1, 2.5], "does not hold whole numbers"),
        ([1, np.nan], "does not hold whole numbers"),
        ([0, 1, 2], "names frame 0, but frames are counted from 1"),
        ([0, 1, 0, 1, 1, 1, 0, 1, 1, 1], "is a mask of 0 and 1"),
        ([1, 11], "names frame 11, but the data set has 10"),
        ([1, 1e300], "but the data set has 10"),
        ([3, 1, 3], "names frame 3 more than once"),
    ],
)
def test_numbers_of_frames_are_checked(numbers, says):
    with pytest.raises(DepthClipError, match=says):
        frame_indices(np.array(numbers), 10, "splits")


def test_numbers_of_frames_count_from_0_afterwards():
    found = frame_indices(NUMBERS.astype(np.uint8), 10, "splits")
    assert found.tolist() == [4, 0, 2, 8] and found.dtype == np.int64


def header():
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM"


def bomb():
    packed = zlib.compress(bytes(2**27), 9)
    return struct.pack("<II", 15, len(packed)) + packed


def lying(size):
    """A matrix that claims `size` numbers and holds one."""
    parts = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, 1, size)
    parts += struct.pack("<IIc7x", 1, 1, b"x") + struct.pack("<IId", 9, 8, 1.0)
    return struct.pack("<II", 14, len(parts)) + parts


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bomb(), "unpacks to more than"),
        (lying(2**31 - 1), "it has 1 numbers for the size"),
        (struct.pack("<II", 14, 2**32 - 1), "a part of 4294967295 bytes has only 0"),
        (b"", "has no x: not it"),
    ],
)
def test_stated_sizes_are_not_believed(content, says, tmp_path):
    (tmp_path / "a.mat").write_bytes(header() + content)
    with pytest.raises(DepthClipError, match=says):
        read_numbers(tmp_path / "a.mat", "x", "it")


def test_other_files_are_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    with pytest.raises(DepthClipError, match="not a MATLAB file of version 5, but an HDF5 file"):
        read_numbers(tmp_path / "a.mat", "x", "it")
    (tmp_path / "a.mat").write_bytes(bytes(2**24 + 1))
    with pytest.raises(DepthClipError, match="more than"):
        read_numbers(tmp_path / "a.mat", "x", "it")
