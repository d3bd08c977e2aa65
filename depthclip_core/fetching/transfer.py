"""A download over HTTP that continues where an earlier one stopped: a downloader for pooch."""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, ReadTimeoutError

from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.files import write_whole
from depthclip_core.text import printable

BLOCK = 1 << 14  # bytes: a broken connection loses less than one block
TRIES = 4  # without progress, before a fault counts as lasting
PAUSE = 1.0  # seconds before the second try, twice that before the third …
PROGRESS = 1_000_000  # bytes of one try that make up for the tries before it
TIMEOUTS = (20.0, 60.0)  # seconds to connect, and between two pieces of an answer
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses of a server that may soon do better
RESERVE = 1 / 50  # of a file's size, which stays free on the disk
MOST_BYTES = 4_000_000_000  # of a file whose size is not published


class PassingFault(Exception):
    """What went wrong in one try, and may go well in the next."""


class NameNotFound(PassingFault):
    """A server's name that is not known; before anything was received there is no hope."""


class Transfer:
    """Download one file, in several tries if needed, and over several calls.

    workshop: a folder for the bytes received so far, `part`, and for what the server said of them.
    size: the file's bytes, None if unknown. watch: called with the bytes on disk and the bytes of
    the whole file, None if unknown. say: called with one line before another try.
    Raises `DepthClipError` where the server has no such file, for a web page in place of the file,
    for another size, and where the disk is too small; what was received stays in `part`.
    """

    def __init__(
        self,
        workshop: Path,
        size: int | None,
        watch: Callable[[int, int | None], None] = lambda done, total: None,
        say: Callable[[str], None] = lambda line: None,
    ):
        self.part, self.notes = workshop / "part", workshop / "part.json"
        self.size, self.total = size, size
        self.version: str | None = None  # of the file, as its server names it
        self.watch, self.say = watch, say

    def __call__(self, url: str, output_file: str, _pooch: object = None) -> None:
        """pooch's interface: leave the whole file at `output_file`."""
        failed, best = 0, self.received
        while True:
            try:
                self._attempt(url)
                break
            except PassingFault as fault:
                failed = 1 if self.received >= best + PROGRESS else failed + 1
                best = max(best, self.received)
                if isinstance(fault, NameNotFound) and not self.received:
                    raise DepthClipError(f"{fault}; {self.remedy()}") from fault
                if failed >= TRIES:
                    raise DepthClipError(f"{fault}, {TRIES} times; {self.remedy()}") from fault
                seconds = PAUSE * 2 ** (failed - 1)
                self.say(f"{fault}; trying again in {seconds:g} s")
                time.sleep(seconds)
        os.replace(self.part, output_file)
        self.notes.unlink(missing_ok=True)

    @property
    def received(self) -> int:
        """Bytes on disk."""
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def remedy(self) -> str:
        """What the user can do after a download that failed."""
        kept = f"the same command continues at {self.received:,} bytes, and "
        return f"{kept if self.received else ''}--url takes another address"

    def _attempt(self, url: str) -> None:
        """Ask once for what is missing, and append it; `PassingFault` if that ended early."""
        start = self._known(url)
        if self.size:
            self._check_space(self.size - start)
        if start and start == self.total:
            return
        # Compressed answers have other lengths and offsets than the file.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        if start and self.version:
            headers["If-Range"] = self.version
        with (
            named_faults(url),
            requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer,
        ):
            self._receive(answer, self._checked(answer, url, start), url)

    def _known(self, url: str) -> int:
        """Bytes on disk that the file can be continued from; from another address if it is known
        how large the file is, because its checksum decides then.
        """
        with suppress(OSError, ValueError, AttributeError):
            notes = json.loads(self.notes.read_bytes())
            total, same = notes.get("total"), notes.get("address") == _digest(url)
            fits = self.size == total if self.size else same
            if fits and (total is None or self.received <= total):
                self.total, self.version = total, notes.get("version") if same else None
                return self.received
        self._forget()
        return 0

    def _forget(self) -> None:
        self.total, self.version = self.size, None
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def _checked(self, answer: requests.Response, url: str, start: int) -> int:
        """Check status and headers; return the position in the file where the answer starts."""
        where, status, headers = shown(answer.url), answer.status_code, answer.headers
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or (
            status == HTTPStatus.PARTIAL_CONTENT and not self._continues(headers, start)
        ):
            self._forget()
            raise PassingFault(f"{where} has changed since the download began")
        if status in PASSING:
            raise PassingFault(f"{where} answers {described(status)}")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise DepthClipError(f"{where} answers {described(status)}; {self.remedy()}")
        if headers.get("Content-Type", "").startswith("text/html"):
            raise DepthClipError(f"{where} is a web page, not the file; {self.remedy()}")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise DepthClipError(f"{where} is sent compressed, which was not asked for")
        if status == HTTPStatus.OK:
            self._start_again(headers, url, where)
            return 0
        return start

    def _continues(self, headers: Mapping[str, str], start: int) -> bool:
        """Whether a partial answer goes on from `start` in the same file."""
        span, _, total = headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        same = self.version in (None, _version(headers))
        length = total in ("*", str(self.total)) or self.total is None
        return start > 0 and span.startswith(f"{start}-") and length and same

    def _start_again(self, headers: Mapping[str, str], url: str, where: str) -> None:
        """Note what the server says of the file, before its first byte is kept."""
        length = headers.get("Content-Length", "")
        announced = int(length) if length.isdecimal() else None
        if self.size and announced is not None and announced != self.size:
            raise DepthClipError(
                f"{where} has {announced:,} bytes, and the file has {self.size:,}: "
                "it is another file; --url takes another address"
            )
        self._forget()
        self.total, self.version = self.size or announced, _version(headers)
        self._check_space(self.total or 0)
        facts = {"address": _digest(url), "total": self.total, "version": self.version}
        write_whole(self.notes, json.dumps(facts))

    def _receive(self, answer: requests.Response, start: int, url: str) -> None:
        """Append the answer's body to `part`."""
        position, most = start, self.total or MOST_BYTES
        self.watch(position, self.total)
        with open(self.part, "ab" if start else "wb") as file:
            for block in answer.iter_content(BLOCK):
                if not position and block.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                    raise DepthClipError(
                        f"{shown(url)} is a web page, not the file; {self.remedy()}"
                    )
                position += len(block)
                if position > most:
                    self._forget()
                    raise DepthClipError(f"{shown(url)} sends more than {most:,} bytes")
                file.write(block)
                self.watch(position, self.total)
        if self.total and position < self.total:
            raise PassingFault(f"{shown(url)} ended early, at {position:,} of {self.total:,} bytes")

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if free < needed * (1 + RESERVE):
            raise DepthClipError(
                f"{needed:,} bytes do not fit on the disk of {self.part.parent.parent}, where "
                f"{free:,} are free: make room, or choose another folder with --out"
            )


