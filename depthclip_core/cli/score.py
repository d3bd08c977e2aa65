"""The command `depthclip score`: saved depth maps in, scores under every protocol out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.cli.data_names import DatasetOption, OlderPath, required_name
from depthclip_core.cli.lines import say
from depthclip_core.cli.options import DataPath, SplitName
from depthclip_core.cli.store import count
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

NAME = 20  # characters of a protocol's column


def score(
    predictions: Annotated[
        Path,
        typer.Argument(help="A folder of maps, or one .h5, .npz, .npy or .zip file of them."),
    ],
    dataset: DatasetOption = None,
    data: DataPath = None,
    path: OlderPath = None,
    split: SplitName = "test",
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="A named protocol; may be repeated.", show_default="all that fit the data"
        ),
    ] = None,
    divisor: Annotated[
        float, typer.Option(help="Stored units per metre of 16-bit maps; 256 for KITTI's.")
    ] = 1000.0,
    disparity: Annotated[bool, typer.Option("--disparity", help="Maps hold 1 / depth.")] = False,
    missing: Annotated[
        list[float] | None,
        typer.Option(help="A stored value that means no prediction, such as 65535."),
    ] = None,
    mirrored: Annotated[
        Path | None,
        typer.Option(help="The maps of the mirror images, for protocols that average both."),
    ] = None,
    place: Annotated[
        str,
        typer.Option(help="The crop of the frame that maps cover.", show_default="by their size"),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for rows.csv, table.csv and index.html.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write rows.parquet instead of rows.csv.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Score depth maps that any system saved, under every protocol that fits the data.

    Maps are NAME.npy, .npz, .exr or .tif in metres, or 16-bit NAME.png, one for each frame, in a
    folder or a .zip; or an HDF5 file or .npz by name.
    """
    name, where = required_name(dataset, data, path)

    import matplotlib
    from tqdm import tqdm

    matplotlib.use("agg")
    from depthclip_core.rescoring.report import score_saved_maps
    from depthclip_core.saved_scores import intervals_note, planned_files, write_scores

    if out is not None:
        planned_files(out, overwrite=force, parquet=parquet)
    elif parquet:
        raise DepthClipError("--parquet writes a file: give a folder with --out")

    def progress(walk):
        # disable=None: no bar where stderr is no terminal.
        return tqdm(walk, total=None, unit="frame", disable=None, file=sys.stderr, leave=False)

    found = score_saved_maps(
        predictions,
        name,
        split,
        data=where,
        protocols=protocol or (),
        divisor=divisor,
        kind="disparity" if disparity else "depth",
        missing=missing or (),
        mirrored=mirrored,
        place=place,
        progress=progress,
    )
    say(f"{printable(predictions.name)} on {printable(found.frames.title)}\n")
    say(scores_text(found))
    say(f"\n{intervals_note(found)}")
    if text := intervals_text(found):
        say(text)
    first = next(iter(found.protocols))
    worst = found.worst()
    say(f"\n{count(len(worst), 'frame')} of largest error under {first}:")
    for name, row in worst.iterrows():
        say(f"  {found.label(name)}  rel {row['abs_rel']:.3f}, rmse {row['rmse']:.3f} m")
    for line in found.remarks():
        say(f"note: {printable(line)}")
    if out is not None:
        files = write_scores(found, out, overwrite=force, parquet=parquet)
        say(f"written: {', '.join(map(str, files))}")


def header(width: int) -> str:
    """What the columns of protocols and metrics are called; width: of a metric's, in characters."""
    from depthclip_core.plots.score_plots import symbol
    from depthclip_core.settings import PUBLISHED_METRICS

    return "".join([f"{'protocol':<{NAME}}", *(f"{symbol(m):>{width}}" for m in PUBLISHED_METRICS)])


def scores_text(found) -> str:
    """The table of scores, a line per protocol."""
    from depthclip_core.settings import PUBLISHED_METRICS

    lines = [f"{header(9)}{'coverage':>10}{'frames':>8}"]
    for name, row in found.table().iterrows():
        numbers = [f"{row[metric]:>9.3f}" for metric in PUBLISHED_METRICS]
        counts = f"{100 * row['coverage']:>8.1f} %{row['frames']:>8.0f}"
        lines.append("".join([f"{name:<{NAME}}", *numbers, counts]))
    return "\n".join(lines)


def intervals_text(found) -> str:
    """The intervals, a line for each protocol that has some; empty if none has."""
    from depthclip_core.settings import PUBLISHED_METRICS

    lines = []
    for name, bounds in found.intervals().groupby(level="protocol", sort=False):
        if bounds["low"].notna().any():
            ends = bounds.xs(name).loc[list(PUBLISHED_METRICS), ["low", "high"]].to_numpy()
            shown = [f"{f'{low:.3f}–{high:.3f}':>14}" for low, high in ends]
            lines.append("".join([f"{name:<{NAME}}", *shown]))
    return "\n".join([header(14), *lines]) if lines else ""
