"""NYU's .mat with wrong references, types and layouts, and files that are damaged as a whole."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

import depthclip_core as dc
from depthclip_core.datasets.nyu import MAT_NAME
from fuzz.cases import case
from fuzz.data_files import (
    ARRAYS,
    DEPTHS,
    HEIGHT,
    IMAGES,
    WIDTH,
    edited,
    reads,
    replace,
    some_array,
    write_mat,
)

# --- references ----------------------------------------------------------------------------------


@edited("error", "sceneTypes|scenes", times=12)
def odd_reference(file, random):
    """Null, dangling, to a group, to itself, or to a dataset that is no text."""
    key = str(random.choice(["sceneTypes", "scenes"]))
    cells = file["#refs#"]
    cells["number"] = np.array([[1.5], [2]])
    cells["large"] = np.array([[0x110000 + 7]], np.uint32)
    cells["words"] = np.array([b"one", b"two"])
    cells["array"] = np.ones((2, 3, 4), np.uint16)
    cells["long"] = np.full((200_000, 1), 65, np.uint16)
    cells["pairs"] = np.zeros(2, [("a", "f4"), ("b", "u2")])
    cells["lost"] = np.array([[65]], np.uint16)
    others = [cells[name].ref for name in ("number", "large", "words", "array", "long", "pairs")]
    others += [cells.ref, file[key].ref, file["images"].ref, h5py.Reference(), cells["lost"].ref]
    del cells["lost"]
    file[key][0, 1] = others[random.integers(len(others))]


@edited("error", "sceneTypes|scenes|names", times=6)
def cells_of_another_type(file, random):
    key = str(random.choice(["sceneTypes", "scenes", "names"]))
    shape = file[key].shape
    kinds = [np.zeros(shape, "u8"), np.zeros(shape, "f8"), np.zeros(shape[1]), np.zeros(())]
    kinds += [np.full((2, shape[1]), h5py.Reference(), h5py.ref_dtype), np.full(shape, b"text")]
    del file[key]
    kind = kinds[random.integers(len(kinds))]
    file.create_dataset(
        key, data=kind, dtype=h5py.ref_dtype if kind.dtype == object else kind.dtype
    )


@edited("either")
def region_references(file, random):
    del file["scenes"]
    regions = file.create_dataset("scenes", (1, 2), h5py.regionref_dtype)
    regions[0, 0] = file["images"].regionref[0:1, 0:1]


@case("right")
def empty_cell(folder, random):
    """MATLAB stores an empty text as its size, two zeros."""
    with h5py.File(write_mat(folder / MAT_NAME), "r+") as file:
        empty = file.create_dataset("#refs#/empty", data=np.zeros(2, np.uint64))
        empty.attrs["MATLAB_empty"] = np.uint32(1)
        file["scenes"][0, 0] = empty.ref

    def call():
        with dc.open_dataset("nyu", "all", data=folder) as frames:
            assert frames.groups == [None, "office_0001"]

    return call


# --- layouts and types ---------------------------------------------------------------------------


@edited("error", times=12)
def array_of_another_type(file, random):
    key = some_array(random)
    kinds = ["f4", "i2", "u4", "c8", "S4", "O", [("a", "f4")], "?"]
    kinds = [np.dtype(kind) for kind in kinds if np.dtype(kind) != ARRAYS[key].dtype]
    kind = kinds[random.integers(len(kinds))]
    if key == "labels" and kind.kind in "u":
        kind = np.dtype("f4")
    data = replace(file, key, dtype=h5py.string_dtype() if kind.kind == "O" else kind)
    if data.dtype.kind in "fiu":
        data[...] = 1


@edited("error", "metres|millimetres", times=2)
def depths_in_millimetres(file, random):
    key = str(random.choice(["depths", "rawDepths"]))
    millimetres = DEPTHS * 1000
    del file[key]
    file[key] = millimetres.astype(str(random.choice(["u2", "f4"])))


@edited("error", times=8)
def array_of_another_shape(file, random):
    key = some_array(random)
    shape = ARRAYS[key].shape
    shapes = [shape[1:], (*shape, 1), (3, *shape[1:]), (0, *shape[1:]), shape[::-1], (), (7,)]
    shape = shapes[random.integers(len(shapes))]
    data = replace(file, key, shape=shape)
    data[...] = np.ones(shape, data.dtype)


@edited("error", times=4)
def group_in_place_of_an_array(file, random):
    key = str(random.choice([*ARRAYS, "sceneTypes", "scenes", "names"]))
    del file[key]
    if random.integers(2):
        file.create_group(key)
    else:
        file[key] = np.dtype("f4")  # a type with a name


@edited("error", times=2)
def array_of_nothing(file, random):
    key = some_array(random)
    del file[key]
    file[key] = h5py.Empty("u1")


@edited("error", "no images", times=1)
def array_missing(file, random):
    del file["images"]


@case("either", times=4)
def depths_that_no_sensor_has(folder, random):
    """Not finite, negative or far: never another depth, prepared as in the released code or not."""
    value = [np.nan, np.inf, -np.inf, -1.0, 65.536, 70.0, 3e38][random.integers(7)]
    depths = DEPTHS - 1
    depths[1, 5:9] = value
    write_mat(folder / MAT_NAME, rawDepths=depths)

    def call():
        for released in (False, True):
            frames = dc.open_dataset("nyu", "all", data=folder, released_preprocessing=released)
            with frames:
                raw = frames.raw_depth(1)[:, 5:9]
            assert ((raw == np.float32(value)) | (raw == 0) | np.isnan(raw)).all(), raw.max()

    return call


# --- whole files ---------------------------------------------------------------------------------

OTHERS = {
    "empty": b"",
    "page": b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2972037809\n",
    "zip": b"PK\3\4" + bytes(500),
    "text": b"wget: server returned error\n",
    "version 5": b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM" + bytes(400),
    "signature": b"\x89HDF\r\n\x1a\n",
    "zeros": bytes(4096),
}


@case("error", says="is no MATLAB file|truncated|damaged", times=10)
def another_file(folder, random):
    kind = str(random.choice([*OTHERS]))
    (folder / MAT_NAME).write_bytes(OTHERS[kind])
    return reads(folder)


@case("error", says="truncated|damaged|is no MATLAB file", times=15)
def cut_off(folder, random):
    path = write_mat(folder / MAT_NAME)
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(8, len(content))])
    return reads(folder)


@case("either", times=60)
def flipped_bits(folder, random):
    path = write_mat(folder / MAT_NAME)
    content = bytearray(path.read_bytes())
    start = int(random.integers(0, len(content)))
    reach = [len(content), 64][random.integers(2)]  # anywhere, or together
    for _ in range(random.integers(1, 20)):
        place = (start + int(random.integers(0, reach))) % len(content)
        content[place] = random.integers(0, 256)
    path.write_bytes(content)
    return reads(folder, right=False)


@case("either", times=30)
def blanked_block(folder, random):
    """A block of zeros or of chance, as after a lost sector."""
    path = write_mat(folder / MAT_NAME)
    content = bytearray(path.read_bytes())
    size = int(random.choice([16, 64, 512, 4096]))
    start = int(random.integers(0, len(content)))
    content[start : start + size] = [bytes(size), random.bytes(size)][random.integers(2)]
    path.write_bytes(content[: max(len(content), start)])
    return reads(folder, right=False)


@case("either", times=30)
def changed_numbers(folder, random):
    """Eight bytes that are a size or an address become large, negative, or another address."""
    path = write_mat(folder / MAT_NAME)
    content = bytearray(path.read_bytes())
    for _ in range(random.integers(1, 4)):
        place = 8 * int(random.integers(0, len(content) // 8))
        values = [2**64 - 1, 2**63, 2**40, 2**32, 0, int(random.integers(len(content))), 96]
        content[place : place + 8] = values[random.integers(7)].to_bytes(8, "little")
    path.write_bytes(content)
    return reads(folder, right=False)


@case("error", says="folder|no file|not a|pipe|no ", times=4)
def no_ordinary_file(folder, random):
    path = folder / MAT_NAME
    kind = random.integers(4)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(path.name)
    else:
        path.symlink_to("absent.mat")
    return reads(folder) if kind else lambda: dc.open_dataset("nyu", "all", data=path)


@case("error", says="another program|locked", starts_programs=True)
def open_for_writing_elsewhere(folder, random):
    path = write_mat(folder / MAT_NAME)
    hold = f"import h5py, time; f = h5py.File({str(path)!r}, 'r+'); print(1, flush=True)"
    hold += "; time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    holder.stdout.readline()

    def call():
        try:
            reads(folder)()
        finally:
            holder.kill()
            holder.wait()

    return call


@case("right")
def read_by_another_program(folder, random):
    other = open(write_mat(folder / MAT_NAME), "rb")
    fcntl.flock(other, fcntl.LOCK_SH)
    return reads(folder)


@case("error", says="may not be read|Permission denied", times=2)
def unreadable(folder, random):
    """The file, or its folder, may not be read by a user without rights."""
    write_mat(folder / MAT_NAME)
    reads(folder)()  # imports what such a user could not
    os.chmod([folder / MAT_NAME, folder][random.integers(2)], 0)

    def call():
        os.setegid(65534)
        os.seteuid(65534)
        try:
            reads(Path())()
        finally:
            os.seteuid(0)
            os.setegid(0)

    return call if os.geteuid() == 0 else reads(folder)


# --- one HDF5 file a frame -----------------------------------------------------------------------


@case("either", times=20)
def frame_file(folder, random):
    """The other layout of NYU in HDF5: damaged, or with what it must not have."""
    path = folder / "test" / "kitchen_0001" / "00001.h5"
    path.parent.mkdir(parents=True)
    (folder / "secret").write_bytes(bytes(range(256)) * 8000)
    with h5py.File(path, "w") as file:
        file["rgb"] = np.ascontiguousarray(IMAGES[0].transpose(0, 2, 1))
        kind = random.integers(6)
        if kind == 0:
            size = HEIGHT * WIDTH * 4
            file.create_dataset(
                "depth", (HEIGHT, WIDTH), "f4", external=[("../../secret", 0, size)]
            )
        elif kind == 1:
            file.create_dataset("depth", (HEIGHT, WIDTH), "f4", chunks=(HEIGHT, WIDTH))
        elif kind == 2:
            file.create_dataset("depth", (2**40, WIDTH), "f4", chunks=(HEIGHT, WIDTH))
        elif kind == 3:
            file["depth"] = h5py.SoftLink("/depth")
        else:
            file["depth"] = DEPTHS[0].T * [1, 1000][kind - 4]
    refused = kind != 4 or random.integers(2)
    if kind == 4 and refused:
        content = path.read_bytes()
        path.write_bytes(content[: random.integers(0, len(content) - 5000)])

    def call():
        try:
            frame = dc.open_dataset("nyu", "test", data=folder)[0]
        except dc.DepthClipError:
            assert refused
            raise
        assert not refused
        np.testing.assert_array_equal(frame.raw_depth, DEPTHS[0].T)

    return call
