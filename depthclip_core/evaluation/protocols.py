"""Scoring protocols used on NYU: which pixels count, and how predictions are aligned and clamped.

Every protocol places DepthCLIP's prediction as the released code does, in rows 56:472 and columns
60:604; pixels without a prediction do not count. BTS, AdaBins and others predict whole frames, and
of their region of 426 × 560 pixels DepthCLIP predicts 415 × 541. So "bts" and "adabins" count the
same pixels as "released" here and differ from it only in the flip.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from depthclip_core.crops import NYU_SHAPE, crop_window
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.datasets.nyu import EIGEN_CROP
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.compositions import NAMED, Composition
from depthclip_core.settings import RELEASED_WINDOW, Window, network_window

ALIGNMENTS = ("median", "least-squares")
FLAT = 1e-6  # a smaller spread, relative to the mean, is float32 rounding


@dataclass(frozen=True)
class Protocol:
    """Metric depth scored per image. Depths in metres.

    frame: shape of the ground truth. window: where a prediction of that shape is placed. region:
    rows and columns that count. min_depth, max_depth: open range of valid ground truth, and the
    range both sides are clamped to. align: how a prediction is fitted to each frame's ground truth
    over the pixels that count, and before it is clamped: None, "median" (scaled so that the medians
    agree) or "least-squares" (scaled and shifted). flip: whether the predictor averages predictions
    of the image and its mirror image; `metrics.evaluate` takes maps as they are.
    """

    frame: tuple[int, int]
    window: Window
    region: Window
    min_depth: float
    max_depth: float
    align: str | None = None
    flip: bool = True

    def __post_init__(self) -> None:
        if self.align not in (None, *ALIGNMENTS):
            raise unknown_name("alignment", self.align, ALIGNMENTS)

    @property
    def overlap(self) -> Window:
        """The part of the region that has a prediction, in the frame's rows and columns."""
        region, window = self.region, self.window
        top, left = max(region.top, window.top), max(region.left, window.left)
        bottom, right = min(region.bottom, window.bottom), min(region.right, window.right)
        return Window(top, max(top, bottom), left, max(left, right))

    @property
    def seen(self) -> tuple[slice, slice]:
        """The rows and columns of the overlap, counted from the window's corner."""
        part, (top, left) = self.overlap, (self.window.top, self.window.left)
        return slice(part.top - top, part.bottom - top), slice(part.left - left, part.right - left)

    def valid_depth_mask(self, ground_truth: np.ndarray) -> np.ndarray:
        """Mask of valid ground truth depths, of any shape.

        The released code clips ground truth to max_depth: depths that reach it do not count.
        """
        return (ground_truth > self.min_depth) & (ground_truth < self.max_depth)

    def valid_mask(self, ground_truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Mask (H, W) of the pixels that count; both arrays (H, W), prediction on the canvas."""
        mask = np.zeros(self.frame, dtype=bool)
        mask[self.region.slices] = True
        return mask & self.valid_depth_mask(ground_truth) & (prediction > self.min_depth)


def scale_and_shift(p: np.ndarray, g: np.ndarray, align: str | None) -> tuple[float, float]:
    """Scale and shift that fit a frame's prediction to its ground truth: scale · p + shift.

    p, g: float64 (n,) of the n ≥ 1 pixels that count, metres, p before clamping.
    """
    if align is None:
        return 1.0, 0.0
    if align == "median":
        return float(np.median(g) / np.median(p)), 0.0
    covariance = np.mean((p - p.mean()) * (g - g.mean()))
    scale, shift = least_squares_scale_shift(p.mean(), g.mean(), p.var(), covariance)
    return float(scale), float(shift)


def least_squares_scale_shift(mean_p, mean_g, variance, covariance) -> tuple:
    """Scale and shift of least squares from moments of p and g: scalars or arrays of one shape.

    A constant prediction, up to rounding, becomes the mean of the truth.
    """
    flat = variance <= (FLAT * mean_p) ** 2
    scale = np.where(flat, 0.0, covariance / np.where(flat, 1.0, variance))
    return scale, mean_g - scale * mean_p


NAMES = ("released", "bts", "adabins", "marigold", "median-scaled")
FITS = MappingProxyType({"none": None, "median": "median", "least squares": "least-squares"})


def _as_protocol(one: Composition) -> Protocol:
    """A composition on NYU's frames, for DepthCLIP's window; its kind of truth is the data's."""
    region = crop_window(one.crop, NYU_SHAPE)
    limits = (one.min_depth, one.max_depth)
    flip = one.flip == "averaged"
    return Protocol(NYU_SHAPE, RELEASED_WINDOW, region, *limits, FITS[one.align], flip)


PROTOCOLS = MappingProxyType({name: _as_protocol(NAMED[name].composition) for name in NAMES})


def resolve_protocol(protocol: str | Protocol) -> Protocol:
    """The protocol of that name, or the given one; `DepthClipError` for an unknown name.

    For one of the other names in compositions.toml, the error says what scores by it.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if isinstance(protocol, str) and protocol in NAMED.keys() - PROTOCOLS.keys():
        here = f"scored here are {', '.join(PROTOCOLS)}"
        where = "`depthclip score`, `depthclip explain` and `rescoring.report.score_saved_maps`"
        raise DepthClipError(f"{where} know the protocol {protocol!r}; {here}")
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    return PROTOCOLS[protocol]


def protocol_for(frames: Sequence[Frame], protocol: str | Protocol) -> Protocol:
    """The protocol by which these frames are scored; `DepthClipError` for an unknown name.

    A `Protocol` is taken as it is, and a name means NYU's protocol. For a data set with a depth
    cap, and with another size, crop or cap than NYU, a name means alignment and flip alone: frame,
    window, region and far limit are the data set's.
    """
    found, dataset = resolve_protocol(protocol), as_dataset(frames)
    own = (dataset.frame_shape, dataset.crop, dataset.evaluation_crop, dataset.depth_cap)
    like_nyu = own == (found.frame, found.window, EIGEN_CROP, found.max_depth)
    if protocol is found or like_nyu or not (dataset.frame_shape and dataset.depth_cap):
        return found
    shape, far = dataset.frame_shape, dataset.depth_cap
    region = dataset.evaluation_crop or network_window(shape)
    window = network_window(shape, dataset.crop)
    return replace(found, frame=shape, window=window, region=region, max_depth=far)


def cells_of(protocol: str | Protocol) -> tuple[int, int]:
    """Rows and columns of a ResNet's cells in the protocol's window: 13 and 17 for "released"."""
    rows, columns = resolve_protocol(protocol).window.shape
    return rows // 32, columns // 32
