"""The explorers' figures, redrawn fast: only the parts that changed are drawn again.

A picture has a fixed size in pixels and a fixed layout, so that nothing on the page moves when it
changes.
"""

from collections.abc import Sequence
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import Rectangle
from PIL import Image

from depthclip_core.plots.map_plots import (
    depth_limits,
    show_depth,
    show_error,
    show_grid,
    show_photo,
)
from depthclip_core.plots.style import STYLE, drawable
from depthclip_core.plots.word_plots import show_weights
from depthclip_core.settings import BINS, Window
from depthclip_core.text import printable

DPI = 84
WIDTH, HEIGHT = 838, 640  # pixels of a picture
MAP = (374, 286)  # pixels of a map: 22 for each of 17 × 13 cells
LEFT, RIGHT, TOP, BOTTOM = 4, 390, 24, 346  # left and upper edges of the maps
BAR = 774  # left edge of a colour bar
MARK = "#D55E00"
ERROR_LIMIT = 2.0  # metres
FARTHEST_PUBLISHED = max(max(bins) for bins in BINS.values())  # metres
LONGEST_LABEL, LONGEST_TITLE = 22, 58  # characters
TITLE_SIZE = 9.5
THIN = 4  # every fourth pixel is enough for a map's colour scale

RC = mpl.rc_params_from_file(str(STYLE), use_default_template=False)
Part = tuple[int, int, int, int]  # top, bottom, left, right


class Picture:
    """A figure that redraws only its changed parts, and its PNG."""

    def __init__(self):
        size = (WIDTH / DPI, HEIGHT / DPI)
        # Axes have fixed places. With layout="none", savefig would restore the style's own engine.
        self.figure = Figure(figsize=size, dpi=DPI, layout=PlaceHolderLayoutEngine(True, True))
        self._canvas = FigureCanvasAgg(self.figure)
        self._parts: dict[Part, list[Axes]] = {}
        self._stale: set[Part] = set()  # parts to redraw
        self._moving: list[Artist] = []  # drawn every time, on top
        self._rest = None

    def png(self) -> bytes:
        """The current picture as a PNG file."""
        with _in_style():
            if self._rest is None:
                self._canvas.draw()  # leaves out animated artists
            else:
                self._canvas.restore_region(self._rest)
            for part in self._stale if self._rest is not None else ():
                top, bottom, left, right = part
                np.asarray(self._canvas.buffer_rgba())[top:bottom, left:right] = 255
                for ax in self._parts[part]:
                    ax.draw(self._canvas.get_renderer())
            if self._stale or self._rest is None:
                self._rest = self._canvas.copy_from_bbox(self.figure.bbox)
                self._stale.clear()
            for artist in self._moving:
                self.figure.draw_artist(artist)
        pixels = np.ascontiguousarray(np.asarray(self._canvas.buffer_rgba())[..., :3])
        file = BytesIO()
        # Speed matters more than size: a nearby browser shows the picture, and nobody keeps it.
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _moves(self, *artists: Artist) -> None:
        for artist in artists:
            artist.set_animated(True)
        self._moving.extend(artists)

    def _changed(self, *axes: Axes) -> None:
        self._stale |= {part for part, members in self._parts.items() if set(members) & set(axes)}

    def _place(self, left: int, top: int, size: tuple[int, int] = MAP) -> Axes:
        """Axes with that upper left corner, in pixels from the picture's upper left corner."""
        box = (left / WIDTH, 1 - (top + size[1]) / HEIGHT)
        ax = self.figure.add_axes((*box, size[0] / WIDTH, size[1] / HEIGHT))
        ax.set_anchor("NW")
        rows = (0, BOTTOM - TOP) if top < BOTTOM else (BOTTOM - TOP, HEIGHT)
        edges = (0, RIGHT - LEFT, BAR - LEFT, WIDTH)  # of the columns: maps, maps, colour bars
        start = max(edge for edge in edges if edge <= left)
        end = min(edge for edge in edges if edge >= left + size[0])
        self._parts.setdefault((*rows, start, end), []).append(ax)
        return ax

    def _colour_bar(self, image: AxesImage, top: int, label: str, extend: str) -> Axes:
        place = self._place(BAR, top, (10, MAP[1]))
        self.figure.colorbar(image, cax=place, label=label, extend=extend, extendfrac=0.03)
        return place


