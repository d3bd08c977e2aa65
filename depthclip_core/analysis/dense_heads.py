"""Dense heads side by side: scores, order of depth within an image, and a cloud of random heads.

A system is a head at one input resolution, or a random one; its similarities (N, V, K, h, w) answer
for N frames of two views and K words. A random head projects the backbone's C channels into the
text's D dimensions with a random matrix, as the released head does with a matrix that keeps every
second channel. A projection P of cells f gives the similarity Pf·t = f·Pᵀt, so that one stored pass
over the backbone answers for any number of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthclip_core.analysis.many_systems import ORDER, fit_systems, order_within, score_maps
from depthclip_core.analysis.position import blind_maps, cell_medians
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.word_responses import cell_depths, mean_weights
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import HEADS
from depthclip_core.datasets import Dataset
from depthclip_core.encoding.passes import collect_responses, direction_similarities
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import PUBLISHED_METRICS

MEASURES = (*PUBLISHED_METRICS, *ORDER)
KINDS = ("projections", "channels")
GIVEN, FITTED = "given", "fitted"


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
    run: Run, frames: Dataset, scale: float = 1.0, heads: Sequence[str] = tuple(HEADS)
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
    text = text_vectors(run.encoder, run.words, store)
    texts = random_texts(text, run.encoder.channels, n, kind, seed).flatten(0, 1)
    every = direction_similarities(frames, run.encoder, texts, "backbone", store=store)
    return {f"{kind} {i}": each for i, each in enumerate(every.split(len(text), dim=2))}


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What all systems of a run are measured against.

    cells: (N, h, w), the true depth of each cell of the run's frames, metres, NaN where unknown.
    position: (h, w), the blind map by position (`position.blind_maps`) at each cell: what a map
    that sees no image knows of depth.
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
    """`Yardstick.rows` of all heads of `HEADS`, at an input scale (see `input_size`)."""
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
    """The true depths of the cells of a run's grid, and the blind map by position."""
    blind = blind_maps(run.train.ground_truths(), run.protocol)["position"]
    cells = cell_depths(run.frames.ground_truths(), run.grid, run.protocol)
    return Yardstick(run, cells, cell_medians(blind, run.grid))
