"""Saved depth maps of other systems, sound and damaged: the right depth, or one line."""

import io
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from depthclip_core.evaluation.map_files import open_maps
from depthclip_core.evaluation.saved_predictions import open_predictions, save_predictions
from fuzz.cases import Call, case

NAMES = ["a", "b", "c"]
SHAPE = (12, 16)
KINDS = (".npy", ".npz", ".png", ".tif", "stack.npy", "stack.npz", "names.npz", ".h5", "stack.h5")


def metres(random: np.random.Generator) -> np.ndarray:
    """Depth maps in whole millimetres, with holes, one for each name."""
    depth = random.integers(300, 9000, (len(NAMES), *SHAPE)) / 1000
    depth[random.random(depth.shape) < 0.1] = 0
    return depth


def reads(path: Path, expected: np.ndarray, **options: object) -> Call:
    """The call that reads all maps and compares them with the depth that was saved."""

    def call() -> None:
        maps = open_maps(path, NAMES, **options)
        for found, depth in zip(maps, expected, strict=True):
            assert found.dtype == np.float32 and found.shape == depth.shape
            assert np.allclose(found, depth, atol=1e-3)

    return call


def tries(path: Path, **options: object) -> Call:
    """The call that reads all maps of what may not hold them; what it reads is metres."""

    def call() -> None:
        for found in open_maps(path, NAMES, **options):
            assert found.dtype == np.float32 and np.isfinite(found).all() and (found >= 0).all()

    return call


def chosen(random: np.random.Generator, options) -> object:
    return list(options)[random.integers(len(options))]


def save(depth: np.ndarray, folder: Path, kind: str, dtype: str = "<f4") -> Path:
    """Maps as files, or one file, of a kind; the path to give to `open_maps`."""
    values = depth.astype(dtype)
    one = folder / f"maps.{kind.rpartition('.')[2]}"
    if kind.startswith("."):
        folder = folder / "maps"
        folder.mkdir()
        if kind == ".h5":
            with h5py.File(one, "w") as file:
                for name, value in zip(NAMES, values, strict=True):
                    file[name] = value
            return one
        for name, value in zip(NAMES, values, strict=True):
            _save_one(value, folder / f"{name}{kind}")
        return folder
    if kind == "stack.npy":
        np.save(one, values)
    elif kind == "stack.npz":
        np.savez_compressed(one, depth=values)
    elif kind == "names.npz":
        np.savez(one, depth=values, names=np.array(NAMES))
    else:
        with h5py.File(one, "w") as file:
            file["depth"] = values
            file["names"] = NAMES
    return one


def _save_one(values: np.ndarray, path: Path) -> None:
    match path.suffix:
        case ".npy":
            np.save(path, values)
        case ".npz":
            np.savez_compressed(path, depth=values)
        case ".png":
            Image.fromarray((values.astype(float) * 1000).round().astype(np.uint16)).save(path)
        case ".tif":
            Image.fromarray(values.astype(np.float32)).save(path)


# --- what users have -----------------------------------------------------------------------------


@case("right", times=40)
def every_kind(folder, random):
    depth = metres(random)
    dtype = chosen(random, ["<f4", ">f4", "<f8", ">f8", "<f2", ">f2"])
    if dtype.endswith("f2"):
        depth = (depth * 4).round() / 4  # what float16 holds exactly
    return reads(save(depth, folder, chosen(random, KINDS), dtype), depth)


@case("right", times=12)
def millimetres_of_16_bits(folder, random):
    depth, kind = metres(random), chosen(random, [".npy", ".npz", "stack.npy", "names.npz", ".h5"])
    levels, dtype = (depth * 1000).round(), chosen(random, ["<u2", ">u2"])
    return reads(save(levels, folder, kind, dtype), depth)


