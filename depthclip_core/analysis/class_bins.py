"""Do bins by scene type pay, if the choice among the published partitions is made honestly?

The choice is made on the train split, one partition for all images or one for each scene type, and
scored on a run's own split. The scene type is the true one, as the data set gives it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from depthclip_core.analysis import tables
from depthclip_core.analysis.scene_depths import positions_of
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import compare, confirmed, intervals, sign_flip_test
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.search import Found, search
from depthclip_core.evaluation.sweep import Sweep, sweep
from depthclip_core.settings import BINS
from depthclip_core.workbook.prose import listed

FIXED, SHARED, OWN = "original bins", "one set for all", "one set for each type"
STEPS = {"better bins for all": (SHARED, FIXED), "bins by scene type, beyond that": (OWN, SHARED)}
ALL_IMAGES = "all images"


@dataclass(frozen=True, eq=False)
class Choice:
    """The published partitions on a run's split of B images, and what the train split chose.

    metric: what was chosen by. scores: of the five partitions on the run's own split. learnt: means
    on the train split, as from `tables.scene_means`. chosen: the partition of "all" and of each
    scene type of the train split. systems: the metric of each image (B rows) under FIXED, SHARED
    and OWN; a type that the train split lacks has the partition of all.
    """

    run: Run
    metric: str
    scores: Sweep
    learnt: pd.DataFrame
    chosen: pd.Series
    systems: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """Means by scene type and partition, see `tables.scene_means`."""
        return tables.scene_means(self.scores, self.run.frames.scenes)

    @property
    def rows(self) -> pd.DataFrame:
        """The metric of each image (rows) with each partition (columns)."""
        return pd.DataFrame({bins: self.scores.rows(bins)[self.metric] for bins in BINS})

    def steps(self, scene: str | None = None) -> pd.DataFrame:
        """Each of STEPS on all images, or on those of one scene type: columns of `compare`."""
        own = np.array([scene in (None, kind) for kind in self.run.frames.scenes], dtype=bool)
        found = {step: self._change(*(self.systems[name][own] for name in pair), own)
                 for step, pair in STEPS.items()}  # fmt: skip
        return pd.DataFrame(found).T.rename_axis("step")

    @property
    def by_scene(self) -> pd.DataFrame:
        """`steps` of all images and of each scene type: rows (scene, step)."""
        kinds = sorted(set(self.run.frames.scenes) - {None})
        parts = {ALL_IMAGES: self.steps()} | {kind: self.steps(kind) for kind in kinds}
        return pd.concat(parts, names=["scene"])

    @property
    def changed(self) -> pd.DataFrame:
        """The scene types that the second step changes; see `tables.changes_by_scene`."""
        frames = self.run.frames
        second = self.systems[OWN] - self.systems[SHARED]
        return tables.changes_by_scene(second, frames.scenes, frames.groups)

    @property
    def evidence(self) -> str:
        """`changed` for a sentence: "bathroom (8 images in 4 rooms, p = 0.125)"."""
        return listed(
            f"{kind} ({row['images']:.0f} images in {row['rooms']:.0f} rooms, p = {row['p']:.3g})"
            for kind, row in self.changed.iterrows()
        )

    def gains(self, named: Mapping[str, str]) -> pd.DataFrame:
        """Paired gains over the original bins of a partition for each scene type.

        named: the partition by scene type; types without an image are left out. Rows (scene, bins):
        mean, low, high, images, groups and verdict as from `compare`, and p of `sign_flip_test`.
        """
        scenes, groups = np.array(self.run.frames.scenes), np.array(self.run.frames.groups)
        rows, found = self.rows, {}
        for kind, bins in named.items():
            if (own := scenes == kind).any():
                pair = rows[bins][own], rows["original"][own]
                p = sign_flip_test(pair[0] - pair[1], groups[own])
                found[kind, bins] = {**self._change(*pair, own), "p": p}
        index = pd.MultiIndex.from_tuples(found, names=["scene", "bins"])
        columns = ["mean", "low", "high", "images", "groups", "verdict", "p"]
        return pd.DataFrame(list(found.values()), index, columns)

    def _change(self, after: pd.Series, before: pd.Series, own: np.ndarray) -> pd.Series:
        """`compare` of the metric of two systems on some images, a mask (B,).

        Its verdict is `confirmed` by the p of `sign_flip_test`.
        """
        groups = np.array(self.run.frames.groups)[own]
        both = (rows.to_frame(self.metric) for rows in (after, before))
        found = compare(*both, groups).loc[self.metric]
        p = sign_flip_test(after - before, groups)
        found["verdict"] = confirmed([found["verdict"]], [p])[0]
        return found


def choose(run: Run, metric: str = "delta1") -> Choice:
    """Choose among the published partitions on the run's train split, and score on its own."""
    frames, setting = run.frames, ([run.temperature], [run.protocol])
    learnt = train_means(run)
    chosen = tables.best_partitions(learnt)[metric]
    own = (frames.ground_truths(), run.similarities(), BINS, *setting)
    scores = sweep(*own, names=frames.names)
    rows = pd.DataFrame({bins: scores.rows(bins)[metric] for bins in BINS})
    known = chosen[chosen.isin(list(BINS))]  # a type without a valid pixel has none
    of_frame = pd.Series(list(frames.scenes)).map(known.drop(tables.ALL)).fillna(known[tables.ALL])
    picked = rows.to_numpy()[np.arange(len(rows)), rows.columns.get_indexer(of_frame)]
    systems = {FIXED: rows["original"], SHARED: rows[known[tables.ALL]], OWN: picked}
    return Choice(run, metric, scores, learnt, chosen, pd.DataFrame(systems, rows.index))


