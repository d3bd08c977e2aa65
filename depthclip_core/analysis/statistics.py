"""Uncertainty of means over images that are not independent: intervals and tests by group.

Frames of one room are alike, so what is drawn again or permuted is groups (rooms, drives), each
with all of its images. A mean is over images, as the protocol's. With few groups some questions
have no answer at any level; then bounds are NaN and the smallest p that is possible is said.
Where the group of an image is not known (None) there is no interval: taking images one by one would
make it too narrow by an unknown factor.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import METRICS

DRAWS, LEVEL = 2000, 0.95
# With five groups the smallest two-sided p of a sign test is 2 / 2⁵ > 0.05.
FEWEST_GROUPS = 6
METHODS = ("bca", "percentile")
TOO_FEW, UNKNOWN = "too few groups", "rooms unknown"  # why there is no interval


def intervals(
    rows: pd.DataFrame,
    groups: Sequence,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: str = "bca",
    seed: int = 0,
) -> pd.DataFrame:
    """Bootstrap intervals of column means over images: a row per column, with mean, low and high.

    rows: numbers, a row for each image, as from `Sweep.rows`; images with a NaN are left out. Give
    differences of two systems' rows to ask whether one is better on the same images. groups: of
    each image; as many groups are drawn as there are, with replacement. method: "percentile", or
    "bca", which corrects bias and skewness (Efron 1987). Also columns images and groups; bounds are
    NaN for fewer than FEWEST_GROUPS groups, and groups is 0 if one of them is None.
    """
    if method not in METHODS:
        raise DepthClipError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    values, place = _scored(rows, groups)
    sums, sizes = _group_sums(values, place)
    total, n_groups = sums.sum(0), len(sizes)
    mean = total / sizes.sum() if n_groups else np.full(rows.shape[1], np.nan)
    n_groups = 0 if _unknown(groups) else n_groups
    bounds = np.full((2, rows.shape[1]), np.nan)
    if n_groups >= FEWEST_GROUPS:
        times = _times(n_groups, draws, seed)
        drawn = (times @ sums) / (times @ sizes)[:, None]
        levels = np.repeat([[(1 - level) / 2], [(1 + level) / 2]], rows.shape[1], axis=1)
        if method == "bca":
            without_one = (total - sums) / (sizes.sum() - sizes)[:, None]
            levels = _bca_levels(levels, drawn, mean, without_one)
        bounds = np.array(
            [[np.quantile(d, at) for d, at in zip(drawn.T, end, strict=True)] for end in levels]
        )
    columns = {"mean": mean, "low": bounds[0], "high": bounds[1]}
    return pd.DataFrame(columns, rows.columns).assign(images=len(values), groups=n_groups)


def compare(
    rows: pd.DataFrame, reference: pd.DataFrame, groups: Sequence, seed: int = 0
) -> pd.DataFrame:
    """`intervals` of the rows minus a reference's on the same images, and a verdict per metric.

    verdict: "better" or "worse" than the reference if the interval excludes zero, "no telling" if
    it does not, "too few groups" or "rooms unknown" if there is none.
    """
    table = intervals(rows - reference, groups, seed=seed)
    signs = [METRICS[metric].sign for metric in table.index]
    return table.assign(verdict=verdicts(table, signs))


def verdicts(table: pd.DataFrame, signs: Sequence[int]) -> np.ndarray:
    """In words what the bounds of each row, low and high, say; see `compare`.

    signs: 1 where larger is better, −1 where smaller is.
    """
    ends = table[["low", "high"]].mul(signs, axis=0)
    cases = [ends.isna().any(axis=1), ends.min(axis=1) > 0, ends.max(axis=1) < 0]
    found = np.select(cases, [TOO_FEW, "better", "worse"], "no telling").astype(object)
    found[[_no_bounds(row) == UNKNOWN for _, row in table.iterrows()]] = UNKNOWN
    return found


def confirmed(verdicts: Sequence[str], p: Sequence[float], level: float = LEVEL) -> np.ndarray:
    """Verdicts of intervals, "no telling" where a p does not confirm "better" or "worse".

    A bootstrap of many groups of which few change makes an interval too narrow; `sign_flip_test`
    does not. p: of each verdict, corrected if there are several; NaN confirms nothing.
    """
    found = np.asarray(verdicts, dtype=object)
    unsure = np.isin(found, ["better", "worse"]) & ~(np.asarray(p, dtype=float) <= 1 - level)
    return np.where(unsure, "no telling", found)


def in_words(
    row: pd.Series,
    digits: int = 3,
    signed: bool = False,
    *,
    of: str = "mean",
    missing: str | None = None,
) -> str:
    """A row of `intervals` for a sentence: "0.631 (95 % interval 0.512 to 0.744)".

    signed: write "+" before positive numbers, as for differences. A row of `compare` adds its
    verdict after the bounds. of: the name of the number. missing: why there may be no
    bounds, if groups are not the reason.
    """
    mean, low, high = (f"{row[name]:{'+' * signed}.{digits}f}" for name in (of, "low", "high"))
    if np.isnan(row[of]):
        return "not defined"
    if np.isnan(row["low"]):
        return f"{mean} (no interval: {missing or _no_bounds(row)})"
    verdict = f": {row['verdict']}" if "verdict" in row else ""
    return f"{mean} (95 % interval {low} to {high}{verdict})"


def each_in_words(table: pd.DataFrame, *how, **options) -> str:
    """`in_words` of each row of a table after its name: "a 0.6 (95 % …); b 0.7 (95 % …)"."""
    rows = table.iterrows()
    return "; ".join(f"{name} {in_words(row, *how, **options)}" for name, row in rows)


def redraws(groups: Sequence, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """How often each image is drawn, float64 (draws, N), if groups are drawn with replacement."""
    names, place = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return _times(len(names), draws, seed)[:, place]


def sign_flip_test(
    differences: Sequence[float], groups: Sequence, *, draws: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p of a paired test that the mean difference over images is zero.

    Under the null a group's differences might as well have the other sign, all together. All 2ⁿ
    signs of n groups are tried if they are at most `draws`, so that p is exact; else random ones.
    Images with NaN are left out; NaN without groups, and if one of them is None.
    """
    if _unknown(groups):
        return np.nan
    rows = pd.DataFrame({"difference": np.asarray(differences, dtype=float)})
    sums, _ = _group_sums(*_scored(rows, groups))
    sums = sums[:, 0]
    if not len(sums):
        return np.nan
    if exact := len(sums) < 63 and 2 ** len(sums) <= draws:
        signs = np.array(list(product([1, -1], repeat=len(sums))))
    else:
        signs = np.random.default_rng(seed).choice([1, -1], (draws, len(sums)))
    return _p(np.abs(signs @ sums), abs(sums.sum()), exact)


