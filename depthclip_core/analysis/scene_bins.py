"""Do bins learnt for a scene type pay? Ways to learn them × ways to choose them, on one run.

A system is a pair (bins, choice). Bins are "published", the best of these on training frames, or
learnt as in `learned_bins`: "stretched", "median", "least-squares", "continuous". The choice says
which of them an image gets: "all", one set for all images; "predicted", that of the scene type that
CLIP predicts; "soft", the mean of the scene types' sets with their predicted probabilities; "true",
that of its true scene type; "image", a set of its own. Also ("fixed", "all"), the run's own bins,
and two that choose by ground truth: ("oracle", "image"), the best set for each image and metric,
and ("oracle", "type"), the best one for all images of a scene type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from depthclip_core.analysis import scene_probabilities as sp
from depthclip_core.analysis.learned_bins import (
    STRENGTHS,
    Evidence,
    evidence,
    fit_continuous,
    frame_weights,
    mixed,
    own_scores,
    room_folds,
    stretched,
)
from depthclip_core.analysis.scene_choice import Scenes, predicted_scenes
from depthclip_core.analysis.setup import Run
from depthclip_core.encoding.vectors import image_vectors
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.settings import BINS, PUBLISHED_METRICS

System = tuple[str, str]
FIXED, ORACLE, CONTINUOUS = ("fixed", "all"), ("oracle", "image"), ("continuous", "image")
TYPE_ORACLE = ("oracle", "type")
CHOICES = ("predicted", "soft", "true")
WORTH = 0.001  # a smaller gain on rooms that were left out does not pay for learning more


@dataclass(frozen=True, eq=False)
class Study:
    """All systems of a run, scored on its split of B images.

    scenes: of that split. scores: for each system a row of PUBLISHED_METRICS for each image.
    validation: a row for each system that has a strength, the mean metric on train rooms that were
    left out, for each of STRENGTHS. strengths: of each row, see `best_strengths`. tables: for each
    kind of bins a table in metres, rows "all" and the scene types, with the strength for the
    predicted type.
    """

    scenes: Scenes
    scores: dict[System, pd.DataFrame]
    validation: pd.DataFrame
    strengths: pd.Series
    tables: dict[str, pd.DataFrame]

    def of(self, system: System, metrics: Sequence[str] = PUBLISHED_METRICS) -> pd.DataFrame:
        """The metrics of a system, a row for each image."""
        if system not in self.scores:
            names = [", ".join(name) for name in self.scores]
            raise unknown_name("system", ", ".join(system), names)
        return self.scores[system][list(metrics)]


def study(
    run: Run,
    metric: str = "delta1",
    *,
    templates: Sequence[str] = sp.TEMPLATES,
    n_folds: int = 5,
    n_axes: int = 8,
    seed: int = 0,
) -> Study:
    """Learn all bins on the run's train split, and score all systems on its own split.

    metric: what candidates and strengths are chosen by. n_folds, seed: rooms are dealt to folds;
    bins learnt without a fold are scored on it, with each strength, to choose the strength. The
    temperature of the scene types' softmax is one number, and is fitted on all train images.
    """
    train, setting = run.train, (run.temperature, run.protocol)
    seen = predicted_scenes(run, templates)
    similarities = run.similarities(frames=train)
    published = [bins for bins in BINS.values() if len(bins) == len(run.words)]
    families = {"stretched": stretched(run.bins)}
    families |= {"published": np.array(published)} if published else {}
    candidates = np.concatenate(list(families.values()))
    known = evidence(train, similarities, candidates, metric, *setting)
    vectors = [image_vectors(f, run.encoder).cpu().numpy() for f in (train, run.frames)]

    data = (known, families, train.scenes, seen["train"].kinds, vectors[0])
    folds = room_folds(train.groups, train.scenes, n_folds, seed)
    held_out: dict[System, np.ndarray] = {}
    for fold in range(folds.max() + 1):
        out = folds == fold
        found = Learner(*data, ~out & known.known).systems(seen["train"], vectors[0], n_axes)
        for system, bins in found.items():
            held_out.setdefault(system, np.zeros((len(bins), *known.product.shape)))
            held_out[system][:, out] = bins[:, out]
    scored = own_scores(
        train, similarities, np.concatenate(list(held_out.values())), [metric], *setting
    )
    means = np.nanmean(scored[..., 0], axis=1).reshape(len(held_out), -1)
    index = pd.MultiIndex.from_tuples(held_out, names=["bins", "choice"])
    validation = pd.DataFrame(means, index, list(STRENGTHS))
    strengths = best_strengths(validation, METRICS[metric].sign)

    learner = Learner(*data, known.known)
    found = learner.systems(seen["own"], vectors[1], n_axes)
    bins = {s: b[STRENGTHS.index(strengths[s])] for s, b in found.items()}
    own_shape = (len(run.frames), len(run.words))
    for name, (_, of_all) in learner.learnt.items():
        bins[name, "all"] = np.broadcast_to(of_all, own_shape)
    bins[FIXED] = np.broadcast_to(np.array(run.bins), own_shape)
    scores = _scored(run, bins, families["stretched"])
    tables = {
        name: learner.table(name, strengths[name, "predicted"], run.words)
        for name in learner.learnt
    }
    return Study(seen["own"], scores, validation, strengths, tables)


class Learner:
    """All kinds of bins, learnt on some of N frames with each of STRENGTHS.

    families: candidates (P, K) by name, of which `known` has the scores. scenes: of the frames.
    vectors: (N, D), their embeddings. within: (N,) bool, the frames to learn from.
    learnt: by name, the bins of S scene types (strengths, S, K) and those for all (K,), metres.
    """

    def __init__(
        self,
        known: Evidence,
        families: Mapping[str, np.ndarray],
        scenes: Sequence[str | None],
        kinds: Sequence[str],
        vectors: np.ndarray,
        within: np.ndarray,
    ):
        if not within.any():
            raise DepthClipError("bins cannot be learnt: no frame with a valid pixel is left")
        self.known, self.kinds, self.vectors, self.within = known, kinds, vectors, within
        weights = [frame_weights(scenes, kinds, within, strength) for strength in STRENGTHS]
        weights = np.concatenate([*weights, frame_weights(scenes, ["all"], within, np.inf)])
        found, start = {}, 0
        for name, candidates in families.items():
            found[name] = known.best(weights, candidates, start)
            start += len(candidates)
        found |= {"median": known.medians(weights), "least-squares": known.least_squares(weights)}
        shape = (len(STRENGTHS), len(kinds), -1)
        self.learnt = {name: (bins[:-1].reshape(shape), bins[-1]) for name, bins in found.items()}

    def systems(self, seen: Scenes, vectors: np.ndarray, n_axes: int) -> dict[System, np.ndarray]:
        """The bins (strengths, B, K) of B images by each system that has a strength.

        vectors: (B, D), their embeddings. n_axes: see `learned_bins.fit_continuous`.
        """
        every = {
            (name, choice): mixed(bins, seen.shares(choice), of_all)
            for name, (bins, of_all) in self.learnt.items()
            for choice in CHOICES
        }
        fits = fit_continuous(self.known, self.vectors, self.within, STRENGTHS, n_axes)
        return every | {CONTINUOUS: np.stack([fit.bins(vectors) for fit in fits])}

    def table(self, name: str, strength: float, words: Sequence[str]) -> pd.DataFrame:
        """The bins of one kind in metres: rows "all" and the scene types, columns the words."""
        bins, of_all = self.learnt[name]
        rows = np.vstack([of_all, bins[STRENGTHS.index(strength)]])
        return pd.DataFrame(rows, ["all", *self.kinds], list(words)).rename_axis(f"{name} bins (m)")


def best_strengths(validation: pd.DataFrame, sign: int) -> pd.Series:
    """The largest strength (column) in each row whose mean is less than WORTH from the best: of
    strengths that do about as well, the one that learns least."""
    signed = sign * validation
    near = signed.gt(signed.max(axis=1) - WORTH, axis=0)
    return near.iloc[:, ::-1].idxmax(axis=1).rename("strength")


def _scored(
    run: Run, bins: Mapping[System, np.ndarray], family: np.ndarray
) -> dict[System, pd.DataFrame]:
    """`Study.scores`: all systems, and both oracles, which choose by the scores themselves.

    They choose from all systems, a family of candidates (P, K), and least-squares and median bins
    fitted on the very images: of each image the first, of each scene type both.
    """
    similarities, setting = run.similarities(), (run.temperature, run.protocol)
    own = evidence(run.frames, similarities, family[:1], "rmse", *setting)
    scenes = np.array(run.frames.scenes, dtype=str)
    each = own.least_squares(np.eye(len(scenes)))
    kinds, place = np.unique(scenes[own.known], return_inverse=True)
    weights = frame_weights(list(scenes), list(kinds), own.known, 0.0)
    of_types = np.stack([own.medians(weights), own.least_squares(weights)])
    typed = np.broadcast_to(np.array(run.bins), (len(of_types), *each.shape)).copy()
    typed[:, own.known] = of_types[:, place]
    shared = np.broadcast_to(family[:, None], (len(family), *each.shape))
    tried = np.concatenate([np.stack(list(bins.values())), each[None], typed, shared])
    values = own_scores(run.frames, similarities, tried, PUBLISHED_METRICS, *setting)
    found = dict(zip(bins, values[: len(bins)], strict=True))
    signs = np.array([METRICS[metric].sign for metric in PUBLISHED_METRICS])
    found[ORACLE] = signs * (signs * values).max(axis=0)
    one_set = [choice in ("all", "true") for _, choice in bins] + [False]
    one_set += [True] * (len(tried) - len(one_set))
    found[TYPE_ORACLE] = best_of_groups(values[one_set], scenes, signs)
    names, metrics = run.frames.names, list(PUBLISHED_METRICS)
    return {system: pd.DataFrame(rows, names, metrics) for system, rows in found.items()}


def best_of_groups(values: np.ndarray, groups: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Rows (B, M) of the system that has the best mean on an image's group, for each metric.

    values: (R, B, M) of R systems. groups: (B,). signs: (M,), 1 where larger is better. Images that
    are NaN in a metric do not count there.
    """
    best = np.full(values.shape[1:], np.nan)
    for group in np.unique(groups):
        own = groups == group
        some = values[:, own]
        known = ~np.isnan(some)
        means = np.where(known, some, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        # Means that are equal up to rounding are equal on every processor.
        winner = np.round(signs * means, 5).argmax(axis=0)  # (M,)
        best[own] = some[winner, :, np.arange(len(signs))].T
    return best
