"""Strips: a row per frame with photograph, truth and predictions.

All depths of a strip share one scale in metres; errors are prediction − truth.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import scipy  # its parts load when they are used
from matplotlib.figure import Figure

from depthclip_core.datasets.base import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.plots import map_plots
from depthclip_core.plots.style import DEPTH_COLOURS, WIDTH

SMOOTH = 9  # pixels of the median filter that keeps noise out of the lines of the truth

ASPECT = 0.75  # room for a map: height over width


@dataclass(frozen=True, eq=False)
class Strip:
    """What is shown of a frame, cut to the network's window (H, W); depths in metres.

    truth: as measured. filled: without holes, for lines of equal depth. Both are 0 where unknown;
    known: whether there is any truth. maps: predictions by name.
    """

    name: str
    rgb: np.ndarray
    truth: np.ndarray
    filled: np.ndarray
    known: bool
    maps: Mapping[str, np.ndarray]

    def errors(self) -> list[np.ndarray]:
        """Prediction − truth of each map, metres; NaN where either is missing."""
        maps = self.maps.values()
        return [np.where((self.truth > 0) & (m > 0), m - self.truth, np.nan) for m in maps]


def strip_of(frame: Frame, maps: Mapping[str, np.ndarray], note: str = "") -> Strip:
    """A frame with its predictions, each of the network's window or of the whole frame."""
    window, cut = frame.window, {}
    for name, depth in maps.items():
        if depth.shape not in {window.shape, frame.rgb.shape[:2]}:
            found = f"{name} of frame {frame.name} has shape {depth.shape}"
            raise DepthClipError(f"{found}: {window.shape} is shown")
        cut[name] = depth if depth.shape == window.shape else depth[window.slices]
    title = ", ".join(part for part in (note, frame.name, frame.scene) if part)
    holes = np.zeros(frame.rgb.shape[:2])
    depths = [holes if d is None else d for d in (frame.raw_depth, frame.depth)]
    rgb, truth, filled = (whole[window.slices] for whole in (frame.rgb, *depths))
    return Strip(title, rgb, truth, filled, frame.raw_depth is not None, cut)


def strips_of(
    frames: Sequence[Frame],
    places: Sequence[int],
    maps: Mapping[str, Iterable[np.ndarray]],
    notes: Sequence[str] = (),
) -> list[Strip]:
    """A strip for each of the frames at `places`.

    maps: by name, a prediction for each of them in the same order. notes: what to say of each.
    """
    lined = [
        dict(zip(maps, of_frame, strict=True)) for of_frame in zip(*maps.values(), strict=True)
    ]
    rows = zip(places, lined, notes or [""] * len(places), strict=True)
    return [strip_of(frames[place], own, note) for place, own, note in rows]


def depth_strip(strips: Sequence[Strip], title: str, *, errors: bool = False) -> Figure:
    """Photograph, ground truth and each prediction, a row per frame; with errors, those beside.

    Strips have predictions of the same names; those without truth lack its column if all do.
    """
    names, known = _names(strips), any(strip.known for strip in strips)
    errors = errors and known
    heads = ["truth (grey: unknown)", *names] if known else list(names)
    end = 1 + len(heads)  # of the columns of depth; those of errors follow
    heads += [f"error: {name}" for name in names] if errors else []
    shown = [[s.truth, *s.maps.values()] if known else list(s.maps.values()) for s in strips]
    limits = map_plots.depth_limits(*itertools.chain(*shown))
    off = map_plots.error_limit(*(e for s in strips for e in s.errors())) if errors else 0.0
    figure, axes = _rows(len(strips), 1 + len(heads))
    for line, strip, depths in zip(axes, strips, shown, strict=True):
        map_plots.show_photo(line[0], strip.rgb, strip.name)
        for ax, depth in zip(line[1:end], depths, strict=True):
            image = map_plots.show_depth(ax, depth, limits)
        for ax, error in zip(line[end:], strip.errors() if errors else (), strict=True):
            of_error = map_plots.show_error(ax, error, off)
    for ax, head in zip(axes[0, 1:], heads, strict=True):
        ax.set_title(head)
    map_plots.depth_bar(figure, image, axes[:, 1:end])
    if errors:
        map_plots.depth_bar(figure, of_error, axes[:, end:], "prediction − truth (m)")
    figure.suptitle(title)
    return figure


def contour_levels(farthest: float) -> list[float]:
    """Depths of lines, metres: every 0.5 m up to 3 m, then every metre.

    They lie between the paper's bins, which are multiples of a quarter: where one word answers
    alone a prediction is a bin over many cells, and a line of that very depth could run anywhere.
    """
    near, far = np.arange(0.6, 3.2, 0.5), np.arange(4.1, farthest, 1.0)
    return [float(level) for level in np.round([*near, *far], 1) if level < farthest]


def contour_strip(strips: Sequence[Strip], levels: Sequence[float], title: str) -> Figure:
    """Lines of equal depth over the photograph: of the truth, and of each prediction.

    The truth's are of its filled depth, smoothed; nothing is drawn where it is unknown.
    """
    names = _names(strips)
    figure, axes = _rows(len(strips), 1 + len(names), widest=3.0)
    limits = (0.0, float(np.ceil(max(levels))))
    for line, strip in zip(axes, strips, strict=True):
        filled = scipy.ndimage.median_filter(strip.filled, SMOOTH)
        grey = strip.rgb.mean(axis=2, keepdims=True).repeat(3, axis=2)
        pale = (127 + grey / 2).astype(np.uint8)  # so that the lines stand out
        for ax, depth in zip(line, (filled, *strip.maps.values()), strict=True):
            map_plots.show_photo(ax, pale)
            map_plots.show_contours(ax, depth, levels, limits)
        line[0].set_title(strip.name)
    for ax, head in zip(axes[0], ("ground truth", *names), strict=True):
        ax.set_title(f"{ax.get_title('left')}: {head}".removeprefix(": "))
    colours = plt.cm.ScalarMappable(plt.Normalize(*limits), DEPTH_COLOURS)
    map_plots.depth_bar(figure, colours, axes, "depth of a line (m)", extend="neither")
    figure.suptitle(title)
    return figure


def _names(strips: Sequence[Strip]) -> list[str]:
    """The predictions that every strip has."""
    if not strips:
        raise DepthClipError("a strip needs one frame or more")
    names = list(strips[0].maps)
    if not names or any(list(strip.maps) != names for strip in strips):
        raise DepthClipError("strips must have predictions, of the same names in each")
    return names


def _rows(n_rows: int, n_columns: int, widest: float = 2.15) -> tuple[Figure, np.ndarray]:
    """Axes for maps; widest: the width that a map has if all fit into the page, inches."""
    width = min(widest, (WIDTH - 0.9) / n_columns)
    size = (width * n_columns + 0.9, (width * ASPECT + 0.2) * n_rows + 0.35)
    return plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)
