import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthclip_core.encoding.store import CHUNK, AbsentChunk, DamagedChunk, Store
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import store_folder

SETTINGS = {
    "kind": "vectors",
    "data": {"title": "sample, test", "sha256": "aa"},
    "encoder": {"name": "RN50", "weights": "bb"},
    "precision": "fp32",
    "flip": True,
    "head": None,
    "size": [416, 544],
    "scale": 0.5,
}
N_FRAMES = 2 * CHUNK + 7


def chunk_of(array, chunk, *shape, dtype=np.float32):
    rng = np.random.default_rng(chunk)
    return rng.normal(size=(len(array.frames_of(chunk)), *(shape or (2, 3)))).astype(dtype)


@pytest.fixture
def array(tmp_path):
    return Store(tmp_path / "store").array(SETTINGS, N_FRAMES)


@pytest.fixture
def filled(array):
    for chunk in range(array.n_chunks):
        array.write(chunk, chunk_of(array, chunk), device="cpu")
    return array


def python(script, *arguments, **options):
    """A Python of its own that runs the script, its output read line by line."""
    head = "import os, sys, signal, numpy as np\nfrom depthclip_core.encoding.store import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


# --- keys and chunks ------------------------------------------------------------------------


def test_store_is_in_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path))
    monkeypatch.delenv("DEPTHCLIP_STORE", raising=False)
    assert Store().folder == store_folder() == tmp_path / "store"
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path / "elsewhere"))
    assert Store().folder == tmp_path / "elsewhere"
    array = Store().array(SETTINGS, 3)
    assert array.missing() == [0] and array.size == 0 and Store().arrays() == []
    assert list(tmp_path.iterdir()) == [], "asking makes nothing"


