"""Dense heads side by side: scores, order of depth within an image, and a cloud of random heads.

A system is a head at one input resolution, or a random one; its similarities (N, V, K, h, w) answer
for N frames of two views and K words. A random head projects the backbone's C channels into the
text's D dimensions with a random matrix, as the released head does with a matrix that keeps every
second channel. A projection P of cells f gives the similarity Pf·t = f·Pᵀt, so that one stored pass
over the backbone answers for any number of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
import torch
import torch.nn.functional as F
from torch import Tensor

from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import holm, intervals, sign_flip_test, verdicts
from depthclip_core.analysis.word_responses import cell_depths, mean_weights
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import DENSE_HEADS
from depthclip_core.datasets import Dataset
from depthclip_core.encoding.passes import EncodingJob, collect_responses, encode
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import store_for, text_vectors
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.fitting import fit_medians
from depthclip_core.evaluation.frame_scores import align, scores
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.method.pipeline import project
from depthclip_core.settings import PUBLISHED_METRICS

ORDER = ("spearman", "partial")  # rank correlations within an image
MEASURES = (*PUBLISHED_METRICS, *ORDER)
NAMES = {"delta1": "δ1", "spearman": "rank correlation", "partial": "partial rank correlation"}
KINDS = ("projections", "channels")
GIVEN, FITTED = "given", "fitted"
ROUNDED = 5  # decimals of metres: cells whose depths differ by less are tied
FEWEST_CELLS = 3


def sign(measure: str) -> int:
    """1 if a larger value of the measure is better, else −1."""
    return 1 if measure in ORDER else METRICS[measure].sign


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
        fitted = fit_by_grid(run.train.ground_truths, train, run.temperature, protocol)
        maps = {}
        for name, each in similarities.items():
            weights = mean_weights(each, run.temperature, protocol.flip)
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
    measured: Yardstick, n: int, kind: str = "projections", seed: int = 0
) -> pd.DataFrame:
    """`Yardstick.rows` of n random heads, the same ones on both splits (see `random_texts`)."""
    run = measured.run
    both = (random_similarities(run, f, n, kind, seed) for f in (run.frames, run.train))
    return measured.rows(*both)


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


def fit_by_grid(
    ground_truths, similarities: Mapping[str, Tensor], temperature: float, protocol: Protocol
) -> dict[str, tuple[float, ...]]:
    """`fitting.fit_medians` of systems with several grids. ground_truths: gives them anew."""
    grids: dict[tuple, dict[str, Tensor]] = {}
    for name, each in similarities.items():
        grids.setdefault(tuple(each.shape[-2:]), {})[name] = each
    found = [fit_medians(ground_truths(), s, temperature, protocol) for s in grids.values()]
    return {name: bins for part in found for name, bins in part.items()}


def score_maps(
    ground_truths: Iterable[np.ndarray],
    maps: Sequence[np.ndarray],
    protocol: Protocol,
    metrics: Sequence[str] = PUBLISHED_METRICS,
) -> np.ndarray:
    """Metrics of depth maps on grids of cells, each frame read once: float64 (S, N, M).

    maps: S of (N, h, w) metres; the grids may differ. Equal to `evaluate` on the upsampled maps.
    """
    grids: dict[tuple, list[int]] = {}
    for s, each in enumerate(maps):
        grids.setdefault(each.shape[1:], []).append(s)
    n_frames = len(maps[0]) if len(maps) else 0
    out = np.full((len(maps), n_frames, len(metrics)), np.nan)
    for position, truth in pixels.paired(ground_truths, n_frames):
        known = pixels.counted(truth, protocol)
        for systems in grids.values() if known.n_valid else ():
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


def summary(rows: pd.DataFrame, groups: Sequence, measures=MEASURES, seed: int = 0) -> pd.DataFrame:
    """Means of each system over frames with 95 % intervals by group: rows (system, bins, measure).

    rows: as from `Yardstick.rows`. groups: of the frames. Columns mean, low, high, images, groups.
    """
    return _by_system(rows, lambda each: intervals(each[list(measures)], groups, seed=seed))


def differences(
    rows: pd.DataFrame,
    reference: pd.DataFrame,
    groups: Sequence,
    measures: Sequence[str] = MEASURES,
    seed: int = 0,
) -> pd.DataFrame:
    """`summary` of each system minus a reference on the same frames, with a verdict.

    reference: a row per frame, in the rows' order; or rows of the same systems, one for each.
    verdict: as of `statistics.compare`.
    """
    columns, signs = list(measures), [sign(measure) for measure in measures]

    def of_system(each: pd.DataFrame, key: tuple[str, str]) -> pd.DataFrame:
        other = reference.loc[key] if isinstance(reference.index, pd.MultiIndex) else reference
        table = intervals(each[columns] - other[columns].to_numpy(), groups, seed=seed)
        return table.assign(verdict=verdicts(table, signs))

    parts = {key: of_system(each, key) for key, each in _systems(rows)}
    return pd.concat(parts, names=["system", "bins", "measure"])


def mean_head(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean over all systems as one more system, "mean of heads"; rows as `Yardstick.rows`."""
    mean = pd.concat({"mean of heads": cloud_mean(rows)}, names=["system"])
    return mean[list(rows.columns)]


