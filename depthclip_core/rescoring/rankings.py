"""Several systems under every protocol: how far their scores move, and where their order turns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.analysis import position
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import FEWEST_GROUPS, LEVEL, compare, redraws, verdicts
from depthclip_core.analysis.systems import BLIND, CONSTANT, FITTED
from depthclip_core.datasets import Dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import fitting
from depthclip_core.evaluation.baselines import best_constants
from depthclip_core.evaluation.compositions import Composition, nearest_name
from depthclip_core.evaluation.map_files import MILLIMETRES
from depthclip_core.evaluation.metrics import METRICS, resolve_metric
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.rescoring.explain import Explanation, in_switches, space_of
from depthclip_core.rescoring.report import maps_of
from depthclip_core.rescoring.scores import Scores, score_maps
from depthclip_core.text import printable

BOTH = ("better", "worse")  # verdicts of an interval that excludes zero


@dataclass(frozen=True, eq=False)
class Maps:
    """A system's depth maps of N frames, and those of their mirror images if it has any."""

    maps: Sequence[np.ndarray]
    mirrored: Sequence[np.ndarray] | None = None

    @property
    def both_views(self) -> dict[str, Sequence[np.ndarray]]:
        """Arguments for `score_maps`: without mirrored maps, a flip changes nothing."""
        return {"maps": self.maps, "mirrored": self.mirrored or Turned(self.maps)}


class Turned(Sequence[np.ndarray]):
    """Depth maps with left and right exchanged."""

    def __init__(self, maps: Sequence[np.ndarray]):
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.maps[index][:, ::-1]


class DepthMaps(Sequence[np.ndarray]):
    """Depth maps (H, W) of one view of similarities (N, K, h, w), computed when they are read."""

    def __init__(
        self,
        similarities: Tensor,
        bins: Sequence[float],
        shape: tuple[int, int],
        temperature: float,
    ):
        self.similarities, self.how = similarities, (bins, shape, temperature)

    def __len__(self) -> int:
        return len(self.similarities)

    def __getitem__(self, index: int) -> np.ndarray:
        return depth_maps(self.similarities[index][None, None], *self.how)[0]


def systems_of(run: Run, metric: str) -> dict[str, Maps]:
    """Maps of DepthCLIP with both heads and both kinds of bins, and of what sees nothing, by name.

    Bins are the run's and those fitted on the train split, where the blind map by position and the
    constant that is best by the metric come from too. Maps show the network's window.
    """
    shape, found = run.frames[0].window.shape, {}
    heads, train = run.both_heads, run.train
    learn = {name: one.similarities(frames=train) for name, one in heads.items()}
    how = (run.temperature, run.protocol)
    fitted = fitting.fit_medians(train.ground_truths(), learn, *how)
    for kind in (f"{run.bins_name} bins", FITTED):
        for name, one in heads.items():
            bins = fitted[name] if kind == FITTED else run.bins
            views = one.similarities().unbind(1)
            found[f"{name}, {kind}"] = Maps(
                *(DepthMaps(view, bins, shape, run.temperature) for view in views)
            )
    n, truths = len(run.frames), train.ground_truths
    blind = [position.blind_maps(truths(), run.protocol)["position"]] * n
    metres = best_constants(truths(), run.protocol)[resolve_metric(metric).name]
    flat = [np.full(shape, metres, np.float32)] * n
    # What sees nothing predicts the same for a mirror image.
    return found | {BLIND: Maps(blind, blind), CONSTANT: Maps(flat, flat)}


