"""Tables of dense heads: means, differences and p by system, and the cloud of random heads.

Rows are those of `dense_heads.Yardstick`: a row (system, bins, frame) with a column per measure.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from depthclip_core.analysis.dense_heads import FITTED, MEASURES, ORDER
from depthclip_core.analysis.statistics import holm, intervals, sign_flip_test, verdicts
from depthclip_core.evaluation.metrics import METRICS


def sign(measure: str) -> int:
    """1 if a larger value of the measure is better, else −1."""
    return 1 if measure in ORDER else METRICS[measure].sign


def summary(rows: pd.DataFrame, groups: Sequence, measures=MEASURES, seed: int = 0) -> pd.DataFrame:
    """Means of each system over frames with 95 % intervals by group: rows (system, bins, measure).

    rows: as from `Yardstick.rows`. groups: of the frames. Columns mean, low, high, images, groups.
    """
    return _by_system(rows, lambda each: intervals(each[list(measures)], groups, seed=seed))


def differences(
    rows: pd.DataFrame,
    reference: pd.DataFrame,
    groups: Sequence,
    measures: Sequence[str] = MEASURES,
    seed: int = 0,
) -> pd.DataFrame:
    """`summary` of each system minus a reference on the same frames, with a verdict.

    reference: a row per frame, in the rows' order; or rows of the same systems, one for each.
    verdict: as of `statistics.compare`.
    """
    columns, signs = list(measures), [sign(measure) for measure in measures]
    own = dict(_systems(reference)) if isinstance(reference.index, pd.MultiIndex) else {}
    parts = {}
    for key, each in _systems(rows):
        gap = each[columns] - own.get(key, reference)[columns].to_numpy()
        table = intervals(gap, groups, seed=seed)
        parts[key] = table.assign(verdict=verdicts(table, signs))
    return pd.concat(parts, names=["system", "bins", "measure"])


def one_system(table: pd.DataFrame, system: str, bins: str = FITTED) -> pd.DataFrame:
    """The rows of one system under one kind of bins, of rows or of a table by system."""
    return table.xs((system, bins), level=("system", "bins"))


def mean_head(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean over all systems as one more system, "mean of heads"; rows as `Yardstick.rows`."""
    mean = pd.concat({"mean of heads": cloud_mean(rows)}, names=["system"])
    return mean[list(rows.columns)]


def paired_p(
    rows: pd.DataFrame, reference: pd.DataFrame, groups: Sequence, measure: str, seed: int = 0
) -> pd.DataFrame:
    """p that a measure's mean difference from a reference is zero, of each (system, bins).

    reference: a row per frame. Columns p, from `statistics.sign_flip_test`, and p_holm, corrected
    for the number of systems whose p is known. A system that is the reference has no p.
    """
    found = {}
    for key, each in _systems(rows):
        gap = each[measure].to_numpy() - reference[measure].to_numpy()
        found[key] = sign_flip_test(gap, groups, seed=seed) if np.nan_to_num(gap).any() else np.nan
    p = pd.Series(found, name="p").rename_axis(["system", "bins"])
    return pd.DataFrame({"p": p, "p_holm": holm(p)})


def cloud_mean(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean over systems of each frame and bins: rows (bins, frame)."""
    return rows.groupby(["bins", "frame"], sort=False).mean()


def cloud_quantiles(rows: pd.DataFrame, at: Sequence[float] = (0.05, 0.5, 0.95)) -> pd.DataFrame:
    """Quantiles of the systems' means over frames: rows (bins, measure), columns "5 %" …"""
    means = rows.groupby(["system", "bins"], sort=False).mean()
    table = means.groupby("bins", sort=False).quantile(list(at)).stack().unstack(1)
    table.columns = [f"{level:.0%}".replace("%", " %") for level in at]
    return table.rename_axis(["bins", "measure"])


def distances(rows: pd.DataFrame, cloud: pd.DataFrame) -> pd.DataFrame:
    """Each system's distance from the cloud's mean, in its standard deviations; positive is better.

    rows, cloud: as from `Yardstick.rows`. A row for each (system, bins), a column per measure.
    """
    means = rows.groupby(["system", "bins"], sort=False).mean()
    of_cloud = cloud.groupby(["system", "bins"], sort=False).mean().groupby("bins", sort=False)
    kinds = means.index.get_level_values("bins")
    middle, spread = (t.loc[kinds].set_axis(means.index) for t in (of_cloud.mean(), of_cloud.std()))
    return (means - middle) / spread * [sign(measure) for measure in means.columns]


def _systems(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for key, each in rows.groupby(["system", "bins"], sort=False):
        yield key, each.droplevel(["system", "bins"])


def _by_system(rows: pd.DataFrame, table: Callable) -> pd.DataFrame:
    parts = {key: table(each) for key, each in _systems(rows)}
    return pd.concat(parts, names=["system", "bins", "measure"])
