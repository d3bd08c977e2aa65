"""The command `depthclip data inspect`: what a folder of data is, and whether it is sound."""

import os
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.cli.data_names import name_and_path
from depthclip_core.cli.lines import say
from depthclip_core.datasets import (
    REGISTRY,
    Dataset,
    dataset_class,
    described_place,
    open_dataset,
    read_description,
)
from depthclip_core.datasets.checks import (
    DIVISORS,
    ROOM,
    STREET,
    Finding,
    Pair,
    check_pairs,
    depth_percentiles,
    fitting_divisors,
    rounded,
    sample_pairs,
)
from depthclip_core.datasets.file_frames import MISSING
from depthclip_core.datasets.guess import as_toml
from depthclip_core.errors import DepthClipError
from depthclip_core.files import content_of, user_path, write_whole
from depthclip_core.text import printable

data_app = typer.Typer(no_args_is_help=True)

DESCRIBES_PAIRS = {"rgb", "time_stamps", "divisor"}  # options that only `pairs` takes
GENERAL = ("pairs", "photos")  # kinds that accept much, tried last
IN_PACKAGE = "sample"
WIDTH, INDENT = 96, 14  # of lines and of their labels
MOST_SCENES = 30
ON_SHEET = 5  # frames
SHEET_DPI = 120


@data_app.callback()
def data() -> None:
    """Data sets, before anything runs on them."""


@data_app.command("inspect")
def inspect_data(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A folder, a file of data, or a .toml that describes a data set.",
            show_default="the data set's usual place",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="The kind of data set.", show_default="found out"),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", hidden=True)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of some frames, a .png.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to read for depths and checks.")] = 20,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing sheet.")] = False,
) -> None:
    """Show what a data set holds, whether its depth is plausible, and how to open it.

    The exit status is 1 for what is not a data set.
    """
    dataset, path = name_and_path(dataset, data, path)
    if path is None and dataset is None:
        raise DepthClipError("give a path, or --dataset for a data set in its usual place")
    out = None if out is None else user_path(out)
    if out is not None and out.suffix.lower() != ".png":
        raise DepthClipError(f"the contact sheet is a .png file, not {out.name!r}")
    if out is not None and os.path.lexists(out) and not force:
        raise DepthClipError(f"{out} exists: choose another file, or pass --force")
    if path is not None and not user_path(path).exists():
        raise DepthClipError(f"nothing exists at {path}")
    if path is not None and dataset in (None, "pairs"):
        path = Path(described_place(path))
    name, guessed = found_kind(path, dataset)
    opened = opened_whole(name, path, guessed)
    pairs = sample_pairs(opened, frames)
    lines = [*facts(name, path, opened, guessed), *depth_facts(opened, pairs)]
    lines += description(path, guessed) if guessed else [how_to_open(name, path)]
    if out is not None:
        write_sheet(opened, out, overwrite=force)
        lines.append(labelled("written", str(out)))
    for line in lines:
        say(line)


def found_kind(path: Path | None, dataset: str | None) -> tuple[str, dict[str, object]]:
    """The kind of data set at a path, and the options guessed for it.

    Where no kind recognises it, prints what each misses, and exits with status 1.
    """
    folder, options = path, {}
    if path is not None and path.suffix == ".toml":
        folder, options = read_description(user_path(path))
    if dataset is not None:
        kind = dataset_class(dataset)
        if fault := kind.recognise(folder, **options):
            raise DepthClipError(f"no data set of kind {dataset!r}: {printable(fault)}")
        return dataset, guess(dataset, folder, options)
    if options.keys() & DESCRIBES_PAIRS:
        if fault := dataset_class("pairs").recognise(folder, **options):
            raise DepthClipError(
                f"{path} describes no data set of kind 'pairs': {printable(fault)}"
            )
        return "pairs", {}
    faults = {}
    for name in kinds():
        faults[name] = dataset_class(name).recognise(folder, **options)
        if MISSING in faults[name]:  # what is there might pass for data of a general kind
            raise DepthClipError(f"data of kind {name!r}: {printable(faults[name])}")
        if not faults[name]:
            return name, guess(name, folder, options)
    say(f"depthclip: {path} is not a data set of a known kind:", err=True)
    for name, fault in faults.items():
        say(labelled(f"  {name}", fault), err=True)
    raise typer.Exit(1)


def kinds() -> list[str]:
    """Kinds of data sets that a path can be, in the order to try them."""
    known = [name for name in REGISTRY if name not in (IN_PACKAGE, *GENERAL)]
    return [*known, *GENERAL]


def guess(name: str, folder: Path | None, options: dict[str, object]) -> dict[str, object]:
    """Options that the data set needs, where none are given."""
    return {} if options or folder is None else dataset_class(name).guessed_options(folder)


def opened_whole(name: str, path: Path | None, options: dict[str, object]) -> Dataset:
    """All frames of the data set."""
    split = "all" if "all" in dataset_class(name).splits else dataset_class(name).splits[0]
    return open_dataset(name, split, data=path, **options)


def facts(
    name: str, path: Path | None, opened: Dataset, options: dict[str, object]
) -> Iterator[str]:
    """Lines on what is known without depths."""
    guessed = " (guessed from names of files)" if options else ""
    yield labelled("data set", f"{name}{guessed}")
    yield labelled("title", opened.title)
    yield labelled("frames", str(len(opened)))
    yield labelled("splits", ", ".join(splits(name, path, opened, options)))
    scenes = Counter(scene for scene in opened.scenes if scene)
    shown = [f"{printable(scene)} {n}" for scene, n in scenes.most_common(MOST_SCENES)]
    more = [f"and {len(scenes) - MOST_SCENES} more"] if len(scenes) > MOST_SCENES else []
    yield labelled("scene types", ", ".join(shown + more) or "not known")
    groups = Counter(group for group in opened.groups if group)
    known = f"{len(groups)}, up to {max(groups.values(), default=0)} frames each"
    yield labelled("groups", known if groups else "not known: no intervals")


