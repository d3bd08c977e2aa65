"""Saved maps of every format give the same numbers; what is wrong with a file is one clear line."""

import os
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.map_files import open_maps
from depthclip_core.evaluation.map_sources import LARGEST_MEMBER

NAMES = ["b", "a", "c"]
SHAPE = (6, 9)
MAPS = np.random.default_rng(0).integers(0, 9000, (3, *SHAPE)).astype(np.uint16)
METRES = np.round(MAPS / 1000, 3).astype(np.float32)  # of NAMES, in their order


def by_name(maps):
    return dict(zip(NAMES, maps, strict=True))


def folder_of(kind):
    def write(path):
        path.mkdir()
        for name, depth in by_name(MAPS if kind in ("png", "tif", "uint16") else METRES).items():
            if kind in ("npy", "uint16"):
                np.save(path / f"{name}.npy", depth)
            elif kind == "npz":
                np.savez_compressed(path / f"{name}.npz", depth=depth)
            else:
                Image.fromarray(depth).save(path / f"{name}.{kind}")
        (path / "notes.txt").write_text("mine")
        (path / ".hidden.npy").write_bytes(b"")
        return path

    return write


def hdf5(path, stack=False, names=True):
    with h5py.File(path := path.with_suffix(".h5"), "w") as file:
        if stack:
            file["depth"] = METRES.astype(np.float64)
            if names:
                file["names"] = NAMES
        else:
            for name, depth in by_name(METRES).items():
                file[name] = depth
    return path


def npz(path, stack=False, names=True, save=np.savez_compressed):
    path = path.with_suffix(".npz")
    if stack:
        save(path, depth=METRES, **({"names": np.array(NAMES)} if names else {}))
    else:
        save(path, **by_name(METRES))
    return path


def npy(path):
    np.save(path.with_suffix(".npy"), METRES)
    return path.with_suffix(".npy")


def zipped(path, kind="npy", inside=""):
    folder = folder_of(kind)(path)
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, inside + file.name)
        archive.writestr("__MACOSX/._a.png", b"nothing")
    return path.with_suffix(".zip")


