"""The commands `depthclip store list`, `verify` and `prune`."""

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from depthclip_core.cli.main import app
from depthclip_core.encoding.locks import hold
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.errors import DepthClipError
from depthclip_core.text import size_text

ROOT = Path(__file__).resolve().parents[2]
VECTORS = {
    "kind": "vectors",
    "data": {"title": "sample, test", "sha256": "aa"},
    "encoder": {"name": "RN50", "weights": "0123456789abcdef0123456789abcdef"},
    "precision": "fp32",
    "head": "value",
}
SIMILARITIES = {
    **VECTORS,
    "kind": "similarities",
    "precision": "bf16",
    "head": "released",
    "words": ["giant", "close", "unseen"],
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def vectors(store):
    """Two of three chunks."""
    array = store.array(VECTORS, 2 * CHUNK + 5)
    for chunk in (0, 2):
        array.write(chunk, np.full((len(array.frames_of(chunk)), 100), chunk, np.float32))
    os.utime(array.folder / "array.json", (2e9, 2e9))
    return array


@pytest.fixture
def similarities(store):
    """All of two chunks, last used ten days ago."""
    array = store.array(SIMILARITIES, CHUNK + 1)
    for chunk in (0, 1):
        array.write(chunk, np.full((len(array.frames_of(chunk)), 100), chunk, np.float32))
    ten_days_ago = time.time() - 10 * 86400
    os.utime(array.folder / "array.json", (ten_days_ago, ten_days_ago))
    return array


@pytest.fixture
def call(store):
    """Call a command of `depthclip store`: its exit status and the lines it prints."""

    def call(command, *arguments):
        arguments = ["store", command, *map(str, arguments), "--folder", str(store.folder)]
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output.splitlines()

    return call


def damage(array, chunk):
    content = bytearray(array.path(chunk).read_bytes())
    content[-1] ^= 1
    array.path(chunk).write_bytes(content)


def leave_unfinished(array):
    path = array.folder / ".chunk-00001.h5.0123abcd.tmp"
    path.write_bytes(b"x" * 1500)
    return path


def files(store):
    """Every file in the store except locks."""
    return {path for path in store.folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


# --- list ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["list", "verify", "prune"])
def test_commands_say_that_a_store_is_empty(call, store, command):
    code, (line,) = call(command)
    assert code == 0
    assert line == (
        f"Nothing to remove in {store.folder}"
        if command == "prune"
        else f"The store is empty: {store.folder}"
    )
    assert not store.folder.exists()


def test_list_shows_a_line_for_each_array(call, store, vectors, similarities):
    code, (head, first, second, blank, total) = call("list")
    assert code == 0
    assert re.split("  +", head) == (
        ["key", "kind", "data", "encoder", "head", "words", "frames", "size", "last used"]
    )
    assert re.split("  +", first) == [
        *(
            vectors.key,
            "vectors",
            "sample, test",
            "RN50 01234567",
            "value",
            "-",
            f"{CHUNK + 5}/{2 * CHUNK + 5}",
        ),
        *(size_text(vectors.size), date.fromtimestamp(2e9).isoformat()),
    ]
    assert re.split("  +", second)[:7] == [
        *(similarities.key, "similarities", "sample, test", "RN50 01234567 bf16", "released"),
        *("3: giant … unseen", f"{CHUNK + 1}/{CHUNK + 1}"),
    ]
    for column in ("kind", "data", "encoder", "head", "words", "last used"):
        start = head.index(column)
        assert first[start - 1] == second[start - 1] == " " and first[start] != " "
    size = size_text(vectors.size + similarities.size)
    assert (blank, total) == ("", f"2 arrays, {size}, in {store.folder}")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": None, "data": "a data set", "encoder": "RN50", "words": "original"},
        {"data": {}, "encoder": {}, "words": [], "precision": None},
        {"data": [1], "encoder": {"name": 7}, "words": [1, None], "head": {"a": "two\nlines"}},
    ],
)
def test_list_shows_arrays_of_any_settings(call, store, settings):
    store.array(settings, 3).write(0, np.zeros(3))
    code, lines = call("list")
    assert code == 0 and len(lines) == 4
    assert "3/3" in lines[1]
    assert call("verify")[0] == 0


