"""Photographs of one's own beside their depth."""

from collections.abc import Sequence
from textwrap import wrap
from typing import BinaryIO

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthclip_core.plots.map_plots import (
    STACKED,
    depth_bar,
    middle_limits,
    show_depth,
    show_photo,
)
from depthclip_core.plots.style import MADE_BY, STYLE, drawable

LINE = 0.17  # inches of a line of notes, at 9 points
LINESPACING = 1.2
NOTE_CHARACTERS = 12  # of notes, an inch


def photo_and_depth(
    rgb: np.ndarray, depth: np.ndarray, title: str, label: str, notes: Sequence[str] = ()
) -> Figure:
    """A photograph (H, W, 3) and its predicted depth (H, W) in metres, at one size.

    They stand side by side, or one above the other if they are wide; see `middle_limits` for their
    scale. label: what the photograph is called. Titles that are too long for it lose their middle.
    notes: lines below the pictures, wrapped where they are too long.
    """
    limits = middle_limits(depth)
    aspect = rgb.shape[1] / rgb.shape[0]
    width = min(3.6 * aspect**0.5, 9.0)
    height = width / aspect
    # Placed by hand, in inches: automatic layouts draw several times, and folders are large.
    across, down = (0, height + 0.3) if aspect > STACKED else (width + 0.15, 0)
    total = across + width + 0.95
    lines = [line for note in notes for line in wrap(note, int(total * NOTE_CHARACTERS))]
    below = LINE * len(lines)
    size = np.array([total, below + down + height + 0.65])
    figure = plt.figure(figsize=size, layout="none")
    corner = np.array([0.1, 0.08]) / size
    figure.text(*corner, "\n".join(lines), size=9, linespacing=LINESPACING, va="bottom")

    def place(left: float, bottom: float, width: float) -> Axes:
        return figure.add_axes((*([left, bottom + below] / size), *([width, height] / size)))

    show_photo(place(0.1, 0.1 + down, width), rgb, _shortened(label, width))
    image = show_depth(place(0.1 + across, 0.1, width), depth, limits, "predicted depth")
    nearer, beyond = depth.min() < limits[0], depth.max() > limits[1]
    ends = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = {"extend": ends.get((bool(nearer), bool(beyond)), "neither"), "extendfrac": 0.03}
    beside = place(0.1 + across + width + 0.1, 0.1, 0.13)
    figure.colorbar(image, cax=beside, label="depth (m)", **bar)
    figure.suptitle(
        _shortened(title, across + width), x=0.1 / size[0], y=1 - 0.08 / size[1], ha="left"
    )
    return figure


def _shortened(text: str, inches: float) -> str:
    """The text without its middle, if it is too long for a title of that width."""
    most = int(11 * inches)  # characters: of usual text in the style's font
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def write_photo_and_depth(
    file: BinaryIO,
    rgb: np.ndarray,
    depth: np.ndarray,
    title: str,
    label: str,
    notes: Sequence[str] = (),
    *,
    full_resolution: bool = False,
) -> None:
    """`photo_and_depth` as a PNG file, in the workbook's style and in no other's.

    full_resolution: draw each pixel of the photograph as a pixel at least.
    """
    with plt.style.context([str(STYLE), {"savefig.bbox": None}]):
        title, label, *notes = map(drawable, (title, label, *notes))
        figure = photo_and_depth(rgb, depth, title, label, notes)
        try:
            options = {}
            if full_resolution:
                inches = figure.axes[0].get_position().width * figure.get_figwidth()
                options["dpi"] = max(figure.dpi, rgb.shape[1] / inches)
            metadata = {"Software": None, "Creator": MADE_BY}
            figure.savefig(file, format="png", metadata=metadata, **options)
        finally:
            plt.close(figure)


def photos_and_predictions(
    shown: Sequence[tuple[str, np.ndarray, np.ndarray]], title: str
) -> Figure:
    """A row per photograph (name, rgb, depth): it beside its predicted depth, all on one scale."""
    limits = middle_limits(*(depth for _, _, depth in shown))
    heights = [rgb.shape[0] / rgb.shape[1] for _, rgb, _ in shown]
    size = (8.5, sum(3.7 * height + 0.3 for height in heights) + 0.3)
    ratios = {"height_ratios": heights}
    figure, axes = plt.subplots(len(shown), 2, figsize=size, squeeze=False, gridspec_kw=ratios)
    for (left, right), (name, rgb, depth) in zip(axes, shown, strict=True):
        show_photo(left, rgb, name)
        image = show_depth(right, depth, limits, "predicted depth")
    depth_bar(figure, image, axes, extend="both")
    figure.suptitle(title)
    return figure
