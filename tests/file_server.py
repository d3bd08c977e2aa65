"""A web server on this machine that sends one file, well or badly, as its script says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Act = Callable[["Handler"], None]


class FileServer(ThreadingHTTPServer):
    """content: the file. etag: the name of its version, None for a server that gives none.

    script: what to do with the next requests, one act each; after them the file is sent well.
    requests: the headers of each request so far.
    """

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = content, '"first"'
        self.script: list[Act] = []
        self.requests: list[dict[str, str]] = []
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that left."""


class Handler(BaseHTTPRequestHandler):
    """Answers a request as the script says."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        act = self.server.script.pop(0) if self.server.script else send()
        with suppress(ConnectionError):
            act(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""

    def head(self, status: int, length: int | None, **headers: str) -> None:
        """Send the status and the headers; underscores in names stand for hyphens."""
        self.send_response(status)
        own = {"ETag": self.server.etag} if self.server.etag else {}
        if length is not None:
            own["Content-Length"] = str(length)
        own["Connection"] = "close"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in (own | {"Content-Type": "application/octet-stream"} | named).items():
            self.send_header(name, value)
        self.end_headers()

    def wanted(self) -> int | None:
        """Where the part that is asked for starts; None where the whole file is to be sent."""
        asked, version = self.headers["Range"], self.headers["If-Range"]
        if not asked or version not in (None, self.server.etag):
            return None
        return int(asked.removeprefix("bytes=").rstrip("-"))


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """A server in a thread of its own, which ends with the block."""
    server = FileServer(content)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def send(
    bytes_sent: int | None = None,
    *,
    announced: int | None = None,
    no_length: bool = False,
    ignore_range: bool = False,
    then_hang: bool = False,
    block: int = 0,
    pause: float = 0,
    **headers: str,
) -> Act:
    """Send the file, or what is asked of it.

    bytes_sent: break the connection after so many bytes. announced: a Content-Length that is not
    true. no_length: say no length. ignore_range: send the whole file whatever is asked. then_hang:
    keep the connection open and send nothing more. block, pause: send so many bytes at once, and
    wait so many seconds after each.
    """

    def act(handler: Handler) -> None:
        content, start = handler.server.content, handler.wanted()
        if start is None or ignore_range:
            start, status = 0, 200
        elif start >= len(content):
            return handler.head(416, 0, Content_Range=f"bytes */{len(content)}")
        else:
            status = 206
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            headers.setdefault("Content_Range", span)
        body = content[start:]
        length = None if no_length else len(body) if announced is None else announced
        handler.head(status, length, **headers)
        body = body[:bytes_sent]
        for position in range(0, len(body), block or len(body) or 1):
            handler.wfile.write(body[position : position + (block or len(body))])
            handler.server.closing.wait(pause)
        handler.wfile.flush()
        if then_hang:
            handler.server.closing.wait(60)

    return act


def answer(status: int, body: bytes = b"", **headers: str) -> Act:
    """Send a status, and perhaps a body."""

    def act(handler: Handler) -> None:
        handler.head(status, len(body), **headers)
        handler.wfile.write(body)

    return act


def replace(content: bytes, etag: str | None, act: Act) -> Act:
    """Put another version of the file in place, then act."""

    def replaced(handler: Handler) -> None:
        handler.server.content, handler.server.etag = content, etag
        act(handler)

    return replaced
