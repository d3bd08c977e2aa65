"""What one set of bins for all scene types costs in rooms that no bins were fitted on.

N frames, K words, D steps of depth. Each room is left out in turn: its frames are measured with
bins fitted on the other rooms, once on all of them and once on those of the frame's scene type.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from depthclip_core.analysis.learned_bins import COARSE, own_scores, weighted_medians
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import intervals, verdicts
from depthclip_core.evaluation.fitting import STEP, word_histograms
from depthclip_core.evaluation.metrics import METRICS

FIXED, ONE, OWN = "fixed bins", "one set", "a set per type"
COMPARED = {f"{ONE} − {FIXED}": (ONE, FIXED), f"{OWN} − {ONE}": (OWN, ONE)}
DISTANCE = "distance (m)"
MEASURES = ("delta1", "rmse")


def frame_histograms(run: Run) -> np.ndarray:
    """How much weight each word has at each depth in each frame, (N, K, D) in steps of 1 cm.

    Sums over the pixels that the protocol counts; zero for a frame without any.
    """
    truths, words = run.frames.ground_truths(), {"words": run.similarities()}
    found = word_histograms(truths, words, run.temperature, run.protocol)
    every = (histograms["words"] for histograms in found)
    return np.array([np.add.reduceat(h, np.arange(0, h.shape[1], COARSE), axis=1) for h in every])


def left_out_bins(
    histograms: np.ndarray, scenes: Sequence[str | None], rooms: Sequence
) -> dict[str, np.ndarray]:
    """Bins (N, K) in metres for each frame, medians of the words' depths in other rooms, by name.

    ONE: fitted on all other rooms. OWN: on the other rooms of the frame's scene type. NaN where no
    such room has a valid pixel. histograms: (N, K, D), as from `frame_histograms`.
    """
    scenes, rooms = (np.asarray(names, dtype=str) for names in (scenes, rooms))
    seen = histograms.any(axis=(1, 2))
    others = (rooms[:, None] != rooms) & seen
    fits = {ONE: others, OWN: others & (scenes[:, None] == scenes)}
    return {name: _medians(histograms, used) for name, used in fits.items()}


def word_distances(histograms: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Mean distance of pixels from the bins of their words in each frame, (N,) metres.

    It weighs the words as the pixels do, and is what a fit by medians minimises. bins: (N, K).
    NaN for a frame without valid pixels or bins.
    """
    middles = (np.arange(histograms.shape[2]) + 0.5) * STEP * COARSE
    sums = [(h * np.abs(middles - b[:, None])).sum() for h, b in zip(histograms, bins, strict=True)]
    total = histograms.sum(axis=(1, 2))
    return np.array(sums) / np.where(total > 0, total, np.nan)


def left_out_scores(run: Run) -> dict[str, pd.DataFrame]:
    """Each frame's MEASURES and DISTANCE with FIXED, ONE and OWN bins, by name of the bins.

    FIXED: the run's bins. NaN where a frame has no valid pixel or no bins.
    """
    histograms, frames = frame_histograms(run), run.frames
    bins = {FIXED: np.tile(np.asarray(run.bins, dtype=float), (len(frames), 1))}
    bins |= left_out_bins(histograms, frames.scenes, frames.groups)
    # Frames without bins are scored with the fixed ones, and then dropped.
    filled = np.stack([np.where(np.isnan(own), bins[FIXED], own) for own in bins.values()])
    setting = (MEASURES, run.temperature, run.protocol)
    scores = own_scores(frames, run.similarities(), filled, *setting)
    tables = {}
    for (name, own), values in zip(bins.items(), scores, strict=True):
        table = pd.DataFrame(values, columns=list(MEASURES))
        table[DISTANCE] = word_distances(histograms, own)
        table.loc[np.isnan(own).any(axis=1)] = np.nan
        tables[name] = table
    return tables


def left_out_means(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Means of `left_out_scores`, a row for each name, over the frames that have all of them."""
    known = pd.concat(tables, axis=1).dropna().index
    return pd.DataFrame({name: table.loc[known].mean() for name, table in tables.items()}).T


def left_out_changes(
    tables: Mapping[str, pd.DataFrame], rooms: Sequence, seed: int = 0
) -> pd.DataFrame:
    """Paired differences of `left_out_scores` with intervals by room, and verdicts.

    A row for each of COMPARED and each measure; columns as from `statistics.compare`. "better" is
    a larger δ1, a smaller rmse and a smaller distance.
    """
    found = {}
    for name, (system, reference) in COMPARED.items():
        table = intervals(tables[system] - tables[reference], rooms, seed=seed)
        signs = [*(METRICS[measure].sign for measure in MEASURES), -1]
        found[name] = table.assign(verdict=verdicts(table, signs))
    return pd.concat(found, names=["change", "measure"])


def _medians(histograms: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Bins (N, K) of the frames `used` (N, N) for each frame; NaN where none is."""
    # All frames of a room and scene type use the same ones.
    distinct, place = np.unique(used, axis=0, return_inverse=True)
    bins = np.full((len(distinct), histograms.shape[1]), np.nan)
    some = distinct.any(axis=1)
    if some.any():
        pooled = np.tensordot(distinct[some].astype(float), histograms, 1)
        bins[some] = weighted_medians(pooled)
    return bins[place.ravel()]
