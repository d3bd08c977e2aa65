"""Photographs of one's own beside their depth, as files and as a cloud of points."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

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

if TYPE_CHECKING:
    import plotly.graph_objects

MOST_POINTS = 20_000  # that a browser turns around smoothly


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


def cloud_figure(points: np.ndarray, colours: np.ndarray) -> "plotly.graph_objects.Figure":
    """Points (N, 3) in metres with RGB (N, 3), for a browser; at most `MOST_POINTS` of them.

    It is seen from the camera's own place, and draws without anything from another host.
    """
    import plotly.graph_objects as go  # slow to import, and rarely used

    shades = drawn_points(colours).tolist()
    marker = {"size": 2, "color": [f"rgb({r},{g},{b})" for r, g, b in shades]}
    x, y, z = drawn_points(points).T
    cloud = go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker, hoverinfo="skip")
    axes = {f"{name}axis": {"title": f"{name} (m)"} for name in "xyz"}
    camera = {"up": {"x": 0, "y": 1, "z": 0}, "eye": {"x": 0.3, "y": 0.3, "z": 1.6}}
    return go.Figure(
        cloud,
        layout={
            "scene": {"aspectmode": "data", "camera": camera, **axes},
            "margin": dict.fromkeys("lrtb", 0),
            "height": 480,
            "showlegend": False,
        },
    )


def drawn_points(points: np.ndarray) -> np.ndarray:
    """The points (N, …) that `cloud_figure` draws: evenly every so many."""
    return points[:: -(-len(points) // MOST_POINTS)]
