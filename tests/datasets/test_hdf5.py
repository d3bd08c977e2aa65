"""HDF5 files of others: nothing but their own data is read, and all of it is there."""

import os
import zlib

import h5py
import numpy as np
import pytest

from depthclip_core.datasets import hdf5
from depthclip_core.datasets.hdf5 import StoredArray, StoredTexts, open_hdf5, own_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.file_locks import WITHOUT_LOCKS

VALUES = np.arange(4 * 50 * 60, dtype=np.float32).reshape(4, 50, 60)
CHUNKED = {"chunks": (1, 25, 60)}


def stored(path, index=None, key="a"):
    with open_hdf5(path) as file:
        return StoredArray(own_dataset(file, key, key), key).read(index, "frame 2")


@pytest.mark.parametrize(
    "options",
    [
        {},
        CHUNKED,
        {"chunks": (3, 50, 60), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": True, "compression": "lzf"},
        {"chunks": (2, 7, 11), "compression": "gzip"},
    ],
)
def test_arrays_and_their_parts_are_read_as_they_are(options, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=VALUES, **options)
    np.testing.assert_array_equal(stored(tmp_path / "a.h5"), VALUES)
    np.testing.assert_array_equal(stored(tmp_path / "a.h5", 3), VALUES[3])


def lost_chunk(file):
    data = file.create_dataset("a", VALUES.shape, "f4", **CHUNKED)
    data[0], data[2:], data[1, :25] = VALUES[0], VALUES[2:], VALUES[1, :25]


def bomb(file):
    data = file.create_dataset("a", (2, 1000, 1000), "f4", chunks=(1, 1000, 1000), compression=9)
    data[0] = 1
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    data.id.write_direct_chunk((1, 0, 0), parts[0] + 1500 * parts[1])


def external(file):
    secret = file.filename + ".secret"
    with open(secret, "wb") as other:
        other.write(b"secret" * 10_000)
    file.create_dataset("a", VALUES.shape, "f4", external=[(secret, 0, VALUES.nbytes)])


def virtual(file):
    layout = h5py.VirtualLayout(VALUES.shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", VALUES.shape)
    file.create_virtual_dataset("a", layout)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lost_chunk, "at frame 2 is missing: 1 chunks were lost"),
        (bomb, "damaged: a chunk is larger than its content"),
        (external, "takes its data from another file"),
        (virtual, "takes its data from another file"),
        (lambda f: f.create_dataset("a", (4, 5), "f4"), "was never written"),
        (lambda f: f.create_dataset("a", (9, 2**30), "f4", chunks=(1, 2**28)), "has chunks of"),
        (lambda f: f.create_dataset("a", (2**40, 5), "f4", chunks=(1, 5)), "chunks, and at most"),
        (lambda f: f.create_dataset("a", data=VALUES, scaleoffset=2), "HDF5's filter 6"),
        (lambda f: f.create_dataset("a", data=[b"text"]), "holds .*, not numbers"),
        (lambda f: f.create_group("a"), "a is a group, not an array"),
        (lambda f: f.update_link("a", h5py.SoftLink("/a")), "a is a link"),
        (lambda f: f.update_link("a", h5py.ExternalLink("b.h5", "a")), "a is a link"),
    ],
)
def test_what_is_not_the_files_own_data_is_refused(write, says, tmp_path):
    class Writing(h5py.File):
        def update_link(self, name, link):
            self[name] = link

    with Writing(tmp_path / "a.h5", "w") as file:
        write(file)
    with pytest.raises(DepthClipError, match=says) as caught:
        stored(tmp_path / "a.h5", 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no HDF5 file, but empty"),
        (b"<html>404</html>", "but an HTML page: fetch it again"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "is damaged|is truncated"),
        (None, "is truncated: fetch it again"),
    ],
)
def test_other_files_are_called_what_they_are(content, says, tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = VALUES
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(DepthClipError, match=says):
        open_hdf5(path)


def test_locked_file_is_called_locked(tmp_path):
    """Within one process HDF5 shares an open file, so that another process has to hold it."""
    import subprocess
    import sys

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = VALUES
    hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print(1, flush=True); input()"
    command = [sys.executable, "-c", hold, str(tmp_path / "a.h5")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(DepthClipError, match="is open in another program"):
            open_hdf5(tmp_path / "a.h5")
        holder.communicate(b"\n")
    np.testing.assert_array_equal(stored(tmp_path / "a.h5"), VALUES)


@pytest.mark.parametrize("number", sorted(WITHOUT_LOCKS))
def test_file_system_without_locks_is_read_without(number, tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = VALUES
    original = h5py.File

    def without_locks(path, mode, locking=None):
        if locking is not False:
            raise OSError(number, f"unable to lock file, errno = {number}")
        return original(path, mode, locking=locking)

    monkeypatch.setattr(hdf5.h5py, "File", without_locks)
    with open_hdf5(tmp_path / "a.h5") as file:
        assert file["a"].shape == VALUES.shape


def test_texts_by_reference(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.array([[ord(c)] for c in "k\u00fcche"], np.uint16)
        file["y"] = np.zeros(2, np.uint64)
        file["y"].attrs["MATLAB_empty"] = np.uint32(1)
        cells = np.array([[file["x"].ref, file["y"].ref, h5py.Reference()]], h5py.ref_dtype)
        file.create_dataset("cells", data=cells)
        file["numbers"] = np.zeros((1, 2))
    with open_hdf5(tmp_path / "a.h5") as file:
        texts = StoredTexts(file["cells"], "cells")
        assert (len(texts), texts.read(0), texts.read(1)) == (3, "küche", None)
        with pytest.raises(DepthClipError, match="cells, entry 3, leads to no text"):
            texts.read(2)
        with pytest.raises(DepthClipError, match="not cells of text"):
            StoredTexts(file["numbers"], "numbers")


def test_missing_arrays_are_none(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w"):
        pass
    with open_hdf5(tmp_path / "a.h5") as file:
        assert own_dataset(file, "a", "a") is None
    os.unlink(tmp_path / "a.h5")
    with pytest.raises(DepthClipError, match="no HDF5 file at"):
        open_hdf5(tmp_path / "a.h5")