def in_words(
    table: pd.DataFrame, system: str, measures: Sequence[str] = ("delta1", "partial")
) -> str:
    """Means and intervals of a system with fitted bins: "δ1 +0.120 (+0.100 to +0.140)" and so on.

    table: as from `differences`.
    """
    parts = []
    for measure in measures:
        mean, low, high = table.loc[(system, FITTED, measure), ["mean", "low", "high"]]
        ends = f"{low:+.3f} to {high:+.3f}" if np.isfinite([low, high]).all() else "no interval"
        parts.append(f"{NAMES.get(measure, measure)} {mean:+.3f} ({ends})")
    return ", ".join(parts)


def paired_p(
    rows: pd.DataFrame, reference: pd.DataFrame, groups: Sequence, measure: str, seed: int = 0
) -> pd.DataFrame:
    """p that a measure's mean difference from a reference is zero, of each (system, bins).

    reference: a row per frame. Columns p, from `statistics.sign_flip_test`, and p_holm, corrected
    for the number of systems whose p is known. A system that is the reference has no p.
    """
    found = {}
    for key, each in _systems(rows):
        gap = each[measure].to_numpy() - reference[measure].to_numpy()
        found[key] = sign_flip_test(gap, groups, seed=seed) if np.nan_to_num(gap).any() else np.nan
    p = pd.Series(found, name="p").rename_axis(["system", "bins"])
    return pd.DataFrame({"p": p, "p_holm": holm(p)})


def cloud_mean(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean over systems of each frame and bins: rows (bins, frame)."""
    return rows.groupby(["bins", "frame"], sort=False).mean()


def cloud_quantiles(rows: pd.DataFrame, at: Sequence[float] = (0.05, 0.5, 0.95)) -> pd.DataFrame:
    """Quantiles of the systems' means over frames: rows (bins, measure), columns "5 %" …"""
    means = rows.groupby(["system", "bins"], sort=False).mean()
    table = means.groupby("bins", sort=False).quantile(list(at)).stack().unstack(1)
    table.columns = [f"{level:.0%}".replace("%", " %") for level in at]
    return table.rename_axis(["bins", "measure"])


def distances(rows: pd.DataFrame, cloud: pd.DataFrame) -> pd.DataFrame:
    """Each system's distance from the cloud's mean, in its standard deviations; positive is better.

    rows, cloud: as from `Yardstick.rows`. A row for each (system, bins), a column per measure.
    """
    means = rows.groupby(["system", "bins"], sort=False).mean()
    of_cloud = cloud.groupby(["system", "bins"], sort=False).mean().groupby("bins", sort=False)
    kinds = means.index.get_level_values("bins")
    middle, spread = (t.loc[kinds].set_axis(means.index) for t in (of_cloud.mean(), of_cloud.std()))
    return (means - middle) / spread * [sign(measure) for measure in means.columns]


def _systems(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for key, each in rows.groupby(["system", "bins"], sort=False):
        yield key, each.droplevel(["system", "bins"])


def _by_system(rows: pd.DataFrame, table) -> pd.DataFrame:
    parts = {key: table(each) for key, each in _systems(rows)}
    return pd.concat(parts, names=["system", "bins", "measure"])


def _on_grid(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Maps (N, h', w') as means over the cells of another grid, float32 (N, h, w)."""
    if maps.shape[1:] == tuple(grid):
        return maps
    return F.adaptive_avg_pool2d(torch.from_numpy(maps)[:, None].float(), grid)[:, 0].numpy()
