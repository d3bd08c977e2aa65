"""One frame's depth map under many compositions: what they share is computed once."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from depthclip_core.crops import crop_window
from depthclip_core.datasets import Dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.evaluation.metrics import checked_depth
from depthclip_core.evaluation.protocols import least_squares_scale_shift
from depthclip_core.evaluation.units import check_metres
from depthclip_core.rescoring.arranged import Arranged, arrange
from depthclip_core.rescoring.sums import SUMMED, aligned, gather, median, moment_sums, term_sums
from depthclip_core.text import printable

Pixels = tuple[np.ndarray, np.ndarray, int]
VALID = ("between", "measured", "all")
IDENTITY = (1.0, 0.0)  # the fit of no alignment


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

    def sums(self, one: Composition, terms: tuple, fit: tuple[float, float]) -> np.ndarray:
        """The number of pixels that count, that of pixels that should, and the terms' sums.

        terms: `SUMMED`, and any others after them. fit: scale and shift, see `Moments.fit`.
        """
        _, g, wanted = self.pixels(one)
        p, limits = self._clamped(one), (-np.inf, np.inf)
        if not p.size:
            return np.array([0, wanted, *np.zeros(len(terms))])
        inverse = one.align == "disparity"
        if one.clamp == "after" and not _within(self._range(p), fit, inverse, one):
            limits = (one.min_depth, one.max_depth)
        key = ("sums", id(p), *fit, inverse, *limits)
        if key not in self._kept:
            self._kept[key] = _term_sums(p, g, (*fit, inverse, *limits), terms)
        return np.array([p.size, wanted, *self._kept[key]])

    def moments(self, one: Composition) -> tuple[float, ...]:
        """What an alignment of this frame, or of a set with it, follows from; see `set_fit`."""
        p, g = self._clamped(one), self.pixels(one)[1]
        key = ("moments", one.align, id(p))
        if key not in self._kept:
            self._kept[key] = _moments(p, g, one.align)
        return self._kept[key]

    def pixels(self, one: Composition) -> Pixels:
        """Predictions and truths (n,) float32 of the pixels that count, and how many should.

        Predictions are not clamped; truths are clipped to the limits.
        """
        where = (self._kind(one.truth), one.place, one.resize, one.flip)
        key = ("pixels", *where, one.crop, one.valid, one.min_depth, one.max_depth)
        if key not in self._kept:
            part = self._arranged(*where)
            inside = [end for side in part.inside(one.crop) for end in (side.start, side.stop)]
            p, g = np.empty((2, part.truth.size), np.float32)
            how = np.float32(one.min_depth), np.float32(one.max_depth), VALID.index(one.valid)
            n, wanted, between = gather(part.depth, part.truth, tuple(inside), *how, p, g)
            if one.valid != "between" and between == wanted:
                # No depth lies beyond the limits: share what is kept for "between".
                self._kept[key] = self.pixels(replace(one, valid="between"))
            else:
                if part.covered.shape != part.frame:
                    wanted = self._wanted(one)
                self._kept[key] = p[:n], g[:n], wanted
        return self._kept[key]

    def arranged(self, one: Composition) -> Arranged:
        """The whole map, averaged where the composition says so, and the truth on one grid."""
        return self._arranged(one.truth, one.place, one.resize, one.flip)

    def _wanted(self, one: Composition) -> int:
        """How many pixels of the crop count in the whole truth, where a map covers a part of it."""
        truth = self._truth(one.truth)
        part = truth[crop_window(one.crop, truth.shape).slices]
        between = (part > np.float32(one.min_depth)) & (part < np.float32(one.max_depth))
        counted = {"between": between, "measured": part > 0, "all": np.ones(part.shape)}
        return int(np.count_nonzero(counted[one.valid]))

    def _arranged(self, truth: str, place: str, resize: str, flip: str) -> Arranged:
        key = ("arranged", truth, place, resize, flip)
        if key not in self._kept:
            both = self._maps[flip], self._truth(truth)
            try:
                self._kept[key] = arrange(*both, place, resize)
            except DepthClipError as error:
                name = printable(self._frames.names[self._index])
                raise DepthClipError(f"frame {name}: {error}") from None
        return self._kept[key]

    def _kind(self, kind: str) -> str:
        """The kind of truth, or "raw" where whole millimetres are what was measured."""
        if kind != "millimetres":
            return kind
        key = ("kind", kind)
        if key not in self._kept:
            same = np.array_equal(self._truth("raw"), self._truth(kind))
            self._kept[key] = "raw" if same else kind
        return self._kept[key]

    def _truth(self, kind: str) -> np.ndarray:
        """The truth of a kind, (H, W) metres, holes 0."""
        key = ("truth", kind)
        if key not in self._kept:
            self._kept[key] = truth_of(self._frames, self._index, kind)
        return self._kept[key]

    def _clamped(self, one: Composition) -> np.ndarray:
        """The predictions that count, clamped if that comes before the alignment and matters."""
        p, _, _ = self.pixels(one)
        if one.clamp != "before" or _within(self._range(p), IDENTITY, False, one):
            return p
        key = ("clamped", id(p), one.min_depth, one.max_depth)
        if key not in self._kept:
            self._kept[key] = np.clip(p, np.float32(one.min_depth), np.float32(one.max_depth))
        return self._kept[key]

    def _range(self, p: np.ndarray) -> np.ndarray:
        """The smallest and the largest prediction, (2,) float64; 1 and 1 of none."""
        key = ("range", id(p))
        if key not in self._kept:
            ends = (p.min(), p.max()) if p.size else (1, 1)
            self._kept[key] = np.array(ends, np.float64)
        return self._kept[key]


def alignment_key(one: Composition) -> tuple:
    """What the moments of an alignment depend on."""
    where = (one.truth, one.place, one.resize, one.flip, one.crop, one.valid)
    return (*where, one.min_depth, one.max_depth, one.align, one.clamp == "before")


def set_fit(moments: Sequence[tuple[float, ...]], align: str) -> tuple[float, float]:
    """Scale and shift of one alignment for all frames whose moments are given; see `Composition`.

    Of depth, or of inverse depth for "disparity". 1 and 0 where no pixel counts.
    """
    found = np.array([some for some in moments if some[0]])
    if align == "none" or not len(found):
        return IDENTITY
    if align == "median":
        return float(np.median(found[:, 2] / found[:, 1])), 0.0
    n, p, g, pp, pg = found.sum(0)
    mean_p, mean_g = p / n, g / n
    fit = least_squares_scale_shift(mean_p, mean_g, pp / n - mean_p**2, pg / n - mean_p * mean_g)
    return float(fit[0]), float(fit[1])


def _moments(p: np.ndarray, g: np.ndarray, align: str) -> tuple[float, ...]:
    """Of n predictions and truths: n, and the medians or the sums of p, g, p² and pg."""
    if align == "none" or not p.size:
        return (p.size, 0, 0, 0, 0)
    if align == "median":
        return (p.size, median(p), median(g), 0, 0)
    return tuple(moment_sums(p, g, align == "disparity"))


def _within(ends: np.ndarray, fit: tuple, inverse: bool, one: Composition) -> bool:
    """Whether predictions between these ends stay well inside the limits when aligned."""
    moved = fit[0] * (1 / ends if inverse else ends) + fit[1]
    if inverse:
        moved = 1 / np.maximum(moved, 1e-12)
    return bool(one.min_depth * 1.0001 < moved.min() <= moved.max() < one.max_depth * 0.9999)


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
        # float32 may hold a whole millimetre as up to 2 µm less, which must not cost another.
        depth = np.floor(depth.astype(np.float64) * 1000 + 2e-3) / 1000
    return depth.astype(np.float32)


def _prediction(depth: np.ndarray) -> np.ndarray:
    """A map (h, w) float32, 0 where there is no prediction."""
    depth = np.asarray(depth)
    if depth.ndim != 2:
        raise DepthClipError(f"a depth map is of shape (h, w), not {depth.shape}")
    check_metres("a depth map", depth)
    return np.where(depth > 0, depth, 0).astype(np.float32)


def _term_sums(p: np.ndarray, g: np.ndarray, moved: tuple, terms: tuple) -> np.ndarray:
    """The sums of the terms over n pixels, (T,). moved: what `aligned` does to predictions p."""
    out = np.empty(len(SUMMED))
    if term_sums(p, g, *moved, out):  # a prediction that is not above 0
        out, rest = np.empty(0), terms
    else:
        rest = terms[len(SUMMED) :]
    if not rest:
        return out
    q = np.empty_like(p)
    aligned(p, *moved, q)
    q, g = q.astype(np.float64), g.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([*out, *(term.of(q, g).sum() for term in rest)])