def test_list_looks_at_each_array_once(call, store, vectors, similarities, monkeypatch):
    """With 100,000 chunks, each further look at the folder or a file takes a second."""
    listed, looked_up = [], []

    def noted(function, paths):
        return lambda path, **options: paths.append(Path(path)) or function(path, **options)

    monkeypatch.setattr(os, "scandir", noted(os.scandir, listed))
    monkeypatch.setattr(os, "listdir", noted(os.listdir, listed))
    monkeypatch.setattr(os, "stat", noted(os.stat, looked_up))
    monkeypatch.setattr(os, "lstat", noted(os.lstat, looked_up))
    assert call("list")[0] == 0
    assert looked_up and not [path for path in looked_up if path.suffix == ".h5"]
    for folder in (store.folder, vectors.folder, similarities.folder):
        assert listed.count(folder) == 1


def test_list_explains_broken_arrays(call, vectors, similarities):
    (vectors.folder / "array.json").write_text("{")
    code, lines = call("list")
    (row,) = [line for line in lines if line.startswith(f"{vectors.key}  ")]
    assert code == 0 and re.split("  +", row)[1] == "broken"
    assert f"{vectors.key} is broken: its array.json does not describe an array" in lines
    assert lines[-1] == "`depthclip store prune` removes broken arrays."


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB")),
        *((999_960, "1.0 MB"), (2.5e9, "2.5 GB"), (3e15, "3000.0 TB")),
    ],
)
def test_size_text_uses_decimal_units(size, text):
    assert size_text(size) == text


# --- verify -------------------------------------------------------------------------------------


def test_verify_reports_missing_chunks(call, vectors, similarities):
    code, (first, second) = call("verify")
    assert code == 0
    assert first.startswith(f"{vectors.key} [vectors, sample, test, RN50")
    assert first.endswith("]: 1 of 3 chunks missing: incomplete")
    assert second.startswith(similarities.key) and second.endswith("]: ok")
    assert vectors.last_used == 2e9, "to verify is not to use"


def test_verify_fails_for_damaged_chunks(call, vectors, similarities):
    damage(vectors, 0)
    damage(vectors, 2)
    code, (first, second, hint) = call("verify")
    assert code == 1
    assert first.endswith(": 2 damaged chunks (0, 2); 1 of 3 chunks missing: incomplete")
    assert second.endswith(": ok")
    assert "computes it again" in hint and "prune --damaged" in hint
    assert call("verify", similarities.key)[0] == 0
    assert call("verify", vectors.key)[0] == 1


def test_verify_fails_for_broken_arrays(call, vectors):
    (vectors.folder / "array.json").unlink()
    code, (line, hint) = call("verify")
    assert code == 1 and line.startswith(f"{vectors.key}: broken: its array.json cannot")
    assert "prune" in hint


@pytest.mark.parametrize("command", ["verify", "prune"])
def test_unknown_key_is_an_error(call, store, vectors, command):
    wrong = vectors.key[:-1] + "x"
    before = files(store)
    with pytest.raises(DepthClipError, match=f"unknown array .* mean '{vectors.key}'"):
        call(command, wrong)
    assert files(store) == before


# --- prune --------------------------------------------------------------------------------------


def test_prune_removes_what_killed_runs_left(call, store, vectors, similarities):
    leftover, before = leave_unfinished(vectors), files(store)
    code, (line, total) = call("prune", "--dry-run")
    assert code == 0 and files(store) == before
    assert line.startswith(f"would remove 1 unfinished file of {vectors.key} [")
    assert line.endswith("], 1.5 kB") and total == f"1.5 kB would be freed in {store.folder}"
    code, (line, total) = call("prune")
    assert code == 0 and files(store) == before - {leftover}
    assert line.startswith("removed 1 unfinished file") and total.startswith("1.5 kB freed")
    assert call("prune") == (0, [f"Nothing to remove in {store.folder}"])


