"""The command line, `depthclip`: its commands, and those that run notebooks and report on them."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from depthclip_core.cli.dashboard import dashboard
from depthclip_core.cli.data import data_app
from depthclip_core.cli.explain import explain
from depthclip_core.cli.fetch import fetch_app
from depthclip_core.cli.lines import say
from depthclip_core.cli.options import ClusterName
from depthclip_core.cli.passes import encode, sweep
from depthclip_core.cli.predict import predict
from depthclip_core.cli.score import score
from depthclip_core.cli.signals import Interrupted, raised_signals
from depthclip_core.cli.store import count, store_app
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("predict")(predict)
app.command("score")(score)
app.command("explain")(explain)
app.command("encode")(encode)
app.command("sweep")(sweep)
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
    """Run the command line; bad input prints one line to stderr and exits with status 1.

    A signal that ends it exits with 128 and its number, once everything is cleaned up.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="replace")  # of terminals that cannot show all characters
    with raised_signals() as came:
        try:
            app()
        except KeyboardInterrupt:  # before a command has begun
            status = _ended("interrupted", 130)
        except DepthClipError as error:
            status = _ended(str(error), 130 if isinstance(error, Interrupted) else 1)
        except OSError as error:  # where what is printed cannot be written
            where = error.filename or "cannot write the output"
            status = _ended(f"{where}: {error.strerror or error}", 1)
        except SystemExit as end:
            status = end.code
            if came and status == 130:  # raised by typer
                _ended("interrupted", 130)
    sys.exit(128 + came[0] if came else _flushed(status))


def _ended(why: str, status: int) -> int:
    with suppress(OSError):  # the terminal may be gone
        say(printable(f"depthclip: {why}"), err=True)
    return status


def _flushed(status: int | None) -> int | None:
    """The status; 1 where what was printed cannot be written, such as on a full disk."""
    if sys.stdout is None:  # closed by whoever started the command
        return status
    try:
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, AttributeError):  # or Python would try again, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # a reader such as `head` has what it wants
            return 1
        return _ended(f"cannot write the output: {error.strerror}", 1)
    return status


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from depthclip_core.checkout import described

        say(described())
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
    cluster: ClusterName = None,
) -> None:
    """Run notebooks, as papermill does, with parameters that are checked before anything runs.

    Each run leaves NAME.ipynb, as far as it got, and NAME.json, which says what ran and how it
    ended. The exit status is 1 if any run failed.
    """
    from depthclip_core.checkout import commit, versions
    from depthclip_core.choices import CHOICES, check_values, remarks
    from depthclip_core.workbook import plans  # seconds, only for this command

    given, several = pairs(parameter), pairs(grid)
    about = {"commit": commit(), "versions": versions()}
    try:
        options = {"kernel": kernel, "types": CHOICES, "check": check_values}
        made = plans.plan(notebooks, given, several, out, text=True, **options)
        for line in dict.fromkeys(line for one in made for line in remarks(one.parameters)):
            say(f"note: {line}", err=True)
        how = {"timeout": timeout, "figures": figures, "about": about, "facts": FACTS}
        ended = _ran(made, workers, cluster, how | {"progress": True})
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; records of what ran are in {out}") from None
    failed = [run for run in ended if run.outcome != "ok"]
    if failed:
        say(f"\n{len(failed)} of {count(len(ended), 'run')} failed:", err=True)
        for run in failed:
            say(f"  {run}", err=True)
            if run.output.exists():
                inside = run.output.is_relative_to(Path.cwd())
                shown = run.output.relative_to(Path.cwd()) if inside else run.output
                say(f"    as far as it got: {shown}", err=True)
        raise typer.Exit(1)
    say(f"{count(len(ended), 'run')} in {out}, each with its record")


def _ran(plans: Sequence, workers: int | None, cluster: str | None, how: dict) -> list:
    """The runs of notebooks, in this process or on a cluster, once they have ended."""
    if cluster is None:
        from depthclip_core.workbook.runs import run

        return run(plans, workers, **how)
    if workers is not None:
        raise DepthClipError("--workers and --cluster exclude each other: local:4 has 4 workers")
    from depthclip_core.cluster.clients import connected, required

    required("distributed")
    from depthclip_core.cluster.notebooks import run

    with connected(cluster) as client:
        return run(client, plans, **how)


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
    say(str(made))


def pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """Split NAME=VALUE texts; each name may occur once."""
    found: dict[str, str] = {}
    for name, _, value in (text.partition("=") for text in texts or ()):
        if name in found:
            raise DepthClipError(f"{name!r} is given twice")
        found[name] = value
    return found
