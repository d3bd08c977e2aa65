"""One frame's depth map under many compositions: what they share is computed once."""

from dataclasses import replace

import numpy as np

from depthclip_core.crops import crop_window
from depthclip_core.datasets import Dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import checked_depth
from depthclip_core.evaluation.protocols import least_squares_scale_shift
from depthclip_core.rescoring.arranged import Arranged, arrange
from depthclip_core.rescoring.compositions import Composition
from depthclip_core.rescoring.sums import SUMMED, aligned, term_sums

Pixels = tuple[np.ndarray, np.ndarray, int]


class UnderCompositions:
    """A frame's truth and map. Arrays that several compositions need are kept while it lives.

    depth: (h, w) metres, 0 or NaN where there is no prediction; mirrored: of the mirror image.
    """

    def __init__(
        self, frames: Dataset, index: int, depth: np.ndarray, mirrored: np.ndarray | None = None
    ):
        self._frames, self._index = frames, index
        self._maps = {"as saved": _prediction(depth)}
        if mirrored is not None:
            other = _prediction(mirrored)[:, ::-1]
            if other.shape != depth.shape:
                raise DepthClipError(
                    f"a map has {depth.shape} pixels, its mirrored one {other.shape}"
                )
            both = (self._maps["as saved"] > 0) & (other > 0)
            mean = (self._maps["as saved"] + other) / 2
            self._maps["averaged"] = np.where(both, mean, 0).astype(np.float32)
        self._kept: dict[tuple, object] = {}

    def sums(
        self, one: Composition, terms: tuple, fit: tuple[float, float] | None = None
    ) -> np.ndarray:
        """The number of pixels that count, that of pixels that should, and the terms' sums.

        terms: `SUMMED`, and any others after them. fit: scale and shift of the set, if they are.
        """
        _, g, wanted = self.pixels(one)
        p, limits = self._clamped(one), (-np.inf, np.inf)
        if not p.size:
            return np.array([0, wanted, *np.zeros(len(terms))])
        if fit is None:
            fit = alignment(*self._for_fit(one), one.align)
        if one.clamp == "after" and self._clamping_matters(p, fit, one):
            limits = (one.min_depth, one.max_depth)
        key = ("sums", id(p), *fit, one.align == "disparity", *limits)
        if key not in self._kept:
            q = np.empty_like(p)
            aligned(p, g, *fit, one.align == "disparity", *limits, q)
            self._kept[key] = _term_sums(q, g, terms)
        return np.array([p.size, wanted, *self._kept[key]])

    def moments(self, one: Composition) -> np.ndarray:
        """What the alignment of a set adds up: see `SetMoments`."""
        p, g = self._for_fit(one)
        if not p.size:
            return np.zeros(5)
        if one.align == "median":
            return np.array([1, np.median(g) / np.median(p), 0, 0, 0])
        p, g = (1 / m if one.align == "disparity" else m for m in (p, g))
        return np.array([p.size, p.sum(), g.sum(), p @ p, p @ g])

    def pixels(self, one: Composition) -> Pixels:
        """Predictions and truths (n,) float32 of the pixels that count, and how many should.

        Predictions are not clamped; truths are clipped to the limits.
        """
        where = (one.truth, one.place, one.resize, one.flip)
        key = ("pixels", *where, one.crop, one.valid, one.min_depth, one.max_depth)
        if key not in self._kept:
            part, grid = self._arranged(*where), self._inside(where, one.crop)
            p, g = part.depth[grid], part.truth[grid]
            near, far = np.float32(one.min_depth), np.float32(one.max_depth)
            counted = _valid(g, one.valid, near, far)
            # Often no depth lies beyond the limits: then these pixels are those of "between".
            if one.valid != "between":
                same = self.pixels(replace(one, valid="between"))
                if counted.sum() == _valid(g, "between", near, far).sum():
                    self._kept[key] = same
                    return same
            covered = part.covered.shape == part.frame
            wanted = int(counted.sum()) if covered else self._wanted(one, near, far)
            mask = counted & (p > 0)
            self._kept[key] = p[mask], np.clip(g[mask], near, far), wanted
        return self._kept[key]

    def _wanted(self, one: Composition, near: np.float32, far: np.float32) -> int:
        """How many pixels of the crop count in the whole truth, where a map covers a part of it."""
        truth = self._truth(one.truth)
        window = crop_window(one.crop, truth.shape)
        return int(_valid(truth[window.slices].astype(np.float32), one.valid, near, far).sum())

    def _arranged(self, truth: str, place: str, resize: str, flip: str) -> Arranged:
        key = ("arranged", truth, place, resize, flip)
        if key not in self._kept:
            self._kept[key] = arrange(self._maps[flip], self._truth(truth), place, resize)
        return self._kept[key]

    def _inside(self, where: tuple, crop: str) -> tuple[slice, slice]:
        return self._arranged(*where).inside(crop)

    def _truth(self, kind: str) -> np.ndarray:
        """The truth of a kind, (H, W) metres, holes 0."""
        key = ("truth", kind)
        if key not in self._kept:
            self._kept[key] = truth_of(self._frames, self._index, kind)
        return self._kept[key]

    def _clamped(self, one: Composition) -> np.ndarray:
        """The predictions that count, clamped if that comes before the alignment."""
        p, _, _ = self.pixels(one)
        if one.clamp != "before":
            return p
        key = ("clamped", id(p), one.min_depth, one.max_depth)
        if key not in self._kept:
            self._kept[key] = np.clip(p, np.float32(one.min_depth), np.float32(one.max_depth))
        return self._kept[key]

    def _for_fit(self, one: Composition) -> tuple[np.ndarray, np.ndarray]:
        """Predictions and truths that an alignment is fitted to, float64."""
        p, g = self._clamped(one), self.pixels(one)[1]
        if one.align == "none":
            return p, g
        key = ("for fit", id(p))
        if key not in self._kept:
            self._kept[key] = p.astype(np.float64), g.astype(np.float64)
        return self._kept[key]

    def _clamping_matters(self, p: np.ndarray, fit: tuple, one: Composition) -> bool:
        """Whether a prediction leaves the limits."""
        key = ("range", id(p))
        if key not in self._kept:
            self._kept[key] = p.min(), p.max()
        ends = np.array(self._kept[key], np.float64)
        ends = fit[0] * (1 / ends if one.align == "disparity" else ends) + fit[1]
        if one.align == "disparity":
            ends = 1 / np.maximum(ends, 1e-12)
        return not one.min_depth * 1.0001 < ends.min() <= ends.max() < one.max_depth * 0.9999


