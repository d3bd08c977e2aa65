"""One frame under both heads, beside maps that see nothing; and the same comparison over a split.

Constants and the blind map come from the train split. A run without depth, such as one on
photographs, has no scores: its tables are empty and its cells' depths NaN.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from depthclip_core.analysis import position, word_responses
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import compare
from depthclip_core.datasets import Frame
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.baselines import best_constants, constant_depth
from depthclip_core.evaluation.metrics import METRICS, evaluate
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import predict_depth, respond
from depthclip_core.settings import PUBLISHED_METRICS

BLIND, CONSTANT = "blind map by position", "best constant"


def head_maps(run: Run, frame: Frame) -> dict[str, np.ndarray]:
    """The depth maps of a frame by `Run.both_heads`, each of the network's window, metres."""
    setting = {"prompts": run.words, "bins": run.bins, "temperature": run.temperature}
    heads = {method: own.head for method, own in run.both_heads.items()}
    return {m: predict_depth(frame, run.encoder, head=h, **setting)[0] for m, h in heads.items()}


def cell_truths(run: Run, frame: Frame) -> np.ndarray:
    """Median true depth below each cell of a frame (h, w), metres; NaN where it is not known."""
    grid = run.encoder.grid(*frame.window.shape)
    if frame.raw_depth is None:
        return np.full(grid, np.nan)
    return word_responses.cell_depths([frame.raw_depth], grid, run.protocol)[0]


def frame_weights(run: Run, frame: Frame) -> np.ndarray:
    """Bin weights of a frame by the run's head (K, h, w), averaged over both views.

    Their weighted sum of the bins is the depth of the cells.
    """
    text = run.text_vectors(run.words)
    answer = respond(frame.rgb[None], run.encoder, text, [run.head], crop=frame.crop)
    return word_responses.mean_weights(answer[run.head], run.temperature)[0]


def depth_ranges(maps: Mapping[str, np.ndarray], frame: Frame) -> pd.DataFrame:
    """What a frame's depths span, metres: a row per map (H, W), and the truth's, if it is known.

    Columns: the 5th percentile, the median and the 95th percentile over pixels of the window.
    """
    maps = dict(maps)
    if frame.raw_depth is not None:
        maps["ground truth"] = frame.raw_depth[frame.window.slices]
    known = {name: depth[depth > 0] for name, depth in maps.items()}
    shares = {"5 %": 0.05, "median": 0.5, "95 %": 0.95}
    rows = {n: np.quantile(d, [*shares.values()]) for n, d in known.items() if d.size}
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*shares])


def frame_scores(run: Run, frame: Frame, maps: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Every metric of a frame (rows) for some maps of the window, BLIND and CONSTANT (columns).

    CONSTANT is another depth for each metric, the one that is best by it on the train split. There
    are no columns for a frame without depth.
    """
    if frame.raw_depth is None:
        return pd.DataFrame(index=pd.Index(METRICS, name="metric"))
    truth, protocol = frame.raw_depth[None], run.protocol
    blind = position.blind_maps(run.train.ground_truths(), protocol)["position"]
    metres = best_constants(run.train.ground_truths(), protocol)
    flat = {m: evaluate(constant_depth(metres[m], 1, protocol), truth, protocol) for m in METRICS}
    maps = dict(maps) | {BLIND: blind}
    rows = {name: evaluate(depth[None], truth, protocol).iloc[0] for name, depth in maps.items()}
    rows[CONSTANT] = pd.Series({m: row[m].iloc[0] for m, row in flat.items()})
    return pd.DataFrame(rows).loc[list(METRICS)].rename_axis("metric")


def constant_rows(run: Run) -> pd.DataFrame:
    """The six metrics of each frame of a run, each for its own best constant on the train split."""
    metres = best_constants(run.train.ground_truths(), run.protocol)[list(PUBLISHED_METRICS)]
    # With one word, whose weight is 1 everywhere, its bin is the depth.
    one_word = torch.zeros(len(run.frames), 1, 1, *run.grid)
    bins = {metric: [depth] for metric, depth in metres.items()}
    how = {"protocols": [run.protocol], "names": run.frames.names}
    scores = sweep(run.frames.ground_truths(), one_word, bins, **how)
    return pd.DataFrame({metric: scores.rows(bins=metric)[metric] for metric in bins})


def against_constants(run: Run) -> pd.DataFrame:
    """Each head minus CONSTANT over the run's frames: rows (method, metric), as from `compare`.

    Empty if the run's frames have no depth.
    """
    if run.frames.raw_depth(0) is None:
        return pd.DataFrame(columns=["mean", "low", "high", "images", "groups", "verdict"])
    flat, tables = constant_rows(run), {}
    for method, own in run.both_heads.items():
        how = (run.bins, run.temperature, run.protocol)
        rows = scoring.score(run.frames, own.similarities(), *how)[list(flat)]
        tables[method] = compare(rows, flat, run.frames.groups)
    return pd.concat(tables, names=["method", "metric"])


def lost_metrics(table: pd.DataFrame) -> pd.DataFrame:
    """In how many metrics each method of `against_constants` is worse than the best constant.

    Columns: worse, by the mean; surely, those of them in which the interval excludes zero.
    """
    if table.empty:
        return pd.DataFrame(columns=["worse", "surely"])
    signs = table.index.get_level_values("metric").map(lambda metric: METRICS[metric].sign)
    flags = {"worse": table["mean"] * signs < 0, "surely": table["verdict"] == "worse"}
    return pd.DataFrame(flags).groupby("method", sort=False).sum()
