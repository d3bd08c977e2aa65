"""Photographs and maps: functions of (ax, data), and figures composed of them.

Depth is always in metres on one scale, near dark and far bright (viridis); errors diverge from
white, too near blue and too far red; what is missing is grey. All are safe for colour-blind eyes.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from depthclip_core.plots.style import (
    ACROSS,
    ANSWER_COLOURS,
    DEPTH_COLOURS,
    ERROR_COLOURS,
    WIDTH,
    Cell,
    Limits,
)
from depthclip_core.settings import Window

STACKED = 2.2  # width over height of photographs whose depth is shown below them, not beside


def show_photo(ax: Axes, rgb: np.ndarray, title: str = "") -> AxesImage:
    """A photograph (H, W, 3), without ticks."""
    return _frameless(ax, ax.imshow(rgb), title)


def show_grid(ax: Axes, window: Window, grid: Cell, marked: Sequence[Cell] = ()) -> None:
    """The network's cells over a photograph, in its window; `marked` (row, column) outlined."""
    height, width = (side / n for side, n in zip(window.shape, grid, strict=True))
    y = window.top + np.arange(grid[0] + 1) * height
    x = window.left + np.arange(grid[1] + 1) * width
    ax.plot([window.left, window.right], [y, y], color="white", lw=0.5, alpha=0.7)
    ax.plot([x, x], [window.top, window.bottom], color="white", lw=0.5, alpha=0.7)
    for i, (row, column) in enumerate(marked):
        corner = (window.left + column * width, window.top + row * height)
        ax.add_patch(Rectangle(corner, width, height, fill=False, lw=2.2, ec=f"C{i + 1}"))


def show_depth(ax: Axes, depth: np.ndarray, limits: Limits, title: str = "") -> AxesImage:
    """Depth (H, W) in metres; 0 and NaN are missing."""
    image = ax.imshow(known(depth), cmap=DEPTH_COLOURS, vmin=limits[0], vmax=limits[1])
    return _frameless(ax, image, title)


def show_error(ax: Axes, error: np.ndarray, limit: float, title: str = "") -> AxesImage:
    """Prediction − ground truth (H, W) in metres, from −limit to limit; NaN is missing."""
    image = ax.imshow(np.ma.masked_invalid(error), cmap=ERROR_COLOURS, vmin=-limit, vmax=limit)
    return _frameless(ax, image, title)


def show_contours(ax: Axes, depth: np.ndarray, levels: Sequence[float], limits: Limits) -> None:
    """Lines of equal depth (H, W), each labelled in metres, over what the axes show already."""
    shown = known(depth)
    inside = [level for level in levels if shown.count() and shown.min() < level < shown.max()]
    if not inside:
        return
    colours = {"cmap": DEPTH_COLOURS, "vmin": limits[0], "vmax": limits[1]}
    lines = ax.contour(shown, inside, linewidths=1.3, **colours)
    lines.set_path_effects([withStroke(linewidth=2.6, foreground="white")])
    height, width = depth.shape
    for label in ax.clabel(lines, fmt="%g m", fontsize=9, colors="black"):
        label.set_path_effects([withStroke(linewidth=2, foreground="white")])
        x, y = label.get_position()
        if not (0.06 < x / width < 0.94 and 0.05 < y / height < 0.95):
            label.set_visible(False)  # it would be cut off


def show_answers(ax: Axes, cells: np.ndarray, limits: Limits, title: str) -> AxesImage:
    """How a word answers at each cell (h, w)."""
    image = ax.imshow(cells, cmap=ANSWER_COLOURS, vmin=limits[0], vmax=limits[1])
    return _frameless(ax, image, title)


def depth_bar(
    figure: Figure, image: ScalarMappable, axes: Axes | Sequence[Axes], label="depth (m)", extend=""
) -> None:
    """The colour bar of a row of maps that share one scale.

    extend: the open ends of the scale; empty: the far end for depth, both for errors.
    """
    ends = {"extend": extend or ("max" if label == "depth (m)" else "both"), "extendfrac": 0.03}
    figure.colorbar(image, ax=axes, label=label, shrink=0.9, pad=0.01, aspect=30, **ends)


