"""The commands `depthclip fetch nyu`, `splits` and `clip`: files that only their authors give."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from depthclip_core.cli.lines import say
from depthclip_core.cli.signals import Interrupted

if TYPE_CHECKING:
    from depthclip_core.fetching.sources import Source

fetch_app = typer.Typer(no_args_is_help=True)

Out = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the file.", show_default="where data sets lie"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace another file of that name.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors only.")]


def address_option(name: str) -> object:
    """The option --url, which the environment can give too."""
    return typer.Option(
        "--url",
        envvar=f"DEPTHCLIP_{name}_URL",
        help="Fetch from this address.",
        show_default="the authors' own",
    )


@fetch_app.callback()
def fetch() -> None:
    """Download what we may not redistribute, from its authors, and check it.

    A file gets its name only when its size and checksum are right. A download that was interrupted
    is continued by the same command.
    """


@fetch_app.command("nyu")
def fetch_nyu(
    url: Annotated[str | None, address_option("NYU")] = None,
    out: Out = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """NYU Depth v2: nyu_depth_v2_labeled.mat (2.97 GB)."""
    from depthclip_core.fetching.sources import NYU

    fetch_one(NYU, url, out, force, quiet)


@fetch_app.command("splits")
def fetch_splits(
    url: Annotated[str | None, address_option("SPLITS")] = None,
    out: Out = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """NYU's official train and test split: splits.mat."""
    from depthclip_core.fetching.sources import SPLITS

    fetch_one(SPLITS, url, out, force, quiet)


@fetch_app.command("clip")
def fetch_clip(
    model: Annotated[str, typer.Option(help="A model of OpenAI: RN50, ViT-B-16 ...")] = "RN50",
    url: Annotated[str | None, address_option("CLIP")] = None,
    out: Out = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """OpenAI's weights of a CLIP, which `weights openai` then uses without a network."""
    from depthclip_core.fetching.sources import clip_weights

    fetch_one(clip_weights(model), url, out, force, quiet)


def fetch_one(
    source: "Source", url: str | None, out: Path | None, force: bool, quiet: bool
) -> None:
    """Fetch a source, with its terms before, a bar meanwhile, and what was done after."""
    from tqdm import tqdm

    from depthclip_core.fetching.fetch import checked_address, fetch, place
    from depthclip_core.fetching.transfer import shown

    address, target = checked_address(source, url), place(source, out)
    size = f" ({source.size:,} bytes)" if source.size else ""
    for line in (
        []
        if quiet
        else (
            f"{source.title}{size}",
            f"  from   {shown(address)}",
            f"  to     {target}",
            f"  terms  {source.terms}",
            f"  cite   {source.citation}",
        )
    ):
        say(line)
    # disable=None: no bar where stderr is no terminal.
    hidden = True if quiet else None
    with tqdm(total=source.size, unit="B", unit_scale=True, disable=hidden) as bar:

        def watch(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        def note(line: str) -> None:
            if not quiet:
                bar.write(f"note: {line}", file=sys.stderr)

        try:
            fetched = fetch(source, out, address, force=force, watch=watch, say=note)
        except KeyboardInterrupt:
            bar.close()
            raise Interrupted("interrupted: the same command continues the download") from None
    kind = source.checksum.partition(":")[0]
    checked = f"its {kind} is the published one"
    if not quiet:
        state = "was there already" if fetched.was_there else "is there now"
        say(f"{target} {state}; {checked}")
