"""The commands `depthclip store list`, `verify` and `prune`: the arrays on disk."""

import time
from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.cli.lines import say
from depthclip_core.encoding.locks import InUse, hold_whole
from depthclip_core.encoding.store import CHUNK, AbsentChunk, DamagedChunk, Store, StoredArray
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.text import size_text

store_app = typer.Typer(no_args_is_help=True)

Folder = Annotated[
    Path | None, typer.Option(help="Where the store is.", show_default="store/ in the data folder")
]
Keys = Annotated[
    list[str] | None, typer.Argument(help="Keys of arrays, as `list` shows them; none: all.")
]

COLUMNS = [*"key kind data encoder head words frames size".split(), "last used"]
TO_THE_RIGHT = {"frames", "size"}
BROKEN_HINT = "`depthclip store prune` removes broken arrays."
DAMAGED_HINT = (
    "The next run that needs a damaged chunk computes it again; "
    "`depthclip store prune --damaged` removes it now."
)


@store_app.command("list")
def list_arrays(folder: Folder = None) -> None:
    """Show every array: its content, how much of it is there, its size and last use."""
    store = Store(folder)
    arrays = store.arrays()
    if not arrays:
        say(f"The store is empty: {store.folder}")
        return
    found = [array.contents() for array in arrays]
    rows = [row(array, *one) for array, one in zip(arrays, found, strict=True)]
    for line in aligned([COLUMNS, *rows]):
        say(line)
    total = size_text(sum(size for _, size in found))
    say(f"\n{count(len(arrays), 'array')}, {total}, in {store.folder}")
    broken = [f"{array.key} is broken: {array.broken}" for array in arrays if array.broken]
    for line in [*broken, BROKEN_HINT] if broken else []:
        say(line)


@store_app.command()
def verify(keys: Keys = None, folder: Folder = None) -> None:
    """Compare every chunk with its checksum; exit with status 1 if any is damaged."""
    store = Store(folder)
    arrays = chosen(store, keys) if keys else store.arrays()
    if not arrays:
        say(f"The store is empty: {store.folder}")
    hints = set()
    for array in arrays:
        damaged, absent = inspect(array)
        findings = []
        if array.broken:
            findings.append(f"broken: {array.broken}")
            hints.add(BROKEN_HINT)
        if damaged:
            findings.append(f"{count(len(damaged), 'damaged chunk')} ({listed(damaged)})")
            hints.add(DAMAGED_HINT)
        if absent:
            chunks = count(array.n_chunks, "chunk")
            findings.append(f"{absent} of {chunks} missing: incomplete")
        say(f"{title(array)}: {'; '.join(findings) or 'ok'}")
    for hint in sorted(hints):
        say(hint)
    if hints:
        raise typer.Exit(1)


@store_app.command()
def prune(
    keys: Keys = None,
    folder: Folder = None,
    unused_days: Annotated[
        float | None, typer.Option(min=0, help="Also remove arrays unused for this many days.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every array.")] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Also remove damaged chunks; reads everything.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
) -> None:
    """Remove what killed runs left, broken arrays, and the arrays that are named or selected.

    Arrays in use by another process are kept.
    """
    store = Store(folder)
    named = {array.key for array in chosen(store, keys)} if keys else set()
    removes, n_removed, freed, failed = "would remove" if dry_run else "removed", 0, 0, False
    for array in store.arrays():
        why = array.broken and f"broken: {array.broken}"
        if everything or array.key in named:
            why = "as asked"
        elif unused_days is not None and time.time() - array.last_used >= unused_days * 86400:
            why = f"last used {day(array.last_used)}"
        try:
            with hold_whole(array):
                for what, size in pruned(array, why, damaged, dry_run):
                    say(f"{removes} {what}, {size_text(size)}")
                    n_removed, freed = n_removed + 1, freed + size
        except InUse as error:
            say(f"kept {title(array)}: {error}")
        except DepthClipError as error:
            say(f"kept {title(array)}: {error}", err=True)
            failed = True
    if n_removed:
        frees = "would be freed" if dry_run else "freed"
        say(f"{size_text(freed)} {frees} in {store.folder}")
    else:
        say(f"Nothing to remove in {store.folder}")
    if failed:
        raise typer.Exit(1)


def pruned(
    array: StoredArray, why: str | None, damaged: bool, dry_run: bool
) -> Iterator[tuple[str, int]]:
    """Remove a whole array if there is a `why`, else its leftovers: what was removed, in bytes."""
    found = []
    if why:
        found = [(f"{title(array)} ({why})", array.size, array.remove)]
    elif leftovers := array.temporaries():
        what = f"{count(len(leftovers), 'unfinished file')} of {title(array)}"
        size = sum(path.lstat().st_size for path in leftovers)
        found = [(what, size, array.discard_temporaries)]
    for chunk in inspect(array)[0] if damaged and not why else []:
        what, size = f"damaged chunk {chunk} of {title(array)}", array.path(chunk).lstat().st_size
        found.append((what, size, partial(array.discard, chunk)))
    for what, size, remove in found:
        if not dry_run:
            remove()
        yield what, size


def chosen(store: Store, keys: Sequence[str]) -> list[StoredArray]:
    """The arrays of these keys; `DepthClipError` for one that is not in the store."""
    known = {array.key: array for array in store.arrays()}
    for key in keys:
        if not known:
            raise DepthClipError(f"no array {key!r}: the store {store.folder} is empty")
        if key not in known:
            raise unknown_name("array", key, known)
    return [known[key] for key in dict.fromkeys(keys)]


def inspect(array: StoredArray) -> tuple[list[int], int]:
    """Read every chunk of an array: which are damaged, and how many are absent."""
    damaged, sound = [], 0
    for chunk in array.present():
        try:
            array.check(chunk)
            sound += 1
        except DamagedChunk:
            damaged.append(chunk)
        except AbsentChunk:  # removed meanwhile
            continue
    return damaged, array.n_chunks - sound - len(damaged)


def row(array: StoredArray, chunks: Sequence[int], size: int) -> list[str]:
    """An array's line in `list`, in the order of `COLUMNS`; chunks: those on disk, in order."""
    frames = "-"
    if not array.broken:
        last = [len(array.frames_of(chunk)) for chunk in chunks[-1:]]  # it may be shorter
        frames = f"{CHUNK * (len(chunks) - len(last)) + sum(last)}/{array.n_frames}"
    return [array.key, *describe(array), frames, size_text(size), day(array.last_used)]


def describe(array: StoredArray) -> list[str]:
    """Kind, data, encoder, head and words of an array, "-" for each that it lacks."""
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
    """An array in a sentence: its key and its content."""
    shown = [value for value in describe(array) if value not in ("-", "broken")]
    return " ".join([array.key, *([f"[{', '.join(shown)}]"] if shown else [])])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines of aligned columns, numbers to the right."""
    formats = [
        f"{'>' if column[0] in TO_THE_RIGHT else '<'}{max(map(len, column))}"
        for column in zip(*rows, strict=True)
    ]
    for cells in rows:
        yield "  ".join(map(format, cells, formats)).rstrip()


def count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def listed(chunks: Sequence[int], most: int = 10) -> str:
    more = len(chunks) - most
    return ", ".join(map(str, chunks[:most])) + (f" and {more} more" if more > 0 else "")


def day(moment: float) -> str:
    try:
        return date.fromtimestamp(moment).isoformat()
    except (ValueError, OverflowError, OSError):  # a file may have any time
        return "-"
