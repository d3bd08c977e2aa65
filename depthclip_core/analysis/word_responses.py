"""Which word answers at which true depth, cell by cell, from stored similarities.

N frames of h × w cells, K words. A cell's true depth is that of the pixels under it. Its weights
are those of the scored depth, averaged with the mirror image's.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.analysis.statistics import FEWEST_GROUPS, intervals, redraws
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import cell_weights, checked_similarities, counted
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.settings import TEMPERATURE

EDGES = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)  # of depth intervals, metres
INTERVAL = (0.025, 0.975)


def cell_depths(
    ground_truths: Iterable[np.ndarray],
    grid: tuple[int, int],
    protocol: str | Protocol = "released",
    statistic: str = "median",
    least: float = 0.5,
) -> np.ndarray:
    """True depth of each cell (N, h, w), metres, over the pixels that the protocol counts.

    ground_truths: (480, 640) each, metres, holes 0. statistic: "median" or "mean". least: the share
    of a cell's pixels that must count; a cell with fewer is NaN.
    """
    if statistic not in ("median", "mean"):
        raise DepthClipError(f"statistic is 'median' or 'mean', not {statistic!r}")
    protocol = resolve_protocol(protocol)
    # The cell of each pixel of the window.
    row, column = (np.arange(n) * g // n for n, g in zip(protocol.window.shape, grid, strict=True))
    cell, n_cells = row[:, None] * grid[1] + column, grid[0] * grid[1]
    enough = least * np.bincount(cell.ravel(), minlength=n_cells)
    of_cells = scipy.ndimage.median if statistic == "median" else scipy.ndimage.mean
    out = []
    for truth in ground_truths:
        known = counted(truth, protocol)
        depth, label = known.values.astype(np.float64), cell[protocol.seen][known.valid_mask]
        counts = np.bincount(label, minlength=n_cells)
        depths = np.full(n_cells, np.nan)
        use = np.flatnonzero((counts > 0) & (counts >= enough))
        if len(use):
            depths[use] = of_cells(depth, label, use)
        out.append(depths.reshape(grid))
    return np.array(out).reshape(-1, *grid)


def mean_weights(
    similarities: Tensor, temperature: float = TEMPERATURE, flip: bool = True
) -> np.ndarray:
    """Bin weights (N, K, h, w) of similarities (N, V, K, h, w); flip: average both views.

    Their weighted sum of the bins is the scored depth on the grid of cells.
    """
    return cell_weights(checked_similarities(similarities), temperature, flip)


def checked_cell(row: int, column: int, grid: tuple[int, int]) -> tuple[int, int]:
    """(row, column) of a cell, counted from 0; `DepthClipError` if it is outside the grid."""
    if not (0 <= row < grid[0] and 0 <= column < grid[1]):
        there = f"rows 0 to {grid[0] - 1} and columns 0 to {grid[1] - 1}"
        raise DepthClipError(f"no cell ({row}, {column}): the grid has {there}")
    return row, column


def winners(weights: np.ndarray) -> np.ndarray:
    """Index of the word with the largest weight at each cell (N, h, w).

    Raises `DepthClipError` for weights that are not finite: NaN would win.
    """
    _check_finite("weights", weights)
    return weights.argmax(axis=1)


def entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy of each cell's weights in bits (N, h, w): 0 for one word, log2 K for equal weights.

    2 to its power is the effective number of words.
    """
    return scipy.stats.entropy(weights.astype(np.float64), base=2, axis=1)


def depth_labels(edges: Sequence[float] = EDGES) -> list[str]:
    """Labels of the depth intervals between edges: "1 – 1.5"."""
    return [f"{near:g} – {far:g}" for near, far in pairwise(edges)]


def counts_by_depth(
    weights: np.ndarray, depths: np.ndarray, words: Sequence[str], edges: Sequence[float] = EDGES
) -> pd.DataFrame:
    """How many cells each word wins (K rows) at each true depth (intervals between edges, metres).

    Cells without a known depth (NaN) do not count.
    """
    _checked(weights, depths, words)
    interval, won = _intervals(depths, edges), winners(weights)
    known = interval >= 0
    counts = np.zeros((len(words), len(edges) - 1), dtype=np.int64)
    np.add.at(counts, (won[known], interval[known]), 1)
    columns = pd.Index(depth_labels(edges), name="true depth (m)")
    return pd.DataFrame(counts, pd.Index(words, name="winning word"), columns)


