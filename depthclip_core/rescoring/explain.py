"""Why reported numbers differ from those of the same maps: which protocol made them, and the gap
between two protocols."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from depthclip_core.datasets import Dataset, Frame, as_dataset, dataset_class, open_dataset
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.compositions import (
    NAMED,
    OPTIONS,
    SWITCHES,
    Composition,
    named_for,
    nearest_name,
)
from depthclip_core.evaluation.metrics import resolve_metric
from depthclip_core.rescoring.arranged import covered_window
from depthclip_core.rescoring.differences import Gap, gap, interaction, shares
from depthclip_core.rescoring.frames import truth_of
from depthclip_core.rescoring.scores import Scores, score_maps
from depthclip_core.rescoring.search import (
    Reported,
    read_reported,
    search,
    search_space,
    verdict,
)

SHOWN = ("delta1", "abs_rel", "rmse")  # metrics of a gap where no numbers are reported


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a search over protocols and a gap between two of them say; see `explain`.

    named: the protocols by name, as these maps can be scored under them. found: as from `search`,
    None without reported numbers. gap: None where none was asked for.
    """

    scores: Scores
    named: Mapping[str, Composition]
    reported: Mapping[str, Reported]
    found: pd.DataFrame | None
    gap: Gap | None

    @property
    def verdict(self) -> str:
        """One sentence: how many compositions give the numbers, or which comes nearest."""
        if self.found is None:
            raise DepthClipError("no numbers are reported that could be explained")
        return verdict(self.found, self.named)

    @property
    def n_classes(self) -> int:
        """How many of the compositions these maps can tell apart."""
        return 0 if self.found is None else self.found["same"].nunique()

    def nearest(self, top: int = 10) -> pd.DataFrame:
        """The compositions nearest to the reported numbers, a row for each that differs in score.

        protocol: the nearest named one; but: the switches that differ from it, in words; the
        reported metrics; off: by how many units of the last digit the worst misses; met: whether
        all are met; alike: how many compositions have these very scores.
        """
        alike = self.found["same"].value_counts()
        rows = []
        for row in self.found.drop_duplicates("same").head(top).to_dict("records"):
            name, changes = nearest_name(row["composition"], self.named)
            metrics = {metric: row[metric] for metric in self.reported}
            rest = {"off": row["off"], "met": row["met"], "alike": alike[row["same"]]}
            rows.append({"protocol": name, "but": in_switches(changes)} | metrics | rest)
        columns = ["protocol", "but", *self.reported, "off", "met", "alike"]
        return pd.DataFrame(rows, columns=columns)

    def shares(self, metric: str) -> pd.DataFrame:
        """What each switch contributes to the gap of a metric; see `differences.shares`."""
        return shares(self.scores, self._gap, resolve_metric(metric).name)

    def ends(self, metric: str) -> tuple[float, float]:
        """The metric under the two protocols of the gap."""
        name = resolve_metric(metric).name
        return tuple(self.scores.mean(one)[name] for one in (self._gap.before, self._gap.after))

    def gap_sentence(self, metric: str) -> str:
        """The gap of a metric and its interaction, in words."""
        before, after = self.ends(metric)
        label = resolve_metric(metric).label
        moves = f"{label} goes from {before:.3f} to {after:.3f}, by {after - before:+.3f}"
        if len(self._gap.switches) == 1:
            return f"{moves}."
        joint = interaction(self.scores, self._gap, resolve_metric(metric).name)
        return f"{moves}; {joint:+.3f} of it is interaction, beyond what each switch does alone."

    @property
    def _gap(self) -> Gap:
        if self.gap is None:
            raise DepthClipError("no gap between two protocols was asked for")
        return self.gap


