"""Scores of systems that see nothing: random depth in three readings, and the best constants."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.metrics import METRICS, checked_depth, evaluate, finished, terms_of
from depthclip_core.evaluation.protocols import Protocol, cells_of, resolve_protocol
from depthclip_core.method.depth import upsample

READINGS = ("pixel", "image", "cell")
DRAWN_DEPTHS = 500  # evenly spaced ones stand for a uniform draw
CANDIDATES = 16  # constants whose terms are computed at once


def random_depth(
    n: int,
    reading: str = "pixel",
    *,
    seed: int = 0,
    grid: tuple[int, int] | None = None,
    protocol: str | Protocol = "released",
) -> np.ndarray:
    """n maps of the protocol's window, uniform up to its far limit (10 m), float32 (n, 416, 544).

    reading: "pixel", an independent draw for every pixel; "image", one draw for a whole image;
    "cell", a draw for every cell, upsampled bilinearly like a prediction, which loses 5/9 of the
    variance.
    """
    if reading not in READINGS:
        raise unknown_name("reading of the lower bound", reading, READINGS)
    protocol = resolve_protocol(protocol)
    shape = protocol.window.shape
    sizes = {"pixel": shape, "image": (1, 1), "cell": grid or cells_of(protocol)}
    size = (n, *sizes[reading])
    depth = np.random.default_rng(seed).uniform(0, protocol.max_depth, size).astype(np.float32)
    if reading == "cell":
        return upsample(torch.from_numpy(depth), shape).numpy()
    return np.broadcast_to(depth, (n, *shape)).copy()


def lower_bound(
    ground_truth: np.ndarray,
    reading: str = "pixel",
    protocol: str | Protocol = "released",
    *,
    drawn: bool | None = None,
    seed: int = 0,
    grid: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Scores of random depth up to the far limit, 10 m, rows as from `evaluate`.

    ground_truth: (B, 480, 640), metres, holes 0. reading: see `random_depth`. Per pixel a metric is
    its expectation over the draws, in closed form, if all its terms have one (for rmse, rmse_log
    and silog the root of an expectation, which many pixels reach); drawn=True draws instead. Other
    metrics are drawn, and so are all on the cell grid and under a protocol that aligns predictions.
    Raises `DepthClipError` for ground truth that is NaN, infinite or negative, as `evaluate` does,
    and with drawn=False where a metric has no closed form.
    """
    protocol = resolve_protocol(protocol)
    if reading == "image" and not protocol.align and not drawn:
        return _expected_of_constants(ground_truth, protocol)
    closed = []
    if reading == "pixel" and not protocol.align and not drawn:
        closed = [name for name in METRICS if all(t.mean_of_noise for t in terms_of([name]))]
    if drawn is False and len(closed) < len(METRICS):
        missing = next(name for name in METRICS if name not in closed)
        raise DepthClipError(
            f"the lower bound of {missing} has no closed form here (there is one per pixel or "
            "image and without alignment only): leave out drawn=False"
        )
    if len(closed) == len(METRICS):
        ground_truth = checked_depth("ground truth", ground_truth, {protocol.frame})
        return _expected(ground_truth, protocol, closed)
    depth = random_depth(len(ground_truth), reading, seed=seed, grid=grid, protocol=protocol)
    rows = evaluate(depth, ground_truth, protocol)
    return rows.assign(**_expected(ground_truth, protocol, closed)[closed])


def constant_depth(metres: float, n: int, protocol: str | Protocol = "released") -> np.ndarray:
    """n maps of one depth everywhere, float32 (n, 416, 544), metres."""
    return np.full((n, *resolve_protocol(protocol).window.shape), metres, dtype=np.float32)


