"""Nulls for words and channels: what chance reaches in place of distance words or chosen channels.

A null keeps everything but one ingredient, and replaces this one by a random one, many times: the
words by other words or by random directions, the channels that the released head keeps by other
channels, the trained network by an untrained one. Bins are fitted to each list on the train split.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources

import numpy as np
import torch

from depthclip_core.analysis.clouds import Clouds
from depthclip_core.analysis.random_vectors import (
    channel_directions,
    directions_spread_like,
    permuted_channels,
    random_channels,
    random_directions,
    random_lists,
)
from depthclip_core.analysis.sampled_pixels import Splits
from depthclip_core.analysis.setup import Run
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.library import create_model
from depthclip_core.encoding.passes import collect_responses, direction_similarities
from depthclip_core.evaluation.baselines import best_constants
from depthclip_core.settings import PUBLISHED_METRICS

_file = resources.files("depthclip_core.analysis") / "nulls.toml"
VOCABULARY: Mapping[str, list[str]] = tomllib.loads(_file.read_text(encoding="utf-8"))
READ = tuple(VOCABULARY["things"] + VOCABULARY["colours"] + VOCABULARY["materials"])
UNREAD = tuple(VOCABULARY["unread"])


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
    k, c, d = len(run.words), encoder.channels, encoder.width
    kept = {
        "random channels": random_channels(c, d, n_draws, seed),
        "channels in another order": permuted_channels(c, d, -(-n_draws // 2), seed + 1),
    }
    text = run.text_vectors(run.words)
    directions = torch.cat([channel_directions(text, each, c) for each in kept.values()])
    parts = [direction_similarities(f, encoder, directions, "backbone") for f in both]
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
