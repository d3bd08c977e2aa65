"""The command line: `depthclip run`, `report`, and `store list`, `verify` and `prune`."""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.store import AbsentPart, DamagedPart, Store, StoredArray

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
store_app = typer.Typer(no_args_is_help=True)
app.add_typer(store_app, name="store", help="Arrays that network passes left on disk.")

Folder = Annotated[
    Path | None, typer.Option(help="Where the store is.", show_default="store/ in the data folder")
]
Addresses = Annotated[
    list[str] | None, typer.Argument(help="Addresses of arrays, as `list` shows them.")
]

Notebooks = Annotated[list[Path], typer.Argument(help="Notebooks to run.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME VALUE", help="A parameter, for all notebooks."),
]
Grid = Annotated[
    list[str] | None,
    typer.Option(
        "-g",
        "--grid",
        metavar="NAME V1,V2,...",
        help="A parameter with several values, a run for each; several -g multiply. "
        "Values that hold a comma, and lists: as a JSON list.",
    ),
]

COLUMNS = [*"address kind data encoder head words frames size".split(), "last used"]
TO_THE_RIGHT = {"frames", "size"}
BROKEN_GOES = "`depthclip store prune` removes what is broken."


class InUse(DepthClipError):
    """Another process holds the array."""


def main() -> None:
    """Run the command line; bad input is one line on stderr, and exit status 1."""
    try:
        app()
    except DepthClipError as error:
        print(f"depthclip: {error}", file=sys.stderr)
        sys.exit(1)


@app.callback()
def depthclip() -> None:
    """Depth from one photograph with CLIP and no training."""


class WithPairs(TyperCommand):
    """A command whose -p and -g take a name and a value, as papermill's do; NAME=VALUE too."""

    PAIRS = ("-p", "--parameter", "-g", "--grid")

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        joined, rest = [], list(args)
        while rest:
            argument = rest.pop(0)
            joined.append(argument)
            if argument == "--":
                return super().parse_args(ctx, [*joined, *rest])
            if argument in self.PAIRS and rest and "=" in rest[0]:
                joined.append(rest.pop(0))
            elif argument in self.PAIRS and len(rest) > 1:
                joined.append(f"{rest.pop(0)}={rest.pop(0)}")
            elif argument in self.PAIRS:
                raise DepthClipError(f"{argument} needs a name and a value")
        return super().parse_args(ctx, joined)


@app.command("run", cls=WithPairs)
def run_notebooks(
    notebooks: Notebooks,
    parameter: Parameters = None,
    grid: Grid = None,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("results/runs"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many run at once.", show_default="half the cores")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a cell may take.")] = None,
    kernel: Annotated[
        str | None, typer.Option("-k", "--kernel", help="Instead of the notebooks' own.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Where figures go.", show_default="a folder for each run, beside it"),
    ] = None,
) -> None:
    """Run notebooks, as papermill does, with parameters that are checked before anything runs.

    Each leaves NAME.ipynb, as far as it got, and NAME.json, which says what ran and how it ended.
    Exit status 1 if any failed.
    """
    from depthclip_core import runs  # jupyter and torch, which `store` should not wait for

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kernels end with this process
    try:
        ended = runs.run(
            notebooks,
            pairs(parameter),
            pairs(grid),
            out,
            workers,
            timeout=timeout,
            kernel=kernel,
            figures=figures,
            text=True,
            progress=True,
        )
    except KeyboardInterrupt:
        typer.echo(f"interrupted: what ran is recorded in {out}", err=True)
        raise typer.Exit(130) from None
    failed = [run for run in ended if run.outcome != "ok"]
    if failed:
        typer.echo(f"\n{len(failed)} of {count(len(ended), 'run')} failed:", err=True)
        for run in failed:
            typer.echo(f"  {run}\n    as far as it got: {shown(run.output)}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{count(len(ended), 'run')}, with a record beside each, in {out}")


@app.command("report")
def report_notebooks(
    notebooks: Annotated[
        list[Path] | None,
        typer.Argument(help="Executed notebooks.", show_default="results/notebooks/*.ipynb"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where it goes.")] = Path("results/report"),
) -> None:
    """Write one HTML file, index.html, of executed notebooks without their code.

    It opens without a network; the notebooks lie beside it.
    """
    from depthclip_core.report import make_report

    made = make_report(notebooks or sorted(Path("results/notebooks").glob("*.ipynb")), out)
    typer.echo(str(made))


def pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """NAME=VALUE, each name once."""
    found: dict[str, str] = {}
    for name, _, value in (text.partition("=") for text in texts or ()):
        if name in found:
            raise DepthClipError(f"{name!r} is given twice")
        found[name] = value
    return found


def shown(path: Path) -> str:
    """A path from here where it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


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


if __name__ == "__main__":
    main()