@case("error", says="metres|millimetres|16-bit", times=14)
def other_units(folder, random):
    """Whole numbers of another kind, and millimetres in floating-point numbers, are noticed."""
    kind = chosen(
        random, [".npy", ".npz", "stack.npy", "stack.npz", "names.npz", ".h5", "stack.h5"]
    )
    dtype = chosen(random, ["<i4", "<i2", "<i8", "u1", "<u4", "<f4", ">f8", "?", "<c8"])
    return tries(save(metres(random) * 1000, folder, kind, dtype))


@case("error", says="Python objects|objects|text|cannot read", times=8)
def object_arrays(folder, random):
    path = folder / "maps.npy"
    values = np.empty(3, object)
    values[:] = [np.ones(SHAPE)] * 3
    which = random.integers(3)
    if which == 0:
        np.save(path, values, allow_pickle=True)
    elif which == 1:
        path = folder / "maps.npz"
        np.savez(path, depth=np.ones((3, *SHAPE)), names=np.array(NAMES, object))
    else:
        path = folder / "maps"
        path.mkdir()
        for name in NAMES:
            np.save(path / f"{name}.npy", values, allow_pickle=True)
    return tries(path)


@case("error", times=12)
def named_as_another_kind(folder, random):
    """The content of one kind under the name of another."""
    path = save(metres(random), folder, chosen(random, ["stack.npy", "stack.npz", "stack.h5"]))
    suffixes = [
        s for s in (".npy", ".npz", ".zip", ".h5", ".png", ".tif", ".exr") if s != path.suffix
    ]
    if path.suffix == ".npz":
        suffixes.remove(".zip")
    other = path.rename(folder / f"other{chosen(random, suffixes)}")
    return tries(other)


@case("either", times=12)
def single_file_named_as_another(folder, random):
    path = save(metres(random), folder, chosen(random, [".npy", ".npz", ".png", ".tif"]))
    for file in list(path.iterdir())[: random.integers(1, 4)]:
        file.rename(file.with_suffix(chosen(random, [".npy", ".npz", ".png", ".tif"])))
    return tries(path)


@case("error", times=8)
def tiff_of_32_bits_named_png(folder, random):
    """Whole numbers beyond 16 bits, or floating-point millimetres, under the name of a PNG."""
    values = metres(random) * 1000
    (folder / "maps").mkdir()
    dtype, factor = chosen(random, [(np.int32, 100), (np.float32, 1), (np.int32, -1)])
    for name, value in zip(NAMES, values + 70, strict=True):
        Image.fromarray((value * factor).astype(dtype)).save(folder / f"maps/{name}.png", "TIFF")
    return tries(folder / "maps")


@case("error", says="link|no depth map|depth maps", times=6)
def links(folder, random):
    path = save(metres(random), folder, ".npy")
    (path / "b.npy").unlink()
    target = chosen(random, ["nowhere.npy", "b.npy", "/dev/null", ".", "/dev/zero"])
    (path / "b.npy").symlink_to(target)
    return tries(path)


@case("error", times=10)
def no_maps(folder, random):
    (folder / "empty").mkdir()
    (folder / "empty.npy").write_bytes(b"")
    (folder / "page.npy").write_text("<!DOCTYPE html>")
    (folder / "page.npz").write_text("<!DOCTYPE html>")
    (folder / "pointer.h5").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / "loop").symlink_to("loop")
    odd = ["empty", "empty.npy", "page.npy", "page.npz", "pointer.h5", "loop", "nowhere", "x" * 300]
    odd += ["/dev/null", "/dev/zero", "a\0b", "~nobody/maps", "\udcff", "", "nowhere/maps.npy"]
    return tries(chosen(random, odd))


