"""What a system that sees nothing scores: random depth in both readings, and the best constants."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.metrics import HIGHER_IS_BETTER, METRICS, checked_depth, evaluate
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.method.depth import upsample
from depthclip_core.settings import MAX_DEPTH

READINGS = ("pixel", "cell")


def random_depth(
    n: int,
    reading: str = "pixel",
    *,
    seed: int = 0,
    grid: tuple[int, int] = (13, 17),
    protocol: str | Protocol = "released",
) -> np.ndarray:
    """n depth maps of the protocol's window, uniform in 0–10 m, float32 (n, 416, 544), metres.

    reading: "pixel", every pixel its own draw; "cell", drawn on the grid and upsampled
    bilinearly like a prediction, which loses 5/9 of the variance.
    """
    if reading not in READINGS:
        raise unknown_name("reading of the lower bound", reading, READINGS)
    shape = resolve_protocol(protocol).window.shape
    size = (n, *(shape if reading == "pixel" else grid))
    depth = np.random.default_rng(seed).uniform(0, MAX_DEPTH, size).astype(np.float32)
    return depth if reading == "pixel" else upsample(torch.from_numpy(depth), shape).numpy()


def lower_bound(
    ground_truth: np.ndarray,
    reading: str = "pixel",
    protocol: str | Protocol = "released",
    *,
    drawn: bool | None = None,
    seed: int = 0,
    grid: tuple[int, int] = (13, 17),
) -> pd.DataFrame:
    """Scores of random depth in 0–10 m, rows as from `evaluate`.

    ground_truth: (B, 480, 640), metres, holes 0. reading: see `random_depth`. Per pixel each
    metric has a closed form, its expectation over the draws (for rmse, rmse_log and silog the root
    of an expectation, which many pixels reach); drawn=True draws instead. On the cell grid it is
    always drawn, and so it is by a protocol that aligns predictions.
    Raises `DepthClipError` for ground truth that is NaN, infinite or negative, as `evaluate`.
    """
    protocol = resolve_protocol(protocol)
    closed = reading == "pixel" and not protocol.align
    if closed and not drawn:
        truth = checked_depth("ground truth", ground_truth, {protocol.frame})
        return _expected(truth, protocol)
    if drawn is False:
        raise DepthClipError(
            "the lower bound has a closed form per pixel and without alignment only: draw it"
        )
    depth = random_depth(len(ground_truth), reading, seed=seed, grid=grid, protocol=protocol)
    return evaluate(depth, ground_truth, protocol)


def constant_depth(metres: float, n: int, protocol: str | Protocol = "released") -> np.ndarray:
    """n maps of one depth everywhere, float32 (n, 416, 544), metres."""
    return np.full((n, *resolve_protocol(protocol).window.shape), metres, dtype=np.float32)


def best_constants(
    ground_truths: Iterable[np.ndarray],
    protocol: str | Protocol = "released",
    candidates: np.ndarray | None = None,
) -> pd.Series:
    """For each metric the constant depth, in metres, whose mean over images is best.

    ground_truths: (480, 640) maps, read once each. candidates: depths tried; 0.5 … 9.99 m by the
    centimetre unless given. Ground truth is counted by the millimetre, so that a frame is looked at
    once for any number of candidates. Raises `DepthClipError` where no frame has a valid pixel, and
    for depths that are NaN, infinite or negative.
    """
    protocol = resolve_protocol(protocol)
    candidates = np.arange(0.5, 10, 0.01) if candidates is None else np.asarray(candidates, float)
    if not (candidates.size and ((candidates > 0) & (candidates < np.inf)).all()):
        raise DepthClipError("candidates must be one or more positive, finite depths in metres")
    shares = np.array([s for s in (_shares(t, protocol) for t in ground_truths) if s is not None])
    if not len(shares):
        raise DepthClipError("no constant is best: no frame has a valid pixel")
    g = _counted_depths(protocol)
    # One table of costs (candidates × depths) at a time: together they are large.
    means = {name: cost(candidates[:, None], g) @ shares.T for name, cost in _COSTS.items()}
    mean = {name: values.mean(1) for name, values in _moments_to_metrics(means).items()}
    best = {m: v.argmax() if m in HIGHER_IS_BETTER else v.argmin() for m, v in mean.items()}
    return pd.Series({metric: candidates[index] for metric, index in best.items()})


def _counted_depths(protocol: Protocol) -> np.ndarray:
    """Whole millimetres up to the protocol's far limit, in metres."""
    return np.arange(1, round(protocol.max_depth * 1000)) / 1000


