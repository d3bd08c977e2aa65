"""Photographs of one's own beside their depth."""

from collections.abc import Sequence
from typing import BinaryIO

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from depthclip_core.plots.map_plots import (
    depth_bar,
    middle_limits,
    photo_and_depth,
    show_depth,
    show_photo,
)
from depthclip_core.plots.style import MADE_BY, STYLE, drawable


def write_photo_and_depth(
    file: BinaryIO,
    rgb: np.ndarray,
    depth: np.ndarray,
    title: str,
    label: str,
    *,
    full_resolution: bool = False,
) -> None:
    """`photo_and_depth` as a PNG file, in the workbook's style and in no other's.

    full_resolution: draw each pixel of the photograph as a pixel at least.
    """
    with plt.style.context([str(STYLE), {"savefig.bbox": None}]):
        figure = photo_and_depth(rgb, depth, drawable(title), drawable(label))
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