@case("error", says="a|b|c", times=12)
def names_that_do_not_match(folder, random):
    """Neither fewer, nor more, nor other names are matched, and none is guessed by its place."""
    path = save(metres(random), folder, ".npy")
    changes = [
        lambda: (path / "b.npy").unlink(),
        lambda: np.save(path / "d.npy", np.ones(SHAPE)),
        lambda: (path / "b.npy").rename(path / "d.npy"),
        lambda: (path / "b.npy").rename(path / "B.npy"),
        lambda: (path / "b.npy").rename(path / "b .npy"),
        lambda: np.savez(path / "b.npz", np.ones(SHAPE)),
        lambda: (path / "b.npy").rename(path / "b\n.npy"),
    ]
    chosen(random, changes)()
    return tries(path)


@case("error", says="maps", times=6)
def stack_of_another_length(folder, random):
    """A stack without names is taken in order only if it has a map for each frame.

    What the error says must not lead to maps that are shifted by a frame: cut one off, add one.
    """
    depth = metres(random)
    n = int(random.choice([1, 2, 4, 7]))
    path = folder / "maps.npy"
    np.save(path, np.concatenate([depth] * 3)[:n].astype(np.float32))

    def call() -> None:
        try:
            list(open_maps(path, NAMES))
        except ValueError as error:
            assert not any(hint in str(error) for hint in ("[:3]", "first 3", "drop", "cut", "pad"))
            raise

    return call


# --- damage --------------------------------------------------------------------------------------


def _file_of(path: Path, random: np.random.Generator) -> Path:
    return chosen(random, sorted(path.iterdir())) if path.is_dir() else path


@case("either", times=60)
def cut_off(folder, random):
    path = save(metres(random), folder, chosen(random, KINDS))
    file = _file_of(path, random)
    content = file.read_bytes()
    file.write_bytes(content[: random.integers(len(content))])
    return tries(path)


@case("either", times=90)
def flipped_bytes(folder, random):
    path = save(metres(random), folder, chosen(random, KINDS))
    file = _file_of(path, random)
    content = bytearray(file.read_bytes())
    ends = [len(content), min(len(content), 128)]
    for _ in range(random.integers(1, 6)):
        at = int(random.integers(chosen(random, ends)))
        content[at if random.integers(3) else -1 - at] = random.integers(256)
    file.write_bytes(bytes(content))
    return tries(path)


HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1099511627776, 1099511627776), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2, 2), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -12, -16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 12, 17), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 12, 16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0, 16), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': '<f4', 'fortran_order': 'x', 'shape': (3, 12, 16), }",
    "{'descr': '<f99', 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': [('a', '<f2'), ('b', '<f2')], 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': '<U9', 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': '|V4', 'fortran_order': False, 'shape': (3, 12, 16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 3, }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': ('a', 12, 16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 12, 16), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 12, 16)",
    "__import__('os').system('touch ran')",
    "(" * 5000,
    "[" * 200 + "]" * 200,
    "",
    "{}",
    "\\xff",
)


@case("error", times=60)
def lying_npy_header(folder, random):
    """Shapes, dtypes and orders that are not those of the data; alone, in a folder or packed."""
    text, version = chosen(random, HEADERS), int(random.choice([1, 1, 1, 2, 3, 9]))
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    content = b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + bytes(3 * 12 * 16 * 4)
    which = random.integers(4)
    if which == 0:
        path = folder / "maps.npy"
        path.write_bytes(content)
    elif which == 1:
        path = folder / "maps"
        path.mkdir()
        for name in NAMES:
            (path / f"{name}.npy").write_bytes(content)
    else:
        path = folder / ("maps.npz" if which == 2 else "maps.zip")
        with zipfile.ZipFile(path, "w") as archive:
            for name in ["depth"] if which == 2 else NAMES:
                archive.writestr(f"{name}.npy", content)
    return tries(path)


