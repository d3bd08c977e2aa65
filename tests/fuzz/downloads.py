"""Downloads from a server that does what no server should: the right file, or one line.

After a fault nothing lies under the file's own name, and a good server's file is then fetched.
"""

import gzip
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fetched_files import CONTENT, OTHER, SIZELESS, SOURCE, files
from file_server import Act, FileServer, Handler, answer, replace, send, serving

from depthclip_core.errors import DepthClipError
from depthclip_core.fetching import transfer
from depthclip_core.fetching.fetch import fetch
from fuzz.cases import Call, case
from fuzz.guard import faults_of_message

SIZE = len(CONTENT)
LONGEST = 6  # requests that are answered badly
Make = Callable[[np.random.Generator], Act]


def somewhere(random: np.random.Generator) -> int:
    """A position in the file, often an end of it."""
    return int(random.choice([0, 1, SIZE - 1, SIZE, *random.integers(0, SIZE, 4)]))


def pick(random: np.random.Generator, several: list):
    return several[random.integers(len(several))]


# --- bad answers --------------------------------------------------------------------------------


def cut_off(random: np.random.Generator) -> Act:
    return send(somewhere(random), no_length=bool(random.integers(2)))


def of_another_length(random: np.random.Generator) -> Act:
    lengths = [-5, 0, 2**63, 10**30, SIZE + 1, SIZE - 1, somewhere(random)]
    return send(pick(random, [None, somewhere(random)]), announced=pick(random, lengths))


def hanging(random: np.random.Generator) -> Act:
    return send(somewhere(random), then_hang=True)


def dripping(random: np.random.Generator) -> Act:
    return send(int(random.integers(0, 3000)), block=500, pause=0.01)


def whole_in_place_of_a_part(random: np.random.Generator) -> Act:
    return send(ignore_range=True, no_length=bool(random.integers(2)))


def another_part(random: np.random.Generator) -> Act:
    """Status 206 and a part that was not asked for, or is not what its header says."""
    first, last = sorted((somewhere(random), somewhere(random)))
    spans = [f"bytes {first}-{last}/{SIZE}", f"bytes {last}-{first}/{SIZE}", "bytes */*", "", "x"]
    spans += [
        f"bytes {first}-{last}/*",
        f"bytes {first}-{last}/{2 * SIZE}",
        f"bytes -{last}/{SIZE}",
    ]
    begin = pick(random, [first, somewhere(random)])
    return answer(206, CONTENT[begin : last + 1], Content_Range=pick(random, spans))


def of_a_part_with_other_headers(random: np.random.Generator) -> Act:
    """The part that was asked for, called another."""
    first = somewhere(random)
    spans = [f"bytes {first}-{SIZE - 1}/{SIZE}", f"bytes 0-{SIZE - 1}/{SIZE}", "", "bytes 0-0/1"]
    etag = pick(random, ['"first"', '"second"', 'W/"first"', "first", ""])
    return send(Content_Range=pick(random, spans), ETag=etag)


def of_a_status(random: np.random.Generator) -> Act:
    status = int(pick(random, [200, 204, 206, 299, 304, 404, 416, 429, 500, 503, 599, 999]))
    body = pick(random, [b"", b"no", b"<html>", CONTENT, CONTENT[:1000]])
    return answer(status, body)


def redirected(random: np.random.Generator) -> Act:
    places = [
        "/file.bin",
        "/elsewhere?key=secret",
        "//127.0.0.1:9/x",
        "ftp://127.0.0.1/x",
        "http://[",
    ]
    places += ["file:///etc/passwd", "", "http://127.0.0.1:99999/x", "?" * 3000, "javascript:1"]
    return answer(int(pick(random, [301, 302, 303, 307, 308])), Location=pick(random, places))


def circle(random: np.random.Generator) -> Act:
    """Redirects without end."""

    def act(handler: Handler) -> None:
        handler.server.script.insert(0, act if len(handler.server.requests) < 60 else send())
        answer(302, Location="/again")(handler)

    return act


