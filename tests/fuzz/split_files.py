"""NYU's splits.mat and SUN RGB-D's allsplit.mat: the right numbers or texts, or one line."""

import struct
import zlib
from pathlib import Path

import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_matrix

from depthclip_core.datasets.nyu import SPLITS_NAME, read_split
from depthclip_core.datasets.sunrgbd import read_splits
from fuzz.cases import Call, case

N = 40
NUMBERS = np.random.default_rng(5).permutation(np.arange(1, N + 1))[:17]
PLACES = ["kv1/NYUdata/NYU0001", "xtion/sun3ddata/hotel/one/0001", "kv2/kinect2data/000002"]
FOLDERS = [f"/n/fs/sun3d/data/SUNRGBD/{place}/" for place in PLACES]


def reads(path: Path) -> Call:
    """The call that reads a split, and checks that it is `NUMBERS`."""
    return lambda: np.testing.assert_array_equal(read_split(path, "test", N), NUMBERS - 1)


def reads_any(path: Path) -> Call:
    """The call that reads a damaged split: different numbers in range, if any."""

    def call() -> None:
        found = read_split(path, "test", N)
        assert found.dtype == np.int64 and found.ndim == 1 and len(found)
        assert len(set(found.tolist())) == len(found) and 0 <= found.min() <= found.max() < N

    return call


def reads_places(path: Path, right: bool = True) -> Call:
    def call() -> None:
        found = read_splits(path, "test")
        assert all(isinstance(place, Path) and ".." not in place.parts for place in found)
        assert not right or found == [Path(place) for place in PLACES]

    return call


def saved(path: Path, **variables: object) -> Path:
    compressed = variables.pop("compressed", False)
    savemat(path, variables, do_compression=compressed)
    return path


def element(kind: int, content: bytes, size: int | None = None) -> bytes:
    tag = struct.pack("<II", kind, len(content) if size is None else size)
    return tag + content + bytes(-len(content) % 8)


def matrix(
    kind: int,
    shape: tuple[int, ...],
    *contents: bytes,
    name: bytes = b"testNdxs",
    flags: int = 0,
) -> bytes:
    """An array of a .mat: class, sizes as they are claimed, and its parts."""
    head = element(6, struct.pack("<II", kind | flags, 0))
    sizes = element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + sizes + element(1, name) + b"".join(contents))


def written(path: Path, *elements: bytes) -> Path:
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM"
    path.write_bytes(header + b"".join(elements))
    return path


# --- sound files ---------------------------------------------------------------------------------


@case("right", times=12)
def sound_numbers(folder, random):
    """Of any type, upright or flat, compressed or not, among other variables."""
    dtype = random.choice(["u1", "u2", "i4", "i8", "f4", "f8"])
    shape = [(1, -1), (-1, 1)][random.integers(2)]
    more = {"trainNdxs": np.arange(3), "note": "text", "cells": np.array([[1], "a"], object)}
    more |= (
        {"mask": np.ones(4, bool), "deep": {"a": {"b": np.eye(2)}}} if random.integers(2) else {}
    )
    numbers = NUMBERS.astype(dtype).reshape(shape)
    return reads(
        saved(folder / SPLITS_NAME, **more, testNdxs=numbers, compressed=random.integers(2))
    )


@case("right", times=4)
def sound_places(folder, random):
    cells = np.empty((1, len(FOLDERS)), object)
    cells[0] = FOLDERS
    return reads_places(saved(folder / "a.mat", alltest=cells, compressed=random.integers(2)))


# --- what is no list of numbers ------------------------------------------------------------------

NO_NUMBERS = {
    "counted from 0": NUMBERS - NUMBERS.min(),
    "fractions": NUMBERS + 0.5,
    "not finite": np.where(NUMBERS == NUMBERS[3], np.nan, NUMBERS),
    "infinite": np.where(NUMBERS == NUMBERS[3], np.inf, NUMBERS),
    "negative": -NUMBERS,
    "beyond the last": NUMBERS + N,
    "huge": NUMBERS * 1e300,
    "larger than integers": np.array([2**63], np.uint64),
    "twice": np.append(NUMBERS, NUMBERS[0]),
    "mask": np.isin(np.arange(N), NUMBERS - 1),
    "mask in numbers": np.isin(np.arange(N), NUMBERS - 1).astype(float),
    "mask of ones": np.ones(N, bool),
    "text": "12 13",
    "complex": NUMBERS + 0j,
    "table": np.arange(1, 13).reshape(3, 4),
    "cube": np.arange(1, 9).reshape(2, 2, 2),
    "nothing": np.zeros((0, 0)),
    "cells": np.array([[1], [2]], object),
    "struct": {"a": 1},
    "sparse": csc_matrix(np.diag(NUMBERS).astype(float)),
}


