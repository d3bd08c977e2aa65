"""The commands `depthclip store list`, `verify` and `prune`: what network passes left on disk."""

import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.encoding.store import AbsentPart, DamagedPart, Store, StoredArray
from depthclip_core.errors import DepthClipError, unknown_name

store_app = typer.Typer(no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option(help="Where the store is.", show_default="store/ in the data folder")
]
Addresses = Annotated[
    list[str] | None, typer.Argument(help="Addresses of arrays, as `list` shows them.")
]

COLUMNS = [*"address kind data encoder head words frames size".split(), "last used"]
TO_THE_RIGHT = {"frames", "size"}
BROKEN_GOES = "`depthclip store prune` removes what is broken."


class InUse(DepthClipError):
    """Another process holds the array."""


@store_app.command("list")
def list_arrays(folder: Folder = None) -> None:
    """Show every array: what of, how much of it is there, its size and last use."""
    store = Store(folder)
    arrays = store.arrays()
    if not arrays:
        typer.echo(f"The store is empty: {store.folder}")
        return
    for line in aligned([COLUMNS, *map(row, arrays)]):
        typer.echo(line)
    total = size_text(sum(array.size for array in arrays))
    typer.echo(f"\n{count(len(arrays), 'array')}, {total}, in {store.folder}")
    for array in arrays:
        if array.broken:
            typer.echo(f"{array.address} is broken: {array.broken}")
    if any(array.broken for array in arrays):
        typer.echo(BROKEN_GOES)


@store_app.command()
def verify(addresses: Addresses = None, folder: Folder = None) -> None:
    """Read every part and compare it with its checksum; exit status 1 if any is damaged."""
    store = Store(folder)
    arrays = chosen(store, addresses) if addresses else store.arrays()
    if not arrays:
        typer.echo(f"The store is empty: {store.folder}")
    any_damaged = any_broken = False
    for array in arrays:
        damaged, absent = inspect(array)
        findings = [f"broken: {array.broken}"] if array.broken else []
        if damaged:
            findings.append(f"{count(len(damaged), 'damaged part')} ({listed(damaged)})")
        if absent:
            findings.append(f"{len(absent)} of {count(array.n_parts, 'part')} missing: incomplete")
        typer.echo(f"{title(array)}: {'; '.join(findings) or 'ok'}")
        any_damaged |= bool(damaged)
        any_broken |= bool(array.broken)
    if any_damaged:
        typer.echo(
            "The next run that asks for a damaged part makes it again; "
            "`depthclip store prune --damaged` removes it now."
        )
    if any_broken:
        typer.echo(BROKEN_GOES)
    if any_damaged or any_broken:
        raise typer.Exit(1)


@store_app.command()
def prune(
    addresses: Addresses = None,
    folder: Folder = None,
    unused_days: Annotated[
        float | None, typer.Option(min=0, help="Also remove arrays unused for so many days.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every array.")] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Also remove damaged parts: reads all.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
) -> None:
    """Remove what killed runs left, broken arrays, and the arrays named or selected.

    Arrays that a running process holds are kept.
    """
    store = Store(folder)
    named = {array.address for array in chosen(store, addresses)} if addresses else set()
    removes, n_removed, freed, failed = "would remove" if dry_run else "removed", 0, 0, False
    for array in store.arrays():
        why = array.broken and f"broken: {array.broken}"
        if everything or array.address in named:
            why = "as asked"
        elif unused_days is not None and time.time() - array.last_used >= unused_days * 86400:
            why = f"last used {day(array.last_used)}"
        try:
            with array.lock(waiting=give_up):
                for what, size in pruned(array, why, damaged, dry_run):
                    typer.echo(f"{removes} {what}, {size_text(size)}")
                    n_removed, freed = n_removed + 1, freed + size
        except InUse:
            typer.echo(f"kept {title(array)}: a running process holds it")
        except DepthClipError as error:
            typer.echo(f"kept {title(array)}: {error}", err=True)
            failed = True
    if n_removed:
        frees = "would be freed" if dry_run else "freed"
        typer.echo(f"{size_text(freed)} {frees} in {store.folder}")
    else:
        typer.echo(f"Nothing to remove in {store.folder}")
    if failed:
        raise typer.Exit(1)


