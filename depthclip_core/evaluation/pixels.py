"""The pixels of a frame that count, and the bin weights there: the input of sums over a frame.

Bilinear upsampling is separable: cells are interpolated along columns once, and every row of pixels
lies between two of the resulting rows. Pixels that do not count stay in place with a depth of zero,
because a rectangle is faster to traverse than a list.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.units import check_floating, check_metres
from depthclip_core.method.depth import flip_average, upsample
from depthclip_core.method.similarities import bin_weights

TINY = 1e-30  # weights below do not affect a depth


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth (H, W) of a protocol's overlap: float32 metres, 0 where none counts.

    n_valid: how many pixels count.
    """

    depth: np.ndarray
    n_valid: int

    @cached_property
    def valid_mask(self) -> np.ndarray:
        """Which pixels count, (H, W)."""
        return self.depth > 0

    @cached_property
    def values(self) -> np.ndarray:
        """The depths of the n_valid pixels that count, (n_valid,)."""
        return self.depth[self.valid_mask]


def counted(truth: np.ndarray, protocol: Protocol) -> Truth:
    """A frame's ground truth where the protocol counts.

    Raises `DepthClipError` for another shape, for NaN, infinite or negative depth, and for what
    is not in metres; holes are 0.
    """
    truth = np.asarray(truth)
    if truth.shape != protocol.frame:
        raise DepthClipError(
            f"ground truth has shape {truth.shape}; the protocol needs {protocol.frame}"
        )
    check_floating("ground truth", truth)
    from depthclip_core.evaluation.kernel import copy_valid_depth  # it takes time to import

    kind = np.float32 if truth.dtype in ("f4", ">f4", "f2") else np.float64
    part, limits = protocol.overlap, (kind(protocol.min_depth), kind(protocol.max_depth))
    truth, depth = np.ascontiguousarray(truth, kind), np.empty(part.shape, np.float32)
    n_valid = copy_valid_depth(truth, part.top, part.left, *limits, depth)
    if n_valid < 0:
        raise DepthClipError(
            "ground truth holds NaN, infinite or negative values: mark holes with 0"
        )
    if 2 * n_valid < depth.size:  # else no unit is in doubt
        check_metres("ground truth", truth)
    return Truth(depth, n_valid)


def paired(ground_truths: Iterable[np.ndarray], n_frames: int) -> Iterator[tuple[int, np.ndarray]]:
    """Ground truths with their positions; `DepthClipError` unless there are exactly n_frames."""
    wrong = f"similarities of {n_frames} frames for {{}} ground truths: run collect_responses again"
    position = -1
    for position, truth in enumerate(ground_truths):
        if position >= n_frames:
            raise DepthClipError(wrong.format("more"))
        yield position, truth
    if position + 1 < n_frames:
        raise DepthClipError(wrong.format(position + 1))


def checked_similarities(similarities: Tensor) -> Tensor:
    """The same similarities; `DepthClipError` unless (N, V, K, h, w), V = 1 or 2, and finite."""
    if similarities.ndim != 5 or similarities.shape[1] not in (1, 2):
        wanted = "of shape (N, V, K, h, w) with V = 1 or 2 views"
        raise DepthClipError(f"similarities must be {wanted}, got {tuple(similarities.shape)}")
    # The sum is ten times faster to test, but may overflow although every value is finite.
    if not similarities.sum().isfinite():
        finite = similarities.isfinite().flatten(1).all(1)
        if not finite.all():
            raise DepthClipError(
                f"similarities of frame {int(finite.int().argmin())} hold NaN or infinite values: "
                "re-run collect_responses in fp32 or bf16"
            )
    return similarities


