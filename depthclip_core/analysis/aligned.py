"""Is it only the scale? Scores of predictions that are aligned to each image's ground truth.

A flat map under the same alignment says what the alignment alone gives away.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis import statistics
from depthclip_core.analysis.ceilings import FLAT, SCORED
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import TEMPERATURE

ALIGNMENTS = {"none": None, "scale": "median", "scale and shift": "least-squares"}


def aligned_scores(
    ground_truths: Iterable[np.ndarray],
    similarities: Tensor,
    bins: Mapping[str, Sequence[float]],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """Scores of partitions and of FLAT, aligned to each image's truth in three ways.

    bins: K bins by name. A row per image; columns (metric, bins, alignment) with the metrics of
    SCORED and ALIGNMENTS: none; scale, by the ratio of medians, as in the protocol "median-scaled";
    scale and shift of least squares, as in "marigold". The flip is the protocol's own.
    """
    protocol = resolve_protocol(protocol)
    n_words = similarities.shape[2]
    partitions = {**bins, FLAT: (2.0,) * n_words}  # equal bins: any weights give one depth
    kinds = [replace(protocol, align=align) for align in ALIGNMENTS.values()]
    found = sweep(
        ground_truths, similarities, partitions, [temperature], kinds, metrics=list(SCORED)
    )
    columns = {
        (metric, name, alignment): found.rows(name, protocol=f"protocol {i}")[metric]
        for metric in SCORED
        for name in partitions
        for i, alignment in enumerate(ALIGNMENTS)
    }
    return pd.DataFrame(columns).rename_axis(columns=["metric", "bins", "alignment"])


def aligned_table(rows: pd.DataFrame, groups: Sequence, metric: str, seed: int = 0) -> pd.DataFrame:
    """Means of `aligned_scores` by one metric beside FLAT under the same alignment.

    A row (alignment, bins). Columns: score; mean, low and high, of the paired difference from the
    flat map, by group; verdict. The flat map's own rows have its score alone.
    """
    parts = []
    for alignment in ALIGNMENTS:
        own = rows[metric].xs(alignment, axis=1, level="alignment")
        others = own.drop(columns=FLAT)
        table = statistics.intervals(others.sub(own[FLAT], axis=0), groups, seed=seed)
        verdicts = statistics.verdicts(table, [METRICS[metric].sign] * len(table))
        table = table[["mean", "low", "high"]].assign(verdict=verdicts).reindex(own.columns)
        table.insert(0, "score", own.mean())
        parts.append(table.fillna({"verdict": "–"}))
    return pd.concat(parts, keys=list(ALIGNMENTS), names=["alignment", "bins"])
