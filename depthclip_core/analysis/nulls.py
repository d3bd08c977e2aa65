"""Nulls for words and channels: what chance reaches in place of distance words or chosen channels.

A null keeps everything but one ingredient, and replaces this one by a random one, many times: the
words by other words or by random directions, the channels that the released head keeps by other
channels, the trained network by an untrained one. Bins are fitted to each list on the train split.
"""

import copy
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from depthclip_core.analysis import statistics
from depthclip_core.analysis.sampled_pixels import SampledPixels, sample_pixels
from depthclip_core.analysis.setup import Run
from depthclip_core.clip import heads
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.library import create_model
from depthclip_core.datasets import Dataset
from depthclip_core.encoding.passes import EncodingJob, collect_responses, encode
from depthclip_core.encoding.vectors import store_for
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.baselines import best_constants
from depthclip_core.evaluation.metrics import METRICS, resolve_metric
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.pipeline import default_batch_size, project
from depthclip_core.settings import PUBLISHED_METRICS, TEMPERATURE

_file = resources.files("depthclip_core.analysis") / "nulls.toml"
VOCABULARY: Mapping[str, list[str]] = tomllib.loads(_file.read_text(encoding="utf-8"))
READ = tuple(VOCABULARY["things"] + VOCABULARY["colours"] + VOCABULARY["materials"])
UNREAD = tuple(VOCABULARY["unread"])
QUANTILES = {"5 %": 0.05, "median": 0.5, "95 %": 0.95}


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


@dataclass(frozen=True, eq=False)
class Clouds:
    """Scores of nulls beside those of what they stand in for; metrics are the published six.

    own: (N, 6), of the run's words or channels on N images. blind: (N, 6), of the constant depth
    that is best by each metric on the train split. clouds: for each null (L, N, 6) of L draws.
    groups: the images' rooms.
    """

    own: np.ndarray
    blind: np.ndarray
    clouds: dict[str, np.ndarray]
    groups: Sequence

    def means(self, metric: str) -> dict[str, np.ndarray]:
        """The metric's mean over images of each draw, (L,) for each null."""
        place = _place(metric)
        return {name: np.nanmean(cloud[:, :, place], axis=1) for name, cloud in self.clouds.items()}

    def table(self, metric: str) -> pd.DataFrame:
        """A row per null: draws, quantiles of their means over images, own, best constant.

        "as good as own": the share of draws that score at least as well as the run's own.
        """
        sign, place = resolve_metric(metric).sign, _place(metric)
        own, blind = (np.nanmean(rows[:, place]) for rows in (self.own, self.blind))
        rows = {}
        for name, means in self.means(metric).items():
            quantiles = {label: np.quantile(means, at) for label, at in QUANTILES.items()}
            reached = np.mean(sign * means >= sign * own)
            others = {"own": own, "best constant": blind, "as good as own": reached}
            rows[name] = {"draws": len(means), **quantiles, **others}
        return pd.DataFrame(rows).T.astype({"draws": int}).rename_axis("null")

    def interval(self, metric: str, seed: int = 0) -> pd.Series:
        """Own's mean over images with its interval by room: mean, low and high."""
        rows = pd.DataFrame({metric: self.own[:, _place(metric)]})
        return statistics.intervals(rows, self.groups, seed=seed).loc[metric]

    def drawn(self, metric: str, seed: int = 0) -> dict[str, object]:
        """What `null_plots.show_clouds` draws: clouds, own and blind."""
        blind = float(np.nanmean(self.blind[:, _place(metric)]))
        return {"clouds": self.means(metric), "own": self.interval(metric, seed), "blind": blind}

    def shares(self, metric: str, seed: int = 0) -> pd.DataFrame:
        """For each null the share of own's gain over the best constant that it reaches on average.

        Columns share, low, high; see `gain_share`.
        """
        place = _place(metric)
        own, blind = self.own[:, place], self.blind[:, place]
        rows = {
            name: gain_share(cloud[:, :, place], own, blind, self.groups, metric, seed=seed)
            for name, cloud in self.clouds.items()
        }
        return pd.DataFrame(rows).T.rename_axis("null")

    def differences(self, metric: str, seed: int = 0) -> pd.DataFrame:
        """Own minus the mean of each null's draws on the same images: `statistics.compare`."""
        place = _place(metric)
        own = pd.DataFrame({metric: self.own[:, place]})
        rows = {
            name: statistics.compare(
                own, pd.DataFrame({metric: cloud[:, :, place].mean(0)}), self.groups, seed
            ).iloc[0]
            for name, cloud in self.clouds.items()
        }
        return pd.DataFrame(rows).T.rename_axis("null")