def test_prune_removes_damaged_chunks_if_asked(call, store, vectors, similarities):
    damage(vectors, 2)
    before = files(store)
    assert call("prune")[1] == [f"Nothing to remove in {store.folder}"]
    code, (line, _) = call("prune", "--damaged", "--dry-run")
    assert code == 0 and files(store) == before
    size = size_text(vectors.path(2).stat().st_size)
    code, (again, _) = call("prune", "--damaged")
    assert again == line.replace("would remove", "removed")
    assert again.startswith(f"removed damaged chunk 2 of {vectors.key}") and size in again
    assert files(store) == before - {vectors.path(2)}
    assert call("verify")[0] == 0 and vectors.last_used == 2e9


def test_prune_removes_broken_arrays(call, store, vectors, similarities):
    (vectors.folder / "array.json").write_text('{"format": 0}')
    kept = {path for path in files(store) if path.is_relative_to(similarities.folder)}
    code, lines = call("prune")
    assert code == 0 and files(store) == kept and not vectors.folder.exists()
    assert lines[0].startswith(f"removed {vectors.key} (broken: it has format 0")


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        (["--all"], {"vectors", "similarities"}),
        (["--unused-days", "9.5"], {"similarities"}),
        (["--unused-days", "11"], set()),
        (["VECTORS"], {"vectors"}),
        (["VECTORS", "--unused-days", "9.5"], {"vectors", "similarities"}),
    ],
)
def test_prune_removes_whole_arrays(call, store, vectors, similarities, arguments, gone):
    arrays = {"vectors": vectors, "similarities": similarities}
    arguments = [vectors.key if a == "VECTORS" else a for a in arguments]
    before, size = files(store), sum(arrays[name].size for name in gone)
    code, lines = call("prune", *arguments, "--dry-run")
    assert code == 0 and files(store) == before
    assert len(lines) == len(gone) + 1
    code, lines = call("prune", *arguments)
    assert code == 0
    assert {name for name, array in arrays.items() if not array.folder.exists()} == gone
    assert all(array.folder.exists() == (array in store.arrays()) for array in arrays.values())
    if gone:
        assert lines[-1] == f"{size_text(size)} freed in {store.folder}"
    assert files(store) == {path for path in before if path.parent.exists()}


def test_prune_keeps_arrays_in_use(call, store, vectors, similarities):
    leave_unfinished(vectors)
    before = {path for path in files(store) if path.is_relative_to(vectors.folder)}
    held, release = threading.Event(), threading.Event()

    def run():
        with hold(vectors, 1):
            held.set()
            release.wait(10)

    running = threading.Thread(target=run)
    running.start()
    assert held.wait(10)
    try:
        code, lines = call("prune", "--all")
    finally:
        release.set()
        running.join()
    assert code == 0 and files(store) == before
    assert lines[0].startswith(f"kept {vectors.key} [")
    assert lines[0].endswith("]: another process uses it")
    assert lines[1].startswith(f"removed {similarities.key}")
    assert call("prune", "--all")[0] == 0 and files(store) == set()


def test_prune_without_file_locks_keeps_what_was_written_to_lately(
    call, vectors, similarities, monkeypatch
):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    an_hour_ago = time.time() - 3600
    os.utime(similarities.folder, (an_hour_ago, an_hour_ago))
    with pytest.warns(UserWarning, match="on a file system without locks") as warned:
        code, lines = call("prune", "--all")
    assert len(warned) == 1, "once for the store"
    assert code == 0 and vectors.folder.exists() and not similarities.folder.exists()
    assert lines[0].startswith(f"kept {vectors.key} [")
    assert "it was written to in the last 30 minutes, and without locks" in lines[0]


def test_prune_continues_after_an_array_it_cannot_remove(call, vectors, similarities):
    (vectors.folder / "notes.txt").write_text("mine")
    code, lines = call("prune", "--all")
    assert code == 1 and vectors.folder.exists() and not similarities.folder.exists()
    assert any("notes.txt, which is not the store's" in line for line in lines)


