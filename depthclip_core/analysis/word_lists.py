"""Lists of seven words on one run: with the given bins, with even ones, and with bins of their own.

With given bins a list scores well if its words stand for these metres. With bins that are fitted to
each list on the train split only this is left: do its words tell depths apart at all? The order of
a list is tested by giving its words the same bins in all 5,040 orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis.control_words import even_bins, orders
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import (
    FEWEST_GROUPS,
    LEVEL,
    compare,
    in_words,
    intervals,
    redraws,
    verdicts,
)
from depthclip_core.errors import unknown_name
from depthclip_core.evaluation.baselines import best_constants
from depthclip_core.evaluation.fitting import fit_medians
from depthclip_core.evaluation.quadratic import error_forms
from depthclip_core.evaluation.sweep import Sweep, sweep
from depthclip_core.settings import PROMPTS, PUBLISHED_METRICS

KINDS = ("given", "even", "fitted")  # of bins
CHANGE = "fitted minus given"
OVER_CONSTANT = "minus the best constant"
SAID = {
    "better": "so the metres of the bins matter, not only the order of the words",
    "worse": "so bins of their own set the lists further apart",
    "no telling": "so these images cannot tell whether metres matter beside the order",
    "too few groups": "so there are too few rooms to tell whether metres matter beside the order",
}


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of K words on a run's split of B images.

    words: by name. similarities: (B, V, K, h, w) of each list. bins: of each list, K metres for
    each of KINDS. scores: of each list with these. constant: metrics of each image (B rows) if
    every pixel of every image has one depth, the best for the metric on the train split.
    """

    run: Run
    words: Mapping[str, Sequence[str]]
    similarities: Mapping[str, Tensor]
    bins: Mapping[str, Mapping[str, Sequence[float]]]
    scores: Mapping[str, Sweep]
    constant: pd.DataFrame

    @property
    def fitted(self) -> dict[str, Sequence[float]]:
        """The bins of each list that are fitted to it on the train split."""
        return {name: bins["fitted"] for name, bins in self.bins.items()}

    def rows(self, name: str, kind: str) -> pd.DataFrame:
        """PUBLISHED_METRICS of each image with a list and one of KINDS of bins."""
        if name not in self.scores:
            raise unknown_name("words", name, list(self.scores))
        return self.scores[name].rows(bins=kind)[list(PUBLISHED_METRICS)]

    def means(self, kind: str) -> pd.DataFrame:
        """Mean metrics of each list (rows), over images with valid pixels."""
        rows = {name: self.rows(name, kind).mean() for name in self.scores}
        return pd.DataFrame(rows).T.rename_axis("words")

    def spread(self, metric: str, kinds: Sequence[str] = ("given", "fitted")) -> pd.DataFrame:
        """`intervals` of a metric: rows (list, kind of bins)."""
        groups = self.run.frames.groups
        parts = {
            (name, kind): intervals(self.rows(name, kind)[[metric]], groups).loc[metric]
            for name in self.scores
            for kind in kinds
        }
        return pd.DataFrame(parts).T.rename_axis(["words", "bins"])

    def against(self, name: str, kind: str, metrics: Sequence[str]) -> pd.DataFrame:
        """`compare` of the paper's other lists with one of its lists: rows (list, metric)."""
        metrics, groups = list(metrics), self.run.frames.groups
        first = self.rows(name, kind)[metrics]
        others = [other for other in PROMPTS if other != name]
        parts = {other: compare(self.rows(other, kind)[metrics], first, groups) for other in others}
        return pd.concat(parts, names=[f"list, minus {name}", "metric"])

    def gaps(self, name: str, others: Sequence[str], metric: str = "delta1") -> pd.DataFrame:
        """With fitted bins: a list and others minus the best constant, and minus the list.

        Rows: the lists, `name` first. Columns (reference, …), with `compare`: of the constant mean
        and verdict; of the list mean, low, high and verdict, NaN in its own row.
        """
        groups, parts = self.run.frames.groups, {OVER_CONSTANT: {}, f"minus {name}": {}}
        references = (self.constant[[metric]], self.rows(name, "fitted")[[metric]])
        for other in dict.fromkeys([name, *others]):
            rows = self.rows(other, "fitted")[[metric]]
            for part, reference in zip(parts.values(), references, strict=True):
                part[other] = compare(rows, reference, groups).loc[metric]
        tables = {key: pd.DataFrame(part).T.infer_objects() for key, part in parts.items()}
        tables[OVER_CONSTANT] = tables[OVER_CONSTANT][["mean", "verdict"]]
        own = tables[f"minus {name}"][["mean", "low", "high", "verdict"]]
        tables[f"minus {name}"] = own.drop(index=name).reindex(own.index)
        return pd.concat(tables, axis=1).rename_axis("fitted bins")

    def order_rmse(self, names: Sequence[str]) -> pd.DataFrame:
        """Rmse in metres with the same bins in all orders: rows (list, bins).

        bins: those given and, so that only the order of the list decides, those fitted to the list
        in ascending order. Columns: as listed; best, 5 %, median, 95 % and worst of all orders; as
        good, the share of all orders whose rmse is no higher than that of the listed one.
        """
        truths, setting = list(self.run.frames.ground_truths()), _setting(self.run)
        rows = {}
        for name in names:
            forms = error_forms(truths, self.similarities[name], *setting)
            bins = {"given": self.bins[name]["given"]}
            bins["fitted, ascending"] = sorted(self.bins[name]["fitted"])
            for kind, depths in bins.items():
                rmse = forms.rmse(orders(depths))
                ends = np.quantile(rmse, [0, 0.05, 0.5, 0.95, 1])
                good = (rmse <= rmse[0] + 1e-9).mean()
                rows[name, kind] = [rmse[0], *ends, good]
        columns = ["as listed", "best", "5 %", "median", "95 %", "worst", "as good"]
        index = pd.MultiIndex.from_tuples(rows, names=["words", "bins"])
        return pd.DataFrame(list(rows.values()), index, columns)


