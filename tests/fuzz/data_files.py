"""NYU's .mat and other HDF5 files, sound and damaged: the right frames, or one line."""

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

import depthclip_core as dc
from depthclip_core.datasets.nyu import MAT_NAME
from fuzz.cases import Call, case

N, HEIGHT, WIDTH = 2, 480, 640
CHUNK = {"images": (1, 3, WIDTH, HEIGHT), "depths": (1, WIDTH, HEIGHT)}
CHUNK["rawDepths"] = CHUNK["labels"] = CHUNK["depths"]
_frame, _column, _row = np.ogrid[:N, :WIDTH, :HEIGHT]
DEPTHS = (1 + _frame + _column // 64 / 8 + _row // 60 / 64).astype(np.float32)
IMAGES = np.stack(np.broadcast_arrays(_row // 2, _column // 4, 100 * _frame + 7), 1).astype("u1")
LABELS = (1 + _frame + (_column + _row) // 600).astype(np.uint16)
ARRAYS = {"images": IMAGES, "depths": DEPTHS, "rawDepths": DEPTHS - 1, "labels": LABELS}
TEXTS = {"sceneTypes": ["bathroom", "home office"], "scenes": ["bathroom_0004", "office_0001"]}
TEXTS["names"] = ["wall", "bed", "lamp", "books"]
SECRET = b"a line that no picture may show\n"

Edit = Callable[[h5py.File, np.random.Generator], object]


def write_mat(path: Path, options: dict | None = None, **replaced: np.ndarray) -> Path:
    """A sound .mat in a few kilobytes. options: of every array, by default gzip in chunks."""
    with h5py.File(path, "w") as file:
        for key, array in (ARRAYS | replaced).items():
            own = {"chunks": CHUNK[key], "compression": "gzip"} if options is None else options
            file.create_dataset(key, data=array, **own)
        for key, texts in TEXTS.items():
            references = np.empty((1, len(texts)), h5py.ref_dtype)
            for i, text in enumerate(texts):
                file[f"#refs#/{key}{i}"] = np.array([[ord(c)] for c in text], np.uint16)
                references[0, i] = file[f"#refs#/{key}{i}"].ref
            file.create_dataset(key, data=references)
    return path


def reads(folder: Path, right: bool = True, **options: object) -> Call:
    """The call that reads all that a data set knows, and checks it if that must be `right`."""

    def call() -> None:
        with dc.open_dataset("nyu", "all", data=folder, **options) as frames:
            found = [frames[i] for i in range(len(frames))]
            labels = [frames.labels(i) for i in range(len(frames))]
            names = list(frames.object_names)
            places = frames.scenes, frames.groups
        for frame in found:
            assert frame.rgb.shape == (HEIGHT, WIDTH, 3) and frame.rgb.dtype == np.uint8
            for depth in (frame.depth, frame.raw_depth):
                assert depth.shape == (HEIGHT, WIDTH) and depth.dtype == np.float32
        if right:
            assert len(found) == N and names == TEXTS["names"]
            assert places == (TEXTS["sceneTypes"], TEXTS["scenes"])
            for i, frame in enumerate(found):
                np.testing.assert_array_equal(frame.rgb, IMAGES[i].T)
                np.testing.assert_array_equal(frame.depth, DEPTHS[i].T)
                np.testing.assert_array_equal(frame.raw_depth, DEPTHS[i].T - 1)
                np.testing.assert_array_equal(labels[i], LABELS[i].T)

    return call


def edited(expect: str, says: str = "", times: int = 1, right: bool = False) -> Callable:
    """Register a case: a sound .mat, changed by the function through h5py, and then read."""

    def register(edit: Edit) -> Edit:
        def prepare(folder, random):
            with h5py.File(write_mat(folder / MAT_NAME), "r+") as file:
                edit(file, random)
            return reads(folder, right or expect == "right")

        prepare.__name__, prepare.__module__ = edit.__name__, edit.__module__
        case(expect, says=says, times=times)(prepare)
        return edit

    return register


def some_array(random: np.random.Generator) -> str:
    return str(random.choice(["images", "depths", "rawDepths", "labels"]))


def replace(file: h5py.File, key: str, **options: object) -> h5py.Dataset:
    """Put another dataset, which holds nothing yet, in an array's place."""
    old = file[key]
    shape, dtype = options.pop("shape", old.shape), options.pop("dtype", old.dtype)
    del file[key]
    return file.create_dataset(key, shape, dtype, **options)


def remade(file: h5py.File, key: str, properties: h5py.h5p.PropDCID) -> None:
    """The same array with other properties."""
    kind = h5py.h5t.py_create(ARRAYS[key].dtype)
    del file[key]
    space = h5py.h5s.create_simple(ARRAYS[key].shape)
    h5py.Dataset(h5py.h5d.create(file.id, key.encode(), kind, space, properties))[...] = ARRAYS[key]


# --- sound files -----------------------------------------------------------------------------


@case("right", times=6)
def sound_mat(folder, random):
    """Whole or in chunks, with any of the usual filters, big-endian, or in double precision."""
    small = {"chunks": True, "compression": "gzip", "shuffle": True, "fletcher32": True}
    ways = [{}, small, {"chunks": True, "compression": "lzf"}, None]
    options = ways[random.integers(len(ways))]
    dtype = str(random.choice(["<f4", ">f4", "<f8"]))
    write_mat(folder / MAT_NAME, options, depths=DEPTHS.astype(dtype))
    return reads(folder)


@edited("right")
def chunk_stored_without_its_filter(file, random):
    frame = np.ascontiguousarray(DEPTHS[1:2]).tobytes()
    file["depths"].id.write_direct_chunk((1, 0, 0), frame, filter_mask=1)


@edited("error", "link")
def soft_link_in_the_file(file, random):
    key = some_array(random)
    file.move(key, f"elsewhere/{key}")
    file[key] = h5py.SoftLink(f"/elsewhere/{key}")


# --- other files' bytes ------------------------------------------------------------------------


@edited("error", "external|another file|link", times=3)
def external_link(file, random):
    key = str(random.choice([*ARRAYS, "sceneTypes", "scenes", "names"]))
    write_mat(Path("other.mat"))
    del file[key]
    file[key] = h5py.ExternalLink("other.mat", key)


@edited("error", "link", times=2)
def soft_link_to_an_external_one(file, random):
    key = some_array(random)
    write_mat(Path("other.mat"))
    del file[key]
    file["way"] = h5py.ExternalLink("other.mat", "/")
    file[key] = h5py.SoftLink(f"/way/{key}")


@edited("error", "external|another file", times=3)
def external_storage(file, random):
    key = some_array(random)
    Path("secret").write_bytes(SECRET * 200_000)
    size = int(np.prod(ARRAYS[key].shape)) * ARRAYS[key].itemsize
    replace(file, key, external=[("secret", 0, size)])


@edited("error", "external|another file")
def external_storage_of_text(file, random):
    Path("secret").write_bytes(SECRET)
    text = file.create_dataset("#refs#/secret", (10, 1), "u2", external=[("secret", 0, 20)])
    file["scenes"][0, 1] = text.ref


@edited("error", "virtual|another file", times=3)
def virtual_dataset(file, random):
    key = some_array(random)
    write_mat(Path("other.mat"))
    layout = h5py.VirtualLayout(ARRAYS[key].shape, ARRAYS[key].dtype)
    layout[:] = h5py.VirtualSource("other.mat", key, ARRAYS[key].shape)
    del file[key]
    file.create_virtual_dataset(key, layout)


@edited("error", "link|loop", times=2)
def links_in_a_circle(file, random):
    key = some_array(random)
    del file[key]
    file[key] = h5py.SoftLink("/b")
    file["b"] = h5py.SoftLink(f"/{key}")


# --- sizes -------------------------------------------------------------------------------------


@edited("error", "chunk", times=2)
def chunk_of_gigabytes(file, random):
    data = replace(file, "rawDepths", chunks=(1, WIDTH, HEIGHT * 3000), maxshape=(None,) * 3)
    assert data.chunks[2] == HEIGHT * 3000


@edited("error", "frames|never written|missing", times=2)
def frames_without_number(file, random):
    n = int(10 ** random.uniform(6, 17))
    for key in ("images", "depths", "rawDepths", "labels"):
        replace(file, key, shape=(n, *ARRAYS[key].shape[1:]), chunks=CHUNK[key])
    for key in ("sceneTypes", "scenes"):
        replace(file, key, shape=(1, n), chunks=(1, 1000), maxshape=(None, None))


@edited("error", "names|text|entries")
def object_names_without_number(file, random):
    replace(file, "names", shape=(1, 2**40), chunks=(1, 1000), maxshape=(None, None))


@edited("error", "text|characters|written")
def text_without_end(file, random):
    huge = file.create_dataset("#refs#/huge", (2**36, 1), "u2", chunks=(2**20, 1))
    huge[:3] = 65
    file["sceneTypes"][0, 0] = huge.ref


@edited("error", "damaged|larger")
def chunk_that_unpacks_to_gigabytes(file, random):
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(2**22)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    file["rawDepths"].id.write_direct_chunk((1, 0, 0), parts[0] + 800 * parts[1])


@edited("error", "filter|packed")
def chunk_packed_twice(file, random):
    key = some_array(random)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(CHUNK[key])
    for _ in range(2):
        properties.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (6,))
    remade(file, key, properties)


# --- data that is not there --------------------------------------------------------------------


@edited("error", "frame 2.*missing|missing.*frame 2", times=4)
def lost_chunk(file, random):
    key = some_array(random)
    first = file[key][0]
    small = (1, *(np.array(CHUNK[key][1:]) // 2))
    small = tuple(map(int, small))
    data = replace(file, key, chunks=[CHUNK[key], small][random.integers(2)])
    data[0] = first


@edited("error", "written|missing", times=3)
def array_never_written(file, random):
    key = some_array(random)
    replace(file, key, chunks=[None, CHUNK[key]][random.integers(2)])


@edited("error", "damaged", times=3)
def damaged_chunk(file, random):
    key = some_array(random)
    content = random.bytes(int(random.integers(1, 3000)))
    file[key].id.write_direct_chunk((1,) + (0,) * (file[key].ndim - 1), content)


@edited("error", "filter|packed", times=2)
def unknown_filter(file, random):
    key, number = some_array(random), int(random.choice([32015, 32001, 300, 40000]))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(CHUNK[key])
    properties.set_filter(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FLAG_OPTIONAL, (6,))
    remade(file, key, properties)
    path = Path(file.filename)
    file.close()
    content = path.read_bytes()
    # The message "filter pipeline", version 1: one filter, of number 1, called "deflate".
    own = (1).to_bytes(2, "little") + (8).to_bytes(2, "little")
    other = number.to_bytes(2, "little") + (8).to_bytes(2, "little")
    places = [i for i in range(len(content)) if content.startswith(own, i)]
    found = [i for i in places if content[i + 8 : i + 16] == b"deflate\0"]
    path.write_bytes(_patched(content, found, other))


def _patched(content: bytes, places: list[int], part: bytes) -> bytes:
    patched = bytearray(content)
    for place in places:
        patched[place : place + len(part)] = part
    assert places
    return bytes(patched)
