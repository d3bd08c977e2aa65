"""Downloads that fail: each is one line, and leaves no file under the final name."""

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest
from fetched_files import CONTENT, OTHER, SIZELESS, SOURCE, fault_of, files
from file_server import answer, send

from depthclip_core.fetching import transfer
from depthclip_core.fetching.fetch import fetch

ROOT = Path(__file__).resolve().parents[2]


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
