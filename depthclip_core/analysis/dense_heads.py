"""Dense heads side by side: scores, order of depth within an image, and a cloud of random heads.

A system is a head at one input resolution, or a random one; its similarities (N, V, K, h, w) answer
for N frames of two views and K words. A random head projects the backbone's C channels into the
text's D dimensions with a random matrix, as the released head does with a matrix that keeps every
second channel. A projection P of cells f gives the similarity Pf·t = f·Pᵀt, so that one stored pass
over the backbone answers for any number of them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
import torch
import torch.nn.functional as F
from torch import Tensor

from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.word_responses import cell_depths, mean_weights
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import DENSE_HEADS
from depthclip_core.datasets import Dataset
from depthclip_core.encoding.passes import EncodingJob, collect_responses, encode
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import store_for, text_vectors
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.fitting import STEP, medians
from depthclip_core.evaluation.frame_scores import align, scores
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.method.pipeline import project
from depthclip_core.settings import PUBLISHED_METRICS

ORDER = ("spearman", "partial")  # rank correlations within an image
MEASURES = (*PUBLISHED_METRICS, *ORDER)
KINDS = ("projections", "channels")
GIVEN, FITTED = "given", "fitted"
ROUNDED = 5  # decimals of metres: cells whose depths differ by less are tied
FEWEST_CELLS = 3
BLOCK = 8  # maps that are scored at once
Name = TypeVar("Name")


def input_size(encoder: Encoder, window: tuple[int, int], scale: float) -> tuple[int, int] | None:
    """Rows and columns of the network's input for `scale` times as many cells; None: the window's.

    They are whole cells, so that the grid covers the window: 1.5 times 13 × 17 cells are 20 × 26.
    """
    if not 0 < scale < np.inf:
        raise DepthClipError(f"a scale of the input must be positive and finite, got {scale}")
    if scale == 1:
        return None
    cells = (max(1, int(scale * n + 0.5)) for n in encoder.grid(*window))
    return tuple(n * encoder.stride for n in cells)


def head_similarities(
    run: Run, frames: Dataset, scale: float = 1.0, heads: Sequence[str] = tuple(DENSE_HEADS)
) -> dict[str, Tensor]:
    """Similarities of each head with the run's words, from the store; one pass for all heads.

    scale: of the network's input, see `input_size`.
    """
    size = input_size(run.encoder, frames[0].window.shape, scale)
    options = {"size": size, "keep": "similarities", "progress": False}
    return collect_responses(frames, run.encoder, run.words, list(heads), **options)


def random_texts(text: Tensor, channels: int, n: int, kind: str, seed: int = 0) -> Tensor:
    """Pᵀt of n random projections P (D, C), for K text vectors (K, D): fp32 (n, K, C).

    kind: "projections", of independent normal entries of variance 1 / C; or "channels", each text
    dimension reads one of D random channels. Both keep a unit vector's mean length, √(D / C).
    """
    if kind not in KINDS:
        raise unknown_name("kind of random heads", kind, KINDS)
    words, width = text.cpu().numpy().astype(np.float64), text.shape[1]
    if kind == "channels" and width > channels:
        fault = f"{channels} channels are too few for {width} text dimensions"
        raise DepthClipError(f"{fault}: choose kind 'projections'")
    out = np.zeros((n, len(words), channels), dtype=np.float32)
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        if kind == "channels":
            out[i][:, rng.permutation(channels)[:width]] = words
        else:
            out[i] = words @ rng.standard_normal((width, channels)) / np.sqrt(channels)
    return torch.from_numpy(out)


def random_similarities(
    run: Run,
    frames: Dataset,
    n: int,
    kind: str = "projections",
    seed: int = 0,
    store: Store | None = None,
) -> dict[str, Tensor]:
    """Similarities (N, 2, K, h, w) of n random heads with the run's words, by name.

    The backbone's vectors are taken from the store; without them there is one network pass.
    """
    with store_for(run.encoder, store) as opened:
        encode(frames, run.encoder, ["backbone"], store=opened, progress=False)
        array = EncodingJob(frames, run.encoder, None, opened).vectors("backbone")
        channels = array.read(0).shape[2]
        texts = random_texts(text_vectors(run.encoder, run.words, opened), channels, n, kind, seed)
        parts = []
        for chunk in range(array.n_chunks):
            answers = project(torch.from_numpy(array.read(chunk)), texts.flatten(0, 1))
            parts.append(answers.unflatten(2, (n, -1)).transpose(0, 2))  # (n, V, frames, K, h, w)
    together = torch.cat(parts, dim=2).transpose(1, 2)
    return {f"{kind} {i}": each for i, each in enumerate(together)}


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What all systems of a run are measured against.

    cells: (N, h, w), the true depth of each cell of the run's frames, metres, NaN where unknown.
    position: (h, w), the mean depth of each cell over the train frames: what a map that sees no
    image knows of depth.
    """

    run: Run
    cells: np.ndarray
    position: np.ndarray

    def rows(self, similarities: Mapping[str, Tensor], train: Mapping[str, Tensor]) -> pd.DataFrame:
        """`MEASURES` of each system with the run's bins and with fitted ones: a row per frame.

        similarities, train: of the run's frames and of the train split, by the system's name.
        Fitted bins are the median depths of each word on the train split. The rows are named
        (system, bins, frame). NaN where a frame has too little depth.
        """
        run, protocol = self.run, self.run.protocol
        options = (run.temperature, protocol.flip)
        of_train = {name: mean_weights(each, *options) for name, each in train.items()}
        fitted = fit_systems(run.train.ground_truths, of_train, protocol)
        maps = {}
        for name, each in similarities.items():
            weights = mean_weights(each, *options)
            for kind, bins in ((GIVEN, run.bins), (FITTED, fitted[name])):
                maps[name, kind] = np.einsum("nkhw,k->nhw", weights, np.asarray(bins, np.float32))
        values = np.concatenate(
            [
                score_maps(run.frames.ground_truths(), list(maps.values()), protocol),
                order_within(list(maps.values()), self.cells, self.position),
            ],
            axis=2,
        )
        parts = [pd.DataFrame(of_map, run.frames.names, MEASURES) for of_map in values]
        return pd.concat(parts, keys=list(maps), names=["system", "bins", "frame"])


