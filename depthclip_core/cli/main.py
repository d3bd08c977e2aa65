"""The command line: `depthclip run`, `report` and `store`."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from depthclip_core.cli.store import count, store_app
from depthclip_core.errors import DepthClipError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(store_app, name="store", help="Arrays that network passes left on disk.")


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
    from depthclip_core.workbook import runs  # jupyter and torch, which `store` should not wait for

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
    from depthclip_core.workbook.report import make_report

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
