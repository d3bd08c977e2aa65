"""Sums over the pixels of a frame, for many predictions at once: what takes the time of a sweep.

The predictions are linear in a few maps, so q, prediction ÷ truth, is coefficients · (maps ÷
truth): one matrix product. The pixels are gone through in blocks that stay in the processor's
cache; sums are float32 within a few rows and float64 across. A pixel that does not count has q = 1:
it adds nothing to a sum, and is counted as near. The logarithm, which costs most, is taken of
products of eight ratios.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import SINGLE, PixelMaps, Truth

NEAR = (1.25, 1.25**2, 1.25**3)
BLOCK = 1 << 18  # values of a block: smaller ones spend their time in Python, larger in memory
TIE = 5e-7  # a ratio so near to a threshold of delta is looked at again
GROUP = 8  # ratios in a product of which a logarithm is taken, one above the other
DEVICE_BLOCK = 1 << 25  # values of a block on a GPU: about 1 GB with what is computed from them
_kept = threading.local()


@dataclass(frozen=True, eq=False)
class Ratios:
    """What q is computed from, for one frame: (coefficients · maps + shift) ÷ truth.

    maps: B maps at the truth's pixels. coefficients: (P, B). shift: (P,), metres. limits: the
    depths that predictions are clamped to. needs_clamping: whether any prediction is.
    """

    maps: PixelMaps
    coefficients: np.ndarray
    shift: np.ndarray
    truth: Truth
    limits: tuple[float, float]
    needs_clamping: bool

    def __post_init__(self) -> None:
        # A comparison with NaN is false and a clamp makes infinity a depth: both would be counted.
        if not all(
            np.isfinite(a.sum()) for a in (self.maps.columns, self.coefficients, self.shift)
        ):
            raise DepthClipError("predictions hold NaN or infinite values: they cannot be scored")


def block_sums(ratios: Ratios, names: Sequence[str]) -> np.ndarray:
    """The named sums over all pixels, float64 (len(names), P), block by block."""
    n_maps, _, n_columns = ratios.maps.shape
    truth, (near, far) = ratios.truth, ratios.limits
    coefficients = _rows_of_q(ratios).astype(np.float32)
    tall, spans = _spans(ratios, len(coefficients))
    height = min(
        len(coefficients),
        BLOCK // (tall * n_columns),
        SINGLE // (coefficients.shape[1] * n_columns),
    )
    height = max(1, height)
    total = np.zeros((len(names), len(coefficients)))
    largest = max(bottom - top for top, bottom in spans) * n_columns
    rows_space, *space = _space(coefficients.shape[1] * largest, height * largest, height * largest)
    raw_space = np.empty(n_maps * largest, dtype=np.float32)
    for top, bottom in spans:
        shape = (bottom - top, n_columns)
        size = shape[0] * shape[1]
        rows = rows_space[: coefficients.shape[1] * size].reshape(-1, *shape)
        inverse, valid = truth.inverse[top:bottom], truth.valid_mask[top:bottom]
        raw = ratios.maps.rows(top, bottom, out=raw_space[: n_maps * size].reshape(-1, *shape))
        np.multiply(raw, inverse, out=rows[:n_maps])
        rows[n_maps] = ~valid
        rows[n_maps + 1 :] = inverse
        rows_of_group = min(tall, bottom - top)
        g = truth.depth[top:bottom].reshape(-1, rows_of_group * n_columns)
        factors = {"relative": np.ones_like(g), "error": g, "relative_square": g, "square": g * g}
        factors = {name: factor for name, factor in factors.items() if name in names}
        if ratios.needs_clamping:
            low, high = near * inverse, np.where(valid, far * inverse, np.float32(np.inf))
        for start in range(0, len(coefficients), height):
            part = coefficients[start : start + height]
            q, r = (s[: len(part) * size].reshape(-1, *shape) for s in space)
            # A small product for each row of pixels, but all in one call, with the lock let go.
            np.matmul(part, rows.transpose(1, 0, 2), out=q.transpose(1, 0, 2))
            if ratios.needs_clamping:
                np.maximum(q, low, out=q)
                np.minimum(q, high, out=q)
            chosen = slice(start, start + height)
            ties = partial(_far_ties, ratios, chosen, raw, truth.depth[top:bottom])
            sums = _block(names, q, r, factors, rows_of_group, ties)
            for index, name in enumerate(names):
                total[index, chosen] += sums[name]
    return total


def _spans(ratios: Ratios, n_mix: int) -> tuple[int, list[tuple[int, int]]]:
    """Rows of pixels that go into a product of ratios, and blocks of rows in whole such groups.

    What is left over below is a block and a group of its own.
    """
    _, n_rows, n_columns = ratios.maps.shape
    near, far = ratios.limits
    # The product must stay within the range of float32.
    tall = max(1, min(GROUP, int(37 / math.log10(far / near))))
    step = tall * max(1, BLOCK // (n_mix * tall * n_columns))
    whole = n_rows // tall * tall
    spans = [(top, min(top + step, whole)) for top in range(0, whole, step)]
    return tall, spans + [(whole, n_rows)] * (whole < n_rows)


def _space(*sizes: int) -> list[np.ndarray]:
    """Arrays to work in, float32, which the thread keeps: fresh memory for each frame is slow."""
    if getattr(_kept, "array", np.empty(0)).size < sum(sizes):
        _kept.array = np.empty(sum(sizes), dtype=np.float32)
    return np.split(_kept.array[: sum(sizes)], np.cumsum(sizes)[:-1])


def _flags(size: int) -> np.ndarray:
    """Two arrays of size flags, kept as `_space` is."""
    if getattr(_kept, "flags", np.empty((2, 0))).shape[1] < size:
        _kept.flags = np.empty((2, size), dtype=bool)
    return _kept.flags


def _rows_of_q(ratios: Ratios) -> np.ndarray:
    """What q takes of its rows (P, R): maps ÷ truth; 1 where no pixel counts; 1 ÷ truth, if any."""
    rows = [ratios.coefficients, np.ones((len(ratios.coefficients), 1))]
    return np.hstack([*rows, ratios.shift[:, None]] if ratios.shift.any() else rows)


def _far_ties(
    ratios: Ratios,
    chosen: slice,
    raw: np.ndarray,
    depth: np.ndarray,
    ties: tuple[np.ndarray, np.ndarray, np.ndarray],
    limit: float,
) -> np.ndarray:
    """How many ties (of which prediction, row, column) are needs_clamping delta's limit in float64,
    (P,).

    Where one word answers alone a prediction is a bin, and ground truth is in whole millimetres:
    hundreds of pixels of a frame may lie on a threshold, to be told apart by their last digit.
    """
    which, *where = ties
    p = np.einsum("nb,bn->n", ratios.coefficients[chosen][which], raw[:, *where])
    p += ratios.shift[chosen][which]
    p = np.clip(p.astype(np.float32).astype(np.float64), *ratios.limits)
    g = depth[tuple(where)].astype(np.float64)
    far = np.maximum(p / g, g / p) >= limit
    return np.bincount(which[far], minlength=len(ratios.coefficients[chosen]))


def _block(
    names: Sequence[str],
    q: np.ndarray,
    r: np.ndarray,
    factors: dict[str, np.ndarray],
    tall: int,
    far_ties: Callable[[tuple, float], np.ndarray],
) -> dict[str, np.ndarray]:
    """The named sums (P,) of one block q (P, rows, columns); r is space of its shape to work in.

    factors: what errors are multiplied with, for those that are wanted. tall: rows of a product.
    far_ties: see `_far_ties`.
    """
    sums = {}
    near = [name for name in names if name.startswith("near")]
    groups = (len(q), -1, tall, q.shape[2])
    flags, more_flags = (f[: q.size].reshape(q.shape) for f in _flags(q.size))
    if near or "log_size" in names:
        np.reciprocal(q, out=r)
        np.maximum(q, r, out=r)
        for name in near:
            limit = NEAR[int(name[-1]) - 1]
            np.less(r, limit * (1 + TIE), out=flags)
            # At most eight to a byte: bytes are summed fast.
            counts = np.add.reduce(flags.view(np.uint8).reshape(groups), axis=2, dtype=np.uint8)
            sums[name] = counts.sum(axis=(1, 2), dtype=np.int64)
            np.greater_equal(r, limit * (1 - TIE), out=more_flags)
            ties = np.flatnonzero(np.logical_and(flags, more_flags, out=flags))
            if ties.size:
                sums[name] -= far_ties(np.unravel_index(ties, q.shape), limit)
        if "log_size" in names:
            products = np.multiply.reduce(r.reshape(groups), axis=2)
            sums["log_size"] = np.log(products, out=products).sum(axis=(1, 2), dtype=np.float64)
    # Sums of a group of rows are float32, and so few that BLAS needs no threads; then float64.
    q, r = (a.reshape(len(a), -1, tall * a.shape[2]) for a in (q, r))

    def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.vecdot(a, b).sum(axis=1, dtype=np.float64)

    if factors:
        np.subtract(q, np.float32(1), out=r)
        if "relative" in factors or "error" in factors:
            np.abs(r, out=r)
        sums |= {name: dot(r, f) for name, f in factors.items() if not name.endswith("square")}
        if "square" in factors or "relative_square" in factors:
            np.multiply(r, r, out=r)
        sums |= {name: dot(r, f) for name, f in factors.items() if name.endswith("square")}
    if "log_square" in names:
        np.log(q, out=r)
        sums |= {"log": dot(r, np.ones_like(r[0])), "log_square": dot(r, r)}
    return sums


def device_sums(ratios: Ratios, names: Sequence[str], device: str) -> np.ndarray:
    """What `block_sums` returns, by torch on its device: the same arithmetic in large blocks."""
    truth = ratios.truth

    def there(array: np.ndarray) -> torch.Tensor:
        # float64 for the product: in float32 a GPU may be set to round it to TF32, of 10 bits.
        return torch.from_numpy(array).to(device=device, dtype=torch.float64)

    g, inverse, valid = (there(a.ravel()) for a in (truth.depth, truth.inverse, truth.valid_mask))
    maps = there(ratios.maps.rows(0, ratios.maps.shape[1])).flatten(1) * inverse
    maps = torch.cat([maps, (1 - valid)[None], inverse[None]])
    coefficients = there(
        np.column_stack([ratios.coefficients, np.ones(len(ratios.coefficients)), ratios.shift])
    )
    low, high = (limit * inverse for limit in ratios.limits)
    high[valid == 0] = torch.inf
    height = max(1, DEVICE_BLOCK // maps.shape[1])
    blocks = ((part @ maps).clamp(low, high) for part in coefficients.split(height))
    return torch.cat([_device_block(names, q, g) for q in blocks], dim=1).numpy(force=True)


def _device_block(names: Sequence[str], q: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """The named sums of q (P, n), float64 (len(names), P)."""
    q = q.float()
    size, d, log = torch.maximum(q, 1 / q), q.double() - 1, torch.log(q).double()
    terms = {
        **{f"near{i}": lambda limit=limit: size < limit for i, limit in enumerate(NEAR, 1)},
        "log_size": lambda: log.abs(),
        "relative": lambda: d.abs(),
        "error": lambda: d.abs() * g,
        "square": lambda: (d * g) ** 2,
        "relative_square": lambda: d**2 * g,
        "log": lambda: log,
        "log_square": lambda: log**2,
    }
    return torch.stack([terms[name]().sum(1, dtype=torch.float64) for name in names])
