"""How much of a frame's depth a map shows, and the best that any map of its grid could show.

A prediction is a few hundred numbers, upsampled. This separates what no such map can show from what
this one gets wrong.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import Truth, counted, overlap_interpolation
from depthclip_core.evaluation.protocols import Protocol, cells_of, protocol_for, resolve_protocol

EDGE = 1.25  # ratio of depths across an edge
OF_EDGES = ("precision", "recall", "average precision", "chance")
COLUMNS = ("pearson", "gradient_energy_ratio", "rmse", "grid_gradient_energy_ratio", "grid_rmse")


def gradient_energy(depth: np.ndarray, known: np.ndarray) -> float:
    """Sum of squared differences of neighbouring pixels, m², where both are known.

    depth: (H, W) metres. known: (H, W) bool.
    """
    depth = np.where(known, depth, 0).astype(np.float64)
    down = np.diff(depth, axis=0)[known[1:] & known[:-1]]
    across = np.diff(depth, axis=1)[known[:, 1:] & known[:, :-1]]
    return float(down @ down + across @ across)


def best_cells(
    truth: np.ndarray, grid: tuple[int, int] | None = None, protocol: str | Protocol = "released"
) -> np.ndarray:
    """Depths of cells (h, w), float64 metres, of the best map that their grid can represent.

    Upsampled like predictions, they minimise the squared error over valid pixels. truth: (480, 640)
    metres, holes 0. Cells without valid pixels get the minimum-norm solution.
    """
    protocol = resolve_protocol(protocol)
    return _best_cells(counted(truth, protocol), grid or cells_of(protocol), protocol)


def depth_edges(maps: np.ndarray, depths: np.ndarray, ratio: float = EDGE) -> pd.DataFrame:
    """How well maps of cells (N, h, w) show the edges in the true depth, a row per image.

    An edge lies between two neighbouring cells whose true depths differ by more than the ratio.
    depths: true (N, h, w), NaN where not known. Columns: precision, the share of the map's edges
    that are true ones; recall, the share of true edges that the map shows; average precision, of
    all pairs of neighbours in the order of the map's steps, which does not depend on its contrast;
    chance, the share of pairs that are true edges, which steps in random order reach on average.
    NaN where an image has no true edge, and precision where the map has none. Raises
    `DepthClipError` unless all shapes are equal, maps are positive, and the ratio exceeds 1.
    """
    if maps.shape != depths.shape or ratio <= 1 or not (maps > 0).all():
        given = f"maps {maps.shape} and depths {depths.shape}, ratio {ratio}"
        raise DepthClipError(
            f"edges need positive maps of equal shape and a ratio above 1: {given}"
        )
    rows = [_edge_scores(m, d, np.log(ratio)) for m, d in zip(maps, depths, strict=True)]
    return pd.DataFrame(rows, columns=list(OF_EDGES))


def _edge_scores(depth: np.ndarray, truth: np.ndarray, least: float) -> list[float]:
    step, true_step = (_steps(np.log(values)) for values in (depth, truth))
    known = np.isfinite(true_step)
    # Rounded, so that equal steps tie on every processor.
    step, edge = step[known].round(6), true_step[known] > least
    if not edge.any():
        return [np.nan] * len(OF_EDGES)
    shown = step > least
    hits = (shown & edge).sum()
    precision = hits / shown.sum() if shown.any() else np.nan
    levels, place = np.unique(-step, return_inverse=True)  # tied steps enter together
    found = np.bincount(place, edge, len(levels)).cumsum()
    taken = np.bincount(place, minlength=len(levels)).cumsum()
    average = (np.diff(found, prepend=0) * found / taken).sum() / edge.sum()
    return [precision, hits / edge.sum(), average, edge.mean()]


def _steps(values: np.ndarray) -> np.ndarray:
    """Absolute differences of neighbours, down and across, in one list."""
    return np.abs(np.concatenate([np.diff(values, axis=axis).ravel() for axis in (0, 1)]))


def detail(
    frames: Sequence[Frame],
    maps: Iterable[np.ndarray],
    grid: tuple[int, int] | None = None,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """A row per frame: how much of the depth inside the frame its map shows.

    maps: of the protocol's window, metres. Columns: pearson, the correlation with the truth over
    the frame's pixels; gradient_energy_ratio, the map's gradient energy over the truth's; rmse, of
    the map; grid_rmse and grid_gradient_energy_ratio, the same of `best_cells`. NaN where no pixel
    counts.
    """
    protocol = protocol_for(frames, protocol)
    grid = grid or cells_of(protocol)
    frames, rows = as_dataset(frames), []
    for name, depth, truth in zip(frames.names, maps, frames.ground_truths(), strict=True):
        if depth.shape != protocol.window.shape:
            shapes = f"{depth.shape}, the window {protocol.window.shape}"
            raise DepthClipError(f"the map of {name} has shape {shapes}")
        rows.append(_row(depth, counted(truth, protocol), grid, protocol))
    return pd.DataFrame(rows, index=frames.names)


def _row(depth: np.ndarray, truth: Truth, grid: tuple[int, int], protocol: Protocol) -> dict:
    if not truth.n_valid:
        return dict.fromkeys(COLUMNS, np.nan)
    known, shown = truth.valid_mask, depth[protocol.seen]
    down, across = overlap_interpolation(grid, protocol)
    energy = gradient_energy(truth.depth, known)
    values = []
    for part in (shown, down @ _best_cells(truth, grid, protocol) @ across.T):
        error = (part - truth.depth)[known].astype(np.float64)
        ratio = gradient_energy(part, known) / energy if energy else np.nan
        values += [ratio, float(np.sqrt(np.mean(error**2)))]
    x, y = shown[known].astype(np.float64), truth.values.astype(np.float64)
    spread = x.std() * y.std()
    pearson = np.mean((x - x.mean()) * (y - y.mean())) / spread if spread > 1e-9 else np.nan
    return dict(zip(COLUMNS, [float(pearson), *values], strict=True))


def _best_cells(truth: Truth, grid: tuple[int, int], protocol: Protocol) -> np.ndarray:
    """Depths of the cells (h, w) whose upsampled map has the least squared error."""
    (h, w), (down, across) = grid, overlap_interpolation(grid, protocol)
    # Upsampling is separable, so the normal equations are a product of a part for rows and one for
    # columns, with the mask between them.
    pairs_down, pairs_across = _pairs(*grid, protocol)
    normal = (pairs_down.T @ (truth.valid_mask @ pairs_across)).reshape(h, h, w, w)
    normal = normal.transpose(0, 2, 1, 3).reshape(h * w, h * w)
    known = down.T @ truth.depth.astype(np.float64) @ across  # 0 where a pixel does not count
    return np.linalg.lstsq(normal, known.ravel(), rcond=1e-10)[0].reshape(grid)


@lru_cache(maxsize=4)
def _pairs(h: int, w: int, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Products of every two columns of both interpolation matrices, (H, h·h) and (W, w·w)."""
    both = (matrix.astype(np.float64) for matrix in overlap_interpolation((h, w), protocol))
    return tuple((m[:, :, None] * m[:, None, :]).reshape(len(m), -1) for m in both)