class CellPicture(Picture):
    """A photograph with its grid of cells, the bars of a marked cell, predicted and true depth.

    shape: rows and columns of the network's window, in pixels. grid: rows and columns of cells.
    """

    def __init__(self, shape: tuple[int, int], grid: tuple[int, int]):
        super().__init__()
        self.shape, self.grid, blank = shape, grid, np.ones(shape)
        with _in_style():
            self.maps = [self._place(LEFT, TOP), self._place(LEFT, BOTTOM)]
            self.maps.append(self._place(RIGHT, BOTTOM))
            photo, predicted, true = self.maps
            self.bars = self._place(RIGHT + 200, TOP, (WIDTH - RIGHT - 214, MAP[1] - 40))
            self._photo = show_photo(photo, np.zeros((*shape, 3), np.uint8))
            limits = photo.axis()
            show_grid(photo, Window(0, shape[0], 0, shape[1]), grid)
            photo.axis(limits)  # without the margins that lines add
            self._depth = show_depth(predicted, blank, (0, 1), "predicted depth")
            self._truth = show_depth(true, blank, (0, 1), "true depth (grey: not measured)")
            self._scale = self._colour_bar(self._truth, BOTTOM, "depth (m)", "max")
            size = (shape[1] / grid[1], shape[0] / grid[0])
            self._marks = [
                ax.add_patch(Rectangle((0, 0), *size, fill=False, lw=2.2, ec=MARK))
                for ax in self.maps
            ]
            where = (RIGHT / WIDTH, 1 - (TOP - 6) / HEIGHT)
            self._headline = photo.text(*where, "", transform=self.figure.transFigure)
            self._headline.set_fontsize(TITLE_SIZE)
        self._moves(*self._marks, self._headline)

    def set_frame(self, rgb: np.ndarray, truth: np.ndarray | None, title: str) -> None:
        """rgb (H, W, 3) and truth (H, W), metres or None, of the window."""
        photo, _, true = self.maps
        self._photo.set_data(rgb)
        photo.set_title(_short(title, LONGEST_TITLE), loc="left", fontsize=TITLE_SIZE)
        self.truth = np.zeros(self.shape) if truth is None else truth
        self._truth.set_data(_known(self.truth))
        self._changed(photo, true)

    def set_depth(self, depth: np.ndarray) -> None:
        """Show depth (H, W) in metres; it and the ground truth set the scale of both maps."""
        self._depth.set_data(_known(depth))
        limits = depth_limits(self.truth[::THIN, ::THIN], depth[::THIN, ::THIN])
        if limits != self._truth.get_clim():
            self._depth.set_clim(*limits)
            self._truth.set_clim(*limits)
            self._changed(self.maps[2], self._scale)
        self._changed(self.maps[1])

    def set_words(self, words: Sequence[str], bins: Sequence[float]) -> None:
        """Label the bars again: one for each word, with its bin."""
        self._moving = [artist for artist in self._moving if artist.axes is not self.bars]
        with _in_style():
            self.bars.clear()
            labels = [_short(word, LONGEST_LABEL) for word in words]
            show_weights(self.bars, np.zeros(len(words)), labels, bins, MARK)
        self._moves(*self.bars.patches)
        self._changed(self.bars)

    def set_cell(self, row: int, column: int, weights: Sequence[float], headline: str) -> None:
        """Mark a cell, show its weight for each word, and set the headline."""
        for mark in self._marks:
            mark.set_xy((column * mark.get_width(), row * mark.get_height()))
        for bar, weight in zip(self.bars.patches, weights, strict=True):
            bar.set_width(weight)
        self._headline.set_text(headline)

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """The cell (row, column) at a pixel of the picture, from its upper left corner; or None."""
        for ax in self.maps:
            across, down = ax.transAxes.inverted().transform((x, HEIGHT - y))
            row, column = int((1 - down) // (1 / self.grid[0])), int(across // (1 / self.grid[1]))
            if 0 <= row < self.grid[0] and 0 <= column < self.grid[1]:
                return row, column
        return None


class BinPicture(Picture):
    """A photograph and its true depth; below them, predicted depth and its error."""

    def __init__(self, shape: tuple[int, int]):
        super().__init__()
        self.shape, blank = shape, np.ones(shape)
        with _in_style():
            self._photo_ax = self._place(LEFT, TOP)
            self._photo = show_photo(self._photo_ax, np.zeros((*shape, 3), np.uint8))
            places = [(RIGHT, TOP), (LEFT, BOTTOM)]
            titles = ["true depth (grey: not measured)", "predicted depth"]
            self._truth, self._depth = (
                show_depth(self._place(*place), blank, (0, 1), title)
                for place, title in zip(places, titles, strict=True)
            )
            ax, title = self._place(RIGHT, BOTTOM), "prediction − ground truth"
            self._error = show_error(ax, blank, ERROR_LIMIT, title)
            self._scale = self._colour_bar(self._truth, TOP, "depth (m)", "max")
            self._colour_bar(self._error, BOTTOM, "error (m)", "both")
        self._moves(self._depth, self._error)

    def set_frame(self, rgb: np.ndarray, truth: np.ndarray | None, title: str) -> None:
        """rgb (H, W, 3) and truth (H, W), metres or None, of the window."""
        self.truth = np.zeros(self.shape) if truth is None else truth
        # The scale does not depend on the bins, so that moving them shows.
        limits = depth_limits(self.truth[::THIN, ::THIN], np.array([FARTHEST_PUBLISHED]))
        self._photo.set_data(rgb)
        self._photo_ax.set_title(_short(title, LONGEST_TITLE), loc="left", fontsize=TITLE_SIZE)
        self._truth.set_data(_known(self.truth))
        if limits != self._truth.get_clim():
            self._truth.set_clim(*limits)
            self._depth.set_clim(*limits)
            self._changed(self._scale)
        self._changed(self._photo_ax, self._truth.axes)

    def set_depth(self, depth: np.ndarray) -> None:
        """Show depth (H, W) in metres, and its error."""
        self._depth.set_data(_known(depth))
        self._error.set_data(np.ma.masked_where(~(self.truth > 0), depth - self.truth))


def _in_style():
    return mpl.rc_context(RC)


def _known(depth: np.ndarray) -> np.ma.MaskedArray:
    return np.ma.masked_where(~(depth > 0), depth)


def _short(text: str, longest: int) -> str:
    text = drawable(printable(text))
    return text if len(text) <= longest else text[: longest - 1] + "…"