@case("error", times=12)
def lying_archive(folder, random):
    """Members that unpack to gigabytes, lie about their size, repeat a name or leave the folder."""
    path = folder / chosen(random, ["maps.zip", "maps.npz"])
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2**13, 2**13)}
    )
    which = random.integers(5)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if which == 0:
            for name in NAMES:
                archive.writestr(f"{name}.npy", header.getvalue() + bytes(2**24))
        elif which == 1:
            with archive.open("a.npy", "w", force_zip64=True) as out:
                out.write(b"\x93NUMPY")
                for _ in range(12):
                    out.write(bytes(2**26))
        elif which == 2:
            archive.writestr("../a.npy", b"x")
            archive.writestr("/b.npy", b"x")
            archive.writestr("c.npy", b"x")
        elif which == 3:
            for name in NAMES:
                archive.writestr(f"{name}.npy", b"")
        else:
            for n in range(3000):
                archive.writestr(f"{n}.npy", b"x")
    if which == 3:
        content = path.read_bytes()
        path.write_bytes(content.replace(b"\x00\x00\x00\x00\x00\x00\x00\x00", b"\xff" * 8, 2))
    return tries(path)


@case("error", times=14)
def odd_hdf5(folder, random):
    path = folder / "maps.h5"
    with h5py.File(path, "w") as file:
        odd = [
            lambda: file.create_dataset("depth", (3, 2**20, 2**20), "f4", chunks=(1, 64, 64)),
            lambda: file.create_dataset("a", (12, 16), h5py.string_dtype()),
            lambda: file.create_dataset("a", (12, 16), [("x", "f4")]),
            lambda: file.create_dataset("a", data=h5py.Empty("f4")),
            lambda: file.create_dataset("a", (12, 16), h5py.vlen_dtype(np.float32)),
            lambda: file.create_dataset("a", (12, 16), h5py.ref_dtype),
            lambda: file.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")),
            lambda: file.__setitem__("a", h5py.SoftLink("/a")),
            lambda: file.create_group("a").__setitem__("a", h5py.SoftLink("/")),
            lambda: file.create_dataset("names", data=np.arange(3)),
            lambda: file.__setitem__("names", h5py.Empty("S1")),
            lambda: file.create_dataset("depth", (3, 12, 16), "f4", chunks=True),
            lambda: file.create_dataset("a", (12, 16), "f4", external=[("/etc/passwd", 0, 768)]),
        ]
        which = random.integers(len(odd))
        odd[which]()
        if which in (1, 2, 3, 4, 5, 6, 7, 12):
            file["b"] = file["c"] = np.ones(SHAPE)
        if which in (9, 10):
            file["depth"] = np.ones((3, *SHAPE))
        if which == 11:
            file["names"] = [b"\xff", b"b", b"c"]
    return tries(path)


# --- what is scored, and what is saved ------------------------------------------------------------


@case("error", times=10)
def predictions_of_odd_sizes(folder, random):
    """Maps of no known aspect, of one pixel, or of nothing at all."""
    shape = chosen(random, [(1, 1), (1, 640), (0, 0), (480, 481), (2, 2), (480, 640, 3), (9,), ()])
    for name in NAMES:
        np.save(folder / f"{name}.npy", np.ones(shape, np.float32))
    return lambda: list(open_predictions(folder, NAMES))


@case("either", times=12)
def names_to_save(folder, random):
    odd = ["..", ".", "", "a/b", "/a", "a\0", "a" * 300, "\udcff", "a\nb", "ok", 3, None, "~", "-"]
    names = [chosen(random, odd), chosen(random, odd)]
    maps = [np.ones(SHAPE, np.float32)] * 2
    (folder / "out").mkdir()
    return lambda: save_predictions(folder / "out", names, maps)


@case("error", times=8)
def maps_to_save(folder, random):
    odd = ["x", None, 1j, [[1, 2], [3]], np.ones(3), np.ones((1, 2, 3, 4)), np.ones(SHAPE) * 1j, 3]
    (folder / "out").mkdir()

    def call() -> None:
        try:
            save_predictions(folder / "out", ["a", "b"], [np.ones(SHAPE), chosen(random, odd)])
        finally:
            assert {path.name for path in (folder / "out").iterdir()} <= {"a.npy"}

    return call
