"""The systems of the table of results on one run: DepthCLIP by head, blind maps, constants, chance.

Bins, constants and blind maps are fitted on the train split and scored on the run's own frames.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis import position, published, word_responses
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import compare, in_words, intervals
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.datasets import Dataset
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.evaluation import fitting, scoring
from depthclip_core.evaluation.baselines import READINGS, best_constants, lower_bound
from depthclip_core.evaluation.metrics import summarise
from depthclip_core.evaluation.saved_predictions import open_predictions, score_saved
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import PUBLISHED_METRICS

SIX = list(PUBLISHED_METRICS)
BLIND, CONSTANT = "blind map by position", "best constant"
FITTED = "fitted bins"
LEAST_COVERAGE = 0.9  # a system that predicts fewer of the pixels may have chosen easy ones


class Systems:
    """Scores of every system on each frame of a run; everything is computed once.

    run: with frames that have depth and a training split; its head is not used. saved: rows of
    other systems by name, as from `saved_rows`.
    """

    def __init__(self, run: Run, saved: Mapping[str, pd.DataFrame] | None = None) -> None:
        self.run, self.frames, self.saved = run, run.frames, dict(saved or {})
        metres = ", ".join(f"{depth:g}" for depth in run.bins)
        self.given = f"{run.bins_name} bins" if run.bins_name != "given" else f"bins {metres} m"

    def name(self, head: str, kind: str) -> str:
        """What a head with the run's bins (`given`) or FITTED is called."""
        return f"{self.run.with_head(head).method}, {kind}"

    def _collect(self, frames: Dataset) -> dict[str, Tensor]:
        return collect_responses(
            frames, self.run.encoder, self.run.words, list(MAIN_HEADS), progress=False
        )

    @cached_property
    def similarities(self) -> dict[str, Tensor]:
        """Similarities (N, 2, K, h, w) of the run's frames, by head."""
        return self._collect(self.frames)

    @cached_property
    def fitted(self) -> dict[str, tuple[float, ...]]:
        """The median depth, in metres, of the training pixels where each word answers, by head."""
        learn, truths = self._collect(self.run.train), self.run.train.ground_truths()
        return fitting.fit_medians(truths, learn, self.run.temperature, self.run.protocol)

    @cached_property
    def settings(self) -> dict[str, tuple[str, tuple[float, ...]]]:
        """Head and bins of each row of DepthCLIP, by name: the run's bins first, then fitted."""
        given = {self.name(h, self.given): (h, self.run.bins) for h in MAIN_HEADS}
        return given | {self.name(h, FITTED): (h, self.fitted[h]) for h in MAIN_HEADS}

    def _score(self, of, name: str):
        head, bins = self.settings[name]
        how = (self.run.temperature, self.run.protocol)
        return of(self.frames, self.similarities[head], bins, *how)

    @cached_property
    def blind(self) -> dict[str, np.ndarray]:
        """The blind maps of the train split, metres, by what they know: position and row."""
        return position.blind_maps(self.run.train.ground_truths(), self.run.protocol)

    @cached_property
    def rows(self) -> dict[str, pd.DataFrame]:
        """Rows as from `evaluate` of DepthCLIP, the saved systems and the blind maps, by name."""
        own = {name: self._score(scoring.score, name) for name in self.settings}
        blind = {}
        for by, depth in self.blind.items():
            rows = position.blind_scores(depth, self.frames.ground_truths(), self.run.protocol)
            blind[f"blind map by {by}"] = rows.set_axis(self.frames.names)
        return own | self.saved | blind

    @cached_property
    def chance(self) -> dict[str, pd.DataFrame]:
        """Rows as from `evaluate` of random depth, by reading; each frame has its own seed."""
        found, how = {}, {"protocol": self.run.protocol, "grid": self.run.grid}
        for reading in READINGS:
            numbers = enumerate(self.frames.ground_truths())
            parts = [lower_bound(t[None], reading, seed=i, **how) for i, t in numbers]
            found[f"random depth per {reading}"] = pd.concat(parts).set_axis(self.frames.names)
        return found

    @cached_property
    def constants(self) -> pd.Series:
        """The depth, in metres, of each metric's best constant on the train split."""
        return best_constants(self.run.train.ground_truths(), self.run.protocol)[SIX]

    @cached_property
    def _flat(self):
        # With a single word, the weight is 1 whatever the image, so its bin is a constant depth.
        one_word = self.similarities["released"][:, :, :1]
        bins = {metric: [metres] for metric, metres in self.constants.items()}
        how = {"protocols": [self.run.protocol], "names": self.frames.names}
        return sweep(self.frames.ground_truths(), one_word, bins, **how)

    @property
    def constant_means(self) -> pd.DataFrame:
        """Means over frames: rows what a constant is scored by, columns what it was chosen for."""
        return self._flat.means().droplevel(["temperature", "protocol"])[SIX].T

    @property
    def best_constant(self) -> pd.DataFrame:
        """Scores (N, 6) of the frames, each metric by the constant that was chosen for it."""
        return pd.DataFrame({m: self._flat.rows(bins=m)[m] for m in SIX})

    @cached_property
    def n_measured(self) -> float:
        """Mean number of pixels of a frame that a prediction of the whole region could have."""
        protocol = self.run.protocol
        parts = (truth[protocol.region.slices] for truth in self.frames.ground_truths())
        return float(np.mean([protocol.valid_depth_mask(part).sum() for part in parts]))

    def coverage(self, name: str) -> float:
        """The share of the region's measured pixels that a system predicts."""
        return self.rows[name]["n_pixels"].mean() / self.n_measured

    def seeing(self) -> list[str]:
        """The systems that look at the image: DepthCLIP and the saved ones."""
        return [name for name in self.rows if not name.startswith("blind map")]

    def spread(self) -> pd.DataFrame:
        """`intervals` of the means of those that look at the image: rows (metric, name)."""
        tables = {n: intervals(self.rows[n][SIX], self.frames.groups) for n in self.seeing()}
        return pd.concat(tables).swaplevel()

    def references(self) -> pd.DataFrame:
        """Means of what sees nothing: rows the metrics, columns BLIND and CONSTANT."""
        means = {BLIND: self.rows[BLIND][SIX].mean(), CONSTANT: self.best_constant.mean()}
        return pd.DataFrame(means)

    def minus(self, reference: str, names: Sequence[str] | None = None) -> pd.DataFrame:
        """`compare` with BLIND or CONSTANT on the same frames: rows (name, metric).

        names: by default all that cover at least 0.9 of the pixels, but for the reference.
        """
        other = self.best_constant if reference == CONSTANT else self.rows[reference][SIX]
        covering = [n for n in self.rows if self.coverage(n) >= LEAST_COVERAGE and n != reference]
        names = covering if names is None else names
        tables = {n: compare(self.rows[n][SIX], other, self.frames.groups) for n in names}
        return pd.concat(tables, names=["system", "metric"])

    def sentence(self, name: str) -> str:
        """δ1 of a system, and its differences from the two that see nothing, in words."""
        own = intervals(self.rows[name][["delta1"]], self.frames.groups).loc["delta1"]
        against = {r: self.minus(r, [name]).loc[name, "delta1"] for r in (BLIND, CONSTANT)}
        parts = [f"minus the {r} {in_words(row, signed=True)}" for r, row in against.items()]
        return f"{name}: δ1 {in_words(own)}; {'; '.join(parts)}."

    def against_blind(self, names: Sequence[str]) -> str:
        """The systems' differences in δ1 from the blind map by position, in words."""
        rows = {name: self.minus(BLIND, [name]).loc[name, "delta1"] for name in names}
        parts = [f"{name} {in_words(row, signed=True)}" for name, row in rows.items()]
        return f"δ1 minus the {BLIND}: {'; '.join(parts)}."

    def order_beyond_position(self) -> pd.DataFrame:
        """`intervals` of the rank correlations of `seen_beyond_position`: rows (name, which)."""
        how = (self.run.grid, self.run.protocol)
        true = word_responses.cell_depths(self.frames.ground_truths(), how[0], protocol=how[1])
        cells = position.cell_medians(self.blind["position"], self.run.grid)
        tables = {}
        for name, (head, bins) in self.settings.items():
            weights = word_responses.mean_weights(self.similarities[head], self.run.temperature)
            maps = np.einsum("nkhw,k->nhw", weights, bins)
            rows = position.seen_beyond_position(maps, true, cells)
            tables[name] = intervals(rows, self.frames.groups)
        return pd.concat(tables)

    def table(self) -> pd.DataFrame:
        """Table 1 of the run: six metrics, corr (of all pixels) and coverage of each row.

        Above them the paper's rows where the run is comparable with them, and only there.
        """
        ours = pd.DataFrame({n: summarise(r) for n, r in (self.rows | self.chance).items()}).T
        ours["corr"] = pd.Series({n: self._score(scoring.correlation, n) for n in self.settings})
        pixels = {n: r["n_pixels"].mean() for n, r in (self.rows | self.chance).items()}
        ours["coverage"] = pd.Series(pixels) / self.n_measured
        ours.loc[CONSTANT, SIX] = self.best_constant.mean()
        tables = {"measured": ours[[*SIX, "corr", "coverage"]].astype(float)}
        if not self.run.not_comparable:
            tables = {"printed": published.results()[SIX].astype(float)} | tables
        return pd.concat(tables)


def saved_rows(
    run: Run, path: str | Path, *, scale: float = 1000.0, covers: str = ""
) -> dict[str, pd.DataFrame]:
    """Rows as from `score_saved` of another system's depth maps, by name; empty without a path.

    path, scale, covers: as for `open_predictions`, and so are the errors.
    """
    if not path:
        return {}
    how = {"scale": scale, "covers": covers}
    maps = open_predictions(path, run.frames.names, run.protocol, **how)
    return {f"saved: {maps.path.stem}": score_saved(run.frames, maps, run.protocol)}


def verdict_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Of the metrics of each system, how many have which verdict; table: as from `minus`."""
    verdicts = table["verdict"].unstack("metric").loc[table.index.unique("system")]
    counted = verdicts.apply(pd.Series.value_counts, axis=1).fillna(0).astype(int)
    return counted.rename_axis(index="system", columns="verdict on the six metrics")
