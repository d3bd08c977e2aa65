"""Scores of saved maps as files: what `depthclip score --out` writes.

    from depthclip_core.rescoring.report import score_saved_maps
    from depthclip_core.saved_scores import write_scores

    write_scores(score_saved_maps("maps.zip", "nyu"), "scores")

rows.csv: a row per protocol and frame. table.csv: a row per protocol, with intervals.
index.html: the table, its figure and the worst frames on one page that loads nothing.
"""

import os
from base64 import b64encode
from datetime import datetime
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from depthclip_core.checkout import commit
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import NAMED, Composition, as_text
from depthclip_core.files import content_of, together, user_path
from depthclip_core.plots.saved_score_plots import map_and_error, protocol_panels
from depthclip_core.plots.score_plots import symbol
from depthclip_core.plots.style import STYLE
from depthclip_core.rescoring.report import SavedScores
from depthclip_core.rescoring.shown import as_scored
from depthclip_core.settings import PUBLISHED_METRICS
from depthclip_core.text import printable

DPI = 130


def planned_files(out: str | Path, *, overwrite: bool = False, parquet: bool = False) -> list[Path]:
    """The files that `write_scores` writes: rows, table and page. Nothing is written yet.

    Raises `DepthClipError` for files that exist, unless they may be overwritten; where `out` is no
    folder; and for parquet without pyarrow.
    """
    out = user_path(out)
    if os.path.exists(out) and not os.path.isdir(out):
        raise DepthClipError(f"{out} is a file: give a folder to write to")
    if parquet:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise DepthClipError(
                "rows.parquet needs a library: pip install pyarrow, or leave --parquet out"
            ) from None
    names = ("rows.parquet" if parquet else "rows.csv", "table.csv", "index.html")
    files = [out / name for name in names]
    if not overwrite and (there := next((file for file in files if os.path.lexists(file)), None)):
        raise DepthClipError(f"{there} exists: give another folder, or overwrite it (--force)")
    return files


def write_scores(
    found: SavedScores, out: str | Path, *, overwrite: bool = False, parquet: bool = False
) -> list[Path]:
    """Write rows, table and page into a folder; returns their paths.

    All files appear at once when all are written, or none does. Raises `DepthClipError` as
    `planned_files`, and where a file cannot be written.
    """
    files = planned_files(out, overwrite=overwrite, parquet=parquet)
    rows, table, page = files
    as_rows = _parquet if parquet else _csv
    contents = {
        rows: as_rows(found.rows().reset_index()),
        table: _csv(table_with_intervals(found).reset_index()),
        page: html_page(found),
    }
    with together(overwrite=overwrite) as write:
        for path, content in contents.items():
            write(path, content)
    return files


def table_with_intervals(found: SavedScores) -> pd.DataFrame:
    """`SavedScores.table` with columns METRIC_low and METRIC_high beside each metric."""
    table, bounds = found.table(), found.intervals()
    columns = {}
    for metric in PUBLISHED_METRICS:
        of_metric = bounds.xs(metric, level="metric")
        columns[metric] = table[metric]
        columns |= {f"{metric}_{end}": of_metric[end] for end in ("low", "high")}
    rest = {name: table[name] for name in ("coverage", "frames", "empty")}
    groups = {"groups": bounds.xs(PUBLISHED_METRICS[0], level="metric")["groups"]}
    return pd.DataFrame(columns | rest | groups).reindex(table.index)


def intervals_note(found: SavedScores) -> str:
    """What the intervals are, or why there are none."""
    bounds = found.intervals()
    reasons = sorted(set(bounds["why"]) - {""})
    n = int(bounds["groups"].max())
    if bounds["low"].notna().any():
        lines = [f"95 % intervals: bootstrap of the mean over images, drawing the {n} groups again"]
        lines += [f"none where {', '.join(reasons)}"] if reasons else []
        return "; ".join(lines)
    return f"no 95 % intervals: {', '.join(reasons)}"


def html_page(found: SavedScores) -> str:
    """The page, with pictures inside, and no script or outside address; text is escaped."""
    table, bounds = found.table(), found.intervals()
    first_name, first = next(iter(found.protocols.items()))
    with plt.style.context(str(STYLE)):
        panels = _picture(protocol_panels(bounds))
        positions = {name: i for i, name in enumerate(found.scores.names)}
        worst = []
        for name, row in found.worst().iterrows():
            shown = as_scored(found, positions[name], first)
            picture = _picture(map_and_error(shown.rgb, shown.truth, shown.depth))
            caption = ", ".join(f"{symbol(m)} {row[m]:.3f}" for m in ("abs_rel", "rmse", "delta1"))
            where = f"; {printable(row['scene'])}" if row["scene"] else ""
            worst.append(
                {"name": found.label(name), "caption": caption + where, "picture": picture}
            )
    scores = [
        {"name": name, "cells": list(_cells(row, bounds.loc[name]))}
        for name, row in table.iterrows()
    ]
    protocols = [
        {
            "name": name,
            "title": NAMED[name].title,
            "options": "; ".join(changed(one)) or "all as above",
            "source": NAMED[name].source,
        }
        for name, one in found.protocols.items()
    ]
    counted = f"{len(found.frames)} frames of {found.frames.title}"
    about = f"{counted}. Made on {datetime.now().date()} at commit {commit()}."
    environment = Environment(autoescape=True, loader=PackageLoader("depthclip_core", ""))
    return environment.get_template("saved_scores.html").render(
        title=f"Scores of {printable(found.maps.path.name)}",
        about=printable(about),
        remarks=[printable(line) for line in found.remarks()],
        columns=[*map(symbol, PUBLISHED_METRICS), "coverage", "frames"],
        scores=scores,
        intervals_note=intervals_note(found),
        panels=panels,
        first=first_name,
        worst=worst,
        defaults=as_text(Composition()),
        protocols=protocols,
    )


def _cells(row: pd.Series, bounds: pd.DataFrame):
    for metric in PUBLISHED_METRICS:
        low, high = bounds.loc[metric, ["low", "high"]]
        interval = "" if pd.isna(low) else f"{low:.3f}–{high:.3f}"
        yield {"value": f"{row[metric]:.3f}", "interval": interval}
    yield {"value": f"{100 * row['coverage']:.1f} %"}
    yield {"value": f"{row['frames']:.0f}"}


def changed(one: Composition) -> list[str]:
    """The switches that are not at their defaults: "crop eigen-nyu" …"""
    return [f"{switch} {option}" for switch, (_, option) in Composition().changes(one).items()]


def _picture(figure: Figure) -> str:
    """A figure as PNG in base64."""
    picture = content_of(figure.savefig, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return b64encode(picture).decode()


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _parquet(table: pd.DataFrame) -> bytes:
    return table.to_parquet(index=False)
