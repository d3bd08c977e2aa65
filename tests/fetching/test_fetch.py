"""Downloads from a server on this machine that fails in all the ways that servers do."""

import errno
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace as changed
from pathlib import Path

import pytest
from file_server import answer, replace, send, serving

from depthclip_core.errors import DepthClipError
from depthclip_core.fetching import fetch as fetching
from depthclip_core.fetching import transfer
from depthclip_core.fetching.fetch import fetch
from depthclip_core.fetching.sources import Source

ROOT = Path(__file__).resolve().parents[2]
CONTENT = random.Random(0).randbytes(327_680)
OTHER = random.Random(1).randbytes(327_680)
SOURCE = Source(
    name="nyu",
    file="file.bin",
    folder="nyu",
    address="http://127.0.0.1:9/not-used",
    checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}",
    size=len(CONTENT),
    title="A file",
    terms="none",
    citation="none",
)
SIZELESS = changed(SOURCE, size=None, checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waiting between tries, and a server that hangs is given up soon."""
    monkeypatch.setattr(transfer, "TIMEOUTS", (5.0, 0.3))
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    monkeypatch.delenv(SOURCE.variable, raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def files(folder: Path) -> list[str]:
    """All files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fault_of(folder: Path, address: str, source: Source = SOURCE, **options) -> str:
    """The error of a download, which is one line and leaves no file under the final name."""
    with pytest.raises(DepthClipError) as caught:
        fetch(source, folder, address, **options)
    assert "\n" not in str(caught.value)
    assert not (folder / source.file).exists()
    return str(caught.value)


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


def test_the_time_of_a_file_stands_for_its_version(server, tmp_path):
    server.etag, when = None, "Thu, 01 Jan 2026 00:00:00 GMT"
    server.script = [send(98_304, Last_Modified=when)]
    fetch(SOURCE, tmp_path, server.address)
    assert server.requests[1]["If-Range"] == when


# --- faults that last ---------------------------------------------------------------------------

PAGE = b"<!DOCTYPE html><title>Log in</title>"
LASTING = {
    "absent": ([answer(404)], "answers 404 (Not Found); --url takes another address"),
    "forbidden": ([answer(403)], "answers 403 (Forbidden)"),
    "not allowed there": ([answer(451)], "answers 451"),
    "odd status": ([answer(299)], "answers 299"),
    "always busy": ([answer(503)] * 4, "answers 503 (Service Unavailable), 4 times"),
    "page": ([answer(200, PAGE, Content_Type="text/html")], "is a web page, not the file"),
    "page without a name": ([send(no_length=True), answer(200, PAGE)], "is a web page"),
    "compressed": ([send(Content_Encoding="gzip")], "is sent compressed"),
    "another size": ([send(announced=12)], "has 12 bytes, and the file has 327,680"),
    "hanging": ([send(0, then_hang=True)] * 4, "127.0.0.1 has stopped sending, 4 times"),
    "no answer": ([send(0, announced=-5)] * 4, "ended early, at 0 of 327,680 bytes, 4 times"),
    "broken": ([send(98_304, ignore_range=True)] * 4, "continues at 98,304 bytes"),
    "loop": ([answer(302, Location="/file.bin")] * 40, "redirects in circles"),
    "to a file": ([answer(302, Location="file:///etc/passwd")], "redirects to what is no web"),
    "to ftp": ([answer(302, Location="ftp://127.0.0.1/x")], "redirects to what is no web"),
}


@pytest.mark.parametrize(("script", "message"), LASTING.values(), ids=LASTING.keys())
def test_a_fault_that_lasts_is_one_line(server, tmp_path, script, message):
    if message == "is a web page":
        server.content = PAGE.ljust(len(CONTENT))
        script = [send()]
    server.script = list(script)
    assert message in fault_of(tmp_path, server.address)
    assert [name for name in files(tmp_path) if not name.startswith(".file.bin.download/")] == []


def test_a_redirect_to_a_web_page_names_the_page(server, tmp_path):
    to = {"Location": "/login?token=secret"}
    server.script = [answer(302, **to), answer(200, PAGE, Content_Type="text/html; charset=utf-8")]
    message = fault_of(tmp_path, server.address)
    assert f"{server.address.replace('file.bin', 'login')} is a web page" in message
    assert "secret" not in message and files(tmp_path) == []


@pytest.mark.parametrize("source", [SOURCE, SIZELESS], ids=["md5", "sha256"])
def test_a_wrong_checksum_leaves_nothing(server, tmp_path, source):
    server.content = OTHER
    message = fault_of(tmp_path, server.address, source)
    assert "sent another file, which was removed" in message
    assert source.checksum.partition(":")[2] in message and files(tmp_path) == []


@pytest.mark.parametrize("source", [SOURCE, SIZELESS], ids=["size known", "size unknown"])
def test_an_endless_answer_is_ended(server, tmp_path, source, monkeypatch):
    monkeypatch.setattr(transfer, "MOST_BYTES", len(CONTENT))
    server.content = CONTENT * 20
    server.script = [send(no_length=True)]
    message = fault_of(tmp_path, server.address, source)
    assert "sends more than 327,680 bytes" in message and files(tmp_path) == []


def test_no_server_and_no_network_are_named(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        assert "127.0.0.1 refuses the connection, 4 times" in fault_of(tmp_path, address)
    message = fault_of(tmp_path, "http://no-such-host.invalid/x")
    assert "the name no-such-host.invalid is not found: there may be no network; --url" in message


def test_a_server_without_a_certificate_is_refused(server, tmp_path):
    message = fault_of(tmp_path, server.address.replace("http:", "https:"))
    assert "127.0.0.1 has no valid certificate" in message


NOT_OF_THE_WEB = [
    "ftp://127.0.0.1/x",
    "file:///etc/passwd",
    "/etc/passwd",
    "http://",
    "http://[/",
    "http://a:b/",
    "http://127.0.0.1/a\nb",
    "http://127.0.0.1/a b",
    "javascript:1",
]


@pytest.mark.parametrize("address", NOT_OF_THE_WEB)
def test_only_web_addresses_are_taken(tmp_path, address, monkeypatch):
    assert "an address that starts with http:// or https://" in fault_of(tmp_path, address)
    monkeypatch.setenv(SOURCE.variable, address)
    assert SOURCE.variable in fault_of(tmp_path, "")
    assert files(tmp_path) == []


def test_passwords_in_an_address_are_never_shown_or_kept(server, tmp_path):
    secret = server.address.replace("http://", "http://me:hunter2@") + "?token=hunter2"
    said = []
    server.script = [send(98_304)] + [answer(503)] * 4
    message = fault_of(tmp_path, secret, say=said.append)
    kept = b"".join((tmp_path / name).read_bytes() for name in files(tmp_path))
    assert said and "hunter2" not in " ".join([message, *said]) and b"hunter2" not in kept
    server.script = [answer(404)]
    assert "hunter2" not in fault_of(tmp_path, secret)


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
    def none(*_, **__):
        raise NotImplementedError("no flock here")

    monkeypatch.setattr(fetching.FileLock, "acquire", none)
    assert fetch(SOURCE, tmp_path, server.address).path.read_bytes() == CONTENT


# --- the disk -----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [SOURCE, SIZELESS], ids=["size known", "size unknown"])
def test_space_is_checked_before_anything_is_received(server, tmp_path, monkeypatch, source):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=290_000))
    message = fault_of(tmp_path, server.address, source)
    assert "327,680 bytes do not fit" in message and "290,000 are free" in message
    assert len(server.requests) == (source is SIZELESS)


