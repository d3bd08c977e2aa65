"""Errors of order: of two points of an image, which is nearer? A question that needs no metres."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from depthclip_core.analysis import statistics
from depthclip_core.analysis.compared_maps import (
    BLIND,
    compared,
    given_and_fitted,
    maps_by_frame,
    predicted_depths,
    unaligned,
)
from depthclip_core.analysis.position import blind_scores
from depthclip_core.analysis.setup import Run
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.protocols import Protocol, protocol_for
from depthclip_core.evaluation.sweep import sweep

THRESHOLD = 1.05  # two depths whose ratio is within it are equally far
N_PAIRS = 2000  # of each image


def ordinal_errors(
    frames: Sequence[Frame],
    systems: Mapping[str, Iterable[np.ndarray]],
    protocol: str | Protocol = "released",
    thresholds: Sequence[float] = (THRESHOLD,),
    n_pairs: int = N_PAIRS,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of pixel pairs whose order is wrong, a row per frame; columns (threshold, system).

    Of two random pixels of an image the first is nearer, farther or, if their depths' ratio is
    within the threshold, as far as the second; so in the truth and in the prediction (WHDR with
    equal weights: Bell et al., SIGGRAPH 2014; for depth Chen et al., NeurIPS 2016). All systems and
    thresholds have the same pairs. NaN for an image without valid pixels. systems: as in
    `failures.collect_errors`.
    """
    if any(threshold <= 1 for threshold in thresholds) or not len(thresholds):
        raise DepthClipError(f"thresholds are ratios above 1, got {list(thresholds)}")
    if n_pairs < 1:
        raise DepthClipError(f"an image needs one pair or more, got {n_pairs}")
    frames, protocol = as_dataset(frames), unaligned(protocol_for(frames, protocol))
    rows = []
    for position, maps in enumerate(maps_by_frame(frames, systems)):
        known = pixels.counted(frames.ground_truth(position), protocol)
        if not known.n_valid:
            rows.append([np.nan] * (len(thresholds) * len(systems)))
            continue
        rng = np.random.default_rng([seed, position])
        pairs = rng.integers(known.n_valid, size=(2, n_pairs))
        truth = known.values.astype(np.float64)[pairs]
        found = [predicted_depths(each, known, protocol)[pairs] for each in maps]
        rows.append([(order(p, t) != order(truth, t)).mean() for t in thresholds for p in found])
    columns = [list(thresholds), list(systems)]
    columns = pd.MultiIndex.from_product(columns, names=["threshold", "system"])
    return pd.DataFrame(rows, frames.names, columns)


def order(pairs: np.ndarray, threshold: float) -> np.ndarray:
    """−1 where the first of two depths is nearer, 1 where it is farther, 0 where they are equal.

    pairs: (2, n) positive depths. They are equal if the larger is at most `threshold` times the
    smaller.
    """
    first, second = pairs
    return np.where(first > threshold * second, 1, np.where(second > threshold * first, -1, 0))


def order_table(errors: pd.DataFrame, groups: Sequence, seed: int = 0) -> pd.DataFrame:
    """Means of `ordinal_errors` beside BLIND: a row (threshold, system).

    Columns: error; mean, low and high, of the paired difference from BLIND, by group; verdict.
    BLIND's own rows have its error alone.
    """
    parts = {}
    for threshold in errors.columns.get_level_values(0).unique():
        own = errors[threshold]
        others = own.drop(columns=BLIND).sub(own[BLIND], axis=0)
        table = statistics.intervals(others, groups, seed=seed)[["mean", "low", "high"]]
        table = table.assign(verdict=statistics.verdicts(table, [-1] * len(table)))
        table = table.reindex(own.columns).fillna({"verdict": "–"})
        table.insert(0, "error", own.mean())
        parts[threshold] = table
    return pd.concat(parts, names=["threshold", "system"])


def metres_and_order(
    run: Run,
    blind: np.ndarray,
    threshold: float = THRESHOLD,
    n_pairs: int = N_PAIRS,
    seed: int = 0,
) -> pd.DataFrame:
    """Means of abs_rel and of the ordinal error of a run's systems, with intervals by group.

    Rows: the systems of `compared_maps.given_and_fitted`, and BLIND, a map (416, 544) in metres.
    Columns: (measure, mean or low or high), the measures abs_rel and "wrong order".
    """
    similarities, bins = run.similarities(), given_and_fitted(run)
    how, truths = (run.temperature, run.protocol), run.frames.ground_truths
    found = sweep(truths(), similarities, bins, *([each] for each in how), metrics=["abs_rel"])
    metres = {name: found.rows(bins=name)["abs_rel"].to_numpy() for name in bins}
    metres[BLIND] = blind_scores(blind, truths(), run.protocol)["abs_rel"].to_numpy()
    systems = compared(similarities, bins, blind, *how)
    order = ordinal_errors(run.frames, systems, run.protocol, [threshold], n_pairs, seed)
    rows = {"abs_rel": pd.DataFrame(metres), "wrong order": order[threshold]}
    tables = {m: statistics.intervals(r, run.frames.groups, seed=seed) for m, r in rows.items()}
    return pd.concat({m: t[["mean", "low", "high"]] for m, t in tables.items()}, axis=1)