def known(depth: np.ndarray) -> np.ma.MaskedArray:
    """Depth without what is missing, 0 and NaN."""
    return np.ma.masked_where(~(depth > 0), depth)


def depth_limits(*maps: np.ndarray) -> Limits:
    """One scale for several depth maps: 0 to the largest 99th percentile, in half metres."""
    tops = [np.percentile(m[m > 0], 99) for m in maps if (m > 0).any()]
    return 0.0, float(np.ceil(max(tops, default=10) * 2) / 2)


def middle_limits(*maps: np.ndarray) -> Limits:
    """One scale for predicted depths: the middle 96 % of each, in half metres."""
    ends = [np.quantile(m, [0.02, 0.98]) for m in maps]
    near, far = min(q[0] for q in ends), max(q[1] for q in ends)
    limits = float(np.floor(near * 2) / 2), float(np.ceil(far * 2) / 2)
    # One depth everywhere, at a half metre, needs a scale too.
    return limits if limits[0] < limits[1] else (limits[0] - 0.5, limits[1] + 0.5)


def error_limit(*errors: np.ndarray) -> float:
    """The end of a scale of errors, NaN where missing: their 98th percentile, in half metres."""
    sizes = np.concatenate([np.abs(error[np.isfinite(error)]) for error in errors])
    return max(0.5, float(np.ceil(np.percentile(sizes, 98) * 2) / 2)) if sizes.size else 0.5