def explain(
    frames: Sequence[Frame],
    maps: Sequence[np.ndarray],
    reported: str | Mapping[str, str | float] = "",
    *,
    mirrored: Sequence[np.ndarray] | None = None,
    fixed: Mapping[str, object] | None = None,
    before: str | Composition = "",
    after: str | Composition = "",
    workers: int = 2,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Explanation:
    """Find the protocols under which maps score as somebody reports, or split a gap, or both.

    maps, mirrored, workers, progress: as for `score_maps`. reported: as for `read_reported`; empty
    for no search. fixed: switches that are known, see `search_space`. before, after: protocols, by
    name or as compositions, whose gap is to be split. Without mirrored maps, a protocol that
    averages with the mirror image takes the maps as saved.
    Raises `DepthClipError` if neither numbers nor two protocols are given, and for bad values.
    """
    frames = as_dataset(frames)
    if not len(frames):
        raise DepthClipError("there are no frames to score")
    numbers = read_reported(reported) if reported else {}
    if bool(before) != bool(after):
        raise DepthClipError("a gap lies between two protocols: give both before and after")
    if not numbers and not before:
        wanted = "give reported numbers, as in delta1=0.895, or two protocols, before and after"
        raise DepthClipError(f"nothing to explain: {wanted}")
    if len(maps) != len(frames):
        raise DepthClipError(f"{len(maps)} maps for {len(frames)} frames")
    named = protocols_of(frames, mirrored is not None)
    between = None
    if before:
        ends = [_resolved(one, named, mirrored is not None) for one in (before, after)]
        if ends[0].canonical == ends[1].canonical:
            fault = "before and after are one protocol for these maps"
            raise DepthClipError(f"{fault}: a flip differs only with maps of the mirror images")
        between = gap(*ends)
    space = space_of(frames, maps, mirrored is not None, fixed) if numbers else []
    compositions = [*space, *(between.between.values() if between else ())]
    how = {"mirrored": mirrored, "workers": workers, "progress": progress}
    scores = score_maps(frames, maps, compositions, **how)
    found = search(scores.table(space), space, numbers) if numbers else None
    return Explanation(scores, named, numbers, found, between)


def open_whole(dataset: str, split: str, data: str | Path | None = None) -> Dataset:
    """A data set with whole frames, whatever part of them a network sees; see `open_dataset`."""
    return open_dataset(dataset, split, data=data or None, **dataset_class(dataset).map_options)


def space_of(
    frames: Dataset,
    maps: Sequence[np.ndarray],
    mirrored: bool = False,
    fixed: Mapping[str, object] | None = None,
) -> list[Composition]:
    """The compositions that a search tries for maps of these frames; see `search_space`."""
    shape, size = frames.ground_truth(0).shape, maps[0].shape
    resized = size != covered_window(size, shape, (fixed or {}).get("place", "by size")).shape
    how = {"resized": resized, "mirrored": mirrored, "fixed": fixed}
    return search_space(shape, _depth_cap(frames), truths=truths_of(frames), **how)


def protocols_of(frames: Dataset, mirrored: bool = False) -> dict[str, Composition]:
    """The named protocols under which maps of these frames can be scored, by name.

    Those that the data set's kinds of truth do not allow are left out. Where whole millimetres are
    what was measured, that is called "raw". Without mirrored maps, maps are scored as saved.
    """
    kinds, fitting = truths_of(frames), {}
    for name, one in named_for(frames.ground_truth(0).shape, _depth_cap(frames)).items():
        if one.truth == "millimetres" and one.truth not in kinds:
            one = replace(one, truth="raw")
        if one.truth in kinds:
            fitting[name] = one if mirrored else replace(one, flip="as saved")
    return fitting


def truths_of(frames: Dataset) -> tuple[str, ...]:
    """The options of the switch "truth" that differ on these frames, by the first of them."""
    kinds = ["raw"]
    if frames[0].depth is not None:
        kinds.append("filled")
    raw = truth_of(frames, 0, "raw")
    if not raw.any() or not np.array_equal(raw, truth_of(frames, 0, "millimetres")):
        kinds.append("millimetres")
    return tuple(kinds)


def read_switches(texts: Sequence[str]) -> dict[str, object]:
    """Switches with their options from texts such as "crop=eigen-nyu" or "max_depth=50".

    Raises `DepthClipError` for unknown switches and options.
    """
    found: dict[str, object] = {}
    for text in texts:
        switch, _, option = (part.strip() for part in text.partition("="))
        if switch not in SWITCHES:
            raise unknown_name("switch", switch, SWITCHES)
        if switch in found:
            raise DepthClipError(f"the switch {switch!r} is given twice")
        if switch in OPTIONS:
            if option not in OPTIONS[switch]:
                raise unknown_name(f"option of the switch {switch!r}", option, OPTIONS[switch])
            found[switch] = option
            continue
        try:
            found[switch] = float(option)
        except ValueError:
            raise DepthClipError(f"{switch} is a depth in metres, not {option!r}") from None
    Composition(**found)  # limits in order
    return found


def in_switches(changes: Mapping[str, tuple]) -> str:
    """The switches that differ and their options: "crop none, align median"."""
    return ", ".join(f"{switch} {after}" for switch, (_, after) in changes.items())


def _depth_cap(frames: Dataset) -> float:
    """The data set's depth cap, else the largest that is in use for frames of this shape."""
    in_use = named_for(frames.ground_truth(0).shape).values()
    return frames.depth_cap or max(one.max_depth for one in in_use)


def _resolved(one: str | Composition, named: Mapping, mirrored: bool) -> Composition:
    if isinstance(one, str):
        if one in NAMED and one not in named:
            fault = f"the protocol {one!r} is for other frames, depths or kinds of truth"
            raise DepthClipError(f"{fault}: these can be scored by {', '.join(named)}")
        if one not in named:
            raise unknown_name("protocol", one, named)
        return named[one]
    return one if mirrored else replace(one, flip="as saved")
