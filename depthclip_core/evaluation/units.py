"""Whether numbers can be metres: asked of every depth map and ground truth that is scored."""

import numpy as np

from depthclip_core.errors import DepthClipError
from depthclip_core.settings import DEEPEST, UNITS


def check_metres(what: str, depth: np.ndarray, units: str = UNITS) -> np.ndarray:
    """The depths, (…, H, W), if they are floating-point and, as far as one can tell, metres.

    units: what an error says of the unit. Pixels that are not positive do not count.
    Raises `DepthClipError` for integers, and where half of a map or more lies beyond `DEEPEST`.
    """
    check_floating(what, depth)
    beyond = np.count_nonzero(depth > DEEPEST, axis=(-2, -1))
    if beyond.any():
        known = np.count_nonzero(depth > 0, axis=(-2, -1))
        if ((beyond > 0) & (2 * beyond >= known)).any():
            reached = f"it reaches {depth[np.isfinite(depth)].max():g} m"
            fault = f"half of its pixels or more lie beyond {DEEPEST:g} m, and {reached}"
            raise DepthClipError(f"{what}: {fault}: {units}")
    return depth


def check_floating(what: str, depth: np.ndarray) -> None:
    """`DepthClipError` for what is not floating-point: integers are often millimetres."""
    if depth.dtype.kind != "f":
        hint = ": divide by 1000 if these are millimetres" if depth.dtype.kind in "iu" else ""
        start = f"{what} must be floating-point metres, got dtype {depth.dtype}"
        raise DepthClipError(start + hint)
