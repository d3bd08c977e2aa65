"""The command `depthclip explain`: why reported numbers differ from those of the same maps."""

from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.cli.data_names import DatasetOption, OlderPath, required_name
from depthclip_core.cli.lines import say
from depthclip_core.cli.options import DataPath, SplitName
from depthclip_core.cli.store import aligned, count


def explain(
    predictions: Annotated[
        Path, typer.Argument(help="A folder of maps, or one .h5, .npz, .npy or .zip file of them.")
    ],
    dataset: DatasetOption = None,
    data: DataPath = None,
    path: OlderPath = None,
    split: SplitName = "test",
    reported: Annotated[str, typer.Option(help="Numbers as printed: delta1=0.895,rmse=0.364")] = "",
    fix: Annotated[
        list[str] | None,
        typer.Option(metavar="SWITCH=OPTION", help="A switch that is known; may be repeated."),
    ] = None,
    before: Annotated[str, typer.Option(help="Split the gap from this protocol ...")] = "",
    after: Annotated[str, typer.Option(help="... to this one, switch by switch.")] = "",
    mirrored: Annotated[
        Path | None, typer.Option(help="Maps predicted for the mirror images.")
    ] = None,
    divisor: Annotated[
        float, typer.Option(help="Stored units per metre of 16-bit files; KITTI's have 256.")
    ] = 1000.0,
    disparity: Annotated[bool, typer.Option("--disparity", help="Maps hold 1 / depth.")] = False,
    missing: Annotated[
        list[float] | None,
        typer.Option(help="A stored value that means no prediction, such as 65535."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Protocols to show.")] = 10,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show results and errors only.")] = False,
) -> None:
    """Find the protocol that gives reported numbers, and say what makes two protocols differ.

    Scores the maps under hundreds of protocols: crops, kinds of truth, valid pixels, alignments,
    clamping and averages. Prints which of them give the reported numbers to the last digit, or the
    nearest ones. With --before and --after, splits the gap between two named protocols.
    """
    from depthclip_core.rescoring.explain import read_switches

    name, where = required_name(dataset, data, path)
    fixed = read_switches(fix or [])

    from tqdm import tqdm

    from depthclip_core.rescoring import explain as why
    from depthclip_core.rescoring.plausible import fit_notes
    from depthclip_core.rescoring.report import maps_of

    frames = why.open_whole(name, split, where)
    kind = "disparity" if disparity else "depth"
    how = {"divisor": divisor, "kind": kind, "missing": missing or ()}
    maps = maps_of(frames, predictions, **how)
    other = maps_of(frames, mirrored, **how) if mirrored else None
    notes = [opened.note for opened in (maps, other) if opened is not None and opened.note]

    def progress(walk):
        # disable=None: no bar where stderr is no terminal.
        return tqdm(walk, total=len(frames), unit="frame", disable=True if quiet else None)

    gap = {"before": before, "after": after}
    found = why.explain(
        frames, maps, reported, mirrored=other, fixed=fixed, progress=progress, **gap
    )
    notes += fit_notes(frames, maps, next(iter(found.named.values())))
    for note in [] if quiet else notes:
        say(f"note: {note}", err=True)
    parts = []
    if found.found is not None:
        parts.append(lines_of_search(found, top))
    if found.gap is not None:
        parts += [lines_of_gap(found, metric) for metric in found.reported or why.SHOWN]
    say("\n\n".join("\n".join(lines) for lines in parts))


def lines_of_search(found, top: int) -> list[str]:
    """The verdict and a table of the nearest protocols."""
    table = found.nearest(top)
    numbers = [f"{name}={n.value:.{n.decimals}f}" for name, n in found.reported.items()]
    rows = [["protocol", "but with", *found.reported, "misses by", "alike"]]
    for row in table.to_dict("records"):
        # One digit more than was reported shows by how much it misses.
        scores = [f"{row[m]:.{n.decimals + 1}f}" for m, n in found.reported.items()]
        misses = "matches" if row["met"] else f"{row['off']:.1f}"
        rows.append([row["protocol"], row["but"] or "-", *scores, misses, str(row["alike"])])
    total = f"{count(len(found.found), 'composition')} of switches tried on"
    return [
        found.verdict,
        f"{total} {count(len(found.scores.names), 'frame')}, {found.n_classes} of them differ.",
        "",
        f"Reported: {', '.join(numbers)}. Matches first, the simplest on top, then the nearest;",
        "misses are in units of the last digit, and alike is the number of compositions that give",
        "the same scores on these maps:",
        "",
        *aligned(rows),
    ]


def lines_of_gap(found, metric: str) -> list[str]:
    """What each switch contributes to the gap of a metric."""
    rows = [["switch", "before", "after", "share", "set first", "set last"]]
    for switch, row in found.shares(metric).iterrows():
        numbers = [f"{row[name]:+.4f}" for name in ("share", "alone", "last")]
        rows.append([switch, str(row["before"]), str(row["after"]), *numbers])
    return [found.gap_sentence(metric), "", *aligned(rows)]