def changes(settings):
    """The settings with one leaf changed, for every leaf."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from ({**settings, key: changed} for changed in changes(value))
        else:
            yield {**settings, key: [value, 1]}
            yield {name: kept for name, kept in settings.items() if name != key}


def test_key_depends_on_each_setting(tmp_path):
    store = Store(tmp_path)
    keys = [store.array(changed, 5).key for changed in (SETTINGS, *changes(SETTINGS))]
    assert len(keys) == 1 + 2 * 10 and len(set(keys)) == len(keys)
    assert all(len(a) == 16 and set(a) <= set("0123456789abcdef") for a in keys)
    assert store.array({"a": 1}, 5).key != store.array({"a": True}, 5).key
    assert store.array({"a": [1, 2]}, 5).key != store.array({"a": [2, 1]}, 5).key


def test_key_ignores_the_order_of_names(tmp_path):
    store = Store(tmp_path)
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(SETTINGS.items())
    }
    assert list(turned) != list(SETTINGS)
    assert store.array(turned, 5).key == store.array(SETTINGS, 5).key
    words = store.array({"words": ("near", "far")}, 5)
    assert words.settings == {"words": ["near", "far"]}
    assert words.key == store.array({"words": ["near", "far"]}, 5).key


def test_keys_stay_the_same_within_a_format(tmp_path):
    assert Store(tmp_path).array({"kind": "vectors"}, 5).key == "33fc160b90ca02a7"


@pytest.mark.parametrize(
    "value",
    [{1, 2}, Path("a"), b"a", np.float32(1), np.arange(2), float("nan"), float("inf"), {1: 2}, len],
)
@pytest.mark.parametrize("nest", [lambda v: {"a": v}, lambda v: {"a": {"b": [1, v]}}])
def test_settings_that_json_would_change_are_refused(tmp_path, value, nest):
    with pytest.raises(DepthClipError, match=r"settings\['a'\]"):
        Store(tmp_path).array(nest(value), 5)


@pytest.mark.parametrize("n_frames", [-1, 2.5, "5", None, True])
def test_number_of_frames_must_be_whole(tmp_path, n_frames):
    with pytest.raises(DepthClipError, match="n_frames"):
        Store(tmp_path).array(SETTINGS, n_frames)


@given(st.integers(0, 20 * CHUNK))
def test_chunks_partition_the_frames(n_frames):
    array = Store("unused").array(SETTINGS, n_frames)
    chunks = [array.frames_of(chunk) for chunk in range(array.n_chunks)]
    assert [frame for chunk in chunks for frame in chunk] == list(range(n_frames))
    assert all(len(chunk) == CHUNK for chunk in chunks[:-1])
    assert all(1 <= len(chunk) <= CHUNK for chunk in chunks)
    for chunk in (-1, array.n_chunks):
        with pytest.raises(DepthClipError, match=f"no chunk {chunk}"):
            array.frames_of(chunk)


# --- writing and reading ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", ">f4", "int64", "uint8", "?"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (7,), (), (0, 3)])
def test_read_returns_what_was_written(array, dtype, shape):
    values = (10 * np.random.default_rng(0).normal(size=(CHUNK, *shape))).astype(dtype)
    array.write(1, values)
    read = array.read(1)
    assert read.dtype == values.dtype and read.shape == values.shape
    assert read.tobytes() == values.tobytes()
    assert read.flags.writeable and read.flags.c_contiguous


def test_nan_and_negative_zero_keep_their_bits(array):
    values = chunk_of(array, 0)[:, ::-1].T.copy().T  # neither C-contiguous …
    values[3, 1], values[4, 0] = np.nan, -0.0  # … nor equal to itself
    array.write(0, values)
    assert array.read(0).tobytes() == values.tobytes()


def test_chunks_are_written_in_any_order(array):
    assert array.missing() == [0, 1, 2] and not array.complete
    array.write(2, chunk_of(array, 2))
    array.write(0, chunk_of(array, 0))
    assert array.missing() == [1] and not array.complete
    with pytest.raises(AbsentChunk, match="chunk-00001.h5") as caught:
        array.read(1)
    assert isinstance(caught.value, DepthClipError) and isinstance(caught.value, FileNotFoundError)
    array.write(1, chunk_of(array, 1))
    assert array.complete
    for chunk in range(3):
        assert np.array_equal(array.read(chunk), chunk_of(array, chunk))
    array.discard(1)
    array.discard(1)
    assert array.missing() == [1]


def test_chunk_is_a_plain_hdf5_file(filled):
    with h5py.File(filled.path(1), "r") as file:
        assert np.array_equal(file["values"], chunk_of(filled, 1))
        assert file["values"].attrs["first"] == CHUNK
        assert file.attrs["device"] == "cpu"


def test_array_is_described_on_disk(filled):
    assert json.loads((filled.folder / "array.json").read_text()) == {
        "format": 2,
        "n_frames": N_FRAMES,
        "settings": SETTINGS,
    }
    (found,) = Store(filled.folder.parent).arrays()
    assert found == filled and found.broken is None and found.complete
    assert found.size == sum(path.stat().st_size for path in found.folder.iterdir()) > 3 * 1000


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            np.zeros((CHUNK - 1, 2)),
            f"chunk 0 .* has {CHUNK} frames, got values of shape .{CHUNK - 1}, 2.",
        ),
        (np.zeros((CHUNK + 1, 2)), f"{CHUNK} frames"),
        (np.zeros(()), f"{CHUNK} frames"),
        (np.array(["a"] * CHUNK), "numbers"),
        (np.array([None] * CHUNK), "numbers"),
    ],
)
def test_values_that_do_not_fit_are_refused(array, values, says):
    with pytest.raises(DepthClipError, match=says):
        array.write(0, values)
    assert not array.folder.exists()


def test_arrays_are_listed_last_used_first(tmp_path):
    store = Store(tmp_path)
    arrays = [store.array({"i": i}, 3) for i in range(3)]
    for i, array in enumerate(arrays):
        array.write(0, np.zeros(3))
        os.utime(array.folder / "array.json", (1e9 + i, 1e9 + i))
    assert [array.settings["i"] for array in store.arrays()] == [2, 1, 0]
    arrays[0].check(0)
    assert [array.settings["i"] for array in store.arrays()] == [2, 1, 0], "a check is no use"
    arrays[0].read(0)
    assert [array.settings["i"] for array in store.arrays()] == [0, 2, 1]
    assert arrays[1].last_used == 1e9 + 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read"),
        (b"", "does not describe an array"),
        (b"\xff\x00", "does not describe an array"),
        (b"[1, 2]", "does not describe an array"),
        (b'{"format": 2, "settings": {"a": 1}}', "does not describe an array"),
        (b'{"format": 2, "settings": {"a": 1}, "n_frames": "3"}', "does not describe an array"),
        (b'{"format": 2, "settings": {"a": 1}, "n_frames": 3}', "describes another array"),
        (b'{"format": 0, "settings": {"a": 1}, "n_frames": 3}', "has format 0"),
    ],
)
def test_unreadable_folder_is_marked_broken(filled, content, why):
    about = filled.folder / "array.json"
    about.unlink() if content is None else about.write_bytes(content)
    (found,) = Store(filled.folder.parent).arrays()
    assert why in found.broken and found.key == filled.key
    assert found.n_chunks == 0 and found.size > 3 * 1000 and found.last_used > 1e9
    filled.write(0, chunk_of(filled, 0))  # whoever knows the settings mends it
    assert Store(filled.folder.parent).arrays() == [filled]


def test_arrays_of_an_older_format_are_never_read_and_can_be_removed(filled):
    """Format 1 named a chunk "part"."""
    about = json.loads((filled.folder / "array.json").read_text())
    (filled.folder / "array.json").write_text(json.dumps(about | {"format": 1}))
    filled.path(0).rename(filled.folder / "part-00000.h5")
    (found,) = Store(filled.folder.parent).arrays()
    assert found.broken == "it has format 1; this version reads format 2"
    found.remove()
    assert not filled.folder.exists()


def test_remove_spares_files_of_others(filled, tmp_path):
    (tmp_path / "store" / "my notes").mkdir()
    (tmp_path / "store" / "0123456789abcdef").write_text("a file, not an array")
    assert Store(tmp_path / "store").arrays() == [filled]
    (filled.folder / "notes.txt").write_text("mine")
    with pytest.raises(DepthClipError, match="notes.txt, which is not the store's"):
        filled.remove()
    assert filled.complete and np.array_equal(filled.read(0), chunk_of(filled, 0))
    (filled.folder / "notes.txt").unlink()
    filled.remove()
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [
        "0123456789abcdef",
        "my notes",
    ]


def test_remove_spares_files_of_others_with_the_stores_names(tmp_path):
    folder = tmp_path / "0123456789abcdef"
    folder.mkdir()
    (folder / "array.json").write_text('{"mine": 1}')
    (folder / "chunk-00000.h5").write_bytes(b"mine")
    (tmp_path / "checksums.json").write_text('{"release.tar": "sha256:abc"}')
    (found,) = Store(tmp_path).arrays()
    with pytest.raises(DepthClipError, match="is not the store's: move it away"):
        found.remove()
    assert Store(tmp_path).checksums([folder / "array.json"])
    assert sorted(path.name for path in folder.iterdir()) == ["array.json", "chunk-00000.h5"]
    assert (tmp_path / "checksums.json").read_text() == '{"release.tar": "sha256:abc"}'


# --- damage -------------------------------------------------------------------------------------


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def flip_a_value(array, path):
    with h5py.File(path, "r") as file:
        position = file["values"].id.get_offset() + 100
    values = chunk_of(array, 1).tobytes()
    assert path.read_bytes()[position : position + 50] == values[100:150]
    flip(path, position)


def write_another_length(array, path):
    """An array of the same settings, and so of the same key, with fewer frames."""
    shorter = Store(array.folder.parent).array(SETTINGS, CHUNK + 5)
    shorter.write(1, chunk_of(shorter, 1))


DAMAGES = {
    "truncated": lambda array, path: path.write_bytes(path.read_bytes()[:-100]),
    "truncated by one": lambda array, path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda array, path: path.write_bytes(path.read_bytes() + b"\0"),
    "a value flipped": flip_a_value,
    "empty": lambda array, path: path.write_bytes(b""),
    "garbage": lambda array, path: path.write_bytes(random.Random(0).randbytes(5000)),
    "its first byte lost": lambda array, path: path.write_bytes(path.read_bytes()[1:]),
    "another chunk": lambda array, path: path.write_bytes(array.path(0).read_bytes()),
    "another length": write_another_length,
    "changed through HDF5": lambda array, path: h5py.File(path, "r+")["values"].write_direct(
        np.zeros((CHUNK, 2, 3), np.float32)
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_and_repaired(filled, damage):
    DAMAGES[damage](filled, filled.path(1))
    assert filled.complete, "existence alone says nothing"
    for read in (filled.read, filled.check):
        with pytest.raises(DamagedChunk, match="chunk-00001.h5 is damaged: ") as caught:
            read(1)
        assert "\n" not in str(caught.value)
    assert np.array_equal(filled.read(0), chunk_of(filled, 0))
    filled.write(1, chunk_of(filled, 1))
    assert np.array_equal(filled.read(1), chunk_of(filled, 1))


def test_chunk_of_another_array_is_noticed(filled):
    other = Store(filled.folder.parent).array({**SETTINGS, "head": "value"}, N_FRAMES)
    other.write(1, chunk_of(filled, 1))
    filled.path(1).write_bytes(other.path(1).read_bytes())
    with pytest.raises(DamagedChunk, match=f"key is {other.key}, not {filled.key}"):
        filled.read(1)


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path_factory, position, bit):
    """Headers too: HDF5 loops for ever on some of them, so it must not get to see them."""
    array = Store(tmp_path_factory.mktemp("flipped")).array(SETTINGS, 5)
    array.write(0, np.ones((5, 2)), device="cpu")
    content = bytearray(array.path(0).read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    array.path(0).write_bytes(content)
    with pytest.raises(DamagedChunk):
        array.read(0)


# --- several processes, and the end of one ------------------------------------------------------

WRITE_FOR_EVER = """
array = Store(sys.argv[1]).array({"a": 1}, 4 * CHUNK)
print("ready", flush=True)
while True:
    for chunk in array.missing() or range(4):
        array.write(chunk, np.full((CHUNK, 50, 50), chunk, np.float32))
