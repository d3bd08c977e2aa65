"""By how many pixels depth edges lie beside the edges of the photograph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # its parts load when they are used

REACH = 24  # pixels of a frame with 480 rows: the largest shift that is tried
NOTABLE = 6  # pixels of such a frame: smaller shifts come from the sensors' blunt edges
JUMP = 0.03  # of log depth, per pixel after smoothing: an edge
ENOUGH = 2000  # edge pixels of all frames together
AGREEMENT = 0.5  # of the best: where edges agree better without a shift, there is none
ROWS = 540  # larger frames are thinned out


class Shift(NamedTuple):
    """The shift that brings depth edges onto RGB edges, in pixels, and how well they agree.

    agreement: of the edges as they are, as a share of the agreement after the shift.
    """

    down: int
    right: int
    agreement: float


def shift_of_edges(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], n_frames: int = 8
) -> Shift | None:
    """The common shift of depth edges against RGB edges; None where there is none to speak of.

    pairs: RGB (H, W, 3) and depth (H, W), holes 0, of which up to n_frames are used, evenly
    spread. The edges' cross-correlations are added up over frames, so that chance agreements in
    single frames cancel. A shift counts if it is at least `NOTABLE` pixels and if edges agree much
    less without it. Frames of another size than the first are left out.
    """
    chosen = np.linspace(0, len(pairs) - 1, min(n_frames, len(pairs))).round().astype(int)
    some = [pairs[i] for i in chosen if pairs[i][1].shape == pairs[0][1].shape]
    if not some:
        return None
    step = -(-some[0][1].shape[0] // ROWS)
    reach = max(4, round(REACH * some[0][1][::step].shape[0] / 480))
    total, n_edges = np.zeros((2 * reach + 1, 2 * reach + 1)), 0
    for rgb, depth in some:
        correlation, n = edge_correlation(rgb[::step, ::step], depth[::step, ::step], reach)
        total += correlation
        n_edges += n
    best = np.unravel_index(total.argmax(), total.shape)
    down, right = int(best[0]) - reach, int(best[1]) - reach
    agreement = total[reach, reach] / total.max() if total.max() > 0 else 1.0
    notable = np.hypot(down, right) >= NOTABLE * reach / REACH
    in_a_corner = abs(down) == abs(right) == reach  # of what is tried: no peak, but chance
    if n_edges < ENOUGH or not notable or in_a_corner or agreement > AGREEMENT:
        return None
    return Shift(down * step, right * step, float(agreement))


def shift_line(shift: Shift) -> str:
    """A shift in a sentence."""
    ways = [(shift.down, "down", "up"), (shift.right, "right", "left")]
    parts = [f"{abs(n)} px {more if n > 0 else less}" for n, more, less in ways if n]
    return f"depth edges fit those of RGB best when moved about {' and '.join(parts)}"


def edge_correlation(rgb: np.ndarray, depth: np.ndarray, reach: int) -> tuple[np.ndarray, int]:
    """How strongly RGB has edges at the shifted places of depth edges, (2·reach+1, 2·reach+1).

    Shifts of −reach to reach rows and columns. RGB edges are taken relative to their
    neighbourhood, so that textured regions draw no shift, and upright edges of depth are compared
    with upright ones of RGB. Also the number of depth edge pixels; zeros where there are none.
    """
    n_shifts = 2 * reach + 1
    none = np.zeros((n_shifts, n_shifts))
    height, width = depth.shape
    border = reach + 2 + height // 40  # frames have borders, whose edges mean nothing
    known = depth > 0
    if min(height, width) <= 2 * border or not known.any():
        return none, 0
    # Each hole gets the nearest measurement, so that its rim is no edge.
    places = scipy.ndimage.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    logs = np.log(depth[tuple(places)])
    inside = np.zeros(depth.shape, bool)
    inside[border:-border, border:-border] = True
    depth_edges = gradient(logs)
    steepness = np.hypot(*depth_edges)
    jumps = inside & (steepness > JUMP)
    light = gradient(rgb.astype(np.float32).mean(axis=2))
    contrast = max(float(np.quantile(np.hypot(*light), 0.95)), 1e-6)
    padded = (height + 2 * reach, width + 2 * reach)
    total = 0
    for along_light, along_depth in zip(light, depth_edges, strict=True):
        strength = np.clip(np.abs(along_light) / contrast, 0, 1)
        strength -= scipy.ndimage.uniform_filter(strength, n_shifts)
        share = np.where(jumps, np.abs(along_depth) / np.maximum(steepness, 1e-9), 0)
        edges = scipy.fft.rfft2(share.astype(np.float32), padded)
        total += scipy.fft.irfft2(scipy.fft.rfft2(strength, padded) * np.conj(edges), padded)
    shifts = np.arange(-reach, reach + 1)
    n_jumps = int(jumps.sum())
    return total[np.ix_(shifts, shifts)] / max(n_jumps, 1), n_jumps


def gradient(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How a smoothed image changes down and to the right, per pixel."""
    smooth = scipy.ndimage.gaussian_filter(image, 1)
    return scipy.ndimage.sobel(smooth, 0) / 8, scipy.ndimage.sobel(smooth, 1) / 8