class SetMoments:
    """Adds up what one alignment over a set needs."""

    def __init__(self, align: str):
        self.align, self._found = align, []

    def add(self, moments: np.ndarray) -> None:
        self._found.append(moments)

    def fit(self) -> tuple[float, float]:
        """Scale and shift for the whole set; 1 and 0 where no pixel counts."""
        found = np.array([moments for moments in self._found if moments[0]])
        if not len(found):
            return 1.0, 0.0
        if self.align == "median":
            return float(np.median(found[:, 1])), 0.0
        return _from_moments(found.sum(0))


def alignment_key(one: Composition) -> tuple | None:
    """What an alignment over a set depends on; None where there is none."""
    if one.over != "set" or one.align == "none":
        return None
    clamped = one.clamp == "before"
    where = (one.truth, one.place, one.resize, one.flip, one.crop, one.valid)
    return (*where, one.min_depth, one.max_depth, one.align, clamped)


def alignment(p: np.ndarray, g: np.ndarray, align: str) -> tuple[float, float]:
    """Scale and shift that fit n ≥ 1 predictions to truths; of inverse depth for "disparity"."""
    if align == "none":
        return 1.0, 0.0
    if align == "median":
        return float(np.median(g) / np.median(p)), 0.0
    if align == "disparity":
        p, g = 1 / p, 1 / g
    return _from_moments(np.array([p.size, p.sum(), g.sum(), p @ p, p @ g]))


def _from_moments(moments: np.ndarray) -> tuple[float, float]:
    n, p, g, pp, pg = moments
    mean_p, mean_g = p / n, g / n
    fit = least_squares_scale_shift(mean_p, mean_g, pp / n - mean_p**2, pg / n - mean_p * mean_g)
    return float(fit[0]), float(fit[1])


def truth_of(frames: Dataset, index: int, kind: str) -> np.ndarray:
    """A frame's truth of a kind of the switch "truth", (H, W) metres, holes 0."""
    if kind == "filled":
        depth = frames[index].depth
        if depth is None:
            fault = f"{frames.names[index]} has no filled depth"
            raise DepthClipError(f"{fault}: choose the truth 'raw' or 'millimetres'")
    else:
        depth = frames.raw_depth(index)
        if depth is None:
            raise DepthClipError(f"{frames.names[index]} has no depth to be scored against")
    (depth,) = checked_depth("ground truth", [depth], {depth.shape})
    if kind == "millimetres":
        depth = np.floor(depth.astype(np.float64) * 1000 + 1e-4) / 1000
    return depth.astype(np.float32)


def _prediction(depth: np.ndarray) -> np.ndarray:
    """A map (h, w) float32, 0 where there is no prediction."""
    depth = np.asarray(depth)
    if depth.ndim != 2 or depth.dtype.kind not in "f":
        kind = f"{depth.dtype} of shape {depth.shape}"
        raise DepthClipError(f"a depth map is of shape (h, w), floating-point metres, not {kind}")
    return np.where(depth > 0, depth, 0).astype(np.float32)


def _valid(g: np.ndarray, valid: str, near: np.float32, far: np.float32) -> np.ndarray:
    """Mask of the pixels whose truth counts."""
    if valid == "between":
        return (g > near) & (g < far)
    return g > 0 if valid == "measured" else np.ones(g.shape, bool)


def _term_sums(q: np.ndarray, g: np.ndarray, terms: tuple) -> np.ndarray:
    """The sums of the terms over n pixels, (T,)."""
    out = np.empty(len(SUMMED))
    if q.min() > 0:  # also finite: the truth is
        term_sums(q, g, out)
        rest = terms[len(SUMMED) :]
    else:
        out, rest = np.empty(0), terms
    if not rest:
        return out
    p, g = q.astype(np.float64), g.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([*out, *(term.of(p, g).sum() for term in rest)])
