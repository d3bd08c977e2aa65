"""Every claim of the paper's slides, the evidence of one run, and a verdict.

Choices (the best and worst partition or list, fitted bins, constants, blind maps) are made on the
train split and judged on the run's own frames. Scores are δ1; intervals are bootstraps of rooms. A
claim that a number is above zero needs a corrected p, too: a bootstrap makes intervals too narrow
where few rooms change, and of many claims some hold by chance.
"""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd

from depthclip_core.analysis import position, word_responses
from depthclip_core.analysis.control_words import vocabularies
from depthclip_core.analysis.detail import depth_edges, detail
from depthclip_core.analysis.edges import brightness
from depthclip_core.analysis.scene_depths import depth_histograms, spread_test
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import FEWEST_GROUPS, LEVEL, holm, intervals, sign_flip_test
from depthclip_core.datasets import Dataset
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.baselines import best_constants, lower_bound
from depthclip_core.evaluation.fitting import fit_medians
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import BINS, PROMPTS

METRIC, METRES = "delta1", BINS["original"]
ROBUST = 0.02  # of δ1: smaller differences between lists of words count as none
CONTROLS = ("sizes", "colours", "colour names", "random words")
HOLDS, FAILS, OPEN, FEW = "holds", "does not hold", "no telling", "too few rooms"


