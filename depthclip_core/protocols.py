"""Which pixels count, and how they are clamped: the scoring protocols that people use on NYU."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from depthclip_core.errors import unknown_name
from depthclip_core.settings import FRAME_SHAPE, MAX_DEPTH, MIN_DEPTH, RELEASED_WINDOW, Window


@dataclass(frozen=True)
class Protocol:
    """Metric depth scored per image. Depths in metres.

    frame: shape of the ground truth. window: where a prediction of that shape is placed.
    region: rows and columns that count. min_depth, max_depth: open range of valid ground truth,
    and the range both sides are clamped to.
    """

    frame: tuple[int, int]
    window: Window
    region: Window
    min_depth: float
    max_depth: float

    def valid(self, ground_truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Mask (H, W) of the pixels that count; both arrays (H, W), prediction on the canvas.

        Ground truth is clipped to max_depth first, as released: what reaches it does not count.
        """
        clipped = np.minimum(ground_truth, self.max_depth)
        mask = np.zeros(self.frame, dtype=bool)
        mask[self.region.slices] = True
        mask &= (clipped > self.min_depth) & (clipped < self.max_depth)
        return mask & (prediction > self.min_depth)


PROTOCOLS = MappingProxyType(
    {
        # DepthCLIP's evaluation, taken over from ASTransformer.
        "released": Protocol(
            FRAME_SHAPE, RELEASED_WINDOW, Window(45, 471, 46, 601), MIN_DEPTH, MAX_DEPTH
        ),
    }
)


def resolve_protocol(protocol: str | Protocol) -> Protocol:
    """A protocol by its name, or as it is; `DepthClipError` for an unknown name."""
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    return PROTOCOLS[protocol]