def pruned(
    array: StoredArray, why: str | None, damaged: bool, dry_run: bool
) -> Iterator[tuple[str, int]]:
    """Remove from an array what can go, all of it if there is a `why`: what went, and its bytes."""
    if why:
        size = array.size
        if not dry_run:
            array.remove()
        yield f"{title(array)} ({why})", size
        return
    if leftovers := array.temporaries():
        size = sum(path.stat().st_size for path in leftovers)
        if not dry_run:
            array.discard_temporaries()
        yield f"{count(len(leftovers), 'unfinished file')} of {title(array)}", size
    if damaged:
        parts, _ = inspect(array)
        for part in parts:
            size = array.path(part).stat().st_size
            if not dry_run:
                array.discard(part)
            yield f"damaged part {part} of {title(array)}", size


def give_up() -> None:
    raise InUse("a running process holds it")


def chosen(store: Store, addresses: Sequence[str]) -> list[StoredArray]:
    """The arrays of these addresses; `DepthClipError` for one that is not in the store."""
    known = {array.address: array for array in store.arrays()}
    for address in addresses:
        if not known:
            raise DepthClipError(f"no array {address!r}: the store {store.folder} is empty")
        if address not in known:
            raise unknown_name("array", address, known)
    return [known[address] for address in dict.fromkeys(addresses)]


def inspect(array: StoredArray) -> tuple[list[int], list[int]]:
    """Read every part of an array: which are damaged, which are not there."""
    damaged, absent = [], []
    for part in range(array.n_parts):
        try:
            array.check(part)
        except AbsentPart:
            absent.append(part)
        except DamagedPart:
            damaged.append(part)
    return damaged, absent


def row(array: StoredArray) -> list[str]:
    """What `list` shows of an array, in the order of `COLUMNS`."""
    described = describe(array)
    total = array.n_frames
    done = total - sum(len(array.frames_of(part)) for part in array.missing())
    frames = "-" if array.broken else f"{done}/{total}"
    return [array.address, *described, frames, size_text(array.size), day(array.last_used)]


def describe(array: StoredArray) -> list[str]:
    """Kind, data, encoder, head and words of an array, "-" for each that it does not name."""
    if array.broken:
        return ["broken", "-", "-", "-", "-"]
    settings = array.settings
    data, encoder, words = (settings.get(name) for name in ("data", "encoder", "words"))
    if isinstance(data, dict):
        data = data.get("title")
    if isinstance(encoder, dict):
        weights, precision = str(encoder.get("weights", "")), settings.get("precision", "fp32")
        shown = [encoder.get("name"), weights[:8], precision if precision != "fp32" else None]
        encoder = " ".join(str(value) for value in shown if value)
    if isinstance(words, list):
        ends = dict.fromkeys(str(words[end]) for end in (0, -1)) if words else []
        words = f"{len(words)}: {' … '.join(ends)}"
    shown = settings.get("kind"), data, encoder, settings.get("head"), words
    return [" ".join(str(value).split()) if value else "-" for value in shown]


def title(array: StoredArray) -> str:
    """An array in a sentence: its address, and what it is of."""
    shown = [value for value in describe(array) if value not in ("-", "broken")]
    return " ".join([array.address, *([f"[{', '.join(shown)}]"] if shown else [])])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines in columns of equal width; those of numbers are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        padded = [
            cell.rjust(width) if name in TO_THE_RIGHT else cell.ljust(width)
            for cell, width, name in zip(cells, widths, COLUMNS, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def size_text(size: float) -> str:
    """Bytes in decimal units: 1234567 → "1.2 MB"."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"


def count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def listed(parts: Sequence[int], most: int = 10) -> str:
    more = len(parts) - most
    return ", ".join(map(str, parts[:most])) + (f" and {more} more" if more > 0 else "")


def day(moment: float) -> str:
    return date.fromtimestamp(moment).isoformat()
