"""The command line, `depthclip`: its commands, and those that run notebooks and report on them."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from depthclip_core.cli.dashboard import dashboard
from depthclip_core.cli.data import data_app
from depthclip_core.cli.explain import explain
from depthclip_core.cli.fetch import fetch_app
from depthclip_core.cli.predict import predict
from depthclip_core.cli.score import score
from depthclip_core.cli.store import count, store_app
from depthclip_core.errors import DepthClipError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("predict")(predict)
app.command("score")(score)
app.command("explain")(explain)
app.command("dashboard")(dashboard)
app.add_typer(store_app, name="store", help="What network passes left on disk.")
app.add_typer(fetch_app, name="fetch")
app.add_typer(data_app, name="data", help="Data sets, before anything runs on them.")

# Evaluated in the kernel, once it has loaded torch: the device that the notebook runs on.
FACTS = {
    "device": "(lambda devices: devices.device_name(devices.resolve_device(device)))"
    "(__import__('sys').modules['depthclip_core.devices'])"
}

Notebooks = Annotated[list[Path], typer.Argument(help="Notebooks to run.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--parameter", metavar="NAME VALUE", help="Set a parameter in all notebooks."
    ),
]
Grid = Annotated[
    list[str] | None,
    typer.Option(
        "-g",
        "--grid",
        metavar="NAME V1,V2,...",
        help="Several values of a parameter, one run for each; several -g give all combinations. "
        "Values that contain a comma, and lists, go into a JSON list.",
    ),
]


def main() -> None:
    """Run the command line; bad input prints one line to stderr and exits with status 1."""
    try:
        app()
    except DepthClipError as error:
        print(f"depthclip: {error}", file=sys.stderr)
        sys.exit(1)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from depthclip_core.checkout import described

        typer.echo(described())
        raise typer.Exit


@app.callback()
def depthclip(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and commit."
        ),
    ] = False,
) -> None:
    """Depth from one photograph with CLIP and no training."""


class WithPairs(TyperCommand):
    """A command whose -p and -g take NAME VALUE, as papermill's do, or NAME=VALUE."""

    PAIRS = ("-p", "--parameter", "-g", "--grid")

    def parse_args(self, ctx, args: list[str]) -> list[str]:
        joined, rest = [], list(args)
        while rest:
            argument = rest.pop(0)
            joined.append(argument)
            if argument == "--":
                return super().parse_args(ctx, [*joined, *rest])
            if argument in self.PAIRS:
                n = 1 if rest and "=" in rest[0] else 2
                if len(rest) < n:
                    raise DepthClipError(f"{argument} needs a name and a value")
                joined.append("=".join(rest[:n]))
                rest = rest[n:]
        return super().parse_args(ctx, joined)


@app.command("run", cls=WithPairs)
def run_notebooks(
    notebooks: Notebooks,
    parameter: Parameters = None,
    grid: Grid = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results/runs"),
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Notebooks to run at once.", show_default="half the cores"),
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds allowed for a cell.")] = None,
    kernel: Annotated[
        str | None, typer.Option("-k", "--kernel", help="Use this kernel for all notebooks.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for all figures.", show_default="OUT/figures/RUN")
    ] = None,
) -> None:
    """Run notebooks, as papermill does, with parameters that are checked before anything runs.

    Each run leaves NAME.ipynb, as far as it got, and NAME.json, which says what ran and how it
    ended. The exit status is 1 if any run failed.
    """
    from depthclip_core.checkout import commit, versions
    from depthclip_core.choices import CHOICES
    from depthclip_core.workbook import plans, runs  # seconds, only for this command

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kernels end with this process
    given, several = pairs(parameter), pairs(grid)
    about = {"commit": commit(), "versions": versions()}
    try:
        made = plans.plan(notebooks, given, several, out, kernel=kernel, text=True, types=CHOICES)
        ended = runs.run(
            made, workers, timeout=timeout, figures=figures, progress=True, about=about, facts=FACTS
        )
    except KeyboardInterrupt:
        typer.echo(f"interrupted; records of what ran are in {out}", err=True)
        raise typer.Exit(130) from None
    failed = [run for run in ended if run.outcome != "ok"]
    if failed:
        typer.echo(f"\n{len(failed)} of {count(len(ended), 'run')} failed:", err=True)
        for run in failed:
            inside = run.output.is_relative_to(Path.cwd())
            shown = run.output.relative_to(Path.cwd()) if inside else run.output
            typer.echo(f"  {run}\n    as far as it got: {shown}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{count(len(ended), 'run')} in {out}, each with its record")


@app.command("report")
def report_notebooks(
    notebooks: Annotated[
        list[Path] | None,
        typer.Argument(help="Executed notebooks.", show_default="results/notebooks/*.ipynb"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("results/report"),
) -> None:
    """Write executed notebooks, without their code, into one HTML file, index.html.

    It opens without a network connection; copies of the notebooks lie beside it.
    """
    from depthclip_core.workbook.report import make_report

    made = make_report(
        notebooks or sorted(Path("results/notebooks").glob("*.ipynb")),
        out,
        title="The DepthCLIP workbook: report",
        note="Numbers on the sample are not the paper's.",
        shown="dataset split encoder weights head prompts bins temperature".split(),
    )
    typer.echo(str(made))


def pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """Split NAME=VALUE texts; each name may occur once."""
    found: dict[str, str] = {}
    for name, _, value in (text.partition("=") for text in texts or ()):
        if name in found:
            raise DepthClipError(f"{name!r} is given twice")
        found[name] = value
    return found
