"""Files are written whole or not at all; notes and checksums of files only save time."""

import errno
import fcntl
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.file_locks import WITHOUT_LOCKS
from depthclip_core.files import (
    CannotWrite,
    Notes,
    checksums,
    claimed,
    content_of,
    read_json,
    replacing,
    temporary_folder,
    together,
    user_path,
    write_whole,
)

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


# --- the writer ---------------------------------------------------------------------------------


def left_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_file_is_written_with_the_folders_above_it(tmp_path):
    path = tmp_path / "a" / "b" / "c.txt"
    assert write_whole(path, "né") == path and path.read_bytes() == "né".encode()
    assert write_whole(path, b"new") == path and path.read_bytes() == b"new"
    assert left_in(tmp_path) == ["a", "a/b", "a/b/c.txt"]


def test_failed_writing_keeps_the_old_file_and_no_new_folder(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert left_in(tmp_path) == []
    write_whole(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert left_in(tmp_path) == ["a", "a/b.txt"] and path.read_text() == "old"


def test_files_appear_together_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), together() as write:
        write(tmp_path / "a" / "1", "one")
        assert not (tmp_path / "a" / "1").exists()
        raise KeyboardInterrupt
    assert left_in(tmp_path) == []
    (tmp_path / "2").write_text("theirs")
    with (
        pytest.raises(CannotWrite, match="2: it exists: move it away"),
        together(overwrite=False) as write,
    ):
        write(tmp_path / "1", "one")
        write(tmp_path / "2", "two")
    assert left_in(tmp_path) == ["2"] and (tmp_path / "2").read_text() == "theirs"
    with together() as write:
        write(tmp_path / "1", "one")
        write(tmp_path / "2", "two")
    assert (tmp_path / "1").read_text() == "one" and (tmp_path / "2").read_text() == "two"


def test_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(CannotWrite, match="it exists"), replacing(path, overwrite=False) as part:
        part.write_text("ours")
        path.write_text("theirs")
    assert left_in(tmp_path) == ["a"] and path.read_text() == "theirs"


def test_file_that_appears_meanwhile_is_kept_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    test_file_that_appears_meanwhile_is_kept(tmp_path)
    assert write_whole(tmp_path / "b", "new", overwrite=False).read_text() == "new"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("file/a", "file is a file: choose another folder"),
        ("file/a/b", "file is a file: choose another folder"),
        ("broken/a", "broken is a link that leads nowhere: choose another folder"),
        ("folder", "Is a directory: move that folder away"),
        ("circle/a", "circle is a link that leads nowhere|links lead in a circle"),
        ("x" * 300, "File name too long: choose a shorter name"),
        ("x" * 300 + "/a", "File name too long: choose a shorter name"),
        ("a\0b", "holds a null character"),
        ("~nobody-of-this-name/a", "the home of an unknown user"),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_place_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, path, says, overwrite):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    before = left_in(tmp_path)
    expected = says if overwrite or path != "folder" else "it exists: move it away"
    with pytest.raises(DepthClipError, match=expected) as raised:
        write_whole(path, "x", overwrite=overwrite)
    assert "\n" not in str(raised.value) and left_in(tmp_path) == before
    with pytest.raises(DepthClipError, match=expected), together(overwrite=overwrite) as write:
        write(path, "x")
    assert left_in(tmp_path) == before and (tmp_path / "file").read_text() == "mine"


def test_broken_link_is_replaced_and_not_followed(tmp_path):
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "elsewhere")
    write_whole(path, "x")
    assert left_in(tmp_path) == ["link"] and not path.is_symlink()


@pytest.mark.parametrize("name", ["x" * 250, "é" * 120])
def test_name_that_just_fits_can_be_written(tmp_path, name):
    assert write_whole(tmp_path / name, "x").read_text() == "x"


AS_NOBODY = """
import os, sys
from depthclip_core.files import *
from depthclip_core.errors import DepthClipError
os.setgid(65534); os.setuid(65534)
try:
    write_whole(sys.argv[1], "x")
except DepthClipError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becomes another user")
def test_folder_without_permission_is_one_line():
    with TemporaryDirectory() as folder:  # pytest's own are closed to other users
        os.chmod(folder, 0o755)
        command = [sys.executable, "-c", AS_NOBODY, f"{folder}/a/b"]
        root = Path(__file__).resolve().parents[1]
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        advice = "allow writing there, or choose another folder"
        line = f"cannot write {folder}/a/b: Permission denied: {advice}\n"
        assert said.stdout == line, said.stderr
        assert left_in(Path(folder)) == []


def test_full_disk_keeps_the_old_file(tmp_path):
    """The system itself ends the write, after 1 kB."""
    write_whole(tmp_path / "a", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        for write in (write_whole, lambda path, content: together_one(path, content)):
            with pytest.raises(CannotWrite, match="cannot write .*/a: File too large: raise"):
                write(tmp_path / "a", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_in(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def together_one(path, content):
    with together() as write:
        write(path.with_name("b"), "small")
        write(path, content)


def test_home_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert user_path("~/a") == tmp_path / "home" / "a"
    write_whole("~/a", "x")
    with claimed("~/b"), replacing("~/c") as part:
        part.write_text("x")
    assert left_in(tmp_path) == ["home", "home/a", "home/c"]


def test_content_of_returns_what_a_function_writes():
    assert content_of(lambda file, one, two: file.write(one + two), b"a", two=b"b") == b"ab"


def test_claim_keeps_others_out_and_leaves_nothing(tmp_path):
    path = tmp_path / "new" / "a"
    with claimed(path):
        with pytest.raises(CannotWrite, match="is being written by another process: wait"):
            with claimed(path):
                pass
        with claimed(path.with_name("b")):
            pass
    with claimed(path):
        pass
    assert left_in(tmp_path) == []


def test_claim_ends_with_its_process(tmp_path):
    code = "import sys, time\nfrom depthclip_core.files import *\n"
    code += "with claimed(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CannotWrite), claimed(tmp_path / "a"):
            pass
        process.send_signal(signal.SIGKILL)
    with claimed(tmp_path / "a"):
        pass
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("number", sorted(WITHOUT_LOCKS))
def test_work_goes_on_where_there_are_no_locks(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    being_written = tmp_path / ".notes.json.0123abcd.tmp"
    being_written.touch()
    with pytest.warns(UserWarning, match="is on a file system without locks: ") as warned:
        with claimed(tmp_path / "a"):
            write_whole(tmp_path / "a", "x")
        with claimed(tmp_path / "a"):  # nobody knows that it is claimed
            Notes(tmp_path / "notes.json").add({"a": 1})
    (warning,) = warned
    assert str(warning.message).startswith(f"{tmp_path} ") and "\n" not in str(warning.message)
    assert (tmp_path / "a").read_text() == "x"
    assert Notes(tmp_path / "notes.json").read() == {"a": 1}
    assert being_written.exists(), "it may be another process that writes it"
    assert left_in(tmp_path) == [being_written.name, "a", "notes.json"]


def test_no_temporary_folder_is_one_line(monkeypatch):
    monkeypatch.setattr("depthclip_core.files.TemporaryDirectory", full)
    with pytest.raises(CannotWrite, match="temporary folder: No space left.*: set TMPDIR"):
        with temporary_folder():
            pass


def test_json_that_would_wait_or_recurse_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "deep").write_text("[" * 100_000)
    with pytest.raises(OSError, match="not a file"):
        read_json(tmp_path / "pipe")
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "deep")