def score_lists(run: Run, words: Mapping[str, Sequence[str]]) -> Lists:
    """Score lists of as many words as the run has bins, with all KINDS of bins."""
    frames, train, setting = run.frames, run.train, _setting(run)
    own = {name: run.similarities(each) for name, each in words.items()}
    learn = {name: run.similarities(each, train) for name, each in words.items()}
    fitted = fit_medians(train.ground_truths(), learn, *setting)
    shared = {"given": run.bins, "even": even_bins(len(run.bins))}
    bins = {name: shared | {"fitted": fitted[name]} for name in words}
    truths, lists = list(frames.ground_truths()), ([run.temperature], [run.protocol])
    scores = {name: sweep(truths, own[name], bins[name], *lists) for name in words}
    best = best_constants(train.ground_truths(), run.protocol)[list(PUBLISHED_METRICS)]
    # Equal bins give one depth, whatever the weights.
    flat = {metric: [depth] * len(run.bins) for metric, depth in best.items()}
    found = sweep(truths, next(iter(own.values())), flat, *lists)
    constant = pd.DataFrame({metric: found.rows(bins=metric)[metric] for metric in flat})
    return Lists(run, dict(words), own, bins, scores, constant)


def spans(
    lists: Lists, metric: str = "delta1", names: Sequence[str] = tuple(PROMPTS)
) -> pd.DataFrame:
    """How far some lists are apart, largest mean minus smallest, and what fitted bins change.

    Rows: given, fitted, and CHANGE, which has a 95 % percentile interval: all lists are scored on
    the same rooms, drawn again, and both spans taken anew. Columns mean, low, high, verdict:
    "better" if the lists are closer with bins of their own; see `statistics.verdicts`. Bounds are
    NaN for too few rooms, and for the spans themselves, which are never negative.
    """
    groups = np.array(lists.run.frames.groups, dtype=str)
    each = {k: np.column_stack([lists.rows(n, k)[metric] for n in names]) for k in KINDS}
    values = np.stack([each["given"], each["fitted"]])  # (2, B, lists)
    known = np.isfinite(values).all(axis=(0, 2))
    values, times = values[:, known], redraws(groups[known])
    span = np.ptp(values.mean(axis=1), axis=1) if known.any() else np.full(2, np.nan)
    ends = [np.nan, np.nan]
    if len(np.unique(groups[known])) >= FEWEST_GROUPS:
        drawn = np.einsum("db,kbl->kdl", times, values) / times.sum(axis=1)[:, None]
        change = np.ptp(drawn[1], axis=1) - np.ptp(drawn[0], axis=1)
        ends = np.quantile(change, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    rows = [[span[0], np.nan, np.nan], [span[1], np.nan, np.nan], [span[1] - span[0], *ends]]
    table = pd.DataFrame(rows, ["given", "fitted", CHANGE], ["mean", "low", "high"])
    verdict = ["", "", *verdicts(table.loc[[CHANGE]], [-1])]
    return table.assign(verdict=verdict).rename_axis("span of the lists")


def said_of_spans(name: str, table: pd.DataFrame) -> str:
    """What `spans` of δ1 say of a system and the claim that only relative distance matters."""
    change, (given, fitted) = table.loc[CHANGE], table["mean"].iloc[:2]
    return (
        f"{name}: the paper's four lists span {given:.3f} of δ1 with the same bins and {fitted:.3f}"
        f" with bins of their own. The change is {in_words(change, signed=True)},"
        f" {SAID[change['verdict']]}."
    )


def said_of_controls(name: str, gaps: pd.DataFrame, controls: Sequence[str]) -> str:
    """How many controls are worse than the list of `Lists.gaps`, and better than the constant."""
    own = gaps.columns.get_level_values(0)[-1]
    rows = gaps.loc[list(controls)]
    worse = rows[own, "verdict"].eq("worse").sum()
    seen = rows[OVER_CONSTANT, "verdict"].eq("better").sum()
    return (
        f"{name}: with bins of their own, {worse} of {len(rows)} control lists are worse than"
        f" {own.removeprefix('minus ')}, and {seen} are better than the best constant."
    )


def _setting(run: Run) -> tuple:
    return run.temperature, run.protocol
