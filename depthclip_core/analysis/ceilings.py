"""What the method could reach if parts of it were perfect: oracles, which know the ground truth.

An oracle's score is a ceiling: no rule that fills in the same part without the ground truth does
better. Each metric has oracles of its own. Those of rmse are least squares; those of δ1 are exact
for a scale, and for bins and cells the best that a search finds, so the true ceiling may be higher.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.analysis import statistics
from depthclip_core.analysis.detail import best_cells
from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.frame_scores import Predictions, scores
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.protocols import Protocol, protocol_for, resolve_protocol
from depthclip_core.evaluation.quadratic import error_forms
from depthclip_core.evaluation.search import search
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import TEMPERATURE

FACTOR = 1.25  # of δ1
SCORED = ("delta1", "rmse")
START, END = "DepthCLIP", "perfect"
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
ALIGNMENTS = {"none": None, "scale": "median", "scale and shift": "least-squares"}
SAMPLED = 4000  # pixels of an image on which its bins are searched for
ROUNDS = 6  # through all words, of that search
SILENT = 1e-6  # a word of less weight at a pixel does not move it


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

    DepthCLIP: the method with the given bins. split bins: with the oracle bins. image scale: these
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


def oracle_table(rows: pd.DataFrame, groups: Sequence, seed: int = 0) -> pd.DataFrame:
    """Means of `ceiling_scores` with intervals by group: a row per system, columns (metric, …)."""
    tables = {metric: statistics.intervals(rows[metric], groups, seed=seed) for metric in SCORED}
    return pd.concat({m: t[["mean", "low", "high"]] for m, t in tables.items()}, axis=1)


def with_interval(row: pd.Series, digits: int = 3) -> str:
    """A mean and its bounds for a sentence: "0.310 (95 % interval 0.250 to 0.370)"."""
    mean, low, high = (f"{row[name]:.{digits}f}" for name in ("mean", "low", "high"))
    if np.isnan(row["low"]):
        return f"{mean} (no interval: too few groups)"
    return f"{mean} (95 % interval {low} to {high})"


def waterfall(
    rows: pd.DataFrame, groups: Sequence, metric: str, route: str, seed: int = 0
) -> pd.DataFrame:
    """The steps of a route from DepthCLIP to perfect, a row each.

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


