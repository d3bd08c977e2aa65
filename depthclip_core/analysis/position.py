"""What position alone predicts: depth maps that are blind to the image.

In a photograph of a room the floor is near at the bottom and the far wall in the middle, whatever
the room. So a map that is the same for every image correlates with depth within an image. Only what
is left when that map is known shows that an image was seen.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used

from depthclip_core.analysis.statistics import partial_rank_correlation
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol

ROWS_AT_ONCE = 16
SHADES = 65_535  # depths are kept in 16 bits: of 10 m, to 0.15 mm
COLUMNS = ("rho", "rho of the blind map", "rho given the blind map", "rho of residuals")


def blind_maps(
    ground_truths: Iterable[np.ndarray], protocol: str | Protocol = "released"
) -> dict[str, np.ndarray]:
    """Median depth of training frames at each pixel of the window, and of each of its rows.

    ground_truths: (480, 640) maps, metres, holes 0; the training split's. Returns two maps, float32
    (416, 544), metres: "position", the median at a pixel over frames, where no frame has depth that
    of its row; and "row", the median over a row's pixels of all frames, where none has depth that
    of the nearest row with one. Raises `DepthClipError` if no frame has a valid pixel.
    """
    protocol = resolve_protocol(protocol)
    step, window = protocol.max_depth / SHADES, protocol.window.slices
    kept = []
    for truth in ground_truths:
        part = np.asarray(truth)[window]
        valid = protocol.valid_depth_mask(part)
        kept.append(np.where(valid, np.rint(part / step).clip(1, SHADES), 0).astype(np.uint16))
    if not any(part.any() for part in kept):
        raise DepthClipError("cannot compute a blind map: no frame has a valid pixel")
    frames, shape = np.stack(kept), protocol.window.shape
    position, row = np.full(shape, np.nan), np.full(shape[0], np.nan)
    for top in range(0, shape[0], ROWS_AT_ONCE):
        part = frames[:, top : top + ROWS_AT_ONCE].astype(np.float32)
        part[part == 0] = np.inf  # sorted to the end
        position[top : top + ROWS_AT_ONCE] = _medians(part.reshape(len(part), -1)).reshape(
            part.shape[1:]
        )
        row[top : top + ROWS_AT_ONCE] = _medians(part.transpose(0, 2, 1).reshape(-1, part.shape[1]))
    known = np.flatnonzero(np.isfinite(row))
    nearest = known[np.abs(np.arange(len(row))[:, None] - known).argmin(axis=1)]
    rows = np.repeat(row[nearest][:, None], shape[1], axis=1)
    position = np.where(np.isfinite(position), position, rows)
    return {"position": (position * step).astype(np.float32), "row": (rows * step).astype("f4")}


def _medians(values: np.ndarray) -> np.ndarray:
    """Medians down the columns of values (n, m) that are not infinite; NaN where all are."""
    values = np.sort(values, axis=0)
    count = np.isfinite(values).sum(axis=0)
    low, high = (np.maximum(0, at) // 2 for at in (count - 1, count))
    columns = np.arange(values.shape[1])
    middle = (values[low, columns] + values[high, columns]) / 2
    return np.where(count > 0, middle, np.nan)


def blind_scores(
    depth: np.ndarray, ground_truths: Iterable[np.ndarray], protocol: str | Protocol = "released"
) -> pd.DataFrame:
    """Rows as from `evaluate` of one map (416, 544) taken as the depth of every frame."""
    rows = [evaluate(depth[None], truth[None], protocol) for truth in ground_truths]
    return pd.concat(rows, ignore_index=True)


def cell_medians(depth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Median of a map (H, W) below each cell of a grid, (h, w)."""
    rows, columns = (np.arange(n) * cells // n for n, cells in zip(depth.shape, grid, strict=True))
    place = (rows[:, None] * grid[1] + columns).ravel()
    return pd.Series(depth.ravel()).groupby(place).median().to_numpy().reshape(grid)


def seen_beyond_position(
    predicted: np.ndarray, depths: np.ndarray, blind: np.ndarray
) -> pd.DataFrame:
    """Rank correlations within each image: of prediction and truth, and of what position leaves.

    predicted: (N, h, w), metres. depths: (N, h, w), true, NaN where not known. blind: (h, w), a
    blind map's. Columns: rho, Spearman's correlation of prediction and truth over the image's
    cells; rho of the blind map with the truth; rho given the blind map, the partial correlation;
    rho of residuals, between prediction ÷ blind map and truth ÷ blind map. NaN where an image has
    fewer than four known cells, or one of the two does not vary.
    """
    if predicted.shape != depths.shape or predicted.shape[1:] != blind.shape:
        shapes = f"predictions {predicted.shape}, depths {depths.shape}, blind map {blind.shape}"
        raise DepthClipError(f"shapes do not fit: {shapes}")
    rows = [_beyond(p, d, blind) for p, d in zip(predicted, depths, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _beyond(predicted: np.ndarray, depth: np.ndarray, blind: np.ndarray) -> Sequence[float]:
    known = np.isfinite(depth)
    p, d, b = (values[known].astype(np.float64).round(6) for values in (predicted, depth, blind))
    if known.sum() < 4:
        return [np.nan] * len(COLUMNS)
    of_blind = _spearman(b, d), partial_rank_correlation(p, d, b)
    return _spearman(p, d), *of_blind, _spearman((p / b).round(6), (d / b).round(6))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    if (x == x[0]).all() or (y == y[0]).all():
        return np.nan
    return float(scipy.stats.spearmanr(x, y).statistic)
