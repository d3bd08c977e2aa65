"""Folders of the store: what lies in them, and errors that say what to do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from depthclip_core.errors import DepthClipError
from depthclip_core.files import CannotWrite


def names(folder: Path) -> list[str]:
    """What lies in a folder; nothing if it does not exist."""
    with _reading(folder):
        return os.listdir(folder)
    return []


def sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """The names in a folder with their bytes on disk."""
    with _reading(folder), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # renamed or removed by another process
                yield entry.name, entry.stat(follow_symlinks=False).st_size


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        raise DepthClipError(f"cannot read the store folder {folder}: {said(error)}") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise a `DepthClipError` that says what to do where the folder cannot be written."""
    try:
        yield
    except (OSError, CannotWrite) as error:
        fault = said(error.__cause__ if isinstance(error, CannotWrite) else error)
        raise DepthClipError(
            f"cannot write to {folder}: {fault}: free space or allow writing there, "
            "or set DEPTHCLIP_STORE to another folder"
        ) from error


def said(error: Exception) -> str:
    """An error's message on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