class Evidence:
    """What one run, with one head, says of each claim; everything is computed once.

    run: with a head and with frames that have depth, scene types and a training split.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.frames = run, run.frames
        self.lists = dict(vocabularies(PROMPTS["original"]))

    def _rows(self, frames: Dataset, of: Mapping[str, Mapping[str, tuple]]) -> pd.DataFrame:
        """δ1 of each frame: a column for each (list of words, name of bins)."""
        found, how = {}, ([self.run.temperature], [self.run.protocol])
        for name, bins in of.items():
            similarities = self.run.similarities(self.lists[name], frames)
            scores = sweep(frames.ground_truths(), similarities, bins, *how, metrics=[METRIC])
            found |= {(name, b): scores.rows(bins=b)[METRIC] for b in bins}
        return pd.DataFrame(found)

    @cached_property
    def fitted(self) -> dict[str, tuple[float, ...]]:
        """Bins of each list of words, fitted on the train split."""
        learn = {n: self.run.similarities(w, self.run.train) for n, w in self.lists.items()}
        truths = self.run.train.ground_truths()
        return fit_medians(truths, learn, self.run.temperature, self.run.protocol)

    @cached_property
    def asked(self) -> dict[str, dict[str, tuple]]:
        """The bins that each list of words is scored with."""
        bins = {n: {"fitted": self.fitted[n]} for n in self.lists}
        for name in PROMPTS:
            bins[name]["original"] = METRES
        bins["original"] |= BINS
        return bins

    @cached_property
    def scores(self) -> pd.DataFrame:
        """δ1 of the run's frames, as from `_rows`."""
        return self._rows(self.frames, self.asked)

    @cached_property
    def learnt(self) -> pd.DataFrame:
        """δ1 of the training frames."""
        return self._rows(self.run.train, self.asked)

    @cached_property
    def own(self) -> pd.Series:
        """δ1 of the method as published."""
        return self.scores["original", "original"]

    @cached_property
    def blind(self) -> np.ndarray:
        """The blind map by position, metres."""
        return position.blind_maps(self.run.train.ground_truths(), self.run.protocol)["position"]

    @cached_property
    def cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicted and true depths of the cells (N, h, w), and those of the blind map (h, w)."""
        weights = word_responses.mean_weights(
            self.run.similarities(self.lists["original"]), self.run.temperature
        )
        truths, grid = self.frames.ground_truths(), weights.shape[2:]
        true = word_responses.cell_depths(truths, grid, protocol=self.run.protocol)
        predicted = np.einsum("nkhw,k->nhw", weights, METRES)
        return predicted, true, position.cell_medians(self.blind, grid)

    def above_chance(self) -> pd.Series:
        """δ1 minus that of random depth per cell."""
        numbers = enumerate(self.frames.ground_truths())
        how = {"protocol": self.run.protocol, "grid": self.run.grid}
        chance = [lower_bound(t[None], "cell", seed=i, **how)[METRIC].iloc[0] for i, t in numbers]
        return self.own - np.array(chance)

    def above_constant(self) -> pd.Series:
        """δ1 minus that of the best constant."""
        metres = best_constants(self.run.train.ground_truths(), self.run.protocol)[METRIC]
        flat = np.full(self.run.protocol.window.shape, metres, np.float32)
        return self._minus_map(flat)

    def above_position(self) -> pd.Series:
        """δ1 minus that of the blind map by position."""
        return self._minus_map(self.blind)

    def _minus_map(self, depth: np.ndarray) -> pd.Series:
        rows = position.blind_scores(depth, self.frames.ground_truths(), self.run.protocol)
        return self.own - rows[METRIC].to_numpy()

    def contours(self) -> pd.Series:
        """Average precision of depth edges, minus the blind map's."""
        predicted, _, blind = self.cells
        return self._edges_above(np.broadcast_to(blind, predicted.shape))

    def contours_beyond_brightness(self) -> pd.Series:
        """Average precision of depth edges, minus that of the photograph's brightness."""
        return self._edges_above(brightness(self.run))

    def _edges_above(self, reference: np.ndarray) -> pd.Series:
        predicted, true, _ = self.cells
        ours, floor = (depth_edges(m, true)["average precision"] for m in (predicted, reference))
        return ours - floor

    def blur(self) -> pd.Series:
        """Gradient energy, as a share of the truth's: the grid's best map minus the prediction."""
        similarities = self.run.similarities(self.lists["original"])
        how = (self.run.temperature, self.run.protocol)
        maps = scoring.predictions(similarities, METRES, *how)
        rows = detail(self.frames, maps, self.run.grid, self.run.protocol)
        return rows["grid_gradient_energy_ratio"] - rows["gradient_energy_ratio"]

    def near_and_far(self) -> pd.Series:
        """Rank correlation with depth inside an image, given the blind map."""
        return position.seen_beyond_position(*self.cells)["rho given the blind map"]

    def partitions(self) -> pd.Series:
        """δ1 of the best minus the worst of the five partitions, both chosen on train."""
        means = self.learnt["original"][list(BINS)].mean()
        own = self.scores["original"]
        return own[means.idxmax()] - own[means.idxmin()]

    def bins_by_scene(self) -> pd.Series:
        """δ1 with the partition of each scene type minus that with one for all, from train."""
        learnt, own = (rows["original"][list(BINS)] for rows in (self.learnt, self.scores))
        best = learnt.groupby(pd.Index(self.run.train.scenes)).mean().idxmax(axis=1)
        one = learnt.mean().idxmax()
        choice = pd.Series(self.frames.scenes).map(best).fillna(one)
        chosen = own.to_numpy()[np.arange(len(own)), own.columns.get_indexer(choice)]
        return chosen - own[one]

    def prompts(self, bins: str = "original") -> pd.Series:
        """δ1 of the best minus the worst of the four lists, both chosen on train."""
        learnt, own = (
            r.xs(bins, axis=1, level=1)[list(PROMPTS)] for r in (self.learnt, self.scores)
        )
        means = learnt.mean()
        return own[means.idxmax()] - own[means.idxmin()]

    def metres_matter(self) -> pd.Series:
        """Span of the four lists, best minus worst: with given bins minus with fitted bins."""
        return self.prompts() - self.prompts("fitted")

    def meaning(self) -> pd.Series:
        """δ1 of the words with fitted bins, minus the best list of controls on train, likewise."""
        learnt, own = (rows.xs("fitted", axis=1, level=1) for rows in (self.learnt, self.scores))
        best = learnt[list(CONTROLS)].mean().idxmax()
        return own["original"] - own[best]

    def scene_types_differ(self) -> float:
        """p of the spread of the scene types' median depths, with types dealt anew to rooms."""
        histograms = depth_histograms(self.frames.ground_truths(), self.run.protocol)
        return spread_test(histograms, self.frames.scenes, self.frames.groups)


