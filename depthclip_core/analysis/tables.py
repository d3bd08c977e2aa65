"""Tables of a run beside the paper's: means by scene type, gains, and the ledger.

The ledger is a long table of every number that the paper prints for its own system, with ours and a
verdict; only a run in the paper's own setting is judged (`comparability.not_comparable`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from depthclip_core.analysis import published
from depthclip_core.analysis.statistics import sign_flip_test
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.baselines import READINGS, lower_bound
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.sweep import LEVELS, Sweep
from depthclip_core.settings import PUBLISHED_METRICS

ALL = "all"  # the paper's name for all frames, whatever their scene type
FEW = 10  # frames; the mean of fewer is flagged
VERDICTS = ("agrees", "differs", "not comparable", "not measured", "not printed")

# How far a number of ours may lie from the printed one. Half a unit of the third decimal is the
# paper's rounding; the rest is for what may differ between two machines that do the same: fp16 and
# fp32, and JPEG encoders. A mean over n frames moves by that of one frame over √n.
ROUNDING = 0.0005
# The root mean square move of one frame, the largest of five partitions, over the sample's 64 test
# frames with the released head, in the order of PUBLISHED_METRICS: without the JPEG altogether,
# which is more than any encoder does, and with bf16, which is 8 times coarser than fp16. A test
# measures them again.
MOVED = MappingProxyType(
    {
        "without the JPEG": (0.0196, 0.0215, 0.0199, 0.0101, 0.0074, 0.0310),
        "bf16 for fp32": (0.0032, 0.0034, 0.0037, 0.0021, 0.0013, 0.0056),
    }
)
OF_A_GAIN = 2.0  # a difference of two numbers may move twice as far
SIGMAS = 3.0  # how many standard deviations are allowed: of such moves, of the lower bound's draw


def scene_means(sweep: Sweep, scenes: Sequence[str | None]) -> pd.DataFrame:
    """Means of each partition on each scene type: rows (scene, bins), "all" first.

    sweep: of one temperature and one protocol. scenes: of its N frames, None where unknown.
    Columns: the metrics; n_frames that were averaged, those with a valid pixel; few, whether that
    is fewer than 10.
    """
    if len(scenes) != len(sweep.frames):
        raise DepthClipError(f"{len(scenes)} scenes for a sweep of {len(sweep.frames)} frames")
    for level in LEVELS[1:]:
        if (n := sweep.settings.get_level_values(level).nunique()) > 1:
            raise DepthClipError(f"the sweep has {n} {level}s: make a table of each")
    partitions = sweep.settings.get_level_values("bins")
    tables = {}
    for kind in (ALL, *sorted(set(scenes) - {None, ALL})):
        own = [i for i, scene in enumerate(scenes) if kind in (ALL, scene)]
        scored = {"values": sweep.values[:, own], "n_pixels": sweep.n_pixels[:, own]}
        means = replace(sweep, frames=own, **scored).means()
        tables[kind] = means.set_axis(partitions).drop(columns="n_empty")
    table = pd.concat(tables, names=["scene", "bins"])
    return table.assign(few=table["n_frames"] < FEW)


def best_partitions(table: pd.DataFrame) -> pd.DataFrame:
    """The best partition for each scene type (rows) by each metric (columns); ties go to the first.

    table: rows (scene, bins), as from `scene_means` or `published.partitions`. "–" where a scene
    has no number.
    """
    metrics = [metric for metric in table.columns if metric in METRICS]
    # The signs make higher better everywhere.
    by_scene = (table[metrics] * [METRICS[m].sign for m in metrics]).groupby("scene", sort=False)
    return by_scene.agg(lambda column: column.idxmax()[1] if column.notna().any() else "–")


def gains(
    table: pd.DataFrame, named: Mapping[str, str] | None = None, baseline: str = "original"
) -> pd.DataFrame:
    """Rows (scene, bins): a partition's row minus the baseline's, as the paper computes its gains.

    table: as from `scene_means` or `published.partitions`. named: the partition for each scene
    type; else the paper's choice, class-dependent 3 for bathrooms and 4 for classrooms, whichever
    is best here. A scene type that the table lacks has NaN, and n_frames 0.
    """
    named = dict(published.gains().index) if named is None else named
    metrics = [metric for metric in table.columns if metric in METRICS]
    partitions = table.index.get_level_values("bins").unique()
    for bins in (*named.values(), baseline):
        if bins not in partitions:
            raise unknown_name("bins", bins, partitions)
    rows = pd.MultiIndex.from_tuples(named.items(), names=["scene", "bins"])
    of_baseline = pd.MultiIndex.from_tuples([(scene, baseline) for scene in named])
    result = table[metrics].reindex(rows) - table[metrics].reindex(of_baseline).to_numpy()
    if "n_frames" in table:
        result["n_frames"] = table["n_frames"].reindex(rows, fill_value=0)
        result["few"] = result["n_frames"] < FEW
    return result


def changes_by_scene(change: pd.Series, scenes: Sequence[str], groups: Sequence) -> pd.DataFrame:
    """The scene types in which a number changed in any image, and how much evidence there is.

    change: of each image, with its scene type and room (group). Columns: images, rooms, mean, and
    p, two-sided, of `statistics.sign_flip_test`, which cannot be small with few rooms.
    """
    table = pd.DataFrame({"change": change.to_numpy(), "scene": scenes, "room": list(groups)})
    rows = {}
    for scene, own in table.groupby("scene"):
        if (own["change"].fillna(0) != 0).any():
            p = sign_flip_test(own["change"], own["room"])
            rows[scene] = [len(own), own["room"].nunique(), own["change"].mean(), p]
    found = pd.DataFrame(rows, index=["images", "rooms", "mean", "p"]).T.rename_axis("scene")
    return found.astype({"images": int, "rooms": int})


def class_tables(table: pd.DataFrame, gain: pd.DataFrame | None = None) -> pd.DataFrame:
    """The class tables in the paper's order: bathroom, classroom, all; the gain as the last row.

    table: as from `scene_means` or `published.partitions`. gain: as from `gains`, which computes it
    if it is not given. The paper gives no gain for all frames. A scene type that the table lacks
    has NaN.
    """
    metrics = [metric for metric in table.columns if metric in METRICS]
    gain, parts = gains(table) if gain is None else gain, {}
    partitions = table.index.get_level_values("bins").unique()
    for kind in (*gain.index.get_level_values("scene"), ALL):
        rows = pd.MultiIndex.from_product([[kind], partitions], names=["scene", "bins"])
        last = gain[gain.index.get_level_values("scene") == kind]
        last = last.rename(lambda bins: f"gain of {bins}", level="bins")
        parts[kind] = pd.concat([table[metrics].reindex(rows), last[metrics]])
    return pd.concat(parts.values())


def differences_or_reasons(
    ours: pd.DataFrame, printed: pd.DataFrame, reasons: Sequence[str]
) -> pd.DataFrame:
    """`differences`, or why they are not shown: a row for each reason that a run has against it."""
    if reasons:
        return pd.DataFrame({"why no differences are shown": list(reasons)})
    return differences(ours, printed)


def differences(ours: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Ours minus the printed, in the rows and metrics of the printed; NaN where ours has no row."""
    return ours.reindex(printed.index)[list(printed.columns)] - printed