def _place(metric: str) -> int:
    if metric not in PUBLISHED_METRICS:
        raise DepthClipError(f"{metric!r} is not one of {', '.join(PUBLISHED_METRICS)}")
    return PUBLISHED_METRICS.index(metric)


def gain_share(
    null: np.ndarray,
    own: np.ndarray,
    blind: np.ndarray,
    groups: Sequence,
    metric: str,
    *,
    draws: int = statistics.DRAWS,
    level: float = statistics.LEVEL,
    seed: int = 0,
) -> pd.Series:
    """Mean gain of a null over a blind baseline, as a share of the own system's gain.

    null: a metric (L, N) of L draws on N images. own, blind: (N,). The interval (low, high) is from
    a bootstrap of groups and, independently, of the null's draws. Images with NaN are left out.
    The bounds are NaN for fewer than `statistics.FEWEST_GROUPS` groups, and where own's gain is not
    clear of zero, since a share of nothing can be anything; the share is NaN unless that gain is
    positive.
    """
    sign = METRICS[metric].sign
    scored = np.isfinite(own) & np.isfinite(blind) & np.isfinite(null).all(0)
    gain_null = sign * (null - blind)[:, scored]
    gain_own = sign * (own - blind)[scored]
    groups = np.asarray(groups, dtype=str)[scored]
    if not (scored.any() and gain_own.mean() > 0):
        return pd.Series({"share": np.nan, "low": np.nan, "high": np.nan})
    share, ends = gain_null.mean() / gain_own.mean(), (np.nan, np.nan)
    if len(np.unique(groups)) >= statistics.FEWEST_GROUPS:
        images = statistics.redraws(groups, draws, seed)
        lists = np.random.default_rng([seed, 1]).multinomial(
            len(null), np.full(len(null), 1 / len(null)), draws
        )
        of_own = images @ gain_own
        of_null = np.einsum("dl,dl->d", lists, images @ gain_null.T) / len(null)
        if np.quantile(of_own, (1 - level) / 2) > 0:
            ends = np.quantile(of_null / of_own, [(1 - level) / 2, (1 + level) / 2])
    return pd.Series({"share": share, "low": ends[0], "high": ends[1]})


def in_words(row: pd.Series) -> str:
    """A share with its interval for a sentence: "0.631 (0.512 to 0.744)"."""
    if np.isnan(row["share"]):
        return "an undefined share (there is no gain to share)"
    if np.isnan(row["low"]):
        return f"{row['share']:.3f} (no interval)"
    return f"{row['share']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def random_lists(n_words: int, pool: int, n_lists: int, seed: int = 0) -> np.ndarray:
    """n_lists × n_words indices below pool; no word occurs twice in a list."""
    if n_words > pool:
        raise DepthClipError(f"cannot draw {n_words} different words from {pool}")
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(pool, n_words, replace=False) for _ in range(n_lists)])


def random_directions(n: int, dimensions: int, seed: int = 0) -> Tensor:
    """n unit vectors in directions that are all equally likely: (n, dimensions) fp32."""
    drawn = np.random.default_rng(seed).standard_normal((n, dimensions))
    return F.normalize(torch.from_numpy(drawn).float(), dim=-1)


def directions_spread_like(text: Tensor, n_lists: int, seed: int = 0) -> Tensor:
    """Random directions around the mean of K text vectors (K, D), as far apart as these.

    Returns (n_lists · K, D) fp32. The mean squared distance of two of a list is that of two of the
    words, in expectation. The softmax sees only differences of similarities, so this null is as
    sharp as the words; unit vectors in any direction are much farther apart than words.
    """
    if len(text) < 2:
        raise DepthClipError("give two or more words: one has no spread")
    vectors = text.double().cpu()
    variance = (vectors - vectors.mean(0)).square().sum() / (len(vectors) - 1)
    shape = (n_lists * len(vectors), vectors.shape[1])
    drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))
    return (vectors.mean(0) + drawn * (variance / shape[1]).sqrt()).float()


