"""Bins and scores of many systems, each frame read once; their grids of cells may differ."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TypeVar

import numpy as np
import scipy  # its parts load when they are used
import torch
import torch.nn.functional as F

from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.fitting import STEP, medians
from depthclip_core.evaluation.frame_scores import align, scores
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.settings import PUBLISHED_METRICS

ORDER = ("spearman", "partial")  # rank correlations within an image
ROUNDED = 5  # decimals of metres: cells whose depths differ by less are tied
FEWEST_CELLS = 3
BLOCK = 8  # maps that are scored at once
Name = TypeVar("Name")


def fit_systems(
    ground_truths: Callable[[], Iterable[np.ndarray]],
    weights: Mapping[str, np.ndarray],
    protocol: Protocol,
) -> dict[str, tuple[float, ...]]:
    """`fitting.fit_medians`, to a millimetre, of any number of systems in one pass over the frames.

    ground_truths: gives the N maps, once for each grid. weights: (N, K, h, w) bin weights of each
    system. A word's histogram of depth is its cells' weights times the cells' own histograms, which
    are the same for all systems.
    """
    found: dict[str, tuple[float, ...]] = {}
    for grid, names in _by_grid(weights).items():
        together = np.stack([weights[name] for name in names], axis=1)  # (N, S, K, h, w)
        total = np.zeros((*together.shape[1:3], round(protocol.max_depth / STEP)))
        for position, truth in pixels.paired(ground_truths(), len(together)):
            of_cells, depths = cell_histograms(pixels.counted(truth, protocol), grid, protocol)
            total[..., depths] += together[position].reshape(*total.shape[:2], -1) @ of_cells
        found |= {name: medians(histogram) for name, histogram in zip(names, total, strict=True)}
    return {name: found[name] for name in weights}


def cell_histograms(
    truth: pixels.Truth, grid: tuple[int, int], protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """How many of a frame's pixels of each depth belong to each cell, by their bilinear shares.

    Returns float32 (h w, m) and the m depths that occur, as multiples of `STEP`, int64.
    """
    row, column = np.nonzero(truth.valid_mask)
    place = np.minimum((truth.values.astype(np.float64) / STEP).astype(np.int64), _last(protocol))
    depths, index = np.unique(place, return_inverse=True)
    size = grid[0] * grid[1] * len(depths)
    down, across = (_two(matrix) for matrix in pixels.overlap_interpolation(grid, protocol))
    total = np.zeros(size)
    for i, j in product(range(2), range(2)):
        cell = down[0][row, i] * grid[1] + across[0][column, j]
        share = down[1][row, i] * across[1][column, j]
        total += np.bincount(cell * len(depths) + index, share, size)
    return total.reshape(-1, len(depths)).astype(np.float32), depths


def _two(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two cells between which each pixel of an axis lies, and their shares: (n, 2) each."""
    n = matrix.shape[1]
    first = np.minimum((matrix != 0).argmax(axis=1), max(0, n - 2))
    cells = np.stack([first, np.minimum(first + 1, n - 1)], axis=1)
    shares = np.take_along_axis(matrix, cells, axis=1)
    return cells, shares if n > 1 else shares * [1, 0]


def _last(protocol: Protocol) -> int:
    return round(protocol.max_depth / STEP) - 1


def _by_grid(maps: Mapping[Name, np.ndarray]) -> dict[tuple[int, int], list[Name]]:
    """The names of arrays (…, h, w) by their grid."""
    grids: dict[tuple[int, int], list] = {}
    for name, each in maps.items():
        grids.setdefault(tuple(each.shape[-2:]), []).append(name)
    return grids


def score_maps(
    ground_truths: Iterable[np.ndarray],
    maps: Sequence[np.ndarray],
    protocol: Protocol,
    metrics: Sequence[str] = PUBLISHED_METRICS,
) -> np.ndarray:
    """Metrics of depth maps on grids of cells, each frame read once: float64 (S, N, M).

    maps: S of (N, h, w) metres; the grids may differ. Equal to `evaluate` on the upsampled maps.
    """
    grids = _by_grid(dict(enumerate(maps))).values()
    # Each prediction is a sum over the maps of its block: many maps at once would cost more.
    blocks = [g[start : start + BLOCK] for g in grids for start in range(0, len(g), BLOCK)]
    n_frames = len(maps[0]) if len(maps) else 0
    out = np.full((len(maps), n_frames, len(metrics)), np.nan)
    for position, truth in pixels.paired(ground_truths, n_frames):
        known = pixels.counted(truth, protocol)
        for systems in blocks if known.n_valid else ():
            cells = np.stack([maps[s][position] for s in systems]).astype(np.float32)
            made = align(pixels.pixel_maps(cells, protocol), np.eye(len(cells)), known, protocol)
            out[systems, position] = scores(made, metrics)
    return out


def order_within(maps: Sequence[np.ndarray], cells: np.ndarray, position: np.ndarray) -> np.ndarray:
    """How well S maps order the depths of an image's cells: float64 (S, N, 2), see `ORDER`.

    Spearman's ρ of predicted with true depth over the cells of an image; and the partial one, what
    is left of it when the position map is known (as `statistics.partial_rank_correlation`).
    maps: S of (N, h', w') metres; finer grids are averaged to the grid of the cells. cells:
    (N, h, w) metres, NaN where unknown. position: (h, w). NaN for fewer than three cells, and
    where one of the sides does not vary.
    """
    maps = [_on_grid(each, cells.shape[1:]) for each in maps]
    out = np.full((len(maps), len(cells), len(ORDER)), np.nan)
    for i, truth in enumerate(cells):
        known = np.isfinite(truth)
        if known.sum() < FEWEST_CELLS:
            continue
        values = [each[i][known] for each in maps] + [truth[known], position[known]]
        ranks = scipy.stats.rankdata(np.round(values, ROUNDED), axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # a side that does not vary
            r = np.corrcoef(ranks)
        x_y, x_z, y_z = r[:-2, -2], r[:-2, -1], r[-2, -1]
        left = (1 - x_z**2) * (1 - y_z**2)
        partial = (x_y - x_z * y_z) / np.sqrt(np.where(left > 1e-12, left, np.nan))
        out[:, i] = np.stack([x_y, partial], axis=1)
    return out


def _on_grid(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Maps (N, h', w') as means over the cells of another grid, float32 (N, h, w)."""
    if maps.shape[1:] == tuple(grid):
        return maps
    return F.adaptive_avg_pool2d(torch.from_numpy(maps)[:, None].float(), grid)[:, 0].numpy()
