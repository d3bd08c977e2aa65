"""What the method could reach if parts of it were perfect: oracles, which know the ground truth.

An oracle's score is a ceiling: no rule that fills in the same part without the ground truth does
better. Each metric has oracles of its own. Those of rmse are least squares; those of δ1 are exact
for a scale, and for bins and cells the best that a search finds, so the true ceiling may be higher.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis import statistics
from depthclip_core.analysis.detail import best_cells
from depthclip_core.analysis.image_oracles import (
    FACTOR,
    best_scale,
    bounded_least_squares,
    fit_image,
)
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.frame_scores import Predictions, scores
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.protocols import Protocol, protocol_for, resolve_protocol
from depthclip_core.evaluation.quadratic import error_forms
from depthclip_core.evaluation.search import search
from depthclip_core.settings import TEMPERATURE

SCORED = ("delta1", "rmse")
START, END = "as given", "perfect"
SYSTEMS = (START, "split bins", "image scale", "image bins", "words in range", "best map", END)
FLAT = "flat map"
# Each route replaces one part after the other: the step's name and the system that it ends in.
ROUTES: dict[str, dict[str, str]] = {
    "bins first": {
        "bins of the split": "split bins",
        "scale of the image": "image scale",
        "bins of the image": "image bins",
        "words": "best map",
        "grid": END,
    },
    "words first": {"words": "words in range", "bins": "best map", "grid": END},
}


def reach(
    ground_truths: Iterable[np.ndarray],
    bins: Sequence[float],
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """Share of each image's valid pixels that no mixture of the bins can predict, a row per image.

    Columns: nearer and farther than all bins; near miss and far miss, those that also lie beyond a
    factor 1.25 of the nearest or farthest bin, so that no weights make them correct by δ1; missed,
    the sum of these two. NaN for an image without valid pixels.
    """
    protocol = resolve_protocol(protocol)
    low, high = min(bins), max(bins)
    rows = []
    for truth in ground_truths:
        g = pixels.counted(truth, protocol).values.astype(np.float64)
        cases = (g < low, g > high, g * FACTOR <= low, g >= high * FACTOR)
        rows.append([case.mean() if g.size else np.nan for case in cases])
    shares = pd.DataFrame(rows, columns=["nearer", "farther", "near miss", "far miss"])
    return shares.assign(missed=shares["near miss"] + shares["far miss"])


def split_bins(
    frames: Sequence[Frame],
    similarities: Tensor,
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
    seed: int = 0,
) -> dict[str, tuple[float, ...]]:
    """For each metric of SCORED the best bins for these very frames, metres.

    delta1: by `search`. rmse: least squares, in which every image has the same weight.
    """
    protocol = protocol_for(frames, protocol)
    forms = error_forms(as_dataset(frames).ground_truths(), similarities, temperature, protocol)
    if not forms.count.any():
        raise DepthClipError("bins cannot be fitted: no frame has a valid pixel")
    n = np.maximum(forms.count, 1)
    sums = ((forms.gram / n[:, None, None]).sum(0), (forms.product / n[:, None]).sum(0))
    settings = {"temperature": temperature, "protocol": protocol, "seed": seed}
    found = search(frames, similarities, "delta1", **settings)
    least = tuple(float(b) for b in bounded_least_squares(*sums, forms.limits))
    return {"delta1": found.bins, "rmse": least}


def ceiling_scores(
    ground_truths: Iterable[np.ndarray],
    similarities: Tensor,
    bins: Sequence[float],
    oracle_bins: Mapping[str, Sequence[float]],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """Scores of the SYSTEMS, a row per image: columns (metric, system), metrics of SCORED.

    ground_truths, similarities: as in `sweep.sweep`. bins: the published ones, metres. oracle_bins:
    for each metric, from `split_bins`. The systems, each with the oracles of its metric:

    as given: the method with the given bins. split bins: with the oracle bins. image scale: these
    times the best factor of each image. image bins: the best bins of each image. best map: the best
    that one depth for each cell can do, whatever words and bins. words in range: the same with the
    cells' depths clipped to the range of the given bins. perfect: the ground truth.

    Also FLAT, a map of one depth with the best factor of each image. All are NaN for an image
    without valid pixels. Raises `DepthClipError` for a protocol that aligns.
    """
    protocol = resolve_protocol(protocol)
    if protocol.align:
        raise DepthClipError("ceilings include the scale: give a protocol that does not align")
    similarities = pixels.checked_similarities(similarities)
    rows = []
    for position, truth in pixels.paired(ground_truths, len(similarities)):
        weights = pixels.cell_weights(similarities[position], temperature, protocol.flip)
        rows.append(_frame_scores(truth, weights, bins, oracle_bins, protocol))
    columns = pd.MultiIndex.from_product([SCORED, [*SYSTEMS, FLAT]], names=["metric", "system"])
    return pd.DataFrame(rows, columns=columns)


def of_run(run: Run, seed: int = 0) -> tuple[dict[str, tuple[float, ...]], pd.DataFrame]:
    """`split_bins` of a run and its `ceiling_scores`. seed: of the search for bins."""
    how, similarities = (run.temperature, run.protocol), run.similarities()
    bins = split_bins(run.frames, similarities, *how, seed)
    truths = run.frames.ground_truths()
    return bins, ceiling_scores(truths, similarities, run.bins, bins, *how)


def oracle_table(rows: pd.DataFrame, groups: Sequence, seed: int = 0) -> pd.DataFrame:
    """Means of `ceiling_scores` with intervals by group: a row per system, columns (metric, …)."""
    tables = {metric: statistics.intervals(rows[metric], groups, seed=seed) for metric in SCORED}
    return pd.concat({m: t[["mean", "low", "high"]] for m, t in tables.items()}, axis=1)


def waterfall(
    rows: pd.DataFrame, groups: Sequence, metric: str, route: str, seed: int = 0
) -> pd.DataFrame:
    """The steps of a route from the method to perfect, a row each.

    rows: from `ceiling_scores`. Columns: before and after, the means of the metric; mean, low and
    high, of the paired change with its interval by group. The systems of a route contain one
    another, so that a step gains by construction: what is of interest is how much.
    """
    if route not in ROUTES:
        raise unknown_name("route", route, ROUTES)
    own = rows[metric].dropna()
    path = [START, *ROUTES[route].values()]
    changes = {
        step: own[after] - own[before]
        for step, before, after in zip(ROUTES[route], path[:-1], path[1:], strict=True)
    }
    kept = np.asarray(groups, dtype=object)[rows[metric].notna().all(axis=1).to_numpy()]
    table = statistics.intervals(pd.DataFrame(changes), kept, seed=seed)
    ends = own[path].mean().to_numpy()
    table.insert(0, "before", ends[:-1])
    table.insert(1, "after", ends[1:])
    return table


def _frame_scores(
    truth: np.ndarray,
    weights: np.ndarray,
    bins: Sequence[float],
    oracle_bins: Mapping[str, Sequence[float]],
    protocol: Protocol,
) -> list[float]:
    """The systems' scores of a frame in the order of `ceiling_scores`."""
    known = pixels.counted(truth, protocol)
    if not known.n_valid:
        return [np.nan] * (len(SCORED) * (len(SYSTEMS) + 1))
    maps, grid = pixels.pixel_maps(weights, protocol), weights.shape[1:]
    least = best_cells(truth, grid, protocol)
    (middle,) = cell_depths([truth], grid, protocol, least=0.0)
    best = {"rmse": [least], "delta1": [least, np.where(np.isnan(middle), least, middle)]}
    ends = (min(bins), max(bins))
    found = []
    for metric in SCORED:
        fitted = fit_image(metric, maps, known, np.asarray(oracle_bins[metric], float), protocol)
        partitions = np.array([bins, oracle_bins[metric], *fitted])
        flat, level = np.ones((1, *grid)), _flat(metric, known)
        cells = [np.tensordot(partitions, weights, 1), level * flat]
        cells += [np.clip(best[metric], *ends), np.array(best[metric])]
        own = _scored(np.concatenate(cells), known, metric, protocol)
        own, sign = own.tolist(), METRICS[metric].sign
        n = len(best[metric])
        in_range, free = own[5 : 5 + n], own[5 + n :]
        both = (sign * max(sign * score for score in each) for each in (in_range, free))
        found += [*own[:4], *both, 1.0 if METRICS[metric].higher_is_better else 0.0, own[4]]
    return found


def _flat(metric: str, known: pixels.Truth) -> float:
    """The best constant of an image, metres."""
    g = known.values.astype(np.float64)
    return float(g.mean()) if metric == "rmse" else best_scale(np.ones_like(g), g)


def _scored(cells: np.ndarray, known: pixels.Truth, metric: str, protocol: Protocol) -> np.ndarray:
    """A metric of maps of cells (P, h, w), metres, upsampled: (P,)."""
    limits, n = (protocol.min_depth, protocol.max_depth), len(cells)
    maps = pixels.pixel_maps(cells.astype(np.float32), protocol)
    return scores(Predictions(maps, np.eye(n), np.zeros(n), known, limits), [metric])[:, 0]