# Slide, claim, the measure (a method of `Evidence`), and whether the claim says that it is above
# zero or small.
CLAIMS = (
    ("Quantified Results", "Exceeds the mathematical lower bound", "above_chance", "above"),
    ("(not asked)", "Better than one depth for every pixel", "above_constant", "above"),
    ("(not asked)", "Better than a map that knows position only", "above_position", "above"),
    ("Results Visualization", "Could tell contours", "contours", "above"),
    ("(not asked)", "Contours beyond brightness", "contours_beyond_brightness", "above"),
    ("Results Visualization", "Details are blurred", "blur", "above"),
    ("Semantic Bin Response", "Distinguishes close and remote patches", "near_and_far", "above"),
    ("Bin Ablation", "Sensitive to depth bin", "partitions", "above"),
    ("Bin Ablation", "Different bins for different scenes improve", "bins_by_scene", "above"),
    ("Prompts Ablation", "Robust to prompt design", "prompts", "small"),
    ("Prompts Ablation", "Only relative distance matters", "metres_matter", "small"),
    ("Title", "Language understands depth", "meaning", "above"),
)
# The measures in words.
MEASURED = {
    "above_chance": "δ1 minus that of random depth per cell",
    "above_constant": "δ1 minus that of the best constant",
    "above_position": "δ1 minus that of the blind map by position",
    "contours": "Average precision of depth edges, minus the blind map's",
    "contours_beyond_brightness": "Average precision of depth edges, minus that of the "
    "photograph's brightness",
    "blur": "Gradient energy, as a share of the truth's: the grid's best map minus the prediction",
    "near_and_far": "Rank correlation with depth inside an image, given the blind map",
    "partitions": "δ1 of the best minus the worst of the five partitions, both chosen on train",
    "bins_by_scene": "δ1 with the partition of each scene type minus that with "
    "one for all, from train",
    "prompts": "δ1 of the best minus the worst of the four lists, both chosen on train",
    "metres_matter": "Span of the four lists, best minus worst: with given bins "
    "minus with fitted bins",
    "meaning": "δ1 of the words with fitted bins, minus the best list of "
    "controls on train, likewise",
}


def findings(evidence: Evidence) -> pd.DataFrame:
    """A row for each claim: slide, claim, measured (in words), mean, low, high, p and verdict.

    p: that a number is zero, by `sign_flip_test`, or that scene types do not matter, corrected by
    Holm's method for the number of claims; NaN for claims that a number is small.
    """
    rows, groups = [], evidence.frames.groups
    for slide, claim, measure, kind in CLAIMS:
        differences = getattr(evidence, measure)()
        found = intervals(differences.rename("x").to_frame(), groups).iloc[0]
        p = sign_flip_test(differences, groups) if kind == "above" else np.nan
        rows.append([slide, claim, MEASURED[measure], *found[["mean", "low", "high"]], p])
    gap = ["Depth Gap", "Different scenes have different depth", "Spread of the types' medians"]
    rows.append([*gap, np.nan, np.nan, np.nan, evidence.scene_types_differ()])
    columns = ["slide", "claim", "measured", "mean", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p"] = holm(table["p"])
    kinds = [kind for *_, kind in CLAIMS]
    ends = table[["low", "high", "p"]].iloc[:-1].itertuples(index=False)
    told = [verdict(*each, kind) for each, kind in zip(ends, kinds, strict=True)]
    few = len(set(groups)) < FEWEST_GROUPS
    last = FEW if few else HOLDS if table["p"].iloc[-1] <= 1 - LEVEL else OPEN
    return table.assign(verdict=[*told, last])


def verdict(low: float, high: float, p: float, kind: str) -> str:
    """What an interval and a p say of a claim that a number is "above" zero, or is "small"."""
    if np.isnan(low) or np.isnan(high):
        return FEW
    if kind == "small":
        inside = -ROBUST <= low and high <= ROBUST
        return HOLDS if inside else FAILS if low > ROBUST or high < -ROBUST else OPEN
    if p > 1 - LEVEL:
        return OPEN
    return HOLDS if low > 0 else FAILS if high < 0 else OPEN
