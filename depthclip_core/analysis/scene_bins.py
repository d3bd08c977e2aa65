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
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import compare, holm, sign_flip_test
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
class Scenes:
    """What CLIP says of the scene types of one split's B images, and what they are.

    kinds: S scene types. similarities: (B, S). truth: (B,) positions of the true types, −1 where it
    is none of the S. temperature: of the softmax, fitted on the train split.
    """

    kinds: tuple[str, ...]
    similarities: np.ndarray
    truth: np.ndarray
    temperature: float

    @property
    def right(self) -> np.ndarray:
        """Whether the most similar type is the true one, (B,)."""
        return self.similarities.argmax(axis=1) == self.truth

    @property
    def confusion(self) -> pd.DataFrame:
        """How many images of each true type (rows) are predicted as each type (columns)."""
        names, said = np.array([*self.kinds, "other"]), self.similarities.argmax(axis=1)
        table = pd.crosstab(names[self.truth], names[said])
        rows = [name for name in names if name in table.index]
        return table.reindex(rows, fill_value=0).reindex(columns=list(self.kinds), fill_value=0)

    @property
    def confidences(self) -> pd.DataFrame:
        """The probability of the answer (B,), with CLIP's own temperature and with the fitted."""
        both = {"CLIP's own": sp.CLIP_TEMPERATURE, "fitted": self.temperature}
        values = {n: sp.probabilities(self.similarities, t).max(axis=1) for n, t in both.items()}
        return pd.DataFrame(values)

    @property
    def losses(self) -> pd.DataFrame:
        """−ln of the probability of the true type (B,), with both temperatures."""
        both = {"CLIP's own": sp.CLIP_TEMPERATURE, "fitted": self.temperature}
        values = {n: sp.log_losses(self.similarities, self.truth, t) for n, t in both.items()}
        return pd.DataFrame(values)

    def shares(self, choice: str) -> np.ndarray:
        """How much of each type's bins each image gets, (B, S), for one of CHOICES."""
        if choice == "soft":
            return sp.probabilities(self.similarities, self.temperature)
        chosen = self.truth if choice == "true" else self.similarities.argmax(axis=1)
        # The last row is that of −1: no type.
        return np.vstack([np.eye(len(self.kinds)), np.zeros(len(self.kinds))])[chosen]


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


def predicted_scenes(run: Run, templates: Sequence[str] = sp.TEMPLATES) -> dict[str, Scenes]:
    """`Scenes` of the run's train split, "train", and of its own split, "own".

    The types are those of the train split, as bins are learnt for these. `DepthClipError` if it has
    none.
    """
    kinds = tuple(sorted(set(run.train.scenes) - {None}))
    if not kinds:
        raise DepthClipError(f"{run.train.title} names no scene type: bins cannot be learnt by it")
    places = {kind: place for place, kind in enumerate(kinds)}
    both = {"train": run.train, "own": run.frames}
    truth = {n: np.array([places.get(s, -1) for s in f.scenes]) for n, f in both.items()}
    said = {n: sp.ensemble_similarities(f, run.encoder, kinds, templates) for n, f in both.items()}
    temperature = sp.fit_temperature(said["train"], truth["train"])
    return {name: Scenes(kinds, said[name], truth[name], temperature) for name in both}


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


def steps(
    found: Study, chain: Sequence[tuple[str, System]], metric: str, groups: Sequence, seed: int = 0
) -> pd.DataFrame:
    """What each system of a chain changes over the one before it, on the same images.

    chain: a label and a system each. Columns: level, the mean of the metric; mean, low and high of
    the change (`statistics.compare`) and its verdict; the first row has no change.
    """
    levels, before = [], None
    for label, system in chain:
        own = found.of(system, [metric])
        level = {"system": label, "level": own[metric].mean()}
        if before is not None:
            level |= compare(own, before, groups, seed=seed).loc[metric].to_dict()
        levels.append(level)
        before = own
    columns = ["system", "level", "mean", "low", "high", "verdict"]
    return pd.DataFrame(levels, columns=columns).set_index("system").fillna({"verdict": ""})


def in_words(table: pd.DataFrame, row: str) -> str:
    """The change in a row of `steps` with its interval and verdict, for a sentence."""
    change = table.loc[row]
    bounds = f"95 % interval {change['low']:+.3f} to {change['high']:+.3f}"
    return f"{change['mean']:+.3f} ({bounds}: {change['verdict']})"


def chain_of(name: str) -> list[tuple[str, System]]:
    """The ladder of systems from fixed bins to each image's own, with bins of one kind between."""
    return [
        ("fixed bins", FIXED),
        ("learnt for all", (name, "all")),
        ("by predicted scene", (name, "predicted")),
        ("by true scene", (name, "true")),
        ("best of each type", TYPE_ORACLE),
        ("best of each image", ORACLE),
    ]


def against_all(found: Study, metric: str, groups: Sequence, seed: int = 0) -> pd.DataFrame:
    """Each system minus one set for all of the same kind of bins; for "continuous", that of
    "least-squares". Rows (bins, choice); columns level, mean, low, high and verdict, as in `steps`;
    p of `sign_flip_test`, and holm, p corrected for the number of rows."""
    table = {}
    for name, choice in found.strengths.index:
        base = ("least-squares" if name == "continuous" else name, "all")
        own = found.of((name, choice), [metric])
        shared = found.of(base, [metric])
        change = compare(own, shared, groups, seed=seed).loc[metric].to_dict()
        p = sign_flip_test((own - shared)[metric], groups, seed=seed)
        table[name, choice] = {"level": own[metric].mean()} | change | {"p": p}
    columns = ["level", "mean", "low", "high", "verdict", "p"]
    rows = pd.DataFrame.from_dict(table, orient="index")[columns].rename_axis(["bins", "choice"])
    return rows.assign(holm=holm(rows["p"]))


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