def cell_weights(similarities: Tensor, temperature: float, flip: bool) -> np.ndarray:
    """Bin weights of frames' cells, float32 (…, K, h, w), from their views (…, V, K, h, w).

    flip: average the image and its mirror image, if both are there; else use the image alone.
    NaN where a similarity is not finite.
    """
    views = similarities if flip else similarities[..., :1, :, :, :]
    weights = bin_weights(views.flatten(0, -4), temperature).reshape(views.shape).unbind(-4)
    mean = flip_average(*weights) if len(weights) == 2 else weights[0]
    # Tiny weights would become denormal numbers, which processors handle slowly.
    return torch.where(mean <= TINY, 0, mean).cpu().numpy()


@lru_cache(maxsize=32)
def interpolation(n_cells: int, n_pixels: int) -> np.ndarray:
    """The matrix (n_pixels, n_cells) of `depth.upsample` along one axis."""
    return upsample(torch.eye(n_cells)[:, :, None], (n_pixels, 1))[:, :, 0].numpy().T.copy()


def overlap_interpolation(grid: tuple[int, int], protocol: Protocol) -> list[np.ndarray]:
    """Matrices (H, h) and (W, w) of the upsampling, at the pixels of a `Truth`."""
    sizes = zip(grid, protocol.window.shape, protocol.seen, strict=True)
    return [interpolation(cells, pixels)[seen] for cells, pixels, seen in sizes]


@dataclass(frozen=True, eq=False)
class PixelMaps:
    """B maps at H × W pixels; a row of pixels is interpolated between two rows of `columns`.

    columns: (B, h, W) float32. between, shares: (H, 2), the indices of the two rows, int64, and
    their weights, float32.
    """

    columns: np.ndarray
    between: np.ndarray
    shares: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """All pixels of the maps, float32 (B, H, W)."""
        above, below = (self.columns[:, self.between[:, k]] for k in (0, 1))
        return above * self.shares[:, :1] + below * self.shares[:, 1:]


def pixel_maps(cells: np.ndarray, protocol: Protocol) -> PixelMaps:
    """Maps of cells (B, h, w), upsampled, at the pixels of a `Truth`."""
    _, across = overlap_interpolation(cells.shape[1:], protocol)
    return PixelMaps(cells @ across.T, *_steps(cells.shape[1:], protocol))


@lru_cache(maxsize=32)
def _steps(grid: tuple[int, int], protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """`between` and `shares` of `PixelMaps`, (H, 2) each."""
    down, _ = overlap_interpolation(grid, protocol)
    first = np.minimum((down != 0).argmax(axis=1), max(0, grid[0] - 2))
    between = np.stack([first, np.minimum(first + 1, grid[0] - 1)], axis=1)
    shares = np.take_along_axis(down, between, axis=1)
    if grid[0] == 1:
        shares[:, 1] = 0
    return between, shares


def moments(maps: PixelMaps, truth: Truth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums over valid pixels, float64: of maps (B,), of products of two maps (B, B), and of maps
    times depth (B,).

    Between two rows of cells, u and l, each pixel of a column is a·u + b·l: what has to be summed
    over pixels is the products of a and b, once for all maps.
    """
    from depthclip_core.evaluation.kernel import pair_sums  # it takes time to import

    upper = maps.columns.astype(np.float64)
    lower = upper[:, np.minimum(np.arange(upper.shape[1]) + 1, upper.shape[1] - 1)]
    sums = np.zeros((7, *upper.shape[1:]))
    pair_sums(maps.between, maps.shares, truth.depth, sums)
    aa, ab, bb, a, b, deep_a, deep_b = sums

    def products(some: np.ndarray, factor: np.ndarray, others: np.ndarray) -> np.ndarray:
        # Not by BLAS: frames are what is done in parallel, and its threads would be in the way.
        return np.einsum("bhw,hw,chw->bc", some, factor, others)

    mixed = products(upper, ab, lower)
    gram = products(upper, aa, upper) + products(lower, bb, lower) + mixed + mixed.T
    total = (upper * a + lower * b).sum((1, 2))
    return total, gram, (upper * deep_a + lower * deep_b).sum((1, 2))