"""


def test_killed_run_leaves_only_whole_chunks(tmp_path):
    array = Store(tmp_path).array({"a": 1}, 4 * CHUNK)
    delays, done = random.Random(0), []
    for _ in range(6):
        process = python(WRITE_FOR_EVER, tmp_path)
        assert process.stdout.readline() == "ready\n"
        threading.Event().wait(delays.uniform(0, 0.03))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        present = set(range(4)) - set(array.missing())
        assert present >= set(done), "a later run loses nothing"
        for chunk in present:
            assert (array.read(chunk) == chunk).all()
        done = present
    array.discard_temporaries()
    assert all(path.suffix in (".json", ".h5") for path in array.folder.glob("*"))


def test_reader_never_sees_half_a_chunk(tmp_path):
    script = """
array = Store(sys.argv[1]).array({"a": 1}, CHUNK)
for round in range(10_000):
    array.write(0, np.full((CHUNK, 30, 30), round, np.float32))
    if round % 5 == 0:
        array.discard(0)
    if round == 0:
        print("ready", flush=True)
"""
    array = Store(tmp_path).array({"a": 1}, CHUNK)
    process = python(script, tmp_path)
    process.stdout.readline()
    seen, absent = set(), 0
    try:
        while len(seen) < 30 or not absent:
            assert process.poll() is None
            try:
                values = array.read(0)
            except AbsentChunk:
                absent += 1
            else:
                assert values.shape == (CHUNK, 30, 30) and (values == values[0, 0, 0]).all()
                seen.add(values[0, 0, 0])
    finally:
        process.kill()
        process.wait()


# --- a full disk --------------------------------------------------------------------------------


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("broken", [(os, "replace"), (h5py, "File")])
def test_full_disk_is_one_clear_line(array, monkeypatch, broken):
    with monkeypatch.context() as patch:
        patch.setattr(*broken, full)
        with pytest.raises(DepthClipError, match="No space left.*free space.*DEPTHCLIP_STORE") as e:
            array.write(0, chunk_of(array, 0))
    assert str(array.folder) in str(e.value) and "\n" not in str(e.value)
    assert array.missing() == [0, 1, 2] and array.temporaries() == []
    array.write(0, chunk_of(array, 0))
    assert np.array_equal(array.read(0), chunk_of(array, 0))


def test_disk_that_fills_within_a_chunk_keeps_the_old_one(filled):
    """The system itself ends the write, after 50 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DepthClipError, match="cannot write to"):
            filled.write(0, np.zeros((CHUNK, 100, 100)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert filled.temporaries() == []
    assert np.array_equal(filled.read(0), chunk_of(filled, 0)), "the old chunk stays"


def test_read_only_array_can_be_read(filled, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    assert np.array_equal(filled.read(0), chunk_of(filled, 0))
    with pytest.raises(DepthClipError, match=f"cannot write to {filled.folder}: Permission denied"):
        filled.write(0, chunk_of(filled, 0))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_one_clear_line(tmp_path):
    tmp_path.chmod(0o500)
    try:
        array = Store(tmp_path / "store").array(SETTINGS, 3)
        with pytest.raises(DepthClipError, match="DEPTHCLIP_DATA"):
            array.write(0, np.zeros(3))
    finally:
        tmp_path.chmod(0o700)


def test_file_in_place_of_the_store_is_one_clear_line(tmp_path):
    (tmp_path / "store").write_text("no folder")
    store = Store(tmp_path / "store")
    with pytest.raises(DepthClipError, match="cannot read the store"):
        store.arrays()
    with pytest.raises(DepthClipError, match="cannot write to"):
        store.array(SETTINGS, 3).write(0, np.zeros(3))