def aligned_scores(
    ground_truths: Iterable[np.ndarray],
    similarities: Tensor,
    bins: Mapping[str, Sequence[float]],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """Scores of partitions and of FLAT, aligned to each image's truth in three ways.

    bins: K bins by name. A row per image; columns (metric, bins, alignment) with the metrics of
    SCORED and ALIGNMENTS: none; scale, by the ratio of medians, as in the protocol "median-scaled";
    scale and shift of least squares, as in "marigold". The flip is the protocol's own.
    """
    protocol = resolve_protocol(protocol)
    n_words = similarities.shape[2]
    partitions = {**bins, FLAT: (2.0,) * n_words}  # equal bins: any weights give one depth
    kinds = [replace(protocol, align=align) for align in ALIGNMENTS.values()]
    found = sweep(
        ground_truths, similarities, partitions, [temperature], kinds, metrics=list(SCORED)
    )
    columns = {
        (metric, name, alignment): found.rows(name, protocol=f"protocol {i}")[metric]
        for metric in SCORED
        for name in partitions
        for i, alignment in enumerate(ALIGNMENTS)
    }
    return pd.DataFrame(columns).rename_axis(columns=["metric", "bins", "alignment"])


def aligned_table(rows: pd.DataFrame, groups: Sequence, metric: str, seed: int = 0) -> pd.DataFrame:
    """Means of `aligned_scores` by one metric beside FLAT under the same alignment.

    A row (alignment, bins). Columns: score; mean, low and high, of the paired difference from the
    flat map, by group; verdict. The flat map's own rows have its score alone.
    """
    parts = []
    for alignment in ALIGNMENTS:
        own = rows[metric].xs(alignment, axis=1, level="alignment")
        others = own.drop(columns=FLAT)
        table = statistics.intervals(others.sub(own[FLAT], axis=0), groups, seed=seed)
        verdicts = statistics.verdicts(table, [METRICS[metric].sign] * len(table))
        table = table[["mean", "low", "high"]].assign(verdict=verdicts).reindex(own.columns)
        table.insert(0, "score", own.mean())
        parts.append(table.fillna({"verdict": "–"}))
    return pd.concat(parts, keys=list(ALIGNMENTS), names=["alignment", "bins"])


def best_scale(p: np.ndarray, g: np.ndarray) -> float:
    """The factor s with the largest share of max(s·p/g, g/(s·p)) < 1.25, exactly; p, g (n,) > 0.

    A pixel is correct if log(g/p) is within log 1.25 of log s: the densest window of that width.
    """
    ratios = np.sort(np.log(g) - np.log(p))
    # A little narrower, so that rounding leaves none of them at the edge.
    ends = np.searchsorted(ratios, ratios + 2 * np.log(FACTOR) * (1 - 1e-9), side="left")
    first = int((ends - np.arange(len(ratios))).argmax())
    return float(np.exp((ratios[first] + ratios[ends[first] - 1]) / 2))


def bounded_least_squares(
    gram: np.ndarray, product: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """The bins (K,) between limits, metres, of least b·Gb − 2 b·h; see `quadratic.ErrorForms`."""
    values, vectors = np.linalg.eigh(gram)
    root = np.sqrt(np.maximum(values, values[-1] * 1e-9))  # a silent word gets some bin
    return scipy.optimize.lsq_linear(
        root[:, None] * vectors.T, vectors.T @ product / root, limits, method="bvls"
    ).x


def most_within(
    weights: np.ndarray, depth: np.ndarray, bins: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """Bins (K,) with more pixels correct by δ1, from given ones: one word after the other.

    weights: (K, n). depth: (n,) metres. Given the other bins, a pixel is correct for an interval of
    a word's bin, so its best value, where most intervals overlap, is exact. It ends where no single
    bin can be bettered, or after ROUNDS.
    """
    bins, weights = np.array(bins, dtype=np.float64), weights.astype(np.float64)
    for _ in range(ROUNDS):
        before = bins.copy()
        for word, weight in enumerate(weights):
            heard = weight > SILENT
            own = weight[heard]
            rest = bins @ weights[:, heard] - bins[word] * own
            ends = ((depth[heard] * f - rest) / own for f in (1 / FACTOR, FACTOR))
            bins[word] = _deepest_overlap(*ends, limits, bins[word])
        if (bins == before).all():
            break
    return bins


def _deepest_overlap(
    low: np.ndarray, high: np.ndarray, limits: tuple[float, float], now: float
) -> float:
    """A value between limits that lies in the most open intervals (low, high); `now` if it does."""
    some = (high > limits[0]) & (low < limits[1])
    if not some.any():
        return now
    low, high = (
        np.sort(np.maximum(low[some], limits[0])),
        np.sort(np.minimum(high[some], limits[1])),
    )
    begun = np.arange(1, len(low) + 1)
    # All that begin at one value begin together.
    begun = begun[np.searchsorted(low, low, side="right") - 1]
    ended = np.searchsorted(high, low, side="right")
    depth = begun - ended
    at = int(depth.argmax())
    here = np.searchsorted(low, now, side="left") - np.searchsorted(high, now, side="right")
    if here >= depth[at]:
        return now
    # Up to the next end of an interval, or the next beginning.
    later = low[begun[at] : begun[at] + 1]
    return float((low[at] + min([high[ended[at]], *later])) / 2)


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
        fitted = _fit_image(metric, maps, known, np.asarray(oracle_bins[metric], float), protocol)
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


def _fit_image(
    metric: str, maps: pixels.PixelMaps, known: pixels.Truth, start: np.ndarray, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """An image's oracles, from the split's bins (K,): these bins scaled, and its own bins."""
    limits = (protocol.min_depth, protocol.max_depth)
    _, gram, product = pixels.moments(maps, known)
    free = bounded_least_squares(gram, product, limits)
    if metric == "rmse":
        return start * (start @ product) / (start @ gram @ start), free
    words, g = maps.pixels[:, known.valid_mask], known.values.astype(np.float64)
    scaled = start * best_scale(start @ words, g)
    n = min(SAMPLED, known.n_valid)
    chosen = np.argsort(known.values, kind="stable")[
        ((np.arange(n) + 0.5) * len(g) / n).astype(int)
    ]
    starts = [np.clip(b, *limits) for b in (scaled, free)]
    tried = np.array(
        [scaled, *starts, *(most_within(words[:, chosen], g[chosen], b, limits) for b in starts)]
    )
    near = _share_within(tried, maps, known, limits)
    return scaled, tried[near.argmax()]


def _share_within(
    partitions: np.ndarray, maps: pixels.PixelMaps, known: pixels.Truth, limits: tuple[float, float]
) -> np.ndarray:
    predictions = Predictions(maps, partitions, np.zeros(len(partitions)), known, limits)
    return scores(predictions, ["delta1"])[:, 0]


def _flat(metric: str, known: pixels.Truth) -> float:
    """The best constant of an image, metres."""
    g = known.values.astype(np.float64)
    return float(g.mean()) if metric == "rmse" else best_scale(np.ones_like(g), g)


def _scored(cells: np.ndarray, known: pixels.Truth, metric: str, protocol: Protocol) -> np.ndarray:
    """A metric of maps of cells (P, h, w), metres, upsampled: (P,)."""
    limits, n = (protocol.min_depth, protocol.max_depth), len(cells)
    maps = pixels.pixel_maps(cells.astype(np.float32), protocol)
    return scores(Predictions(maps, np.eye(n), np.zeros(n), known, limits), [metric])[:, 0]