def tolerances(n_frames: int) -> pd.Series:
    """How far a mean over so many frames may lie from the printed one, by metric; NaN of none."""
    of_one = np.sqrt(np.square(list(MOVED.values())).sum(axis=0))
    allowed = SIGMAS * of_one / np.sqrt(n_frames) if n_frames else np.nan
    return pd.Series(ROUNDING + allowed, list(PUBLISHED_METRICS), name=n_frames)


def lower_bounds(
    ground_truths: Iterable[np.ndarray],
    *,
    seed: int = 0,
    grid: tuple[int, int] | None = None,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """Random depth in each reading: rows (reading, metric) with ours and spread.

    ground_truths: ground truth (480, 640) in metres, read once each. Depth is drawn twice on every
    frame: ours is the mean of both, spread the standard deviation that the mean over all frames has
    from draw to draw.
    """
    pairs = {reading: [] for reading in READINGS}
    for position, truth in enumerate(ground_truths):
        twice = np.repeat(np.asarray(truth)[None], 2, axis=0)
        for reading, scores in pairs.items():
            # Each frame its own draws.
            own = int(np.random.SeedSequence([seed, position]).generate_state(1)[0])
            rows = lower_bound(twice, reading, protocol, drawn=True, seed=own, grid=grid)
            scores.append(rows[list(PUBLISHED_METRICS)].to_numpy())
    tables = {}
    for reading, scores in pairs.items():
        scores = np.array(scores)  # (N, 2, M)
        scores = scores[np.isfinite(scores).all(axis=(1, 2))]
        if not len(scores):
            raise DepthClipError("cannot compute a lower bound: no frame has a valid pixel")
        variance = ((scores[:, 0] - scores[:, 1]) ** 2).mean(0) / 2  # of one frame's draw
        columns = {"ours": scores.mean((0, 1)), "spread": np.sqrt(variance / len(scores))}
        tables[reading] = pd.DataFrame(columns, list(PUBLISHED_METRICS))
    return pd.concat(tables, names=["reading", "metric"])


def ledger(
    partitions: pd.DataFrame,
    prompts: pd.DataFrame,
    bounds: pd.DataFrame,
    not_comparable: Sequence[str],
) -> pd.DataFrame:
    """Every number that the paper prints for its own system, with ours and a verdict.

    partitions: as from `scene_means`, with the original words. prompts: metrics of the original
    bins over all frames, rows named as in `settings.PROMPTS`. bounds: as from `lower_bounds`.
    not_comparable: why this run is not the paper's, as from `comparability.not_comparable`; with
    any reason nothing is judged. Columns: table, row, metric, frames, published, ours, difference
    (ours − published), tolerance, verdict. Tolerances are of the number of frames that ours is a
    mean of. Gains are differences of our own rows. The paper gives no gain for all frames, where
    the original bins are the best of its five by five metrics: their gain is none, "not printed".
    """
    rows = published.partitions()
    named = dict(published.gains().index) | {ALL: "original"}
    printed = published.gains().reindex(pd.MultiIndex.from_tuples(named.items()))
    table_1 = published.results()[list(PUBLISHED_METRICS)].astype(float)
    whole = partitions.loc[[(ALL, "original")]]
    n_frames, chance = int(whole["n_frames"].iloc[0]), table_1.loc["lower bound"]
    all_prompts = prompts.reindex(published.prompts().index).assign(n_frames=n_frames)
    parts = [
        _long("Table 1", table_1.loc[["DepthCLIP"]], whole),
        *(_of_chance(chance, bounds.loc[r], f"lower bound, per {r}", n_frames) for r in READINGS),
        _long("partitions", rows, partitions.reindex(rows.index)),
        _long("gains", printed, gains(partitions, named).reindex(printed.index), OF_A_GAIN),
        _long("prompts", published.prompts(), all_prompts),
    ]
    table = pd.concat(parts, ignore_index=True)
    table.insert(6, "difference", table["ours"] - table["published"])
    near = table["difference"].abs() <= table["tolerance"] + 1e-9
    cases = [table["published"].isna(), ~np.isfinite(table["ours"]), near]
    judged = np.select(cases, ["not printed", "not measured", "agrees"], "differs")
    return table.assign(verdict=np.where(bool(not_comparable), "not comparable", judged))


def _long(
    title: str, printed: pd.DataFrame, ours: pd.DataFrame, times: float = 1.0
) -> pd.DataFrame:
    """A part of the ledger from two tables with the same rows, in the same order."""
    names = [", ".join(name) if isinstance(name, tuple) else name for name in printed.index]
    metrics = list(PUBLISHED_METRICS)
    frames = ours["n_frames"].fillna(0).astype(int)
    columns = {
        "table": title,
        "row": np.repeat(names, len(metrics)),
        "metric": np.tile(metrics, len(names)),
        "frames": np.repeat(frames.to_numpy(), len(metrics)),
        "published": printed[metrics].to_numpy(dtype=float).ravel(),
        "ours": ours[metrics].to_numpy(dtype=float).ravel(),
        "tolerance": times * np.concatenate([tolerances(n) for n in frames]),
    }
    return pd.DataFrame(columns)


def _of_chance(printed: pd.Series, bounds: pd.DataFrame, row: str, n_frames: int) -> pd.DataFrame:
    """The lower bound's row in one reading. Its tolerance comes from the draws: theirs is one, ours
    the mean of two."""
    ours = bounds["ours"].to_frame(row).T.assign(n_frames=n_frames)
    part = _long("Table 1", printed.to_frame(row).T, ours)
    spread = bounds["spread"].reindex(part["metric"]).to_numpy()
    return part.assign(tolerance=ROUNDING + SIGMAS * np.sqrt(1.5) * spread)