# --- as a program ---------------------------------------------------------------------------------


def depthclip(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from depthclip_core.cli.main import main; main()", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_error_is_one_line_without_traceback(store, vectors):
    answer = depthclip("store", "verify", "nothing", "--folder", str(store.folder))
    assert answer.returncode == 1 and answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert line == f"depthclip: unknown array 'nothing': known: {vectors.key}"


def test_store_of_the_data_folder_is_the_default(tmp_path, vectors):
    answer = depthclip("store", "list", DEPTHCLIP_DATA=str(tmp_path), DEPTHCLIP_STORE="")
    assert answer.returncode == 0 and answer.stderr == ""
    assert answer.stdout.splitlines()[-1].endswith(f"in {tmp_path / 'store'}")


# --- what others have put into the store --------------------------------------------------------


def tampered(array, **changes):
    about = json.loads((array.folder / "array.json").read_text())
    (array.folder / "array.json").write_text(json.dumps(about | changes))


def test_names_cannot_colour_the_terminal_or_move_its_cursor(call, store):
    settings = VECTORS | {"data": {"title": "a\x1b[31mred\x1b[2J\r\u202eb"}, "head": "\x9b31m"}
    array = store.array(settings, 1)
    array.write(0, np.zeros((1, 2), np.float32))
    other = store.array(SIMILARITIES, 1)
    other.write(0, np.zeros((1, 2), np.float32))
    tampered(other, format="\x1b[31m")
    for command in ("list", "verify", "prune"):
        lines = "\n".join(call(command)[1])
        assert array.key in lines or command == "prune"
        assert "it has format" in lines
        assert all(character.isprintable() or character == "\n" for character in lines)


@pytest.mark.parametrize("count", [10**9, 10**18, 10**400])
def test_count_that_was_tampered_with_does_not_hang(call, vectors, count):
    tampered(vectors, n_frames=count)
    for command in ("list", "verify"):
        assert len(call(command)[1]) >= 1
    assert vectors.path(0).exists()
    assert call("prune", "--all")[0] == 0 and not vectors.folder.exists()


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"null", b"\xff"])
def test_damaged_descriptions_are_broken(call, vectors, content):
    (vectors.folder / "array.json").write_bytes(content)
    assert any("is broken: its array.json does not" in line for line in call("list")[1])


def test_pipes_in_the_store_are_not_waited_for(call, vectors):
    vectors.path(0).unlink()
    os.mkfifo(vectors.path(0))
    code, lines = call("verify")
    assert code == 1 and "1 damaged chunk (0)" in lines[0]
    (vectors.folder / "array.json").unlink()
    os.mkfifo(vectors.folder / "array.json")
    assert "its array.json cannot be read: it is not a file" in "\n".join(call("list")[1])


def test_prune_follows_no_link_out_of_the_store(call, store, vectors, tmp_path):
    outside = tmp_path / "outside" / vectors.key
    outside.parent.mkdir()
    vectors.folder.rename(outside)
    vectors.folder.symlink_to(outside)
    kept = {path.name: path.read_bytes() for path in outside.iterdir()}
    assert f"{vectors.key} is broken: it is a link to another folder" in call("list")[1]
    code, lines = call("prune", "--all", "--damaged")
    assert code == 0 and len(lines) == 2
    assert not os.path.lexists(vectors.folder)
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == kept


def test_prune_removes_a_link_among_chunks_and_not_its_target(call, vectors, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"x" * 10_000)
    vectors.path(1).symlink_to(mine)
    before = vectors.size
    vectors.path(1).unlink()
    assert before - vectors.size < 1000, "what a link leads to is not counted"
    vectors.path(1).symlink_to(mine)
    assert call("prune", "--all")[0] == 0
    assert not vectors.folder.exists() and mine.stat().st_size == 10_000


def test_absurd_times_are_shown_as_unknown(call, vectors, monkeypatch):
    monkeypatch.setattr(type(vectors), "last_used", property(lambda _: 1e18))
    assert call("list")[1][1].endswith("-")
