"""Fitted bins and scores on a sample of pixels, so that hundreds of lists of words take seconds.

The pixels of a frame are spread evenly over its depths. They are drawn once, and every system is
fitted and scored on the same ones, so that differences between systems vary less than scores.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from depthclip_core.analysis.setup import Run
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.metrics import finished, terms_of
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.settings import PUBLISHED_METRICS, TEMPERATURE


@dataclass(frozen=True, eq=False)
class SampledPixels:
    """n valid pixels of each of N frames with h × w cells.

    depth: (N, n) metres, NaN in a frame without valid pixels. shares: (N, n, h · w) float32, the
    weights of the cells in the bilinear interpolation at each pixel. n_valid: (N,), how many valid
    pixels the frames have. limits: metres, which predictions are clamped to.
    """

    depth: np.ndarray
    shares: np.ndarray
    n_valid: np.ndarray
    limits: tuple[float, float]

    def at(self, cells: np.ndarray) -> np.ndarray:
        """Maps of cells (N, K, h, w), upsampled, at the pixels: (N, K, n) float32."""
        n_frames, _, n_cells = self.shares.shape
        if cells.ndim != 4 or len(cells) != n_frames or cells[0, 0].size != n_cells:
            wanted = f"({n_frames}, K, h, w) with {n_cells} cells"
            raise DepthClipError(f"maps must be of shape {wanted}, got {cells.shape}")
        flat = cells.reshape(*cells.shape[:2], -1).astype(np.float32, copy=False)
        return flat @ self.shares.transpose(0, 2, 1)

    def medians(self, weights: np.ndarray) -> tuple[float, ...]:
        """For each of K words the median depth, weighted with its bin weights (N, K, h, w).

        Frames count as their valid pixels do, as in `fitting.fit_medians`, whose bins these
        approach with more pixels. A word without weight gets the median of all.
        """
        scored = np.flatnonzero(self.n_valid)
        if not len(scored):
            raise DepthClipError("bins cannot be fitted: no frame has a valid pixel")
        weight = self.at(weights)[scored] * self.n_valid[scored, None, None]
        depth = self.depth[scored].ravel()
        order = np.argsort(depth, kind="stable")
        of_word = weight.transpose(1, 0, 2).reshape(weights.shape[1], -1)[:, order]
        silent = of_word.sum(1, keepdims=True) < 1e-9
        share = np.where(silent, of_word.sum(0), of_word).cumsum(axis=1, dtype=np.float64)
        return tuple(depth[order][(share >= share[:, -1:] / 2).argmax(axis=1)].tolist())

    def scores(self, depth: np.ndarray, metrics: Sequence[str] = PUBLISHED_METRICS) -> np.ndarray:
        """Metrics of each frame, float64 (N, M), of depth on the grid of cells (N, h, w), metres.

        NaN in a frame without valid pixels.
        """
        p = np.clip(self.at(depth[:, None])[:, 0].astype(np.float64), *self.limits)
        means = {term: term.of(p, self.depth).mean(axis=1) for term in terms_of(metrics)}
        return np.stack(list(finished(metrics, means).values()), axis=1)


def sample_pixels(
    ground_truths: Iterable[np.ndarray],
    grid: tuple[int, int],
    protocol: str | Protocol = "released",
    n: int = 256,
    seed: int = 0,
) -> SampledPixels:
    """Draw n valid pixels of each frame, one from each n-th of them in the order of their depths.

    ground_truths: (480, 640) each, metres, holes 0. Raises `DepthClipError` for a protocol that
    aligns predictions, for n below 1, and without frames.
    """
    protocol = resolve_protocol(protocol)
    if protocol.align:
        raise DepthClipError("a protocol that aligns needs all pixels of a frame: use sweep.sweep")
    if n < 1:
        raise DepthClipError(f"draw at least one pixel of each frame, not {n}")
    down, across = pixels.overlap_interpolation(grid, protocol)
    rng = np.random.default_rng(seed)
    depths, shares, counts = [], [], []
    for truth in ground_truths:
        known = pixels.counted(truth, protocol)
        drawn, depth = np.zeros(n, dtype=np.int64), np.full(n, np.nan)
        if known.n_valid:
            valid = np.flatnonzero(known.valid_mask)[np.argsort(known.values, kind="stable")]
            place = (np.arange(n) + rng.random(n)) * len(valid) / n
            drawn = valid[np.minimum(place.astype(np.int64), len(valid) - 1)]
            depth = known.depth.ravel()[drawn].astype(np.float64)
        row, column = np.divmod(drawn, known.depth.shape[1])
        both = down[row][:, :, None] * across[column][:, None]
        depths.append(depth)
        shares.append(both.reshape(n, -1))
        counts.append(known.n_valid)
    if not depths:
        raise DepthClipError("there are no frames to draw pixels of")
    limits = (protocol.min_depth, protocol.max_depth)
    return SampledPixels(np.array(depths), np.array(shares), np.array(counts), limits)


@dataclass(frozen=True, eq=False)
class Splits:
    """Sampled pixels of the train split, for fitting, and of the scored split, with their run."""

    train: SampledPixels
    test: SampledPixels
    temperature: float = TEMPERATURE
    flip: bool = True

    def weights(self, similarities: Tensor) -> np.ndarray:
        """Bin weights (N, K, h, w) of similarities (N, V, K, h, w)."""
        return cell_weights(similarities, self.temperature, self.flip)

    def score_lists(
        self,
        train: Tensor,
        test: Tensor,
        lists: np.ndarray,
        bins: Sequence[float] | None = None,
    ) -> np.ndarray:
        """The published metrics (L, N, 6) of L lists of K words on the test frames.

        train, test: similarities (N, V, W, h, w) with all W words. lists: (L, K), which of the
        words each list has, in its order. bins: K metres for every list; None: fitted to each list
        on the train frames, by medians.
        """
        found = []
        for words in torch.as_tensor(lists):
            weights = self.weights(test[:, :, words])
            depths = self.train.medians(self.weights(train[:, :, words])) if bins is None else bins
            found.append(self.test.scores(np.einsum("nkhw,k->nhw", weights, depths)))
        return np.array(found)


def open_splits(run: Run, n_pixels: int = 256, seed: int = 0) -> Splits:
    """The sampled pixels of a run's two splits."""
    draw = {"grid": run.grid, "protocol": run.protocol, "n": n_pixels, "seed": seed}
    parts = (sample_pixels(frames.ground_truths(), **draw) for frames in (run.train, run.frames))
    return Splits(*parts, run.temperature, run.protocol.flip)
