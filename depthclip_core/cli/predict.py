"""The command `depthclip predict`: photographs in, depth in metres out."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer

from depthclip_core.cli.lines import say
from depthclip_core.cli.signals import Interrupted
from depthclip_core.cli.store import count
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import TEMPERATURE, resolve_bins, resolve_prompts
from depthclip_core.text import printable


def predict(
    photos: Annotated[list[Path], typer.Argument(help="Photographs, and folders of them.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")] = Path(
        "results/depth"
    ),
    encoder: Annotated[str, typer.Option(help="sample, or a model of open_clip.")] = "sample",
    weights: Annotated[
        str | None,
        typer.Option(
            help="openai, another tag of open_clip, or a file.", show_default="the sample's own"
        ),
    ] = None,
    head: Annotated[str, typer.Option(help="released, value or attention.")] = "value",
    prompts: Annotated[
        str, typer.Option(help="Published words, or your own: near,far.")
    ] = "original",
    bins: Annotated[
        str, typer.Option(help="Published bins, or metres, one for each word: 1.5,4.")
    ] = "original",
    temperature: Annotated[float, typer.Option(help="Of the softmax over words.")] = TEMPERATURE,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    long_side: Annotated[
        int, typer.Option(min=0, help="Shrink larger photographs to this many pixels; 0: do not.")
    ] = 640,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="Upsample depth to the photograph's own size.")
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="Photographs of one size to compute at once.", show_default="by device"
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also read the folders in a folder.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show errors only.")] = False,
) -> None:
    """Predict the depth of photographs, in metres.

    Each photograph NAME.jpg leaves depth_png/NAME.png (16 bits, millimetres), depth_npy/NAME.npy
    (float32, metres), pictures/NAME.png and settings/NAME.json. One that cannot be read is
    reported, and the others are still done; the exit status is then 1.

    The default head is the workbook's, value. The paper's setting is --head released --encoder
    RN50 --weights openai.
    """
    from depthclip_core.choices import Head
    from depthclip_core.saved_depths import plan_files

    # Everything that can be checked without torch, which takes seconds to load.
    planned = plan_files(photos, out, recursive=recursive, overwrite=force)
    resolve_bins(bins, len(resolve_prompts(prompts)))
    if head not in get_args(Head):
        raise unknown_name("head", head, get_args(Head))
    if not 0 < temperature < float("inf"):
        raise DepthClipError(f"--temperature must be positive and finite, got {temperature}")

    import matplotlib
    from tqdm import tqdm

    from depthclip_core.clip.encoders import load_encoder
    from depthclip_core.method.photo_depths import resolve_setting, what_to_expect
    from depthclip_core.saved_depths import DEEPEST, save_depths

    matplotlib.use("agg")
    setting = resolve_setting(prompts, bins, head, temperature)
    with noted_warnings() as notes:
        network = load_encoder(encoder, weights, device)
    notes.append(what_to_expect(network, setting))
    if max(setting.bins) > DEEPEST:
        held = f"depth_png holds at most {DEEPEST} m: deeper pixels get that"
        notes.append(f"{held}, and depth_npy has their depth")
    for note in [] if quiet else dict.fromkeys(notes):
        say(f"note: {note}", err=True)
    options = {"long_side": long_side or None, "full_size": full_size, "batch_size": batch}
    n_done = n_failed = 0
    try:
        # disable=None: no bar where stderr is no terminal.
        hidden = True if quiet else None
        with noted_warnings(), tqdm(total=len(planned), unit="photo", disable=hidden) as bar:
            for _, fault in save_depths(planned, network, setting, **options):
                if fault:
                    n_failed += 1
                    bar.write(printable(f"depthclip: {fault}"), file=sys.stderr)
                n_done += 1
                bar.update()
    except KeyboardInterrupt:
        done = f"{n_done} of {count(len(planned), 'photograph')}"
        raise Interrupted(f"interrupted after {done}; their results are in {out}") from None
    if n_failed:
        say(f"{n_failed} of {count(len(planned), 'photograph')} failed", err=True)
        raise typer.Exit(1)
    if not quiet:
        say(f"depth of {count(len(planned), 'photograph')} in {out}")


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Collect warnings as one line each; those of other packages are not the user's to act on."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    here = str(Path(__file__).parents[1])
    notes += [str(w.message) for w in caught if w.filename.startswith(here)]
