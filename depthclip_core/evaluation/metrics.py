"""The table of metrics, and their evaluation over many frames.

An entry of `METRICS` says all that is known of a metric. `evaluate`, `summarise`, the baselines,
`sweep`, `search`, tables and figures read it there: a new metric is one `register` call.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import terms as t
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol, scale_and_shift
from depthclip_core.evaluation.terms import Term
from depthclip_core.evaluation.units import check_floating, check_metres


@dataclass(frozen=True)
class Metric:
    """What is known of a metric: how it is called, which end is better, how it is computed.

    label, unit: for tables and axes. terms: what is averaged over a frame's valid pixels.
    finish: those means → the metric; of numbers, or of arrays element by element.
    """

    name: str
    label: str
    terms: tuple[Term, ...]
    finish: Callable = lambda mean: mean
    unit: str = ""
    higher_is_better: bool = False

    def __call__(self, p: np.ndarray, g: np.ndarray) -> float:
        """The metric of n pixels: float64 predictions and ground truths (n,), positive metres.

        >>> METRICS["delta1"](np.array([1.0, 2.0]), np.array([1.1, 3.0]))
        0.5
        """
        return float(self.finish(*(term.of(p, g).mean() for term in self.terms)))

    @property
    def title(self) -> str:
        """Label with unit: "rmse (m)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def sign(self) -> int:
        """1 if higher is better, else −1: sign · metric is best at its largest."""
        return 1 if self.higher_is_better else -1


def _spread(log, square_log):
    """100 · standard deviation: the scale-invariant log error in KITTI's and BTS's units."""
    return 100 * np.sqrt(np.maximum(square_log - log**2, 0))


COLUMNS = ("n_pixels", "n_frames", "n_empty", "scene", "coverage", "few")  # stand beside metrics
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("delta1", "δ1", t.WITHIN[:1], higher_is_better=True),
        Metric("delta2", "δ2", t.WITHIN[1:2], higher_is_better=True),
        Metric("delta3", "δ3", t.WITHIN[2:], higher_is_better=True),
        Metric("abs_rel", "rel", (t.ABS_REL,)),
        Metric("log10", "log10", (t.ABS_LOG10,)),
        Metric("rmse", "rmse", (t.SQUARE_ERROR,), np.sqrt, "m"),
        Metric("mae", "mae", (t.ABS_ERROR,), unit="m"),
        Metric("sq_rel", "sq rel", (t.SQ_REL,), unit="m"),
        Metric("rmse_log", "rmse log", (t.SQUARE_LOG,), np.sqrt),
        Metric("silog", "silog", (t.LOG, t.SQUARE_LOG), _spread),
    )
}


def in_symbols(table: pd.DataFrame) -> pd.DataFrame:
    """A table to be read: names of metrics in rows and columns become titles, such as δ1."""
    titles = {name: metric.title for name, metric in METRICS.items()}
    return table.rename(index=titles, columns=titles)


def register(metric: Metric) -> Metric:
    """Add a metric to the table; `DepthClipError` if its name is taken or a column's of results."""
    if metric.name in {*METRICS, *COLUMNS}:
        raise DepthClipError(f"the name {metric.name!r} is taken: choose another for the metric")
    METRICS[metric.name] = metric
    return metric


def resolve_metric(name: str) -> Metric:
    """A metric by its name; `DepthClipError` for an unknown one."""
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return METRICS[name]