def label_test(
    statistic: Callable[[np.ndarray], float],
    labels: Sequence,
    groups: Sequence,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> float:
    """p of a statistic that is large if the images' labels matter, by permuting labels of groups.

    statistic: of the labels (N,) of the images in their order. labels: one for all images of a
    group, else `DepthClipError`. All deals of two labels are tried if they are at most `draws`.
    """
    labels = np.asarray(labels)
    observed = statistic(labels)
    deals, exact = _deals(labels, groups, draws, seed)
    return _p(np.array([statistic(dealt) for dealt in deals]), observed, exact)


def holm(p: pd.Series) -> pd.Series:
    """p values corrected for their number by Holm's method; NaN stays, and does not count."""
    order = p.dropna().sort_values(kind="stable")
    times = np.arange(len(order), 0, -1)
    corrected = np.minimum(np.maximum.accumulate(order.to_numpy() * times), 1)
    return pd.Series(corrected, order.index, name=p.name).reindex(p.index)


def partial_rank_correlation(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    """Spearman's correlation of x and y (n,) that is left when `given` (n,) is known.

    The correlation of the residuals of their ranks on the ranks of `given`. NaN if one of the
    three does not vary, or `given` determines x or y.
    """
    ranks = scipy.stats.rankdata(np.stack([x, y, given]), axis=1)
    if (ranks == ranks[:, :1]).all(axis=1).any():
        return np.nan
    (_, xy, xz), (_, _, yz), _ = np.corrcoef(ranks)
    left = (1 - xz**2) * (1 - yz**2)
    return float((xy - xz * yz) / math.sqrt(left)) if left > 1e-12 else np.nan


def _unknown(groups: Sequence) -> bool:
    """Whether the group of an image is not known."""
    return any(group is None for group in groups)


def _no_bounds(row: pd.Series) -> str:
    """Why a row of `intervals` without bounds has none."""
    return UNKNOWN if row.get("groups") == 0 and row.get("images", 0) > 0 else TOO_FEW


def _scored(rows: pd.DataFrame, groups: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """The images without NaN, float64 (n, M), and the number of the group of each."""
    if len(groups) != len(rows):
        raise DepthClipError(f"{len(groups)} groups for {len(rows)} images: give one for each")
    values = rows.to_numpy(dtype=float)
    scored = ~np.isnan(values).any(axis=1)
    names = np.asarray(groups, dtype=str)[scored]
    return values[scored], np.unique(names, return_inverse=True)[1]


def _group_sums(values: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the groups' rows (G, M), and their sizes (G,)."""
    sizes = np.bincount(place).astype(float)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, place, values)
    return sums, sizes


def _times(n_groups: int, draws: int, seed: int) -> np.ndarray:
    if not n_groups:
        return np.zeros((draws, 0))
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), draws).astype(float)


def _bca_levels(
    levels: np.ndarray, drawn: np.ndarray, mean: np.ndarray, without_one: np.ndarray
) -> np.ndarray:
    """Levels (2, M) moved for the bias and acceleration of each column.

    drawn: (draws, M). without_one: (G, M), the means without each group. A column that hardly
    varies keeps its levels.
    """
    normal = scipy.stats.norm
    below = (drawn < mean).mean(0) + (drawn == mean).mean(0) / 2
    bias = normal.ppf(np.clip(below, 1 / (2 * len(drawn)), 1 - 1 / (2 * len(drawn))))
    away = without_one.mean(0) - without_one
    spread = (away**2).sum(0)
    varies = spread > (1e-12 * np.abs(mean)) ** 2
    skew = (away**3).sum(0) / np.where(varies, 6 * spread**1.5, 1)
    shifted = bias + normal.ppf(levels)
    return np.where(varies, normal.cdf(bias + shifted / (1 - skew * shifted)), levels)


def _deals(
    labels: np.ndarray, groups: Sequence, draws: int, seed: int
) -> tuple[Iterator[np.ndarray], bool]:
    """Labels of the images with those of the groups dealt again, and whether these are all."""
    names, first, place = np.unique(
        np.asarray(groups, dtype=str), return_index=True, return_inverse=True
    )
    if len(place) != len(labels):
        raise DepthClipError(f"{len(place)} groups for {len(labels)} labels: give one for each")
    of_group = labels[first]
    if (of_group[place] != labels).any():
        mixed = names[place[(of_group[place] != labels).argmax()]]
        raise DepthClipError(
            f"group {str(mixed)!r} has images of two labels: it cannot be permuted"
        )
    kinds, counts = np.unique(of_group, return_counts=True)
    if len(kinds) == 2 and math.comb(len(names), counts[0]) <= draws:
        chosen = (list(some) for some in combinations(range(len(names)), counts[0]))
        first_kind = (np.isin(np.arange(len(names)), some) for some in chosen)
        return (np.where(mask, *kinds)[place] for mask in first_kind), True
    rng = np.random.default_rng(seed)
    return (rng.permutation(of_group)[place] for _ in range(draws)), False


def _p(permuted: np.ndarray, observed: float, exact: bool) -> float:
    """Share of permuted statistics that reach the observed one, up to rounding."""
    reached = (permuted >= observed - 1e-9 * max(1.0, abs(observed))).sum()
    return float(reached / len(permuted) if exact else (reached + 1) / (len(permuted) + 1))