def word_maps(cells: np.ndarray, words: Sequence[str], label: str, title: str) -> Figure:
    """Maps (K, h, w), one for each word, four a row, on one scale."""
    rows = -(-len(words) // ACROSS)
    shape = {"figsize": (WIDTH, 1.75 * rows + 0.4), "squeeze": False}
    figure, axes = plt.subplots(rows, min(ACROSS, len(words)), **shape)
    limits = (float(cells.min()), float(cells.max()))
    for ax in axes.flat[len(words) :]:
        ax.set_visible(False)
    for ax, answer, word in zip(axes.flat, cells, words, strict=False):
        image = show_answers(ax, answer, limits, word)
    figure.colorbar(image, ax=axes, label=label, pad=0.01, shrink=0.8)
    figure.suptitle(title)
    return figure


def pipeline(
    rgb: np.ndarray,
    window: Window,
    weights: np.ndarray,
    words: Sequence[str],
    bins: Sequence[float],
    depth: np.ndarray,
    truth: np.ndarray | None,
    title: str,
) -> Figure:
    """The whole method in one picture: photograph and cells, each word's weight, depth and truth.

    rgb (H, W, 3); weights (K, h, w); depth and truth of the window's shape, metres.
    """
    grid, n_rows = weights.shape[1:], -(-len(words) // 2)
    known = [np.quantile(m[m > 0], [0.02, 0.98]) for m in (depth, truth) if m is not None]
    # The scale starts at the nearest depth: a prediction covers two metres, and should show them.
    near, far = min(q[0] for q in known), max(q[1] for q in known)
    limits = float(np.floor(near * 2) / 2), float(np.ceil(far * 2) / 2)
    figure = plt.figure(figsize=(WIDTH, 6.7))
    above, below = figure.subfigures(2, 1)
    left, middle = above.subfigures(1, 2)
    photo = left.subplots()
    show_photo(photo, rgb[window.slices], f"1  photograph, {grid[0]} × {grid[1]} cells")
    show_grid(photo, Window(0, window.shape[0], 0, window.shape[1]), grid)
    cells = middle.subplots(n_rows, 2, squeeze=False).T.ravel()  # down, then across
    for ax, answer, word, metres in zip(cells, weights, words, bins, strict=False):
        answers = show_answers(ax, answer, (0, 1), "")
        ax.set_anchor("W")  # leaves room for the word
        beside = {"transform": ax.transAxes, "va": "center", "in_layout": False}
        ax.text(1.08, 0.5, f"“{word}”\n= {metres:.2f} m", **beside)
    for ax in cells[len(words) :]:
        ax.set_visible(False)
    low = {"aspect": 40, "pad": 0.02, "panchor": False}
    bar = middle.colorbar(answers, ax=cells, location="bottom", label="bin weight", **low)
    bar.set_ticks([0, 0.5, 1])
    middle.suptitle("2  weight of each word, with its bin", x=0.02, ha="left", size=9.5)
    axes = below.subplots(1, 1 if truth is None else 2, squeeze=False)[0]
    image = show_depth(axes[0], depth, limits, "3  depth: Σ weight × bin, upsampled")
    if truth is not None:
        show_depth(axes[1], truth, limits, "4  ground truth (grey: not measured)")
    depth_bar(below, image, axes)
    figure.suptitle(title)
    return figure


def predictions_and_errors(
    maps: Mapping[str, np.ndarray], truth: np.ndarray | None, title: str
) -> Figure:
    """Each method's depth map, and beside it its error; all depths and all errors on one scale.

    maps: (H, W) by method, metres. truth: (H, W) metres, 0 and NaN missing; their errors are grey.
    Where truth is None there are no errors, and the depth maps stand side by side.
    """
    if truth is None:
        return _predictions(maps, title)
    errors = {n: np.where((truth > 0) & (m > 0), m - truth, np.nan) for n, m in maps.items()}
    limits, limit = depth_limits(truth, *maps.values()), error_limit(*errors.values())
    shape = {"figsize": (WIDTH, 2.6 * len(maps) + 0.4), "squeeze": False}
    figure, axes = plt.subplots(len(maps), 2, **shape)
    for (left, right), (name, depth) in zip(axes, maps.items(), strict=True):
        image = show_depth(left, depth, limits, name)
        of_error = show_error(right, errors[name], limit, f"{name} − ground truth")
    depth_bar(figure, image, axes[:, 0])
    depth_bar(figure, of_error, axes[:, 1], "error (m)")
    figure.suptitle(title)
    return figure


def _predictions(maps: Mapping[str, np.ndarray], title: str) -> Figure:
    size = (min(WIDTH, 4 * len(maps) + 0.8), 3.4)
    figure, axes = plt.subplots(1, len(maps), figsize=size, squeeze=False)
    for ax, (name, depth) in zip(axes[0], maps.items(), strict=True):
        image = show_depth(ax, depth, depth_limits(*maps.values()), name)
    depth_bar(figure, image, axes)
    figure.suptitle(title)
    return figure


def photos_and_depths(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]], title: str) -> Figure:
    """RGB above, measured depth below, a column per frame (name, rgb, depth) on one scale."""
    limits = depth_limits(*(depth for _, _, depth in pairs))
    size = (3.3 * len(pairs) + 0.8, 5.3)
    figure, axes = plt.subplots(2, len(pairs), figsize=size, squeeze=False)
    for column, (name, rgb, depth) in zip(axes.T, pairs, strict=True):
        show_photo(column[0], rgb, f"RGB image, {name}")
        image = show_depth(column[1], depth, limits, "depth map (grey: not measured)")
    depth_bar(figure, image, axes)
    figure.suptitle(title)
    return figure


def contact_sheet(
    frames: Sequence[tuple[str, np.ndarray, np.ndarray | None]], title: str
) -> Figure:
    """A row per frame (name, rgb, depth): RGB beside measured depth, all depths on one scale.

    depth: None where a frame has none.
    """
    limits = depth_limits(*(depth for _, _, depth in frames if depth is not None))
    heights = [rgb.shape[0] / rgb.shape[1] for _, rgb, _ in frames]
    size = (7.4, 3.1 * sum(heights) + 0.35 * len(frames) + 0.4)
    ratios = {"height_ratios": heights}
    figure, axes = plt.subplots(len(frames), 2, figsize=size, squeeze=False, gridspec_kw=ratios)
    image = None
    for (left, right), (name, rgb, depth) in zip(axes, frames, strict=True):
        show_photo(left, rgb, name)
        if depth is None:
            right.set_visible(False)
            continue
        image = show_depth(right, depth, limits, "depth (grey: not measured)")
    if image is not None:
        depth_bar(figure, image, axes)
    figure.suptitle(title)
    return figure


def _frameless(ax: Axes, image: AxesImage, title: str) -> AxesImage:
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return image