def packed(random: np.random.Generator) -> Act:
    """An answer that says that it is packed, and is, or is not."""
    kind = pick(random, ["gzip", "deflate", "br", "x"])
    body = pick(random, [gzip.compress(CONTENT[:1000]), CONTENT, gzip.compress(CONTENT)[:-9]])
    return answer(200, body, Content_Encoding=kind)


def in_damaged_chunks(random: np.random.Generator) -> Act:
    """Pieces, each after its length in hexadecimal digits, of which one is wrong."""

    def act(handler: Handler) -> None:
        handler.head(200, None, Transfer_Encoding="chunked")
        sizes = random.integers(1, 40_000, 12)
        broken, at = int(random.integers(13)), 0
        for number, size in enumerate(map(int, sizes)):
            length = b"%x" % size if number != broken else pick(random, [b"zz", b"-1", b"f" * 30])
            handler.wfile.write(length + b"\r\n" + CONTENT[at : at + size] + b"\r\n")
            at += size
        handler.wfile.write(b"0\r\n\r\n" if random.integers(2) else b"")

    return act


def not_http(random: np.random.Generator) -> Act:
    beginnings = [b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\n", b"HTTP/9 abc\r\n\r\n", b"220 ftp\r\n"]
    beginnings += [b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n"]
    beginnings += [b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n"]
    beginnings += [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nabcde"]
    content = pick(random, beginnings) + random.bytes(int(random.integers(200)))

    def act(handler: Handler) -> None:
        handler.wfile.write(content)

    return act


def reset(random: np.random.Generator) -> Act:
    """The connection is broken by force, which loses what is on its way."""
    sent = somewhere(random)

    def act(handler: Handler) -> None:
        send(sent)(handler)
        at_once = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        handler.connection.close()

    return act


def of_another_file(random: np.random.Generator) -> Act:
    """The file is another from now on, perhaps under the old version's name."""
    etag = pick(random, ['"first"', '"second"', None])
    other = pick(random, [OTHER, CONTENT, OTHER[:-1], CONTENT * 2, b""])
    return replace(other, etag, send(pick(random, [None, somewhere(random)])))


BAD: list[Make] = [
    cut_off,
    of_another_length,
    hanging,
    dripping,
    whole_in_place_of_a_part,
    another_part,
    of_a_part_with_other_headers,
    of_a_status,
    redirected,
    circle,
    packed,
    in_damaged_chunks,
    not_http,
    reset,
    of_another_file,
]


# --- the case -----------------------------------------------------------------------------------


def checked(source, folder: Path, server: FileServer) -> None:
    """Fetch, with the right file, or a line of ours and no file, and from a good server then."""
    fault = None
    try:
        fetch(source, folder, server.address)
    except DepthClipError as error:
        fault = error
        assert not faults_of_message(str(error)), str(error)
        assert "secret" not in str(error)
        # What can be continued is hidden.
        assert [name for name in files(folder) if not name.startswith(".file.bin.download/")] == []
    else:
        assert (folder / "file.bin").read_bytes() == CONTENT and files(folder) == ["file.bin"]
    server.script, server.content, server.etag = [], CONTENT, '"last"'
    assert fetch(source, folder, server.address).path.read_bytes() == CONTENT
    assert files(folder) == ["file.bin"] and not list(folder.glob(".*"))
    if fault:
        raise fault


@case(times=60, seconds=20.0, local_network=True)
def damaged_answers(folder: Path, random: np.random.Generator) -> Call:
    transfer.TIMEOUTS, transfer.PAUSE = (5.0, 0.2), 0.0
    acts = [pick(random, BAD)(random) for _ in range(random.integers(1, LONGEST + 1))]
    source = pick(random, [SOURCE, SIZELESS])

    def call() -> None:
        with serving(CONTENT) as server:
            server.script = list(acts)
            checked(source, folder / "out", server)

    return call
