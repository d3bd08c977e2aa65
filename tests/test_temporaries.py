"""Temporary files of killed writers are removed by the next one, those of live writers are not."""

import errno
import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from depthclip_core import temporaries
from depthclip_core.files import replacing, write_whole
from depthclip_core.temporaries import WRITERS, is_temporary, temporary_beside

WRITE_HALF = """
import sys, time
from pathlib import Path
from depthclip_core.files import replacing
with replacing(sys.argv[1]) as part:
    part.write_text("half")
    print(part.name, flush=True)
    time.sleep(120)
"""


@pytest.fixture
def start():
    """Start processes that have written half of a file; those that still run are killed."""
    started = []

    def begin(path):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE_HALF, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[1],
        )
        started.append(process)
        return process, path.with_name(process.stdout.readline().strip())

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_next_writer_removes_what_a_killed_one_left(tmp_path, start):
    path = tmp_path / "a.txt"
    process, part = start(path)
    kill(process)
    assert names(tmp_path) == [part.name] and is_temporary(part)
    write_whole(path, "whole")
    assert names(tmp_path) == ["a.txt"] and path.read_text() == "whole"


def test_all_that_were_killed_at_once_are_cleaned_up_after(tmp_path, start):
    path = tmp_path / "a.txt"
    killed = [start(path) for _ in range(3)]
    for process, _ in killed:
        kill(process)
    assert len(names(tmp_path)) == 3
    write_whole(path, "whole")
    assert names(tmp_path) == ["a.txt"]


def test_a_live_writer_keeps_its_temporary_file(tmp_path, start):
    path = tmp_path / "a.txt"
    live, of_live = start(path)
    dead, _ = start(path)
    kill(dead)
    write_whole(path, "whole")
    assert names(tmp_path) == sorted(["a.txt", of_live.name]) and of_live.read_text() == "half"
    kill(live)
    write_whole(path, "new")
    assert names(tmp_path) == ["a.txt"]


def test_files_of_other_names_are_left_alone(tmp_path, start):
    path = tmp_path / "a.txt"
    process, _ = start(path)
    kill(process)
    write_whole(tmp_path / "b.txt", "whole")
    (tmp_path / ".a.txt.notes.tmp").touch()
    assert len(names(tmp_path)) == 3
    write_whole(path, "whole")
    assert names(tmp_path) == [".a.txt.notes.tmp", "a.txt", "b.txt"]


def test_links_folders_and_pipes_under_such_names_are_left_alone(tmp_path):
    path, theirs = tmp_path / "a", tmp_path / "theirs"
    theirs.write_text("mine")
    (tmp_path / ".a.00000000.tmp").symlink_to(theirs)
    (tmp_path / ".a.00000001.tmp").mkdir()
    (tmp_path / ".a.00000002.tmp").symlink_to(tmp_path / "nowhere")
    before = names(tmp_path)
    with replacing(path) as part:
        assert part.name == ".a.00000003.tmp"
        part.write_text("whole")
    assert names(tmp_path) == sorted([*before, "a"]) and theirs.read_text() == "mine"


def test_more_writers_than_are_cleaned_up_after_have_names_of_their_own(tmp_path):
    with ExitStack() as stack:
        parts = [stack.enter_context(temporary_beside(tmp_path / "a")) for _ in range(2 * WRITERS)]
        assert len(set(parts)) == 2 * WRITERS and all(part.exists() for part in parts)
    assert names(tmp_path) == []


def test_a_name_that_another_writer_has_taken_since_is_left_to_it(tmp_path):
    """Renaming frees a name, which another writer may take before the first one has ended."""
    path = tmp_path / "a"
    with temporary_beside(path) as first:
        first.rename(path)
        second = temporary_beside(path)
        again = second.__enter__()
        assert again == first
    assert again.exists()
    second.__exit__(None, None, None)
    assert names(tmp_path) == ["a"]


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch, start):
    process, part = start(tmp_path / "a")
    kill(process)

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(temporaries.fcntl, "flock", refuse)
    assert write_whole(tmp_path / "a", "whole").read_text() == "whole"
    assert names(tmp_path) == [part.name, "a"]  # nobody can say that its writer is dead


def test_a_system_without_locks_is_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(temporaries, "fcntl", None)
    assert write_whole(tmp_path / "a", "whole").read_text() == "whole"
    assert names(tmp_path) == ["a"]


def test_many_threads_write_one_file_and_each_version_is_whole(tmp_path):
    path, seen = tmp_path / "a", []
    write_whole(path, "0" * 5000)

    def write(digit):
        for _ in range(60):
            write_whole(path, digit * 5000)
            seen.append(path.read_text())

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 360 and {len(text) for text in seen} == {5000}
    assert all(len(set(text)) == 1 for text in seen) and names(tmp_path) == ["a"]
