"""The errors that this package raises: for bad input, and for what cannot be written."""

import errno
import os
import re
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from depthclip_core.text import printable

ELSEWHERE = "choose another folder"
ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), f"free some space, or {ELSEWHERE}"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), f"allow writing there, or {ELSEWHERE}"),
    errno.EFBIG: f"raise the limit on the size of files, or {ELSEWHERE}",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "move that folder away, or choose another name",
    errno.ELOOP: f"links lead in a circle: {ELSEWHERE}",
    errno.ENOENT: f"its folder has been removed: {ELSEWHERE}",
}

LONGEST = 800  # characters of a message
PYTHONS_OWN = warnings.formatwarning
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # in what Python calls an object without a name


class DepthClipError(ValueError):
    """Bad input: the message says what is wrong, where, and what to do.

    Whatever values and names it quotes, it is one printable line; the middle of a very long one is
    left out.
    """

    def __str__(self) -> str:
        text = printable(re.sub(r"\s*\n\s*", " ", ADDRESS.sub("", super().__str__())).rstrip())
        if len(text) <= LONGEST:
            return text
        return f"{text[: LONGEST // 2]} … {text[-LONGEST // 3 :]}"


class CannotWrite(DepthClipError):
    """A file cannot be written; the message says which, why, and what to do."""


class Notice(UserWarning):
    """A warning of this package, whose message says all: where it was raised does not matter."""


def show_notices_plainly() -> None:
    """From now on Python shows a `Notice` as one line, "note: …"; other warnings as before."""
    warnings.formatwarning = _format_warning


def _format_warning(message, category, filename, lineno, line=None) -> str:
    if issubclass(category, Notice):
        return printable(f"note: {message}") + "\n"
    return PYTHONS_OWN(message, category, filename, lineno, line)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> DepthClipError:
    """The error for an unknown name: it suggests similar names, and lists the known ones if few."""
    known = list(known)
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hints = [f"did you mean {' or '.join(map(repr, near))}?"] if near else []
    if len(known) <= 12 or not near:
        shown, more = known[:12], len(known) - 12
        hints.append(f"known: {', '.join(shown)}" + (f" and {more} more" if more > 0 else ""))
    return DepthClipError(f"unknown {kind} {str(name)!r}: {' '.join(hints)}")


def first_line(error: Exception) -> str:
    """The first line of an error's message without terminal colours, or its type if it is empty.

    Of an error of the system, what it says alone: without a number, and without the path.
    """
    said = getattr(error, "strerror", None) or str(error)
    line = (said.strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"\x1b\[\d*m", "", line)


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """The error for a path that could not be written: why, and what to do."""
    if isinstance(error, NotADirectoryError | FileExistsError):
        for parent in path.parents:
            if os.path.lexists(parent) and not parent.is_dir():
                what = "a link that leads nowhere" if parent.is_symlink() else "a file"
                return CannotWrite(f"cannot write {path}: {parent} is {what}: {ELSEWHERE}")
        return CannotWrite(f"cannot write {path}: it exists: move it away, or {ELSEWHERE}")
    why = error.strerror or first_line(error)
    return CannotWrite(f"cannot write {path}: {why}: {ADVICE.get(error.errno, ELSEWHERE)}")