def splits(
    name: str, path: Path | None, opened: Dataset, options: dict[str, object]
) -> Iterator[str]:
    """Each split with its number of frames, or why it cannot be opened."""
    for split in opened.splits:
        if split == getattr(opened, "split", "all"):
            yield f"{split} {len(opened)}"
            continue
        try:
            part = open_dataset(name, split, data=path, **options)
        except DepthClipError as error:
            yield f"{split} - ({printable(error)})"
        else:
            yield f"{split} {len(part)}"
            part.close()


def depth_facts(opened: Dataset, pairs: Sequence[Pair]) -> Iterator[str]:
    """Lines on sizes and depths of some frames, on scoring, and on what the checks found."""
    shape = opened.frame_shape
    sizes = {shape} if shape else {rgb.shape[:2] for rgb, _ in pairs}
    shown = ", ".join(" x ".join(map(str, size)) for size in sorted(sizes))
    yield labelled("size", shown if shape else f"not one for all frames: {shown}".rstrip(": "))
    if not pairs:
        yield labelled("depth", "none")
        return
    depths = [depth for _, depth in pairs]
    near, middle, far = depth_percentiles(depths)
    counted = f"of {len(pairs)} frames" if len(pairs) < len(opened) else "of all frames"
    points = f"5 % below {rounded(near)} m, median {rounded(middle)} m, 95 % below {rounded(far)} m"
    yield labelled("depth", f"{points}, {counted}")
    shares = [float((depth > 0).mean()) for depth in depths]
    yield labelled(
        "valid", f"{sum(shares) / len(shares):.0%} of pixels, {min(shares):.0%} at least"
    )
    divisor = getattr(opened, "divisor", None)
    yield labelled("scale", scale(middle, far, divisor))
    crop = opened.evaluation_crop
    region = f"rows {crop.top}:{crop.bottom}, columns {crop.left}:{crop.right}" if crop else "all"
    yield labelled(
        "scored", f"{region}, up to {opened.depth_cap:g} m" if opened.depth_cap else region
    )
    registered = getattr(opened, "registered", True)
    found = check_pairs(pairs, divisor=divisor, depth_cap=opened.depth_cap, registered=registered)
    alone = opened.depth_without_photograph()
    if alone:
        what = "depth map has" if len(alone) == 1 else "depth maps have"
        line = f"{len(alone)} {what} no photograph, such as {alone[0]}"
        found.append(Finding("pairs", "note", line))
    for finding in found or [Finding("checks", "checks", "nothing found")]:
        line = finding.line if finding.name == "checks" else f"{finding.name}: {finding.line}"
        yield labelled(finding.severity, line)


def scale(median: float, far: float, divisor: float | None) -> str:
    """What the depths look like in metres, and by which other divisors they would be plausible."""
    kind = next((kind for kind in (ROOM, STREET) if kind.fits(median, far)), None)
    looks = f"as {kind.where}" if kind else "neither a room's nor a street's"
    if divisor is None:
        return looks
    others = [
        f"{other} would give a {fit.name}'s, median {rounded(median * divisor / other)} m"
        for other, fit in fitting_divisors(median * divisor, far * divisor)
        if other in DIVISORS and other != divisor
    ]
    return "; ".join([f"divisor {divisor:g}, {looks}", *others])


def description(path: Path, options: dict[str, object]) -> list[str]:
    """The .toml that opens a guessed data set."""
    where = user_path(path).resolve() / "pairs.toml"
    first = f"Compare these lines with what you know of the data, and save them as {where}:"
    last = f'Then open it with dc.open_dataset("pairs", data="{where}").'
    return ["", printable(first), as_toml(options), printable(last)]


def how_to_open(name: str, path: Path | None) -> str:
    """The line that says how to open a data set: in notebooks or, for photographs, in Python.

    It is not wrapped, so that it can be copied.
    """
    if REGISTRY[name].has_depth:
        how = f"-p dataset {name}" + ("" if path is None else f" -p data {shlex.quote(str(path))}")
    else:
        how = f"dc.open_dataset({name!r}" + (")" if path is None else f", data={str(path)!r})")
    return f"{'open it':<{INDENT}}{printable(how)}"


def write_sheet(opened: Dataset, out: Path, *, overwrite: bool = False) -> None:
    """Draw some frames, photograph and depth, into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from depthclip_core.plots.map_plots import contact_sheet
    from depthclip_core.plots.style import use_style

    n = min(ON_SHEET, len(opened))
    spread = [round(i * (len(opened) - 1) / max(n - 1, 1)) for i in range(n)]
    shown = [opened[position] for position in spread]
    use_style()
    figure = contact_sheet([(f.name, f.rgb, f.raw_depth) for f in shown], opened.title)
    drawn = content_of(figure.savefig, format="png", dpi=SHEET_DPI)
    write_whole(out, drawn, overwrite=overwrite)


def labelled(label: str, text: str) -> str:
    """A label and its text, wrapped beside it."""
    lines = textwrap.wrap(printable(text), WIDTH - INDENT, break_on_hyphens=False) or [""]
    return "\n".join([f"{label:<{INDENT}}{lines[0]}", *(" " * INDENT + line for line in lines[1:])])
