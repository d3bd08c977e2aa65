"""Downloads that go well, from servers that fail now and then, and what lies there already."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from fetched_files import CONTENT, OTHER, SIZELESS, SOURCE, fault_of, files
from file_server import answer, replace, send

from depthclip_core.errors import DepthClipError
from depthclip_core.fetching.fetch import fetch

ROOT = Path(__file__).resolve().parents[2]


# --- what goes well -----------------------------------------------------------------------------


@pytest.mark.parametrize("source", [SOURCE, SIZELESS], ids=["size known", "size unknown"])
def test_a_file_is_downloaded_checked_and_left_alone_in_its_folder(server, tmp_path, source):
    seen = []
    fetched = fetch(source, tmp_path / "new", server.address, watch=lambda *at: seen.append(at))
    assert fetched == (tmp_path / "new" / "file.bin", False)
    assert fetched.path.read_bytes() == CONTENT and files(tmp_path) == ["new/file.bin"]
    assert list((tmp_path / "new").iterdir()) == [fetched.path]
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen) and len(seen) > 3
    again = fetch(source, tmp_path / "new", server.address)
    assert again == (fetched.path, True) and len(server.requests) == 1


def test_the_place_is_where_data_sets_are_looked_for(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv(SOURCE.variable, server.address)
    assert fetch(SOURCE).path == tmp_path / "data" / "nyu" / "file.bin"


def test_the_given_address_wins_over_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv(SOURCE.variable, "http://127.0.0.1:9/refused")
    assert not fetch(SOURCE, tmp_path, server.address).was_there


# --- faults that pass ---------------------------------------------------------------------------

SLOW = send(block=30_000, pause=0.01)
PASSING = {
    "broken once": [send(98_304)],
    "broken often": [send(50_000), send(60_000), send(70_000)],
    "broken without a length": [send(98_304, no_length=True)],
    "hanging": [send(98_304, then_hang=True)],
    "slow": [SLOW],
    "busy": [answer(503), answer(429), answer(500)],
    "ranges ignored": [send(98_304), send(ignore_range=True)],
    "ranges ignored, and no length": [send(98_304), send(ignore_range=True, no_length=True)],
    "another range than asked": [send(98_304), send(Content_Range="bytes 5-327679/327680")],
    "a range without a word on it": [send(98_304), send(Content_Range="")],
    "a range of a longer file": [send(98_304), send(Content_Range="bytes 98304-398303/398304")],
    "unasked range": [answer(206, b"abc", Content_Range="bytes 0-2/327680")],
    "longer length": [send(announced=len(CONTENT)), send()],
}


@pytest.mark.parametrize("size", ["known", "unknown"])
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nothing(server, tmp_path, fault, size):
    source, script = SOURCE if size == "known" else SIZELESS, PASSING[fault]
    if (fault, size) == ("broken without a length", "unknown"):
        message = "sent another file, which was removed"  # the end cannot be told from a fault
        server.script = list(script)
        assert message in fault_of(tmp_path, server.address, source)
        return
    server.script = list(script)
    fetched = fetch(source, tmp_path, server.address)
    assert fetched.path.read_bytes() == CONTENT and files(tmp_path) == ["file.bin"]


def test_only_what_is_missing_is_asked_for(server, tmp_path):
    server.script, said = [send(98_304), send(98_304)], []
    fetch(SOURCE, tmp_path, server.address, say=said.append)
    asked = [headers.get("Range") for headers in server.requests]
    assert asked == [None, "bytes=98304-", "bytes=196608-"]
    assert {headers["Accept-Encoding"] for headers in server.requests} == {"identity"}
    assert [line.partition("; ")[2] for line in said] == ["trying again in 0 s"] * 2


def test_a_file_that_changes_between_tries_is_downloaded_anew(server, tmp_path):
    server.content, server.etag = OTHER, '"old"'
    server.script = [send(98_304), replace(CONTENT, '"new"', send())]
    assert fetch(SOURCE, tmp_path, server.address).path.read_bytes() == CONTENT


def test_a_change_is_seen_where_the_server_ignores_the_version_asked_for(server, tmp_path):
    server.content, server.etag = OTHER, '"old"'
    server.script = [send(98_304)]
    span = {"Content_Range": "bytes 98304-327679/327680", "ETag": '"new"'}
    server.script.append(replace(CONTENT, '"new"', answer(206, CONTENT[98_304:], **span)))
    assert fetch(SOURCE, tmp_path, server.address).path.read_bytes() == CONTENT


def test_another_address_continues_a_file_whose_checksum_is_known(server, tmp_path):
    server.script = [send(98_304)] + [answer(503)] * 4
    fault_of(tmp_path, server.address)
    server.etag = '"of another server"'
    mirror = server.address.replace("file.bin", "mirror.bin")
    assert fetch(SOURCE, tmp_path, mirror).path.read_bytes() == CONTENT
    assert server.requests[-1]["Range"] == "bytes=98304-"
    assert "If-Range" not in server.requests[-1]


def test_another_address_starts_anew_where_the_size_is_not_known(server, tmp_path):
    server.script = [send(98_304)] + [answer(503)] * 4
    fault_of(tmp_path, server.address, SIZELESS)
    fetch(SIZELESS, tmp_path, server.address + "?other")
    assert "Range" not in server.requests[-1]


def test_the_time_of_a_file_stands_for_its_version(server, tmp_path):
    server.etag, when = None, "Thu, 01 Jan 2026 00:00:00 GMT"
    server.script = [send(98_304, Last_Modified=when)]
    fetch(SOURCE, tmp_path, server.address)
    assert server.requests[1]["If-Range"] == when


# --- what lies there already --------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"mine", OTHER], ids=["another size", "another checksum"])
def test_another_file_of_that_name_is_never_overwritten_unasked(server, tmp_path, content):
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(DepthClipError, match="is not the authors' file.*--force"):
        fetch(SOURCE, tmp_path, server.address)
    assert (tmp_path / "file.bin").read_bytes() == content and server.requests == []
    assert fetch(SOURCE, tmp_path, server.address, force=True).path.read_bytes() == CONTENT


def test_a_failed_replacement_leaves_the_old_file(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"mine")
    server.content = OTHER
    with pytest.raises(DepthClipError, match="sent another file"):
        fetch(SOURCE, tmp_path, server.address, force=True)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"


def test_a_file_that_appears_meanwhile_is_not_overwritten(server, tmp_path):
    def appear(done, total):
        (tmp_path / "file.bin").write_bytes(b"mine")

    with pytest.raises(DepthClipError, match="is not the authors' file"):
        fetch(SOURCE, tmp_path, server.address, watch=appear)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"


def test_places_that_cannot_take_the_file_are_named(server, tmp_path):
    (tmp_path / "a" / "file.bin").mkdir(parents=True)
    with pytest.raises(DepthClipError, match="is a folder: move it away"):
        fetch(SOURCE, tmp_path / "a", server.address)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "file.bin").symlink_to(tmp_path / "unmounted" / "file.bin")
    with pytest.raises(DepthClipError, match="is a link that leads nowhere"):
        fetch(SOURCE, tmp_path / "c", server.address)
    (tmp_path / "b").write_text("a file")
    for folder in (tmp_path / "b", tmp_path / "b" / "c", tmp_path / ("n" * 300)):
        with pytest.raises(DepthClipError, match="cannot use") as caught:
            fetch(SOURCE, folder, server.address)
        assert "\n" not in str(caught.value)
    assert server.requests == []


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path):
    def second(done, total):
        if not found:
            found.append(fault_of(tmp_path, server.address))

    found = []
    fetch(SOURCE, tmp_path, server.address, watch=second)
    assert "another process is downloading" in found[0]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT and files(tmp_path) == ["file.bin"]


def test_a_disk_without_locks_takes_the_file(server, tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.warns(UserWarning, match="without locks"):
        assert fetch(SOURCE, tmp_path, server.address).path.read_bytes() == CONTENT
