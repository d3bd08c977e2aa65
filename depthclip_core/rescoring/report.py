"""Saved depth maps of a data set under several protocols, with intervals: scores to report.

from depthclip_core.rescoring.report import score_saved_maps

found = score_saved_maps("maps.zip", "nyu", protocols=["bts", "marigold"])
found.table(), found.intervals(), found.worst()
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from depthclip_core.analysis.statistics import TOO_FEW, UNKNOWN, intervals
from depthclip_core.datasets import Dataset, dataset_class, open_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import (
    NAMED,
    Composition,
    named_for,
    resolve_composition,
)
from depthclip_core.evaluation.map_files import (
    MILLIMETRES,
    MapFiles,
    UnmatchedNames,
    open_maps,
)
from depthclip_core.rescoring.plausible import fit_notes
from depthclip_core.rescoring.scores import Scores, score_maps
from depthclip_core.settings import PUBLISHED_METRICS
from depthclip_core.text import printable

POOLED = "pooled over pixels"  # why there is no interval
WORST = 5  # frames shown
WORST_BY = "abs_rel"
WHOLE = 0.9995  # coverage that is shown as 100 %


@dataclass(frozen=True, eq=False)
class SavedScores:
    """Saved maps of a data set, and their scores under protocols by name.

    notes: what should be said of how maps and protocols were chosen, one line each.
    """

    frames: Dataset
    maps: MapFiles
    mirrored: MapFiles | None
    protocols: Mapping[str, Composition]
    scores: Scores
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """A row per protocol: the paper's six metrics, coverage, and frames scored and empty."""
        table = self.scores.table(self.protocols)
        table = table.rename(columns={"n_frames": "frames", "n_empty": "empty"})
        table = table[[*PUBLISHED_METRICS, "coverage", "frames", "empty"]]
        counts = {"frames": int, "empty": int}
        return table.astype(counts).rename_axis("protocol")

    def intervals(self) -> pd.DataFrame:
        """95 % bootstrap intervals of each protocol's metrics, by the frames' groups.

        Rows (protocol, metric); columns mean, low, high, images, groups and why, which says why
        bounds are NaN: "too few groups", "rooms unknown", or "pooled over pixels", where the mean
        is not one over images. See `analysis.statistics.intervals`.
        """
        found = {}
        for name, one in self.protocols.items():
            rows = self.scores.rows(one)[list(PUBLISHED_METRICS)]
            # A frame for which one metric is no number stays in the intervals of the others.
            whole = rows.isna().all(axis=1) | rows.notna().all(axis=1)
            parts = [rows] if whole.all() else [rows[[metric]] for metric in rows]
            table = pd.concat([intervals(part, self.scores.groups) for part in parts])
            why = UNKNOWN if None in self.scores.groups else TOO_FEW
            table["why"] = np.where(table["low"].isna(), why, "")
            mean = self.scores.mean(one)[table.index]
            if one.average == "pixels":
                table["why"] = POOLED
            # A frame without a number makes the mean none, unless the protocol leaves it out.
            hidden = mean.isna() | (one.average == "pixels")
            table.loc[hidden.to_numpy(), ["low", "high"]] = np.nan
            found[name] = table.assign(mean=mean)
        return pd.concat(found, names=["protocol", "metric"])

    def rows(self) -> pd.DataFrame:
        """A row per protocol and frame: all metrics, n_pixels, coverage, scene and group."""
        tables = {
            name: self.scores.rows(one).assign(group=self.scores.groups)
            for name, one in self.protocols.items()
        }
        return pd.concat(tables, names=["protocol", "frame"])

    def worst(self, n: int = WORST) -> pd.DataFrame:
        """The frames of largest error (rel) under the first protocol, the worst first."""
        first = next(iter(self.protocols.values()))
        rows = self.scores.rows(first).sort_values(WORST_BY, ascending=False, kind="stable")
        return rows[rows["n_pixels"] > 0].head(n)

    def label(self, name: str) -> str:
        """A frame's name, and that of its map if it is another: "0046 (basement/rgb_00045)"."""
        saved_as = self.maps.saved_as[self.scores.names.index(name)]
        same = saved_as == name or saved_as.endswith(f"/{name}")
        return printable(name if same else f"{name} ({saved_as})")

    def remarks(self) -> list[str]:
        """The notes, and one line on each kind of pixel or frame that no score covers."""
        table, lines = self.table(), list(self.notes)
        part = table["coverage"][table["coverage"] < WHOLE]
        if len(part):
            ends = dict.fromkeys((part.idxmin(), part.idxmax()))
            shares = " to ".join(f"{100 * part[name]:.1f} % ({name})" for name in ends)
            lines.append(f"maps predict {shares} of the pixels that count; others are left out")
        if empty := int(table["empty"].max()):
            of_all = f"{empty} of {len(self.frames)} frames"
            lines.append(f"{of_all} have no pixel that counts, and are left out")
        return lines