def response_curves(
    weights: np.ndarray,
    depths: np.ndarray,
    words: Sequence[str],
    edges: Sequence[float] = EDGES,
    *,
    groups: Sequence,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean weight of each word over the cells of each depth interval, a row per word and interval.

    groups: the room of each image. Columns: depth, the cells' mean true depth in metres; mean; low
    and high, the 95 % interval of a bootstrap of the rooms, because cells of one image, and images
    of one room, are alike; cells; images; groups. low and high are NaN for fewer than FEWEST_GROUPS
    rooms; depth intervals without cells are left out.
    """
    _checked(weights, depths, words)
    interval, n_intervals = _intervals(depths, edges), len(edges) - 1
    member = np.stack([interval == i for i in range(n_intervals)], axis=1)  # (N, I, h, w)
    cells = member.sum((2, 3)).astype(np.float64)  # (N, I)
    sums = np.einsum("nihw,nkhw->nki", member, weights.astype(np.float64))
    depth = np.einsum("nihw,nhw->i", member, np.nan_to_num(depths))
    times, groups = redraws(groups, draws, seed), np.asarray(groups, dtype=str)
    total = cells.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(0) / total  # (K, I)
        drawn = np.tensordot(times, sums, 1) / (times @ cells)[:, None]  # (draws, K, I)
    rows, labels = [], depth_labels(edges)
    for i in np.flatnonzero(total):
        own = cells[:, i] > 0
        rooms = len(np.unique(groups[own]))
        ends = np.full((2, len(words)), np.nan)
        if rooms >= FEWEST_GROUPS:
            ends = np.nanquantile(drawn[:, :, i], INTERVAL, axis=0)
        at, seen = (labels[i], depth[i] / total[i]), (int(total[i]), int(own.sum()), rooms)
        rows += [(word, *at, mean[k, i], *ends[:, k], *seen) for k, word in enumerate(words)]
    columns = ["word", "interval", "depth", "mean", "low", "high", "cells", "images", "groups"]
    return pd.DataFrame(rows, columns=columns)


def rank_correlation(
    order: np.ndarray, depths: np.ndarray, groups: Sequence, draws: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Spearman's ρ of the winning word's index (N, h, w) with depth, and its 95 % interval.

    Rows: "all cells" of all images together; "within an image", the mean over the images in which
    more than one word wins. groups: the room of each image; intervals are from a bootstrap of the
    rooms, NaN for fewer than FEWEST_GROUPS. draws: for all cells, where each one ranks all of them;
    within an image there are as many as in `intervals`. Columns: spearman, low, high, cells,
    images; ρ is NaN if one word wins everywhere. Unknown depths are NaN.
    """
    _check_finite("the winning words", order)
    _check_known(depths)
    known = [np.isfinite(image) for image in depths]
    seen = np.array([k.any() for k in known], dtype=bool)
    pairs = [(o[k], d[k]) for o, d, k in zip(order, depths, known, strict=True) if k.any()]
    groups = np.asarray(groups, dtype=str)[seen]
    together, drawn = _spearman(pairs), [np.nan]
    if len(np.unique(groups)) >= FEWEST_GROUPS:
        times = redraws(groups, draws, seed).astype(int)
        drawn = [_spearman([pairs[i] for i in np.repeat(np.arange(len(t)), t)]) for t in times]
    single = pd.DataFrame({"rho": [_spearman([pair]) for pair in pairs]}, dtype=float)
    told = single["rho"].notna().to_numpy()
    mean = intervals(single, groups, seed=seed).iloc[0]
    cells = np.array([len(d) for _, d in pairs], dtype=int)
    rows = {
        "all cells": [together, *_ends(drawn), cells.sum(), len(pairs)],
        "within an image": [*mean[["mean", "low", "high"]], cells[told].sum(), told.sum()],
    }
    columns = ["spearman", "low", "high", "cells", "images"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.astype({"cells": int, "images": int})


def _spearman(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    if not pairs:
        return np.nan
    order, depth = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if (order == order[0]).all() or (depth == depth[0]).all():
        return np.nan  # nothing to order
    return float(scipy.stats.spearmanr(order, depth).statistic)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    if not np.isfinite(values).any():
        return np.nan, np.nan
    return tuple(np.nanquantile(values, INTERVAL))


def _intervals(depths: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """The interval [near, far) of each depth; −1 for unknown depths and those outside."""
    place = np.searchsorted(edges, depths, side="right") - 1
    return np.where(np.isfinite(depths) & (place < len(edges) - 1), place, -1)


def _check_finite(what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise DepthClipError(f"{what} hold NaN or infinite values")


def _check_known(depths: np.ndarray) -> None:
    if np.isinf(depths).any() or (depths < 0).any():
        fault = "infinite or negative: mark unknown depth with NaN"
        raise DepthClipError(f"depths of cells are {fault}")


def _checked(weights: np.ndarray, depths: np.ndarray, words: Sequence[str]) -> None:
    n, k, *grid = weights.shape
    if depths.shape != (n, *grid) or k != len(words):
        others = f"depths {depths.shape} and {len(words)} words"
        raise DepthClipError(f"weights {weights.shape} do not fit {others}")
    _check_finite("weights", weights)
    _check_known(depths)
