"""What the switches of a composition mean, written plainly from their words, one at a time."""

import math

import numpy as np
import pandas as pd

from depthclip_core.datasets import Frame

CROP = {
    "eigen-nyu": (45, 471, 41, 601),
    "released": (45, 471, 46, 601),
    "nyu-21": (21, 461, 25, 617),
}


def frames_and_maps(n=3, shape=(480, 640), size=None, seed=0, far=10.0):
    """Frames with holes and some depth beyond the limit, and maps that know a part of it."""
    rng = np.random.default_rng(seed)
    size = size or shape
    frames, maps, mirrored = [], [], []
    for i in range(n):
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        truth = far * (0.1 + 0.6 * rows / shape[0] + 0.2 * np.sin(columns / 90 + i))
        truth = (truth * rng.uniform(0.9, 1.2, shape)).astype(np.float32)
        filled = np.maximum(truth, 0.3).astype(np.float32)
        truth[truth < 0.4] = 0.4
        truth[rng.uniform(size=shape) < 0.2] = 0
        small = truth_at(filled, size)
        depth = (small**0.8 * rng.uniform(0.5, 1.5, size) * (0.7 + 0.4 * i)).astype(np.float32)
        depth[:3, :5] = 0
        other = (small[:, ::-1] * rng.uniform(0.6, 1.4, size)).astype(np.float32)
        rgb = np.zeros((*shape, 3), np.uint8)
        frames.append(Frame(f"f{i}", rgb, truth, filled, "kitchen", f"room {i // 2}"))
        maps.append(depth)
        mirrored.append(other)
    return frames, maps, mirrored


def truth_at(depth, size):
    rows = np.linspace(0, depth.shape[0] - 1, size[0]).round().astype(int)
    return depth[rows][:, np.linspace(0, depth.shape[1] - 1, size[1]).round().astype(int)]


def plain(frames, maps, mirrored, one):
    """The metrics of one composition, each image on its own, pixel by pixel."""
    pairs = []
    for frame, depth, other in zip(frames, maps, mirrored, strict=True):
        truth = frame.depth if one.truth == "filled" else frame.raw_depth
        truth = truth.astype(float)
        if one.truth == "millimetres":
            truth = np.floor(np.round(truth * 1000, 2)) / 1000  # 1.234 may be read as 1.23399997
        depth = depth.astype(float)
        if one.flip == "averaged":
            turned = other.astype(float)[:, ::-1]
            depth = np.where((depth > 0) & (turned > 0), (depth + turned) / 2, 0)
        assert depth.shape == truth.shape  # resizing has tests of its own
        top, bottom, left, right = CROP.get(one.crop, (0, truth.shape[0], 0, truth.shape[1]))
        p, g = depth[top:bottom, left:right].ravel(), truth[top:bottom, left:right].ravel()
        inside = (one.min_depth < g) & (g < one.max_depth)
        counted = {"between": inside, "measured": g > 0, "all": np.full(g.shape, True)}[one.valid]
        p, g = p[counted & (p > 0)], g[counted & (p > 0)]
        pairs.append((p, np.clip(g, one.min_depth, one.max_depth)))
    clip = lambda x: np.clip(x, one.min_depth, one.max_depth)  # noqa: E731
    if one.clamp == "before" and one.align != "none":
        pairs = [(clip(p), g) for p, g in pairs]
    if one.align == "disparity":
        pairs = [(1 / p, g) for p, g in pairs]
    fits = [fitted(p, 1 / g if one.align == "disparity" else g, one.align) for p, g in pairs]
    if one.over == "set" and one.align == "median":
        fits = [(np.median([scale for scale, _ in fits]), 0.0)] * len(pairs)
    elif one.over == "set" and one.align != "none":
        p, g = (np.concatenate(side) for side in zip(*pairs, strict=True))
        fits = [fitted(p, 1 / g if one.align == "disparity" else g, one.align)] * len(pairs)
    moved = []
    for (p, g), (scale, shift) in zip(pairs, fits, strict=True):
        p = scale * p + shift
        if one.align == "disparity":
            p = np.where(p > 0, 1 / np.where(p > 0, p, 1), np.inf)
        keep = one.clamp == "none" or (one.clamp == "before" and one.align != "none")
        moved.append((p if keep else clip(p), g))
    if one.average == "pixels":
        p, g = (np.concatenate(side) for side in zip(*moved, strict=True))
        return metrics(p, g)
    rows = pd.DataFrame([metrics(p, g) for p, g in moved])
    return rows.mean(skipna=one.average == "nan-mean").to_dict()


def fitted(p, g, align):
    if align == "none":
        return 1.0, 0.0
    if align == "median":
        return np.median(g) / np.median(p), 0.0
    return tuple(np.polyfit(p, g, 1))


def metrics(p, g):
    with np.errstate(invalid="ignore"):
        ratio, log = np.maximum(p / g, g / p), np.log(p) - np.log(g)
    return {
        "delta1": np.mean(ratio < 1.25),
        "delta2": np.mean(ratio < 1.25**2),
        "delta3": np.mean(ratio < 1.25**3),
        "abs_rel": np.mean(abs(p - g) / g),
        "log10": np.mean(abs(log)) / math.log(10),
        "rmse": np.sqrt(np.mean((p - g) ** 2)),
        "sq_rel": np.mean((p - g) ** 2 / g),
        "rmse_log": np.sqrt(np.mean(log**2)),
        "silog": 100 * np.sqrt(np.mean(log**2) - np.mean(log) ** 2),
    }
