"""Fetch a file into its place: nothing lies there before its checksum is known to be right."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pooch

from depthclip_core.errors import CannotWrite, DepthClipError
from depthclip_core.fetching.sources import Source
from depthclip_core.fetching.transfer import Transfer, disk_fault, shown
from depthclip_core.file_locks import take
from depthclip_core.settings import data_folder

pooch.get_logger().setLevel(logging.ERROR)  # `fetch` says itself what it does


class Fetched(NamedTuple):
    """path: where the file lies. was_there: whether it did before, and needed no download."""

    path: Path
    was_there: bool


def fetch(
    source: Source,
    folder: str | Path | None = None,
    address: str | None = None,
    *,
    force: bool = False,
    watch: Callable[[int, int | None], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> Fetched:
    """Download a file that its authors distribute, unless it is there, and check it.

    folder: where to put it, by default where data sets are looked for. address: http or https, by
    default the one in the environment variable `source.variable`, else the authors' own.
    force: replace another file of that name. watch, say: see `Transfer`.
    Raises `DepthClipError` where the file cannot be had, is not what the authors distribute, or
    cannot be written. What was received before a fault or an interruption is kept beside the
    file's place, under a hidden name, and the next call continues from it.
    """
    address = checked_address(source, address)
    target = place(source, folder)
    try:
        if is_there(source, target, force):
            return Fetched(target, was_there=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        with workshop(target) as work:
            transfer = Transfer(work, source.size, watch, say)
            done = _retrieve(source, address, work, transfer)
            if is_there(source, target, force):  # another program may have put it there
                done.unlink()
            else:
                os.replace(done, target)
    except OSError as error:
        raise disk_fault(error, target.parent) from error
    except CannotWrite as error:
        if isinstance(error.__cause__, OSError):
            raise disk_fault(error.__cause__, target.parent) from error
        raise
    return Fetched(target, was_there=False)


def place(source: Source, folder: str | Path | None = None) -> Path:
    """The path that a source is fetched to."""
    chosen = Path(folder).expanduser() if folder else data_folder() / source.folder
    return Path(os.path.abspath(chosen)) / source.file


def checked_address(source: Source, address: str | None = None) -> str:
    """The address to fetch from; `DepthClipError` for one that is not of the web."""
    address = address or os.environ.get(source.variable) or source.address
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # brackets that do not close, a port that is no number
        fits = False
    if not fits or not address.isprintable() or " " in address:
        raise DepthClipError(
            f"--url and {source.variable} take an address that starts with http:// or https://"
        )
    return address


def is_there(source: Source, target: Path, force: bool = False) -> bool:
    """Whether the authors' file lies at the path, by size and checksum.

    Raises `DepthClipError` for another file there, unless it may be replaced (`force`).
    """
    if target.is_dir():
        raise DepthClipError(f"{target} is a folder: move it away, or choose another with --out")
    if not target.exists():
        if target.is_symlink() and not force:
            raise DepthClipError(f"{target} is a link that leads nowhere: mend it, or add --force")
        return False
    size = target.stat().st_size
    if source.size in (None, size) and has_checksum(target, source.checksum):
        return True
    if force:
        return False
    found = (
        f"has {size:,} bytes, not {source.size:,}"
        if source.size not in (None, size)
        else (f"has another {source.checksum.partition(':')[0]}")
    )
    raise DepthClipError(
        f"{target} is not the authors' file, because it {found}: move it away, or replace it "
        "with --force"
    )


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a file has a checksum such as "md5:…"."""
    kind, _, digest = checksum.partition(":")
    return pooch.file_hash(str(path), alg=kind) == digest


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target for what is received, held by one process at a time.

    It stays where something in it can be continued.
    """
    folder = target.with_name(f".{target.name}.download")
    folder.mkdir(exist_ok=True)
    try:
        lock = take(folder / "lock")
        if lock is None:
            fault = f"another process is downloading {target}"
            raise DepthClipError(f"{fault}: wait for it, or stop it")
        with lock:
            if lock.real:  # else the checksum still protects
                for leftover in folder.glob("tmp*"):  # pooch's own, of a killed process
                    leftover.unlink()
            yield folder
    finally:
        with suppress(OSError):  # not empty
            folder.rmdir()


def _retrieve(source: Source, address: str, work: Path, transfer: Transfer) -> Path:
    """The whole file in the workshop, its checksum right."""
    if (work / source.file).exists() and not has_checksum(work / source.file, source.checksum):
        (work / source.file).unlink()
    try:
        done = pooch.retrieve(
            address, source.checksum, fname=source.file, path=work, downloader=transfer
        )
    except DepthClipError:
        raise
    except ValueError as error:  # pooch's word for a wrong checksum; it has removed the file
        kind, _, digest = source.checksum.partition(":")
        raise DepthClipError(
            f"{shown(address)} sent another file, which was removed: its {kind} is not {digest}; "
            "try again, or another address with --url"
        ) from error
    return Path(done)