@dataclass(frozen=True, eq=False)
class Compared:
    """Scores of systems on the same frames under the same protocols, both by name."""

    protocols: Mapping[str, Composition]
    scores: Mapping[str, Scores]

    @property
    def first(self) -> str:
        """The protocol that others are compared with."""
        return next(iter(self.protocols))

    def table(self, metric: str) -> pd.DataFrame:
        """The metric of each system (rows) under each protocol (columns)."""
        name = resolve_metric(metric).name
        rows = {system: s.table(self.protocols)[name] for system, s in self.scores.items()}
        return pd.DataFrame(rows).T

    def ranks(self, metric: str) -> pd.DataFrame:
        """The rank of each system under each protocol; 1 is best, equal scores share the best."""
        return (-METRICS[metric].sign * self.table(metric)).rank(method="min")

    def agreement(self, metric: str) -> pd.Series:
        """Kendall's tau-b of each protocol's order of systems with the first protocol's.

        1 for the same order, −1 for the reverse; NaN where all systems score the same.
        """
        table = self.table(metric)
        taus = {
            name: scipy.stats.kendalltau(table[self.first], table[name]).statistic
            for name in self.protocols
        }
        return pd.Series(taus, name="tau")

    def turns(self, metric: str, seed: int = 0) -> pd.DataFrame:
        """Pairs of systems whose order under a protocol is not that under the first protocol.

        Rows (protocol, system, other), where `system` is better under the first protocol. Columns
        first and then: system minus other under the first protocol and under this one; with low
        and high, 95 % bounds of a bootstrap by group, as `first low`, and a verdict, as `first
        verdict`. certain: whether both intervals exclude zero.
        """
        signed = METRICS[metric].sign * self.table(metric)
        rows = {}
        for name in list(self.protocols)[1:]:
            for pair in combinations(signed.index, 2):
                gap = signed.loc[pair[0]] - signed.loc[pair[1]]
                if gap[self.first] * gap[name] >= 0:
                    continue
                system, other = pair if gap[self.first] > 0 else pair[::-1]
                both = {
                    "first": self.difference(system, other, self.first, metric, seed),
                    "then": self.difference(system, other, name, metric, seed),
                }
                row = {
                    f"{when} {part}".removesuffix(" mean"): found[part]
                    for when, found in both.items()
                    for part in ("mean", "low", "high", "verdict")
                }
                row["certain"] = all(found["verdict"] in BOTH for found in both.values())
                rows[name, system, other] = row
        parts = [f"{w}{p}" for w in ("first", "then") for p in ("", " low", " high", " verdict")]
        index = pd.MultiIndex.from_tuples(rows, names=("protocol", "system", "other"))
        return pd.DataFrame(list(rows.values()), index, [*parts, "certain"])

    def difference(
        self, system: str, other: str, protocol: str, metric: str, seed: int = 0
    ) -> pd.Series:
        """A metric of a system minus another's on the same frames: mean, low, high and verdict.

        Means over images have the intervals of `statistics.compare`. Those over the pixels of all
        images have percentiles of a bootstrap that draws groups of images.
        """
        one, (a, b) = self.protocols[protocol], (self.scores[name] for name in (system, other))
        if one.average != "pixels":
            rows = [scores.rows(one)[[metric]] for scores in (a, b)]
            return compare(*rows, a.groups, seed).loc[metric, ["mean", "low", "high", "verdict"]]
        row = {"mean": a.mean(one)[metric] - b.mean(one)[metric], "low": np.nan, "high": np.nan}
        if len(set(map(str, a.groups))) >= FEWEST_GROUPS:
            times, ends = redraws(a.groups, seed=seed), ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
            drawn = a.drawn(one, metric, times) - b.drawn(one, metric, times)
            row["low"], row["high"] = np.nanquantile(drawn, ends)
        (verdict,) = verdicts(pd.DataFrame([row]), [METRICS[metric].sign])
        return pd.Series(row | {"verdict": verdict}, name=metric)

    def spread(self, metric: str) -> pd.DataFrame:
        """The lowest and the highest score of each system, and the protocols that give them."""
        table = self.table(metric)
        low = {"low": table.min(axis=1), "lowest under": table.idxmin(axis=1)}
        return pd.DataFrame(
            low | {"high": table.max(axis=1), "highest under": table.idxmax(axis=1)}
        )


def compare_systems(
    frames: Dataset,
    systems: Mapping[str, Maps],
    protocols: Mapping[str, Composition],
    *,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Compared:
    """Score every system under every protocol; `DepthClipError` without systems or protocols."""
    if not systems or not protocols:
        raise DepthClipError("give at least one system and one protocol to compare")
    scores = {
        name: score_maps(frames, protocols=protocols.values(), **one.both_views, progress=progress)
        for name, one in systems.items()
    }
    return Compared(dict(protocols), scores)


def saved_maps(
    path: str, frames: Dataset, mirrored: str = "", divisor: float = MILLIMETRES
) -> dict[str, Maps]:
    """Another system's saved maps of the frames, by name; empty without a path.

    path, mirrored: where the maps and those of the mirror images lie; see `report.maps_of`.
    """
    if not path:
        return {}
    opened = maps_of(frames, path, divisor=divisor)
    other = maps_of(frames, mirrored, divisor=divisor) if mirrored else None
    return {f"saved: {printable(opened.path.stem)}": Maps(opened, other)}


def hidden_protocol(frames: Dataset, system: Maps, seed: int) -> Composition:
    """One of the compositions that `explain` tries for a system's maps, chosen at random."""
    tried = space_of(frames, system.maps, system.mirrored is not None)
    return tried[np.random.default_rng(seed).integers(len(tried))]


def hidden_sentence(found: Explanation, hidden: Composition) -> str:
    """What the hidden protocol was, and whether the search found it."""
    name, changes = nearest_name(hidden, found.named)
    but = f", with {in_switches(changes)}" if changes else ""
    met = set(found.found.loc[found.found["met"], "composition"])
    which = "one of those" if hidden in met else "none of those"
    return f"The hidden protocol was {name}{but}; it is {which} that match."


def printed_numbers(
    frames: Dataset, system: Maps, protocol: Composition, metrics: Sequence[str], digits: int = 3
) -> str:
    """A system's scores as a paper prints them: text for `search.read_reported`."""
    scores = score_maps(frames, protocols=[protocol], **system.both_views)
    means = scores.mean(protocol)
    return ",".join(f"{name}={means[name]:.{digits}f}" for name in metrics)