def evaluate(
    depth: np.ndarray,
    ground_truth: np.ndarray,
    protocol: str | Protocol = "released",
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score predictions frame by frame.

    depth: (B, 416, 544), the protocol's window, or (B, 480, 640), whole frames; metres ≥ 0,
        where 0 means "no prediction". ground_truth: (B, 480, 640), metres, holes 0, taken as given.
    protocol: a name in `PROTOCOLS`, or a `Protocol`; one that aligns fits each prediction to its
        ground truth first. names: the rows' index; else 0 … B − 1.
    Returns a DataFrame, a row per frame: the metrics of `METRICS` and n_pixels, the count of valid
    pixels. A frame without any has NaN metrics; `summarise` counts it and leaves it out.
    Raises `DepthClipError` for arrays of other shapes, for NaN, infinite or negative depths, and
    for integers and other numbers that are not metres, see `units.check_metres`.
    """
    protocol = resolve_protocol(protocol)
    depth = checked_depth("depth", depth, {protocol.window.shape, protocol.frame})
    ground_truth = checked_depth("ground truth", ground_truth, {protocol.frame})
    if len(depth) != len(ground_truth):
        raise DepthClipError(f"{len(depth)} predictions for {len(ground_truth)} ground truths")
    names = range(len(depth)) if names is None else list(names)
    if len(names) != len(depth):
        raise DepthClipError(f"{len(names)} names for {len(depth)} predictions")
    rows, terms = [], terms_of(METRICS)
    for pair in zip(depth, ground_truth, strict=True):
        p, g = _valid_pixels(*pair, protocol)
        means = {term: term.of(p, g).mean() if p.size else np.nan for term in terms}
        rows.append(finished(METRICS, means) | {"n_pixels": p.size})
    return pd.DataFrame(rows, names, [*METRICS, "n_pixels"])


def summarise(rows: pd.DataFrame) -> pd.Series:
    """Mean over images, the paper's average, of the frames that have valid pixels.

    Adds n_frames, how many were averaged, and n_empty, how many had no valid pixel. A metric that
    is NaN for a frame with valid pixels is NaN in the mean.
    """
    scored = rows[rows["n_pixels"] > 0]
    means = scored[[name for name in METRICS if name in rows]].mean(skipna=False)
    counts = pd.Series({"n_frames": len(scored), "n_empty": len(rows) - len(scored)})
    return pd.concat([means, counts])


def pooled_correlation(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], protocol: str | Protocol = "released"
) -> float:
    """Pearson correlation of predicted and true depth over the valid pixels of all frames.

    pairs: a prediction and its ground truth for each frame, as in `evaluate`; read once.
    NaN where no frame has a valid pixel, or one of the two is the same everywhere.
    """
    protocol = resolve_protocol(protocol)
    shapes = {protocol.window.shape, protocol.frame}
    n, mean, moments = 0, np.zeros(2), np.zeros((2, 2))
    for depth, truth in pairs:
        (depth,) = checked_depth("depth", [depth], shapes)
        (truth,) = checked_depth("ground truth", [truth], {protocol.frame})
        pixels = np.stack(_valid_pixels(depth, truth, protocol))  # (2, m)
        if m := pixels.shape[1]:  # merge the moments of what came before with this frame's
            step = pixels.mean(1) - mean
            moments += np.cov(pixels, bias=True) * m + np.outer(step, step) * n * m / (n + m)
            n, mean = n + m, mean + step * m / (n + m)
    return float(moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1])) if n else float("nan")


def terms_of(names: Iterable[str]) -> list[Term]:
    """The terms that the named metrics are made of, each once."""
    return list(dict.fromkeys(term for name in names for term in METRICS[name].terms))


def finished(names: Iterable[str], means: Mapping[Term, ArrayLike]) -> dict[str, ArrayLike]:
    """The named metrics, from the mean of each of their terms: numbers or arrays."""
    return {n: METRICS[n].finish(*(means[term] for term in METRICS[n].terms)) for n in names}


def _valid_pixels(
    depth: np.ndarray, ground_truth: np.ndarray, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and ground truth of a frame's n valid pixels, aligned, clamped, float64 (n,)."""
    if depth.shape != protocol.frame:
        canvas = np.zeros(protocol.frame, dtype=depth.dtype)
        canvas[protocol.window.slices] = depth
        depth = canvas
    mask = protocol.valid_mask(ground_truth, depth)
    p, g = (m[mask].astype(np.float64) for m in (depth, ground_truth))
    if p.size and protocol.align:
        scale, shift = scale_and_shift(p, g, protocol.align)
        p = scale * p + shift
    return tuple(np.clip(m, protocol.min_depth, protocol.max_depth) for m in (p, g))


def checked_depth(what: str, array: object, shapes: set[tuple[int, int]]) -> np.ndarray:
    """The array as (B, H, W) metres of one of the shapes, finite and not negative."""
    if isinstance(array, np.ma.MaskedArray):  # its mask would be lost, and what it hides scored
        raise DepthClipError(f"{what} is a masked array, and masks are not read: give a plain one")
    array = np.asarray(array)
    if array.ndim != 3 or array.shape[1:] not in shapes:
        wanted = " or ".join(f"(B, {h}, {w})" for h, w in sorted(shapes))
        raise DepthClipError(f"{what} must be of shape {wanted}, got {array.shape}")
    check_floating(what, array)
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        frame, row, column = np.argwhere(bad)[0]
        raise DepthClipError(
            f"{what} holds {bad.sum()} NaN, infinite or negative values, the first "
            f"{array[frame, row, column]} at frame {frame}, row {row}, column {column}"
        )
    return check_metres(what, array)