def released_channels(channels: int, kept: int) -> np.ndarray:
    """The channels that the released head keeps, (kept,): 0, 2, 4 … where it keeps half."""
    return np.arange(kept) * channels // kept


def random_channels(channels: int, kept: int, n: int, seed: int = 0) -> np.ndarray:
    """n random choices of as many channels, each in ascending order, (n, kept)."""
    return np.sort(random_lists(kept, channels, n, seed), axis=1)


def permuted_channels(channels: int, kept: int, n: int, seed: int = 0) -> np.ndarray:
    """The released head's channels in n random orders, (n, kept)."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(released_channels(channels, kept)) for _ in range(n)])


def channel_directions(text: Tensor, kept: np.ndarray, channels: int) -> Tensor:
    """Text vectors (K, D) as directions in the space of C channels: (L · K, C) fp32.

    kept: (L, D), the channel that each dimension of the text is compared with. A cell's similarity
    with such a direction is that of the kept channels with the text.
    """
    out = torch.zeros(len(kept), len(text), channels)
    index = torch.from_numpy(kept)[:, None].expand(-1, len(text), -1)
    out.scatter_(2, index, text.float().cpu().expand(len(kept), -1, -1))
    return out.flatten(0, 1)


def direction_similarities(
    frames: Dataset, encoder: Encoder, directions: Tensor, head: str
) -> Tensor:
    """Similarities (N, 2, W, h, w) fp32 of a head's stored vectors with W directions (W, D)."""
    with store_for(encoder, None) as store:
        encode(frames, encoder, [head], store=store, progress=False)
        array = EncodingJob(frames, encoder, None, store).vectors(head)
        chunks = (torch.from_numpy(array.read(chunk)) for chunk in range(array.n_chunks))
        return torch.cat([project(chunk, directions.cpu()) for chunk in chunks])


@torch.inference_mode()
def channel_similarities(frames: Dataset, encoder: Encoder, directions: Tensor) -> Tensor:
    """Similarities (N, 2, W, h, w) fp32 of all C channels with W directions (W, C).

    It takes a network pass: only those channels are stored that a head keeps. Cells are normalised
    over all channels, as in the released head.
    """
    batch = default_batch_size(frames[0].window.shape, encoder.device.type)
    directions, found = directions.to(encoder.device), []
    for cells in _all_channels(frames, encoder, batch):
        if cells.shape[2] != directions.shape[1]:
            fault = f"directions have {directions.shape[1]} channels, and cells {cells.shape[2]}"
            raise DepthClipError(f"{fault}: use channel_directions")
        found.append(project(cells, directions).cpu())
    return torch.cat(found)


def _all_channels(frames: Dataset, encoder: Encoder, batch: int) -> Iterator[Tensor]:
    """Normalised cells (B, 2, C, h, w), of image and mirror image, of all frames in batches."""
    # The released head keeps output_dim channels: a copy with the same weights says all of them.
    visual = copy.copy(encoder.tower.visual)
    visual.output_dim = n_channels(encoder)
    rows, columns = frames[0].window.slices
    for start in range(0, len(frames), batch):
        positions = range(start, min(start + batch, len(frames)))
        images = torch.from_numpy(frames.rgb_batch(positions)[:, rows, columns].copy())
        views = torch.stack([images, images.flip(2)], dim=1).flatten(0, 1)
        features = encoder.features(encoder.normalise(views.to(encoder.device)))
        yield heads.released(features, visual).unflatten(0, (len(positions), 2))


def n_channels(encoder: Encoder) -> int:
    """How many channels a cell has before the released head drops some."""
    visual = encoder.tower.visual
    if heads.is_vit(visual):
        return int(visual.proj.shape[0])
    return int(visual.attnpool.v_proj.in_features)


def untrained(encoder: Encoder, seed: int = 0) -> Encoder:
    """The encoder with random weights in its image tower, the same for the same seed.

    The text tower keeps its weights, so that the words stay what they are.
    """

    def build() -> torch.nn.Module:
        model = encoder.build()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model.visual = create_model(encoder.configuration, encoder.device).visual
        return model

    label = f"untrained, seed {seed}"  # not "random": such weights recur, so the store serves them
    return Encoder(build, encoder.configuration, label, encoder.device, encoder.precision)