@case("error", says="splits.mat|testNdxs", times=3 * len(NO_NUMBERS))
def no_list_of_numbers(folder, random):
    values = NO_NUMBERS[str(random.choice([*NO_NUMBERS]))]
    return reads(saved(folder / SPLITS_NAME, testNdxs=values, compressed=random.integers(2)))


@case("error", says="has no testNdxs")
def another_variable(folder, random):
    return reads(saved(folder / SPLITS_NAME, trainNdxs=NUMBERS))


@case("error", times=9)
def no_texts(folder, random):
    cells = np.empty((1, 2), object)
    others = [1.5, "", {"a": 1}, np.ones((3, 3)), np.array(["a", "b"]), "/elsewhere/kv1/a"]
    cells[0] = [FOLDERS[0], others[random.integers(len(others))]]
    variables = [cells, np.arange(3), FOLDERS[0]][random.choice([0, 0, 0, 1, 2])]
    return reads_places(saved(folder / "a.mat", alltest=variables), right=False)


@case("error", says="not a folder in")
def places_outside(folder, random):
    cells = np.empty((1, 1), object)
    cells[0] = [FOLDERS[0] + "../../../../etc"]
    return reads_places(saved(folder / "a.mat", alltest=cells), right=False)


# --- sizes that lie ------------------------------------------------------------------------------


@case("error", says="damaged|has no testNdxs|holds no whole|a list|a mask", times=16)
def claimed_sizes(folder, random):
    """Arrays, cells and texts that claim to be larger than the file."""
    large = int(random.choice([2**31 - 1, 2**30, 2**27, -1, -(2**31)]))
    shape = [(1, large), (large, large), (1,) * 40 + (large,)][random.integers(3)]
    kind = int(random.choice([1, 2, 4, 5, 6, 9, 15]))
    contents = [b"", element(9, bytes(16)), element(9, bytes(16), size=2**32 - 8)]
    array = matrix(kind, shape, contents[random.integers(3)])
    if random.integers(2):
        array = matrix(1, (1, 1), matrix(kind, shape, name=b""))
    return reads(written(folder / SPLITS_NAME, array))


@case("error", says="damaged|unpacks")
def unpacks_to_gigabytes(folder, random):
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(2**22)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    content = parts[0] + 800 * parts[1]
    return reads(written(folder / SPLITS_NAME, struct.pack("<II", 15, len(content)) + content))


@case("error", says="no text|damaged", times=2)
def cells_without_end(folder, random):
    array = matrix(6, (1, 1), element(9, bytes(8)), name=b"")
    for _ in range(2000):
        array = matrix(1, (1, 1), array, name=b"")
    array = matrix(1, (1, 1), array, name=b"alltest")
    return reads_places(written(folder / "a.mat", array), right=False)


@case("error", says="more than")
def file_without_end(folder, random):
    path = saved(folder / SPLITS_NAME, testNdxs=NUMBERS)
    with open(path, "r+b") as file:
        file.truncate(2**35)
    return reads(path)


@case("error", says="not a MATLAB file of version 5|cannot read", times=6)
def another_file(folder, random):
    path = folder / SPLITS_NAME
    contents = [b"", b"<html>404</html>", bytes(600), b"PK\3\4" + bytes(200), random.bytes(3000)]
    if random.integers(6) == 5:
        savemat(path, {"testNdxs": NUMBERS}, format="4")
    else:
        path.write_bytes(contents[random.integers(5)])
    return reads(path)


# --- damage by chance ----------------------------------------------------------------------------


@case("either", times=60)
def flipped_bits(folder, random):
    path = saved(folder / SPLITS_NAME, testNdxs=NUMBERS, compressed=random.integers(2))
    content = bytearray(path.read_bytes())
    for _ in range(random.integers(1, 6)):
        content[random.integers(124, len(content))] = random.integers(0, 256)
    path.write_bytes(
        content[: random.integers(100, len(content))] if random.integers(3) == 0 else content
    )
    return reads_any(path)


@case("either", times=40)
def flipped_bits_in_cells(folder, random):
    cells = np.empty((1, len(FOLDERS)), object)
    cells[0] = FOLDERS
    path = saved(folder / "a.mat", alltest=cells)
    content = bytearray(path.read_bytes())
    for _ in range(random.integers(1, 6)):
        content[random.integers(124, len(content))] = random.integers(0, 256)
    path.write_bytes(content)
    return reads_places(path, right=False)