LAYOUTS = {
    **{f"folder of {k}": folder_of(k) for k in ("npy", "uint16", "npz", "png", "tif", "tiff")},
    "hdf5": hdf5,
    "hdf5 stack": lambda path: hdf5(path, stack=True),
    "hdf5 stack without names": lambda path: hdf5(path, stack=True, names=False),
    "npz": npz,
    "npz stack": lambda path: npz(path, stack=True),
    "npz stack, not packed": lambda path: npz(path, stack=True, save=np.savez),
    "npz stack without names": lambda path: npz(path, stack=True, names=False),
    "npy stack": npy,
    "zip of npy": zipped,
    "zip of png": lambda path: zipped(path, "png"),
    "zip of npz": lambda path: zipped(path, "npz"),
    "zip with a folder": lambda path: zipped(path, "tif", "out/maps/"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_gives_the_same_maps(tmp_path, layout):
    path = LAYOUTS[layout](tmp_path / "maps")
    before = sorted(tmp_path.rglob("*"))
    opened = open_maps(str(path), NAMES)
    assert opened.names == NAMES and len(opened) == 3
    for position in (2, 0, 1, 1):  # readers do not ask in order
        read = opened[position]
        assert read.dtype == np.float32 and read.shape == SHAPE
        np.testing.assert_allclose(read, METRES[position], rtol=1e-6)
    in_order = "without names" in layout or layout == "npy stack"
    assert bool(opened.note) == in_order and sorted(tmp_path.rglob("*")) == before
    if in_order:
        order = f"in the data set's order, from {NAMES[0]!r} to {NAMES[-1]!r}"
        assert opened.note.endswith(f"its 3 maps are taken {order}")
        with pytest.raises(DepthClipError, match="3 depth maps without names, for 2 frames"):
            open_maps(path, NAMES[:2])
    else:
        np.testing.assert_allclose(open_maps(path, sorted(NAMES))[0], METRES[1], rtol=1e-6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_packed_stack_is_read_again_from_any_place(tmp_path, save):
    stack = np.random.default_rng(1).uniform(1, 9, (40, *SHAPE)).astype(np.float32)
    save(tmp_path / "a.npz", stack)
    opened = open_maps(tmp_path / "a.npz", [str(i) for i in range(40)])
    for position in (0, 39, 38, 3, 2, 20):
        np.testing.assert_array_equal(opened[position], stack[position])


@pytest.mark.parametrize("shape", [(3, *SHAPE, 1), (3, 1, *SHAPE)])
def test_stacks_may_have_one_channel(tmp_path, shape):
    np.save(tmp_path / "a.npy", METRES.reshape(shape))
    np.savez(tmp_path / "a.npz", METRES.reshape(shape))
    np.savez(tmp_path / "named.npz", depth=METRES.reshape(shape), names=np.array(NAMES))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["depth"] = METRES.reshape(shape)
    for name in ("a.npy", "a.npz", "named.npz", "a.h5"):
        np.testing.assert_array_equal(list(open_maps(tmp_path / name, NAMES)), METRES)


def test_bytes_in_the_other_order_are_read(tmp_path):
    np.save(tmp_path / "a.npy", MAPS[0].astype(">u2"))
    np.save(tmp_path / "b.npy", METRES[0].astype(">f8"))
    for read in open_maps(tmp_path, ["a", "b"]):
        np.testing.assert_allclose(read, METRES[0], rtol=1e-6)


def test_divisor_missing_and_disparity(tmp_path):
    stored = np.array([[0, 256], [512, 65535]], np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    (read,) = open_maps(tmp_path, ["a"], divisor=256, missing=[65535])
    np.testing.assert_array_equal(read, [[0, 1], [2, 0]])
    (read,) = open_maps(tmp_path, ["a"], divisor=256, missing=[65535], kind="disparity")
    np.testing.assert_array_equal(read, [[0, 1], [0.5, 0]])
    np.save(tmp_path / "b.npy", np.array([[np.nan, -1.0], [0, 4]]))
    (tmp_path / "a.png").unlink()
    np.testing.assert_array_equal(open_maps(tmp_path, ["b"])[0], [[0, 0], [0, 4]])
    read = open_maps(tmp_path, ["b"], kind="disparity")[0]
    np.testing.assert_array_equal(read, [[0, 0], [0, 0.25]])


def save(path, value=2.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full(SHAPE, value, np.float32))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["rgb_1.npy", "rgb_2.npy"], ["rgb_1.jpg", "rgb_2.jpg"]),
        (["rgb_1.jpg.npy", "rgb_2.jpg.npy"], ["rgb_1", "rgb_2"]),
        (["bath/rgb_1.npy", "kitchen/rgb_1.npy"], ["bath/rgb_1", "kitchen/rgb_1"]),
        (["bath_rgb_1.npy", "kitchen_rgb_1.npy"], ["bath/rgb_1.jpg", "kitchen/rgb_1.jpg"]),
        (["out/bath/rgb_1.npy", "out/bath/rgb_2.npy"], ["bath/rgb_1", "bath/rgb_2"]),
        (["bath/rgb_1.npy", "bath/rgb_2.npy"], ["bath/rgb_1", "bath/rgb_2"]),
        (["bath_rgb_1.npy", "bath_rgb_2.npy"], ["bath/rgb_1.png", "bath/rgb_2.png"]),
        (["rgb_1.npy", "rgb_2.npy"], ["bath/rgb_1", "bath/rgb_2"]),
        (["out/bath_1.npy", "out/hall_1.npy"], ["/data/bath/1.jpg", "/data/hall/1.jpg"]),
        (["a.npy", "b.npy"], ["/a", "/b"]),
        (["1341847980.72.npy", "1341847980.75.npy"], ["1341847980.72", "1341847980.75"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_names_match_in_each_documented_spelling(tmp_path, files, names, packed):
    for number, file in enumerate(files, 1):
        save(tmp_path / "maps" / file, number)
    path = tmp_path / "maps"
    if packed:
        path = tmp_path / "maps.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(tmp_path / "maps" / file, file)
    opened = open_maps(path, names)
    assert [read[0, 0] for read in opened] == [1, 2]


@pytest.mark.parametrize(
    ("files", "names", "says"),
    [
        (["2.npy"], ["0002"], "1 depth maps for 1 frames; 1 missing: 0002; 1 without a frame: 2$"),
        (["a.npy", "b.npy"], ["a", "c"], "1 missing: c; 1 without a frame: b$"),
        # As photographs' suffixes differ, two names would be one.
        (["1.jpg.npy", "1.png.npy"], ["1", "2"], "2 missing: 1, 2; 2 without a frame"),
        (["a_b_c.npy", "x.npy"], ["a_b/c", "a/b_c"], "2 missing: a_b/c, a/b_c"),
        (["kitchen/1.npy", "kitchen/2.npy"], ["bath/1", "bath/2"], "2 missing: bath/1, bath/2"),
        (["a.npy", "b.npy"], ["/data/a", "b"], "1 missing: /data/a; 1 without a frame: a$"),
        (["a.npy", "b.npy"], ["a", "a"], "two frames are named 'a'"),
        (["a.npy", "a.png"], ["a"], "a.npy and a.png: leave one of them"),
        (["sub/a.npy"], ["a"], "no depth maps"),
        (["a .npy"], ["a"], "1 missing: a; 1 without a frame: 'a '"),
    ],
)
def test_names_that_do_not_match_are_listed(tmp_path, files, names, says):
    for file in files:
        save(tmp_path / file)
        if file.endswith(".png"):
            (tmp_path / f"{file}.npy").rename(tmp_path / file)
    with pytest.raises(DepthClipError, match=says) as caught:
        open_maps(tmp_path, names)
    assert "rename" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "options", "says"),
    [
        (np.full(SHAPE, 2500.0), {}, "reaches 2500 m: .* divide by 1000 if these are millimetres"),
        (np.full(SHAPE, 2500, np.uint16), {"divisor": 1}, "the divisor 1 is not that of these"),
        (np.full(SHAPE, 2500, np.int32), {}, "a.npy holds int32"),
        (np.full(SHAPE, 2, np.uint8), {}, "holds uint8"),
        (np.full(SHAPE, np.inf), {}, "the depth map of 'a' holds infinite depths"),
        (np.full(SHAPE, 1e-4), {"kind": "disparity"}, "give disparities in 1 / metres"),
        (np.ones((3, *SHAPE, 3)), {}, "a.npy is of shape"),
        (np.ones((1, 5)), {}, "is of shape"),
        (np.ones(SHAPE), {"divisor": 0}, "divisor is stored units per metre"),
        (np.ones(SHAPE), {"kind": "inverse"}, "unknown kind of map 'inverse'"),
    ],
)
def test_wrong_values_raise_one_clear_line(tmp_path, array, options, says):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DepthClipError, match=says) as caught:
        open_maps(tmp_path, ["a"], **options)[0]
    assert "\n" not in str(caught.value)


def test_a_few_far_pixels_are_not_millimetres(tmp_path):
    depth = np.full(SHAPE, 60.0)
    depth[:2] = 250  # a sky that nobody clamped
    np.save(tmp_path / "a.npy", depth)
    np.testing.assert_array_equal(open_maps(tmp_path, ["a"])[0], depth)


def lying_npy(path, shape):
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 64)


def lying_zip(path, size):
    """A .zip whose directory claims another size of its only file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"\0" * 100)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = size.to_bytes(4, "little")
    path.write_bytes(content)


def _bad(folder):
    lying_npy(folder / "wide.npy", (10**6, 10**6))
    lying_npy(folder / "short.npy", (100, 100))
    lying_npy(folder / "stack.npy", (5, 100, 100))
    lying_npy(folder / "member.npy", (5, 100, 100))
    with zipfile.ZipFile(folder / "stack.npz", "w") as archive:
        archive.write(folder / "member.npy", "depth.npy")
    lying_zip(folder / "huge.zip", LARGEST_MEMBER + 1)
    lying_zip(folder / "long.zip", 200)
    with zipfile.ZipFile(folder / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "no maps")
    for name in ("text.zip", "text.npz", "text.npy", "text.h5", "text.bin"):
        (folder / name).write_text("<html>")
    np.savez(folder / "names.npz", depth=METRES, names=np.array(NAMES[:2]))
    np.savez(folder / "objects.npz", depth=METRES, names=np.array([{}], object))
    with h5py.File(folder / "scalar.h5", "w") as file:
        file["names"], file["depth"] = "a", METRES
    with h5py.File(folder / "references.h5", "w") as file:
        file["depth"] = METRES
        file["names"] = np.array([file["depth"].ref] * 3, dtype=h5py.ref_dtype)
    with h5py.File(folder / "long.h5", "w") as file:
        file["depth"] = METRES
        file.create_dataset("names", (3,), f"S{2**28}", chunks=(1,), compression="gzip")
    np.savez_compressed(folder / "many.npz", depth=METRES, names=np.zeros(10**6 + 1, "U1"))
    for suffix in ("npy", "npz", "zip"):
        os.mkfifo(folder / f"pipe.{suffix}")
    with h5py.File(folder / "wide.h5", "w") as file:
        file.create_dataset("a", (10**6, 10**6), "f4", chunks=(64, 64))
    whole = zipped(folder / "whole").read_bytes()
    at = whole.index(b"a.npy") + 60
    (folder / "flipped.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])


@pytest.mark.parametrize(
    ("file", "names", "says"),
    [
        ("wide.npy", ["wide"], "claims 1000000 x 1000000 values"),
        ("short.npy", ["short"], "is cut off"),
        ("stack.npy", list("abcde"), "cannot read .*stack.npy"),
        ("stack.npz", list("abcde"), "depth.npy, is damaged"),
        ("huge.zip", ["a"], "a.png, claims 536,870,913 bytes"),
        ("long.zip", ["a"], "a.png.* (is damaged|cannot read)|cannot read .*a.png"),
        ("empty.zip", ["a"], "no depth maps .* in"),
        ("text.zip", ["a"], "cannot read .*text.zip: File is not a zip file"),
        ("text.npz", ["a"], "cannot read .*text.npz"),
        ("text.npy", ["a"], "cannot read .*text.npy"),
        ("text.h5", ["a"], "text.h5 is no HDF5 file"),
        ("text.bin", ["a"], "text.bin is no file of depth maps"),
        ("none", ["a"], "no saved predictions at"),
        ("names.npz", NAMES, "3 depth maps and 2 names"),
        ("objects.npz", NAMES, "cannot read `names`: save it as text"),
        ("wide.h5", ["a"], "claims 1000000 x 1000000 values"),
        ("scalar.h5", ["a"], "scalar.h5, dataset names, holds object of shape .., not a list"),
        ("references.h5", ["a"], "dataset names, holds object of shape .3,., not a list of texts"),
        ("long.h5", ["a"], "dataset names, claims 3 names of 268,435,456 bytes"),
        ("many.npz", ["a"], "names.npy, claims 1,000,001 names of 4 bytes"),
        ("pipe.npy", ["pipe"], "pipe.npy is a pipe or a device, not a file of depth maps"),
        ("pipe.npz", ["pipe"], "pipe.npz is a pipe or a device"),
        ("pipe.zip", ["pipe"], "pipe.zip is a pipe or a device"),
        ("flipped.zip", NAMES, "a.npy, is damaged"),
    ],
)
def test_damaged_files_raise_one_clear_line(tmp_path, file, names, says):
    _bad(tmp_path)
    with pytest.raises(DepthClipError, match=says) as caught:
        list(open_maps(tmp_path / file, names))
    assert "\n" not in str(caught.value)


def test_names_from_files_are_shown_without_control_characters(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a\x1b[31m\u202eb.npy", b"x")
    with pytest.raises(DepthClipError) as caught:
        open_maps(tmp_path / "a.zip", ["a"])
    assert str(caught.value).isprintable()


def test_real_depth_is_read_alike_from_files_and_a_zip(tmp_path, rgbd):
    files = sorted(rgbd.glob("nyu_slambook2/*_depth.png"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in files:
            archive.write(file, f"maps/{file.name}")
    opened = open_maps(tmp_path / "a.zip", [file.stem for file in files])
    for file, read in zip(files, opened, strict=True):
        with Image.open(file) as image:
            np.testing.assert_allclose(read, np.asarray(image) / 1000, rtol=1e-6)
