"""Notes and checksums of files: they save time, and nothing depends on keeping them."""

import errno
import hashlib
import json
import os
import threading

import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.files import Notes, checksums

OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "store" / "notes.json")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"abc")
    return path


@pytest.fixture
def digests(monkeypatch):
    """The names of files that are read for their checksum."""
    read, original = [], hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, name: read.append(file.name) or original(file, name)
    )
    return read


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_checksum_is_remembered_until_the_file_changes(notes, file, digests):
    assert checksums([file], notes) == [OF_ABC]
    assert checksums([file], Notes(notes.path)) == [OF_ABC] and len(digests) == 1
    before = file.stat().st_mtime_ns
    file.write_bytes(b"abd")
    os.utime(file, ns=(before + 1, before + 1))
    changed = checksums([file], notes)
    assert changed != [OF_ABC] and len(digests) == 2
    file.write_bytes(b"abcd")
    os.utime(file, ns=(before + 1, before + 1))
    assert checksums([file], notes) not in ([OF_ABC], changed) and len(digests) == 3


def test_replaced_file_of_equal_size_and_time_is_read_again(notes, file, digests):
    assert checksums([file], notes) == [OF_ABC]
    before = file.stat()
    other = file.with_name("copy")
    other.write_bytes(b"xyz")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert checksums([file], notes) != [OF_ABC] and len(digests) == 2


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"FILE": 1}', b'{"FILE": [1, 2]}'])
def test_damaged_notes_are_replaced(notes, file, digests, content):
    notes.path.parent.mkdir()
    notes.path.write_bytes(content.replace(b"FILE", str(file).encode()))
    assert checksums([file], notes) == checksums([file], notes) == [OF_ABC]
    assert len(digests) == 1
    assert list(json.loads(notes.path.read_text())) == [str(file)]


def test_notes_of_several_threads_are_all_kept(notes):
    threads = [threading.Thread(target=notes.add, args=({str(i): i},)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes.read() == {str(i): i for i in range(8)}


def test_notes_that_cannot_be_written_are_forgotten(notes, file, digests, monkeypatch):
    monkeypatch.setattr(os, "replace", full)
    assert checksums([file], notes) == checksums([file], notes) == [OF_ABC]
    assert len(digests) == 2 and notes.read() == {}
    assert [path.name for path in notes.path.parent.glob("*.tmp")] == []


def test_notes_under_a_file_are_forgotten(file):
    Notes(file / "notes.json").add({"a": 1})
    assert file.read_bytes() == b"abc"


def test_absent_file_has_no_checksum(notes, tmp_path):
    with pytest.raises(DepthClipError, match="cannot read .*absent.bin: No such file"):
        checksums([tmp_path / "absent.bin"], notes)
