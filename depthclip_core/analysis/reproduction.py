"""Every number that the paper prints for its own system, computed on one run and judged.

Only a run in the paper's own setting is judged. Any other shows a constructed ledger instead, so
that a reader sees what a judged one looks like.
"""

from dataclasses import dataclass

import pandas as pd

from depthclip_core.analysis import published, tables
from depthclip_core.analysis.setup import Run
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import BINS, PROMPTS, PUBLISHED_METRICS

SIX = list(PUBLISHED_METRICS)
MOVED = ("all", "class-dependent-1"), "rmse"  # the number of the example that differs
JUDGED = ("agrees", "differs", "not measured")
NYU_TEST = 654  # frames


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A run's numbers, and the ledger of them.

    partitions: as from `tables.scene_means`. prompts: six metrics of the paper's word lists with
    the original bins. bounds: as from `tables.lower_bounds`. ledger: as from `tables.ledger`.
    judged: whether the run is in the paper's setting. title: of the run's frames, and its method.
    """

    partitions: pd.DataFrame
    prompts: pd.DataFrame
    bounds: pd.DataFrame
    ledger: pd.DataFrame
    judged: bool
    title: str

    @property
    def shown(self) -> pd.DataFrame:
        """The ledger if it is judged, else the constructed one."""
        return self.ledger if self.judged else example(self.bounds)

    @property
    def shown_title(self) -> str:
        """What `shown` shows."""
        constructed = "Constructed: the paper's own numbers in place of ours, one moved"
        return f"{self.title}, against the paper's numbers on NYU" if self.judged else constructed


def reproduce(run: Run) -> Reproduction:
    """Score the paper's partitions and word lists on a run's frames, with its head.

    The run's own words and bins are not used. Raises `DepthClipError` for a run without a head.
    """
    asked = {name: run.similarities(words) for name, words in PROMPTS.items()}
    how = {"protocols": [run.protocol]}
    scores = sweep(run.frames.ground_truths(), asked["original"], BINS, **how)
    partitions = tables.scene_means(scores, run.frames.scenes)
    original = {"original": BINS["original"]}
    rows = {n: sweep(run.frames.ground_truths(), s, original, **how) for n, s in asked.items()}
    prompts = pd.concat([s.means()[SIX].set_axis([n]) for n, s in rows.items()])
    bounds = tables.lower_bounds(run.frames.ground_truths(), grid=run.grid, protocol=run.protocol)
    reasons = run.not_comparable
    ledger = tables.ledger(partitions, prompts.rename_axis("prompts"), bounds, reasons)
    title = f"{run.frames.title}, {run.method}"
    return Reproduction(partitions, prompts, bounds, ledger, not reasons, title)


def example(bounds: pd.DataFrame) -> pd.DataFrame:
    """A constructed ledger: the paper's numbers stand for ours, one moved by twice its tolerance.

    bounds: as from `tables.lower_bounds`, of which only the spread is used.
    """
    rows = published.partitions().assign(n_frames=NYU_TEST)
    rows.loc[MOVED] += 2 * tables.tolerances(NYU_TEST)[MOVED[1]]
    printed = published.results().loc["lower bound"]
    chance = bounds.assign(ours=[printed[metric] for _, metric in bounds.index])
    return tables.ledger(rows, published.prompts(), chance, [])


def counts(ledger: pd.DataFrame) -> pd.DataFrame:
    """How many numbers of each part of a ledger have which verdict; Table 1 row by row."""
    part = ledger["row"].where(ledger["table"] == "Table 1", ledger["table"]).rename("part")
    table = pd.crosstab(part, ledger["verdict"]).reindex(part.unique())
    return table.reindex(columns=list(tables.VERDICTS), fill_value=0)


def in_words(ledger: pd.DataFrame) -> str:
    """How many printed numbers have which verdict, for a sentence."""
    found = ledger["verdict"].value_counts().reindex(list(tables.VERDICTS), fill_value=0)
    judged = ", ".join(f"{verdict} {found[verdict]}" for verdict in JUDGED)
    return f"{ledger['published'].notna().sum()} printed numbers: {judged}"


def differing(ledger: pd.DataFrame) -> pd.DataFrame:
    """The numbers that differ, farthest first; `times` is the difference in tolerances."""
    far = ledger[ledger["verdict"] == "differs"].set_index(["table", "row", "metric"])
    far = far.assign(times=far["difference"].abs() / far["tolerance"])
    columns = ["frames", "published", "ours", "tolerance", "times"]
    return far.sort_values("times", ascending=False, kind="stable")[columns]


def table_1(run: Run) -> pd.DataFrame:
    """The paper's row of Table 1 and ours with both heads: six metrics, a column each."""
    columns = {"printed, NYU": published.results().loc["DepthCLIP", SIX].astype(float)}
    for method, own in run.both_heads.items():
        similarities = own.similarities(PROMPTS["original"])
        rows = scoring.score(run.frames, similarities, BINS["original"], protocol=run.protocol)
        columns[method] = rows[SIX].mean()
    return pd.DataFrame(columns).rename_axis("metric")