def open_splits(run: Run, n_pixels: int = 256, seed: int = 0) -> Splits:
    """The sampled pixels of a run's two splits."""
    draw = {"grid": run.grid, "protocol": run.protocol, "n": n_pixels, "seed": seed}
    parts = (sample_pixels(frames.ground_truths(), **draw) for frames in (run.train, run.frames))
    return Splits(*parts, run.temperature, run.protocol.flip)


def blind_scores(run: Run, splits: Splits) -> np.ndarray:
    """Scores (N, 6) of constant depth: for each metric that which is best on the train split."""
    constants = best_constants(run.train.ground_truths(), run.protocol)
    shape = (len(run.frames), *run.grid)
    maps = (np.full(shape, constants[metric]) for metric in PUBLISHED_METRICS)
    return np.column_stack([splits.test.scores(m)[:, i] for i, m in enumerate(maps)])


def word_nulls(
    run: Run, splits: Splits, blind: np.ndarray, n_lists: int = 50, seed: int = 0
) -> dict[str, Clouds]:
    """Random lists in place of the run's words: `Clouds` with "fitted bins" and "given bins".

    The nulls: words that the sample's captions use, words that they do not, random directions, and
    random directions spread like the words. blind: (N, 6) of `blind_scores`.
    """
    k, text = len(run.words), run.text_vectors(run.words)
    apart = np.arange(n_lists * k).reshape(n_lists, k)
    pools = {
        "ordinary words": (run.text_vectors(READ), random_lists(k, len(READ), n_lists, seed)),
        "unread words": (run.text_vectors(UNREAD), random_lists(k, len(UNREAD), n_lists, seed)),
        "random directions": (random_directions(n_lists * k, text.shape[1], seed), apart),
        "directions spread like words": (directions_spread_like(text, n_lists, seed + 1), apart),
    }
    kinds = {"fitted bins": None, "given bins": run.bins}
    both = (run.train, run.frames)
    own = [run.similarities(frames=frames) for frames in both]
    found = {kind: {} for kind in kinds}
    for name, (vectors, lists) in pools.items():
        parts = [direction_similarities(f, run.encoder, vectors, run.head) for f in both]
        for kind, bins in kinds.items():
            found[kind][name] = splits.score_lists(*parts, lists, bins)
    first = np.arange(k)[None]
    own = {kind: splits.score_lists(*own, first, bins)[0] for kind, bins in kinds.items()}
    return {kind: Clouds(own[kind], blind, found[kind], run.frames.groups) for kind in kinds}


def channel_nulls(
    run: Run,
    splits: Splits,
    blind: np.ndarray,
    n_draws: int = 200,
    n_untrained: int = 5,
    seed: int = 0,
) -> Clouds:
    """Other channels, orders and weights in place of the released head's, all with fitted bins.

    The nulls: random halves of the channels, the released channels in random order, and the
    released head of networks with random weights. There are half as many orders as choices of
    channels. All similarities of both are in memory at once: 12 kB for a frame and a draw of seven
    words and 221 cells, 0.6 GB for the sample.
    """
    encoder, both = run.encoder, (run.train, run.frames)
    k, c, d = len(run.words), n_channels(encoder), encoder.width
    kept = {
        "random channels": random_channels(c, d, n_draws, seed),
        "channels in another order": permuted_channels(c, d, -(-n_draws // 2), seed + 1),
    }
    text = run.text_vectors(run.words)
    directions = torch.cat([channel_directions(text, each, c) for each in kept.values()])
    parts = [channel_similarities(frames, encoder, directions) for frames in both]
    lists = np.split(np.arange(len(directions)).reshape(-1, k), [n_draws])
    named = zip(kept, lists, strict=True)
    clouds = {name: splits.score_lists(*parts, of_null) for name, of_null in named}

    def released(network: Encoder, keep: str) -> np.ndarray:
        options = {"keep": keep, "progress": False}
        every = (collect_responses(f, network, run.words, ["released"], **options) for f in both)
        similarities = [of["released"] for of in every]
        return splits.score_lists(*similarities, np.arange(k)[None])[0]

    if n_untrained:
        networks = (untrained(encoder, seed + i) for i in range(n_untrained))
        of_each = [released(network, "similarities") for network in networks]
        clouds["untrained network"] = np.array(of_each)
    return Clouds(released(encoder, "vectors"), blind, clouds, run.frames.groups)
