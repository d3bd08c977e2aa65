"""What bins learnt for a scene type gain over others: tables of a `scene_bins.Study`."""

from collections.abc import Sequence

import pandas as pd

from depthclip_core.analysis.scene_bins import FIXED, ORACLE, TYPE_ORACLE, Study, System
from depthclip_core.analysis.statistics import compare, confirmed, holm, sign_flip_test


def steps(
    found: Study, chain: Sequence[tuple[str, System]], metric: str, groups: Sequence, seed: int = 0
) -> pd.DataFrame:
    """What each system of a chain changes over the one before it, on the same images.

    chain: a label and a system each. Columns: level, the mean of the metric; mean, low and high of
    the change (`statistics.compare`); holm, the p of `sign_flip_test` corrected for the number of
    changes; and the verdict, `confirmed` by it. The first row has no change.
    """
    levels, before = [], None
    for label, system in chain:
        own = found.of(system, [metric])
        level = {"system": label, "level": own[metric].mean()}
        if before is not None:
            level |= compare(own, before, groups, seed=seed).loc[metric].to_dict()
            level["p"] = sign_flip_test((own - before)[metric], groups, seed=seed)
        levels.append(level)
        before = own
    columns = ["system", "level", "mean", "low", "high", "verdict", "p"]
    rows = pd.DataFrame(levels, columns=columns).set_index("system").fillna({"verdict": ""})
    return _confirmed(rows).drop(columns="p")


def chain_of(name: str) -> list[tuple[str, System]]:
    """The ladder of systems from fixed bins to each image's own, with bins of one kind between."""
    return [
        ("fixed bins", FIXED),
        ("learned for all", (name, "all")),
        ("by predicted scene", (name, "predicted")),
        ("by true scene", (name, "true")),
        ("best of each type", TYPE_ORACLE),
        ("best of each image", ORACLE),
    ]


def against_all(found: Study, metric: str, groups: Sequence, seed: int = 0) -> pd.DataFrame:
    """Each system minus one set for all of the same kind of bins; for "continuous", that of
    "least-squares". Rows (bins, choice); columns as in `steps`, and p, not corrected."""
    table = {}
    for name, choice in found.strengths.index:
        base = ("least-squares" if name == "continuous" else name, "all")
        own = found.of((name, choice), [metric])
        shared = found.of(base, [metric])
        change = compare(own, shared, groups, seed=seed).loc[metric].to_dict()
        p = sign_flip_test((own - shared)[metric], groups, seed=seed)
        table[name, choice] = {"level": own[metric].mean()} | change | {"p": p}
    columns = ["level", "mean", "low", "high", "verdict", "p"]
    rows = pd.DataFrame.from_dict(table, orient="index")[columns].rename_axis(["bins", "choice"])
    return _confirmed(rows)


def _confirmed(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with holm, the corrected p, and verdicts that it confirms."""
    corrected = holm(rows["p"])
    return rows.assign(holm=corrected, verdict=confirmed(rows["verdict"], corrected))
