"""A map as a protocol scores it, to be looked at."""

from dataclasses import dataclass

import numpy as np

from depthclip_core.evaluation.compositions import Composition
from depthclip_core.rescoring.frames import UnderCompositions, set_fit
from depthclip_core.rescoring.report import SavedScores


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame's part that its map covers: rgb (H, W, 3), and truth and depth (h, w) in metres.

    truth and depth are on one grid, 0 where there is none; depth is aligned and clamped.
    """

    rgb: np.ndarray
    truth: np.ndarray
    depth: np.ndarray


def as_scored(found: SavedScores, position: int, one: Composition) -> Shown:
    """A frame and its map as a composition scores it; an alignment is the frame's own."""
    other = None if found.mirrored is None else found.mirrored[position]
    under = UnderCompositions(found.frames, position, found.maps[position], other)
    both, fit = under.arranged(one), set_fit([under.moments(one)], one.align)
    depth = _moved(both.depth, one, *fit)
    rgb = found.frames.rgb(position)
    if rgb.shape[:2] == both.frame:
        rgb = rgb[both.covered.slices]
    return Shown(rgb, both.truth, np.where(both.depth > 0, depth, 0).astype(np.float32))


def _moved(depth: np.ndarray, one: Composition, scale: float, shift: float) -> np.ndarray:
    """Depth (h, w) with the alignment's scale and shift, and clamped where the composition says."""
    limits = (one.min_depth, one.max_depth)
    if one.clamp == "before":
        depth = np.clip(depth, *limits)
    if one.align == "disparity":
        inverse = scale / np.where(depth > 0, depth, 1) + shift
        depth = 1 / np.maximum(inverse, 1e-12)
    else:
        depth = scale * depth + shift
    return np.clip(depth, *limits) if one.clamp == "after" else depth
