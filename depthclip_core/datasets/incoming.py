"""Files that others wrote, opened: what is missing, unreadable or too large is said in one line."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

LONGEST_TEXT = 2**26  # bytes of a list or table
LONGEST_REASON = 200  # characters of another library's message
# What downloads leave in a file's place, by how it begins.
BEGINNINGS = {
    b"<!doctype html": "an HTML page",
    b"<html": "an HTML page",
    b"version https://git-lfs": "a pointer of Git LFS, without the file's content",
    b"pk\3\4": "a ZIP archive: unpack it",
    b"\x1f\x8b": "packed by gzip: unpack it",
    b"matlab 5.0": "a MATLAB file of version 5",
    b"\x89hdf\r\n": "an HDF5 file",
}


def open_file(path: Path, what: str = "file") -> BinaryIO:
    """An ordinary file, open for reading; what: its kind, for errors.

    Raises `DepthClipError` for a file that is missing or may not be read, and for folders, pipes
    and devices, which it does not wait for.
    """
    try:
        file = open(path, "rb", opener=_without_waiting)
    except (OSError, ValueError) as error:
        raise DepthClipError(_fault(path, what, error)) from None
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise DepthClipError(f"{path} is a pipe or a device, not a {what}")


def read_file(path: Path, what: str, most: int) -> bytes:
    """The content of an ordinary file; `DepthClipError` if it has more than `most` bytes."""
    with open_file(path, what) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise DepthClipError(_fault(path, what, error)) from None
    if len(content) > most:
        raise DepthClipError(f"{path} has more than {most:,} bytes: it is no {what}")
    return content


def read_text(path: Path, what: str) -> str:
    """The text of a file, UTF-8; `DepthClipError` for another encoding, and as `read_file`."""
    content = read_file(path, what, LONGEST_TEXT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise DepthClipError(f"the {what} {path} is not UTF-8 at {place}: save it so") from None


def other_content(head: bytes) -> str:
    """What a file is that begins so, if that is something else than its name says; else empty."""
    if not head.strip(b"\0"):
        return "blank" if head else "empty"
    start = head[:512].lstrip().lower()
    return next((kind for begin, kind in BEGINNINGS.items() if start.startswith(begin)), "")


def reason(error: BaseException) -> str:
    """What another library or the system says of a fault, on one short line."""
    said = getattr(error, "strerror", None) or str(error)
    text = printable(" ".join(said.split())) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for its writer


def _fault(path: Path, what: str, error: Exception) -> str:
    match error:
        case FileNotFoundError() if os.path.islink(path):
            return f"{path} is a link to a file that does not exist"
        case FileNotFoundError() | NotADirectoryError():
            return f"no {what} at {path}"
        case IsADirectoryError():
            return f"{path} is a folder, not a {what}"
        case PermissionError():
            return f"{path} may not be read: change its permissions"
        case _:
            said = getattr(error, "strerror", None) or error
            return f"cannot read {printable(str(path)[:300])}: {said}"
