"""Why two protocols give one set of maps different numbers: the gap, split switch by switch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.rescoring.scores import Scores

MOST = 10  # switches that may differ: 2^10 compositions


@dataclass(frozen=True)
class Gap:
    """Two compositions and all that lie between them: each subset of the switches that differ.

    between: compositions by the switches that are already at `after`'s option.
    """

    before: Composition
    after: Composition
    between: Mapping[frozenset[str], Composition]

    @property
    def switches(self) -> list[str]:
        """The switches that differ, in `Composition`'s order."""
        return list(self.before.changes(self.after))


def gap(before: Composition, after: Composition) -> Gap:
    """All compositions between two; `DepthClipError` if too many switches differ."""
    changes = before.changes(after)
    if len(changes) > MOST:
        fault = f"{len(changes)} switches differ: {', '.join(changes)}"
        raise DepthClipError(f"{fault}; a gap of at most {MOST} can be split")
    between = {
        frozenset(some): replace(before, **{switch: changes[switch][1] for switch in some})
        for size in range(len(changes) + 1)
        for some in combinations(changes, size)
    }
    return Gap(before, after, between)


def shares(scores: Scores, between: Gap, metric: str) -> pd.DataFrame:
    """What each switch contributes to the gap of a metric: a row per switch, largest first.

    before, after: the switch's options. share: its Shapley value, the mean of its effect over all
    orders in which the switches can be set, exact; shares add up to the gap. alone: its effect if
    it is set first; last: if it is set last. Where these differ the switches interact. least and
    most: of its effects after all subsets of the others.
    Source: Shapley 1953, with the metric as the value of a set of switches.
    """
    switches, n = between.switches, len(between.switches)
    value = {some: scores.mean(one)[metric] for some, one in between.between.items()}
    rows = {}
    for switch in switches:
        others = [some for some in value if switch not in some]
        effects = np.array([value[some | {switch}] - value[some] for some in others])
        weights = [math.factorial(len(s)) * math.factorial(n - len(s) - 1) for s in others]
        rows[switch] = {
            "before": getattr(between.before, switch),
            "after": getattr(between.after, switch),
            "share": float(effects @ weights) / math.factorial(n),
            "alone": effects[0],  # after no other switch
            "last": effects[-1],  # after all others
            "least": effects.min(),
            "most": effects.max(),
        }
    columns = ["before", "after", "share", "alone", "last", "least", "most"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("switch")
    return table.sort_values("share", key=lambda share: -share.abs(), kind="stable")


def interaction(scores: Scores, between: Gap, metric: str) -> float:
    """What no switch contributes alone: the gap minus the effects of each switch set first."""
    first, last = scores.mean(between.before)[metric], scores.mean(between.after)[metric]
    return float(last - first - shares(scores, between, metric)["alone"].sum())
