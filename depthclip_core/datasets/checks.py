"""Plain checks that tell sound depth data from misread data, on a sample of frames.

The bounds are set on 45 real frames of 20 sources, indoor and outdoor. They hold for a set of
frames, not for each one: a close-up of a table is no error. Divisors that differ by a factor of
two cannot be told apart, as rooms differ by more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from depthclip_core.datasets.base import Dataset
from depthclip_core.datasets.registration import shift_line, shift_of_edges

DIVISORS = (1000, 5000, 10000, 256, 100, 1)  # stored units per metre, as data sets use them
ROOM_CAP = 20.0  # metres; data sets with a farther cap are outdoors
LENGTH = 32  # pixels of a line that is tested for straightness
MANY_LINES = 1000  # lines whose vote is trusted alone
FEW_LINES = 300  # fewer say nothing
SATURATED = 0.005  # share of one value; sensors reach their true maximum in far fewer pixels
SPARSE = 0.3  # share of valid pixels; cameras give more, LiDAR less

Pair = tuple[np.ndarray, np.ndarray]  # RGB (H, W, 3) uint8, raw depth (H, W) in metres, holes 0


class Finding(NamedTuple):
    """What a check found: its name, "warning" or "note", and one line that says what to do."""

    name: str
    severity: str
    line: str


@dataclass(frozen=True)
class Kind:
    """Depths of a kind of place, in metres: the range of their median, and of their 95 % point."""

    name: str
    where: str
    median: tuple[float, float]
    far: tuple[float, float]

    def fits(self, median: float, far: float) -> bool:
        return self.median[0] <= median <= self.median[1] and self.far[0] <= far <= self.far[1]


# A room is a few metres deep, and its sensors end at 10 m. On a street the road begins about 5 m
# from a car's camera, and the median of what a LiDAR reaches was 8 to 14 m.
ROOM = Kind("room", "in a room", (0.8, 6.0), (1.2, 10.5))
STREET = Kind("street", "on a street", (6.0, 40.0), (12.0, 300.0))


def sample_pairs(frames: Dataset, n_frames: int = 20) -> list[Pair]:
    """RGB and raw depth of up to n_frames, evenly spread; frames without depth are left out."""
    spread = np.linspace(0, len(frames) - 1, min(n_frames, len(frames))).round().astype(int)
    read = (frames[int(position)] for position in spread)
    return [(frame.rgb, frame.raw_depth) for frame in read if frame.raw_depth is not None]


def check_pairs(
    pairs: Sequence[Pair],
    *,
    divisor: float | None = None,
    depth_cap: float | None = None,
    registered: bool = True,
) -> list[Finding]:
    """All findings on some pairs, warnings first; none where all is as it should be.

    divisor: by which the depth was read, where known, so that others can be proposed. depth_cap:
    metres; up to `ROOM_CAP` the data set claims to show rooms. registered: whether depth is said
    to lie in the view of RGB.
    """
    depths = [depth for _, depth in pairs]
    if not any((depth > 0).any() for depth in depths):
        return [Finding("holes", "warning", f"none of {len(depths)} frames has valid depth")]
    found = [
        check_inverse(depths),
        check_scale(depths, divisor, depth_cap),
        check_saturation(depths, divisor),
        check_registration(pairs, registered),
        check_holes(depths),
    ]
    found = [finding for finding in found if finding]
    return sorted(found, key=lambda finding: finding.severity != "warning")


def depth_percentiles(depths: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """The 5, 50 and 95 % points of valid depth in metres, each frame with the same weight.

    NaN where no frame has valid depth.
    """
    points = [np.percentile(d[d > 0], np.arange(0.5, 100)) for d in depths if (d > 0).any()]
    low, middle, high = np.percentile(points, [5, 50, 95]) if points else [float("nan")] * 3
    return float(low), float(middle), float(high)


def fitting_divisors(median: float, far: float) -> list[tuple[int, Kind]]:
    """The known divisors by which stored values become a room's depths or a street's.

    median, far: the 50 and 95 % points of the stored values. Two kinds can fit the same values.
    """
    return [
        (divisor, kind)
        for kind in (ROOM, STREET)
        for divisor in DIVISORS
        if kind.fits(median / divisor, far / divisor)
    ]


def check_scale(
    depths: Sequence[np.ndarray], divisor: float | None = None, depth_cap: float | None = None
) -> Finding | None:
    """Whether depths are plausible in metres; a wrong divisor makes them too near or too far."""
    _, median, far = depth_percentiles(depths)
    kinds = (ROOM, STREET)
    if depth_cap is not None:
        kinds = (ROOM,) if depth_cap <= ROOM_CAP else (STREET,)
    if any(kind.fits(median, far) for kind in kinds):
        return None
    unit = divisor or 1
    tried = fitting_divisors(median * unit, far * unit)
    others = [(other, kind) for other, kind in tried if other != unit and kind in kinds]
    plausible = " or ".join(
        f"those of a {kind.name} (median {kind.median[0]:g} to {kind.median[1]:g} m, "
        f"95 % below {kind.far[0]:g} to {kind.far[1]:g} m)"
        for kind in kinds
    )
    line = (
        f"the median depth is {rounded(median)} m, 95 % are below {rounded(far)} m: not {plausible}"
    )
    also = next((k for k in (ROOM, STREET) if k not in kinds and k.fits(median, far)), None)
    hints = [f"raise depth_cap if this is a {also.name}"] if also is STREET else []
    hints += [f"lower depth_cap if this is a {also.name}"] if also is ROOM else []
    word = "divisor" if divisor else "division by"
    hints += [
        f"{word} {other} gives a median of {rounded(median * unit / other)} m"
        for other, _ in others
    ]
    return Finding("scale", "warning", "; ".join([line, *(hints or ["check the divisor"])]))


def rounded(metres: float) -> str:
    """A depth in three digits, without an exponent."""
    return f"{metres:.0f}" if metres >= 100 else f"{metres:.3g}"


def check_inverse(depths: Sequence[np.ndarray]) -> Finding | None:
    """Whether the maps are inverse depth or disparity, by two signs that need no scale.

    The lower part of most photographs is nearer. And a plane's inverse depth is a linear function
    of the pixel, while its depth is not: along a line on a wall or floor, 1/depth is straighter.
    """
    downward = [growth for d in depths if (growth := downward_growth(d)) is not None]
    votes = np.sum([straightness_votes(d) for d in depths], axis=0)
    growth, n_lines = float(np.mean(downward)) if downward else 0.0, int(votes[1])
    straighter = votes[0] / max(n_lines, 1)
    against = straighter < 0.1 or n_lines < FEW_LINES
    if not (
        (growth > 0.2 and against)
        or (growth > -0.1 and straighter < -0.25 and n_lines >= MANY_LINES)
    ):
        return None
    signs = f"values grow downwards in the image (correlation {growth:.2f})"
    if n_lines >= FEW_LINES:
        share = (1 - straighter) / 2
        signs += f", and {share:.0%} of lines on surfaces are straighter than their inverse"
    wanted = "this looks like inverse depth or disparity, or an upside-down image"
    return Finding("inverse", "warning", f"{signs}: {wanted}; convert it to metres")


def downward_growth(depth: np.ndarray) -> float | None:
    """Correlation of log depth with the row over valid pixels: negative where the ground is near.

    None for a frame with fewer than 100 valid pixels, or of one depth.
    """
    rows, _ = np.nonzero(depth > 0)
    if rows.size < 100:
        return None
    logs = np.log(depth[depth > 0].astype(float))
    if logs.std() < 1e-6 or rows.std() == 0:
        return None
    return float(np.corrcoef(rows, logs)[0, 1])


def straightness_votes(depth: np.ndarray) -> tuple[float, int]:
    """Lines whose inverse is straighter minus those that are straighter themselves; their number.

    Lines are `LENGTH` pixels of a row or a column, without holes or jumps, along which depth
    changes by 10 % to a factor of 3: flatter lines show no curvature.
    """
    balance, n_lines = 0.0, 0
    x = np.arange(LENGTH) - (LENGTH - 1) / 2
    x /= np.linalg.norm(x)
    for image in (depth, depth.T):
        n = image.shape[0] // LENGTH
        if not n:
            continue
        lines = image[: n * LENGTH].reshape(n, LENGTH, -1).transpose(0, 2, 1).reshape(-1, LENGTH)
        lines = lines[(lines > 0).all(axis=1)].astype(float)
        if not len(lines):
            continue
        change = lines.max(axis=1) / lines.min(axis=1) - 1
        jump = np.abs(np.diff(lines, axis=1)).max(axis=1) / lines.mean(axis=1)
        lines = lines[(change > 0.1) & (change < 2) & (jump < change / 4)]
        own, inverse = (_bend(values, x) for values in (lines, 1 / lines))
        balance += float(np.sign(own - inverse).sum())
        n_lines += len(lines)
    return balance, n_lines


def check_saturation(depths: Sequence[np.ndarray], divisor: float | None = None) -> Finding | None:
    """Whether many pixels have exactly the largest value, which a sensor gives for "too far"."""
    top = max(float(depth.max()) for depth in depths)
    n_valid = sum(int((depth > 0).sum()) for depth in depths)
    share = sum(int((depth == np.float32(top)).sum()) for depth in depths) / n_valid
    spread = any(((depth > 0) & (depth < np.float32(top))).any() for depth in depths)
    if share < SATURATED or not spread:
        return None
    stored = f", stored as {top * divisor:g}" if divisor else ""
    line = f"{share:.1%} of valid pixels have exactly the largest depth, {top:.5g} m{stored}"
    return Finding(
        "saturation", "warning", f"{line}: a limit, not a measurement; list it as missing"
    )


def check_holes(depths: Sequence[np.ndarray]) -> Finding | None:
    """Whether frames lack depth altogether, or have it nearly nowhere or everywhere."""
    shares = np.array([(depth > 0).mean() for depth in depths])
    if (shares == 0).any():
        empty = f"{int((shares == 0).sum())} of {len(shares)} frames have no valid depth"
        return Finding("holes", "warning", f"{empty}: leave them out")
    if shares.mean() < SPARSE:
        line = f"{shares.mean():.1%} of pixels have depth: sparse, as from a LiDAR"
        return Finding("holes", "note", line)
    if (shares == 1).all():
        line = "every pixel has depth: filled or rendered maps, not raw measurements"
        return Finding("holes", "note", line)
    return None


def check_registration(pairs: Sequence[Pair], registered: bool = True) -> Finding | None:
    """Whether depth edges lie beside the edges of the photographs, by one shift in all frames."""
    shift = shift_of_edges([(rgb, d) for rgb, d in pairs if (d > 0).mean() > SPARSE])
    if shift is None:
        return None
    line = shift_line(shift)
    if registered:
        hint = "register depth to RGB, or expect errors at edges"
        return Finding("registration", "warning", f"{line}: {hint}")
    return Finding("registration", "note", f"{line}, as the description says")


def _bend(lines: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Root mean square distance of lines (n, LENGTH) from straight ones, relative to their mean."""
    relative = lines / lines.mean(axis=1, keepdims=True) - 1
    residual = relative - (relative @ x)[:, None] * x
    return np.sqrt((residual**2).mean(axis=1))