def test_a_disk_that_fills_up_is_one_line_and_the_download_continues(server, tmp_path):
    def fill(done, total):
        if done > 98_304 and not freed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    freed = []
    assert "is full: the same command continues" in fault_of(tmp_path, server.address, watch=fill)
    freed.append(True)
    assert fetch(SOURCE, tmp_path, server.address, watch=fill).path.read_bytes() == CONTENT
    start = int(server.requests[-1]["Range"].removeprefix("bytes=").rstrip("-"))
    assert start > 98_304


# --- interruptions ------------------------------------------------------------------------------

RUN = """
import sys
from dataclasses import replace
from depthclip_core.cli import fetch as command, main
from depthclip_core.fetching import sources
sources.SPLITS = replace(sources.SPLITS, checksum=sys.argv[1], size=int(sys.argv[2]))
sys.argv[1:3] = []
main.main()
"""


def started(server, folder: Path) -> subprocess.Popen:
    """`depthclip fetch splits` of the server's file, in a process of its own."""
    command = [sys.executable, "-c", RUN, SOURCE.checksum, str(SOURCE.size), "fetch", "splits"]
    own = {"PYTHONPATH": str(ROOT), "DEPTHCLIP_SPLITS_URL": server.address}
    return subprocess.Popen(
        [*command, "--out", str(folder)],
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_download_continues(server, tmp_path, name):
    server.script = [send(block=20_000, pause=0.2)]
    process, part = started(server, tmp_path), tmp_path / ".splits.mat.download" / "part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    said, failed = process.communicate(timeout=60)
    if name != "SIGKILL":
        assert process.returncode == 130
        assert failed.splitlines() == ["interrupted: the same command continues the download"]
    assert part.stat().st_size and not (tmp_path / "splits.mat").exists()
    again = started(server, tmp_path)
    said, failed = again.communicate(timeout=60)
    assert again.returncode == 0 and failed == "", failed
    assert "splits.mat is there now; its md5 is the published one" in said
    assert (tmp_path / "splits.mat").read_bytes() == CONTENT and files(tmp_path) == ["splits.mat"]
    assert "Range" in server.requests[-1] and not list(tmp_path.glob(".*"))