def train_means(run: Run) -> pd.DataFrame:
    """Means of the published partitions on the run's train split, as `tables.scene_means`."""
    train = run.train
    setting = BINS, [run.temperature], [run.protocol]
    scores = sweep(train.ground_truths(), run.similarities(frames=train), *setting)
    return tables.scene_means(scores, train.scenes)


def means_by_scene(
    rows: pd.DataFrame, scenes: Sequence[str | None], groups: Sequence
) -> pd.DataFrame:
    """`intervals` of the columns on all images, "all", and on those of each scene type.

    rows: a row for each image, a column for each partition. Returns rows (scene, bins).
    """
    scenes, groups = np.array(scenes, dtype=object), np.array(groups, dtype=str)
    kinds = sorted(set(scenes) - {None})
    masks = {tables.ALL: np.ones(len(rows), dtype=bool)} | {kind: scenes == kind for kind in kinds}
    parts = {kind: intervals(rows[own], groups[own]) for kind, own in masks.items()}
    return pd.concat(parts, names=["scene", "bins"])


def best_by_depth(
    depths: pd.Series, best: pd.Series, bins: Mapping[str, Sequence[float]] = BINS
) -> pd.DataFrame:
    """Does the best partition follow depth? A row per scene type in the order of `depths`.

    depths: median depth of each type, metres. best: its best partition, "–" where unknown. Columns:
    median depth (m), best partition, its mean bin (m).
    """
    middle = {name: float(np.mean(b)) for name, b in bins.items()}
    found = best.reindex(depths.index)
    columns = {"median depth (m)": depths, "best partition": found}
    return pd.DataFrame(columns | {"its mean bin (m)": found.map(middle).astype(float)})


def short_names(best: pd.DataFrame) -> pd.DataFrame:
    """Partitions by the number that the paper gives them: "class-dependent-2" as "2"."""
    return best.replace({name: name.removeprefix("class-dependent-") for name in BINS})


def search_scenes(choice: Choice, kinds: Sequence[str]) -> dict[str, Found]:
    """Ascending bins searched for scene types on the train split; see `search`.

    A type must be one of the run's own split, else `DepthClipError`. One that the train split lacks
    is left out.
    """
    run, train = choice.run, choice.run.train
    for kind in kinds:
        positions_of(run.frames.scenes, kind)
    similarities = run.similarities(frames=train)
    setting = {"temperature": run.temperature, "protocol": run.protocol}
    setting |= {"n_pixels": 128, "finalists": 4}
    wanted = [kind for kind in kinds if kind in train.scenes]
    return {k: search(train, similarities, choice.metric, scene=k, **setting) for k in wanted}


def searched_scores(choice: Choice, found: Mapping[str, Found]) -> pd.DataFrame:
    """Searched bins beside the published on the run's split: a row per scene type.

    Columns: train, the score on the images that the bins were chosen on; searched; best of the
    five; original; frames.
    """
    run, metric, best = choice.run, choice.metric, tables.best_partitions(choice.table)
    bins = {f"searched for {kind}": each.bins for kind, each in found.items()} | dict(BINS)
    own = (run.frames.ground_truths(), run.similarities(), bins, [run.temperature], [run.protocol])
    means = tables.scene_means(sweep(*own), run.frames.scenes)
    rows = {}
    for kind, each in found.items():
        score = means.loc[kind, metric]
        row = {"train": each.train, "searched": score[f"searched for {kind}"]}
        row["best of the five"] = score.get(best.loc[kind, metric], np.nan)
        rows[kind] = row | {"original": score["original"]}
    frames = [means.loc[(kind, "original"), "n_frames"] for kind in found]
    columns = ["train", "searched", "best of the five", "original"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.assign(frames=frames).rename_axis(METRICS[metric].title)