def best_constants(
    ground_truths: Iterable[np.ndarray],
    protocol: str | Protocol = "released",
    candidates: np.ndarray | None = None,
) -> pd.Series:
    """For each metric the constant depth, in metres, whose mean over images is best.

    ground_truths: (480, 640) maps, each read once. candidates: the depths to try; by default 0.5 m
    to the far limit (9.99 m) in centimetres. A frame is reduced to a histogram in millimetres, so
    that it is read once for any number of candidates. Raises `DepthClipError` if no frame has a
    valid pixel, and for depths that are NaN, infinite or negative.
    """
    protocol = resolve_protocol(protocol)
    if candidates is None:
        candidates = np.arange(0.5, protocol.max_depth, 0.01)
    candidates = np.atleast_1d(np.asarray(candidates, float))
    if not (candidates.size and ((candidates > 0) & (candidates < np.inf)).all()):
        raise DepthClipError("candidates must be one or more positive, finite depths in metres")
    shares = np.array([s for s in (_shares(t, protocol) for t in ground_truths) if s is not None])
    if not len(shares):
        raise DepthClipError("cannot choose a constant: no frame has a valid pixel")
    seen = shares.any(axis=0)
    scores = _of_constants(candidates, shares[:, seen].T, _counted_depths(protocol)[seen])
    mean = {name: values.mean(1) for name, values in scores.items()}
    return pd.Series({n: candidates[(METRICS[n].sign * m).argmax()] for n, m in mean.items()})


def _of_constants(candidates: np.ndarray, shares: np.ndarray, g: np.ndarray) -> dict:
    """Every metric (C, N) of C constants on N frames, from the shares (D, N) of the depths g."""
    # The values of a term, candidates × depths, in blocks that stay in the processor's cache.
    blocks = np.array_split(candidates[:, None], -(-candidates.size // CANDIDATES))
    means = {  # a term may ignore the prediction or the truth
        t: np.concatenate([np.broadcast_to(t.of(p, g), (len(p), g.size)) @ shares for p in blocks])
        for t in terms_of(METRICS)
    }
    return finished(METRICS, means)


def _expected_of_constants(ground_truth: np.ndarray, protocol: Protocol) -> pd.DataFrame:
    """Mean scores of one uniform depth for a whole image, a row per frame."""
    drawn = (np.arange(DRAWN_DEPTHS) + 0.5) / DRAWN_DEPTHS * protocol.max_depth
    depths, rows = _counted_depths(protocol), []
    for truth in ground_truth:
        shares = _shares(truth, protocol)
        n_pixels = _valid(truth, protocol).size
        if shares is None:
            rows.append(dict.fromkeys(METRICS, np.nan) | {"n_pixels": 0})
            continue
        seen = shares > 0
        scores = _of_constants(drawn, shares[seen, None], depths[seen])
        rows.append({name: v.mean() for name, v in scores.items()} | {"n_pixels": n_pixels})
    return pd.DataFrame(rows, columns=[*METRICS, "n_pixels"])


def _counted_depths(protocol: Protocol) -> np.ndarray:
    """Whole millimetres up to the protocol's far limit, in metres."""
    return np.arange(1, round(protocol.max_depth * 1000)) / 1000


def _valid(truth: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The depths of a frame's n pixels that count, (n,) metres."""
    part = truth[protocol.overlap.slices]
    return part[protocol.valid_depth_mask(part)]


def _shares(truth: np.ndarray, protocol: Protocol) -> np.ndarray | None:
    """The share of a frame's valid pixels at each counted depth; None without valid pixels."""
    (truth,) = checked_depth("ground truth", [truth], {protocol.frame})
    g, n = _valid(truth, protocol), len(_counted_depths(protocol))
    millimetres = np.rint(g * 1000).astype(int).clip(1, n)
    return np.bincount(millimetres - 1, minlength=n) / g.size if g.size else None


def _expected(ground_truth: np.ndarray, protocol: Protocol, metrics: list[str]) -> pd.DataFrame:
    """Closed-form scores of per-pixel noise, a row per frame."""
    rows, terms = [], terms_of(metrics)
    # A draw below the near limit is no prediction and does not count.
    limits = protocol.min_depth, protocol.max_depth
    for truth in ground_truth:
        g = _valid(truth, protocol).astype(np.float64)
        means = {t: t.mean_of_noise(g, *limits).mean() if g.size else np.nan for t in terms}
        rows.append(finished(metrics, means) | {"n_pixels": g.size})
    return pd.DataFrame(rows, columns=[*metrics, "n_pixels"])