def score_saved_maps(
    predictions: str | Path,
    dataset: str | Dataset = "sample",
    split: str = "test",
    *,
    data: str | Path | None = None,
    protocols: Sequence[str] = (),
    divisor: float = MILLIMETRES,
    kind: str = "depth",
    missing: Collection[float] = (),
    mirrored: str | Path | None = None,
    place: str = "",
    workers: int = 2,
    progress: Callable[[Iterable], Iterable] = iter,
    **options: object,
) -> SavedScores:
    """Score saved maps of a data set's frames under named protocols.

    predictions, divisor, kind, missing: see `open_maps`. Names are the frames' own, or else their
        `other_names`, such as those of their files. mirrored: the maps predicted for the mirror
        images, of the same form.
    dataset: a name, opened with split, data and options as by `open_dataset`, KITTI with its whole
    frames; or an open data set, as it is.
    protocols: names in `compositions.NAMED`; none: all that fit the frames' shape and depth cap.
    Without `mirrored`, those that average a map and its mirror image score the maps as saved; the
    notes say so. place: the crop that the maps cover, where their size does not tell.
    progress: wraps the walk over frames, as tqdm does.
    Raises `DepthClipError` for all that `open_dataset`, `open_maps` and `score_maps` refuse.
    """
    if isinstance(dataset, str):
        chosen = {**dataset_class(dataset).map_options, **options}
        frames = open_dataset(dataset, split, data=data, **chosen)
    else:
        frames = dataset
    how = {"divisor": divisor, "kind": kind, "missing": missing}
    maps = maps_of(frames, predictions, **how)
    other = None if mirrored is None else maps_of(frames, mirrored, **how)
    compositions, notes = protocols_for(frames, protocols, mirrored=other is not None, place=place)
    notes = [note for note in (maps.note, other.note if other else "") if note] + notes
    notes += fit_notes(frames, maps, next(iter(compositions.values())))
    scores = score_maps(
        frames, maps, compositions.values(), mirrored=other, workers=workers, progress=progress
    )
    found = SavedScores(frames, maps, other, compositions, scores, tuple(notes))
    frames_scored = found.table()["frames"]
    if (frames_scored == 0).any():
        name = frames_scored.idxmin()
        raise DepthClipError(f"no pixel has both truth and prediction under {name!r}")
    return found


def protocols_for(
    frames: Dataset, names: Sequence[str] = (), *, mirrored: bool = False, place: str = ""
) -> tuple[dict[str, Composition], list[str]]:
    """The named protocols to score frames by, with the data set's far limit, and notes on them.

    names, mirrored, place: as for `score_saved_maps`. Raises `DepthClipError` for unknown names,
    for frames without depth, and for crops of frames of another shape.
    """
    if not len(frames):
        raise DepthClipError(f"{frames.title} has no frames")
    first = frames[0]
    if first.raw_depth is None:
        raise DepthClipError(f"{printable(first.name)} has no depth to be scored against")
    shape, notes = first.raw_depth.shape, []
    fitting = named_for(shape, frames.depth_cap)
    chosen = {name: fitting.get(name) or resolve_composition(name) for name in names or fitting}
    if unfit := next((name for name, one in chosen.items() if not one.fits(shape)), None):
        size = "{} x {}".format(*shape)
        fault = f"the protocol {unfit!r} is for {NAMED[unfit].data} frames, not of {size} pixels"
        raise DepthClipError(f"{fault}: choose among {', '.join(fitting)}")
    if not names and first.depth is None:
        filled = [name for name, one in chosen.items() if one.truth == "filled"]
        chosen = {name: one for name, one in chosen.items() if name not in filled}
        if filled:
            notes.append(f"left out, as it needs depth without holes: {', '.join(filled)}")
    flipped = [name for name, one in chosen.items() if one.flip == "averaged"]
    if flipped and not mirrored:
        chosen |= {name: replace(chosen[name], flip="as saved") for name in flipped}
        fault = "maps are scored as saved, without those of the mirror images"
        notes.append(f"{fault}, which these would average: {', '.join(flipped)}")
    if place:
        chosen = {name: replace(one, place=place) for name, one in chosen.items()}
    return chosen, notes


def maps_of(frames: Dataset, path: str | Path, **how: object) -> MapFiles:
    """The saved maps of frames by their names, or else by their `other_names`; see `open_maps`.

    Raises the `DepthClipError` of the names that match most of the maps.
    """
    faults = []
    for names in (frames.names, *frames.other_names()):
        try:
            return open_maps(path, names, **how)
        except DepthClipError as fault:
            faults.append(fault)
    unmatched = [fault for fault in faults if isinstance(fault, UnmatchedNames)]
    raise max(unmatched, key=lambda fault: fault.n_matched) if unmatched else faults[-1]