def of_heads(measured: Yardstick, scale: float = 1.0) -> pd.DataFrame:
    """`Yardstick.rows` of all heads of `DENSE_HEADS`, at an input scale (see `input_size`)."""
    run = measured.run
    return measured.rows(*(head_similarities(run, f, scale) for f in (run.frames, run.train)))


def of_random(
    measured: Yardstick, n: int, seed: int = 0, kinds: Sequence[str] = KINDS
) -> dict[str, pd.DataFrame]:
    """`Yardstick.rows` of n random heads of each kind, the same ones on both splits."""
    run = measured.run
    both = []
    for frames in (run.frames, run.train):
        found = (random_similarities(run, frames, n, kind, seed) for kind in kinds)
        both.append({name: each for part in found for name, each in part.items()})
    rows = measured.rows(*both)
    of_kind = rows.index.get_level_values("system").str.split().str[0]
    return {kind: rows[of_kind == kind] for kind in kinds}


def yardstick(run: Run) -> Yardstick:
    """The true depths of the cells of a run's grid, and their mean position map."""
    of_split = (
        cell_depths(frames.ground_truths(), run.grid, run.protocol)
        for frames in (run.frames, run.train)
    )
    cells, train = of_split
    return Yardstick(run, cells, position_map(train))


def position_map(cells: np.ndarray) -> np.ndarray:
    """Mean depth of each cell over frames (N, h, w) → (h, w); unknown cells get the mean of all."""
    known = np.isfinite(cells)
    if not known.any():
        raise DepthClipError("no mean depth by position: no train frame has a cell of known depth")
    counts, total = known.sum(0), np.where(known, cells, 0).sum(0)
    return np.where(counts > 0, total / np.maximum(counts, 1), total.sum() / counts.sum())


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