@contextmanager
def named_faults(url: str) -> Iterator[None]:
    """Turn errors of the connection into `PassingFault` or `DepthClipError`.

    Their own messages are not shown: they contain the address with its passwords.
    """
    host = printable(urlsplit(url).hostname or "")
    try:
        yield
    except requests.exceptions.ProxyError as error:
        raise PassingFault(f"the proxy for {host} cannot be reached") from error
    except requests.exceptions.SSLError as error:
        raise DepthClipError(
            f"{host} has no valid certificate: the download is not safe"
        ) from error
    except requests.exceptions.TooManyRedirects as error:
        raise DepthClipError(f"{shown(url)} redirects in circles") from error
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise DepthClipError(f"{shown(url)} redirects to what is no web address") from error
    except requests.exceptions.ConnectTimeout as error:
        raise PassingFault(f"{host} does not answer") from error
    except requests.exceptions.Timeout as error:
        raise PassingFault(f"{host} has stopped sending") from error
    except requests.exceptions.ConnectionError as error:
        first = error.args[0] if error.args else None
        if isinstance(first, ReadTimeoutError):
            raise PassingFault(f"{host} has stopped sending") from error
        reason = getattr(first, "reason", None)
        if isinstance(reason, NameResolutionError):
            raise NameNotFound(f"the name {host} is not found: there may be no network") from error
        refused = getattr(reason, "__cause__", None)
        said = "refuses the connection" if _is_refusal(refused) else "has broken the connection"
        raise PassingFault(f"{host} {said}") from error
    except (requests.exceptions.RequestException, HTTPError) as error:  # ended early, bad headers
        raise PassingFault(f"{host} has broken the connection") from error
    except OSError as error:
        if error.errno is None:  # requests' own, for certificates of this machine that are missing
            raise DepthClipError(f"cannot download from {host}: {first_line(error)}") from error
        raise


def disk_fault(error: OSError, folder: Path) -> DepthClipError:
    """The error for a folder that cannot be read or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DepthClipError(f"the disk of {folder} is full: the same command continues")
    return DepthClipError(f"cannot use {folder}: {error.strerror or first_line(error)}")


def shown(url: str) -> str:
    """An address without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return printable(f"{parts.scheme}://{host}{parts.path}")


def described(status: int) -> str:
    """A status with its name: "404 (Not Found)"."""
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _version(headers: Mapping[str, str]) -> str | None:
    """What names this version of the file to the server: a strong ETag, or its time."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def _is_refusal(cause: object) -> bool:
    return isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