def _shares(truth: np.ndarray, protocol: Protocol) -> np.ndarray | None:
    """Which share of a frame's valid pixels lies at each counted depth; None without any."""
    (truth,) = checked_depth("ground truth", [truth], {protocol.frame})
    mask = protocol.valid_mask(truth, np.full(truth.shape, protocol.max_depth))
    mask &= _inside(protocol.window, truth.shape)
    if not mask.any():
        return None
    n = len(_counted_depths(protocol))
    millimetres = np.rint(truth[mask] * 1000).astype(int).clip(1, n)
    return np.bincount(millimetres - 1, minlength=n) / mask.sum()


def _near(power: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda p, g: (np.maximum(p / g, g / p) < 1.25**power).astype(float)


# What a pixel adds to the means that the metrics are made of: functions of prediction and truth.
_COSTS = {
    "delta1": _near(1),
    "delta2": _near(2),
    "delta3": _near(3),
    "abs_rel": lambda p, g: np.abs(p - g) / g,
    "log10": lambda p, g: np.abs(np.log10(p) - np.log10(g)),
    "mae": lambda p, g: np.abs(p - g),
    "sq_rel": lambda p, g: (p - g) ** 2 / g,
    "square": lambda p, g: (p - g) ** 2,
    "log": lambda p, g: np.log(p) - np.log(g),
    "square_log": lambda p, g: (np.log(p) - np.log(g)) ** 2,
}


def _moments_to_metrics(moments: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means of per-pixel terms → the metrics, roots taken last; in the order of `METRICS`."""
    spread = moments["square_log"] - moments["log"] ** 2
    values = moments | {
        "rmse": np.sqrt(moments["square"]),
        "rmse_log": np.sqrt(moments["square_log"]),
        "silog": 100 * np.sqrt(np.maximum(spread, 0)),
    }
    return {metric: values[metric] for metric in METRICS}


def _expected(ground_truth: np.ndarray, protocol: Protocol) -> pd.DataFrame:
    """Closed-form scores of per-pixel noise, a row per frame."""
    rows = []
    inside = _inside(protocol.window, protocol.frame)
    for truth in ground_truth:
        mask = protocol.valid_mask(truth, np.full(protocol.frame, protocol.max_depth)) & inside
        terms = _expected_terms(truth[mask].astype(np.float64), protocol)
        means = {name: term.mean() if mask.any() else np.nan for name, term in terms.items()}
        rows.append(_moments_to_metrics(means) | {"n_pixels": int(mask.sum())})
    return pd.DataFrame(rows, columns=[*METRICS, "n_pixels"])


def _expected_terms(g: np.ndarray, protocol: Protocol) -> dict[str, np.ndarray]:
    """Expectations over p uniform in (a, b) of the terms of `_COSTS`, for each g in it.

    (a, b) are the protocol's limits: a draw below a is no prediction and does not count.
    """
    a, b = protocol.min_depth, protocol.max_depth
    ln_g = np.log(g)

    def antiderivative(p: np.ndarray | float) -> np.ndarray:  # of ln p − ln g
        return p * np.log(p) - p - p * ln_g

    def antiderivative_square(p: np.ndarray | float) -> np.ndarray:  # of (ln p − ln g)²
        log = np.log(p) - ln_g
        return p * (log**2 - 2 * log + 2)

    low, middle, high = antiderivative(a), antiderivative(g), antiderivative(b)
    error = ((g - a) ** 2 + (b - g) ** 2) / 2
    square = ((b - g) ** 3 + (g - a) ** 3) / 3
    integrals = {
        **{f"delta{i}": np.minimum(b, g * 1.25**i) - np.maximum(a, g / 1.25**i) for i in (1, 2, 3)},
        "abs_rel": error / g,
        "log10": (low + high - 2 * middle) / np.log(10),
        "mae": error,
        "sq_rel": square / g,
        "square": square,
        "log": high - low,
        "square_log": antiderivative_square(b) - antiderivative_square(a),
    }
    return {name: integral / (b - a) for name, integral in integrals.items()}


def _inside(window, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[window.slices] = True
    return mask
