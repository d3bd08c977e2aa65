"""The explorers' figures, of a fixed size and layout: only parts that changed are drawn again."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from depthclip_core.plots import map_plots
from depthclip_core.plots.style import STYLE, drawable
from depthclip_core.plots.word_plots import show_weights
from depthclip_core.settings import BINS, Window
from depthclip_core.text import printable

DPI = 84
WIDTH, HEIGHT = 838, 640  # pixels of a picture
MAP = (374, 286)  # pixels of a map: 22 for each of 17 × 13 cells
LEFT, RIGHT, TOP, BOTTOM = 4, 390, 24, 346  # left and upper edges of the maps
BAR = 768  # left edge of a colour bar
BARS = "#D55E00"
ERROR_LIMIT = 2.0  # metres
FARTHEST_PUBLISHED = max(max(bins) for bins in BINS.values())  # metres
LONGEST_LABEL, LONGEST_TITLE = 15, 44  # characters
TEXT = 13  # points: a page may show a picture at two thirds of its size
SMALLEST = 9  # pixels of a page: letters of a picture are never shown smaller
THIN = 4  # every fourth pixel is enough for a map's colour scale

RC = mpl.rc_params_from_file(str(STYLE), use_default_template=False)
Part = tuple[int, int, int, int]  # top, bottom, left, right


class Picture:
    """A photograph, its true and its predicted depth; only what changed of it is drawn again.

    shape: rows and columns of the network's window, in pixels. truth_top: where true depth begins.
    width, height: of the picture, pixels. text: size of its letters, points. columns, rows: where
    what is drawn together begins.
    """

    width, height, text = WIDTH, HEIGHT, TEXT
    columns, rows = (0, RIGHT - LEFT, BAR - LEFT), (0, BOTTOM - TOP)

    def __init__(self, shape: tuple[int, int], truth_top: int):
        self._begin(shape)
        black, blank = np.zeros((*shape, 3), np.uint8), np.ones(shape)
        with self._style():
            photo, depth = self._place(LEFT, TOP), self._place(LEFT, BOTTOM)
            self._photo = map_plots.show_photo(photo, black)
            self._depth = map_plots.show_depth(depth, blank, (0, 1), "predicted depth")
            truth, title = self._place(RIGHT, truth_top), "true depth (grey: not measured)"
            self._truth = map_plots.show_depth(truth, blank, (0, 1), title)
            self._scale = self._colour_bar(self._truth, truth_top, "depth (m)", "max")
        for image in (self._depth, self._truth):
            image.set_interpolation("nearest")  # smoothing takes longer than all the rest

    @property
    def least_width(self) -> int:
        """The width in pixels below which a page must not scale the picture down, but scroll it."""
        letters = (self.text - 1) * DPI / 72  # of the colour bars' numbers, the smallest ones
        return ceil(self.width * SMALLEST / letters)

    def _style(self):
        sizes = dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), self.text)
        return mpl.rc_context(RC | sizes)

    def _begin(self, shape: tuple[int, int]) -> None:
        """An empty figure."""
        self.shape, size = shape, (self.width / DPI, self.height / DPI)
        # Axes have fixed places. With layout="none", savefig would restore the style's own engine.
        self.figure = Figure(figsize=size, dpi=DPI, layout=PlaceHolderLayoutEngine(True, True))
        self._canvas = FigureCanvasAgg(self.figure)
        self._parts: dict[Part, list[Axes]] = {}
        self._stale: set[Part] = set()  # parts to redraw
        self._moving: list[Artist] = []  # drawn every time, on top
        self._rest = None

    def set_frame(self, rgb: np.ndarray, truth: np.ndarray | None, title: str) -> None:
        """rgb (H, W, 3) and truth (H, W), metres or None, of the window."""
        self.truth = np.zeros(self.shape) if truth is None else truth
        self._photo.set_data(rgb)
        title = short(title, LONGEST_TITLE)
        self._photo.axes.set_title(title, loc="left", fontsize=self.text)
        self._truth.set_data(map_plots.known(self.truth))
        self._truth.axes.set_visible(truth is not None)
        self._changed(self._photo.axes, self._truth.axes)

    def _set_scale(self, other: np.ndarray) -> None:
        """Fit the scale of both depth maps to the ground truth and other depths, metres."""
        limits = map_plots.depth_limits(self.truth[::THIN, ::THIN], other)
        if limits != self._truth.get_clim():
            self._depth.set_clim(*limits)
            self._truth.set_clim(*limits)
            self._changed(self._truth.axes, self._scale)

    def jpeg(self) -> bytes:
        """The current picture as a JPEG file.

        It is made eight times as fast as a PNG file, half as large, and looks the same.
        """
        return self._file("JPEG", quality=90, subsampling=0)

    def png(self) -> bytes:
        """The current picture as a PNG file, for pages that keep it."""
        return self._file("PNG")

    def _file(self, kind: str, **options) -> bytes:
        with self._style():
            self._draw()
        file, size = BytesIO(), self._canvas.get_width_height()
        pixels = Image.frombuffer("RGBA", size, self._canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
        pixels.convert("RGB").save(file, kind, **options)
        return file.getvalue()

    def _draw(self) -> None:
        """Draw what changed, and what moves on top of it."""
        if self._rest is None:
            self._canvas.draw()  # leaves out animated artists
            self._stale.clear()
        else:
            self._canvas.restore_region(self._rest)
        for top, bottom, left, right in self._stale:
            np.asarray(self._canvas.buffer_rgba())[top:bottom, left:right] = 255
            for ax in self._parts[top, bottom, left, right]:
                ax.draw(self._canvas.get_renderer())
        if self._stale or self._rest is None:
            self._rest = self._canvas.copy_from_bbox(self.figure.bbox)
            self._stale.clear()
        for artist in self._moving:
            if isinstance(artist, AxesImage):
                draw_nearest(artist, self._canvas.get_renderer())
            else:
                self.figure.draw_artist(artist)

    def _moves(self, *artists: Artist) -> None:
        for artist in artists:
            artist.set_animated(True)
        self._moving.extend(artists)

    def _changed(self, *axes: Axes) -> None:
        self._stale |= {part for part, members in self._parts.items() if set(members) & set(axes)}

    def _part_of(self, ax: Axes) -> Part:
        return next(part for part, members in self._parts.items() if ax in members)

    def _place(self, left: int, top: int, size: tuple[int, int] = MAP) -> Axes:
        """Axes with that upper left corner, in pixels from the picture's upper left corner."""
        box = (left / self.width, 1 - (top + size[1]) / self.height)
        ax = self.figure.add_axes((*box, size[0] / self.width, size[1] / self.height))
        ax.set_anchor("NW")
        part = []
        sides = ((self.rows, self.height, top, size[1]), (self.columns, self.width, left, size[0]))
        for starts, whole, first, length in sides:
            part += [max(edge for edge in starts if edge <= first)]
            part += [min(edge for edge in (*starts, whole) if edge >= first + length)]
        self._parts.setdefault(tuple(part), []).append(ax)
        return ax

    def _colour_bar(
        self, image: AxesImage, top: int, label: str, extend: str, left: int = BAR
    ) -> Axes:
        place = self._place(left, top, (10, MAP[1]))
        bar = self.figure.colorbar(image, cax=place, extend=extend, extendfrac=0.03)
        bar.set_label(label, labelpad=1)
        place.tick_params(labelsize=self.text - 1, pad=1, length=3)
        return place


class GridPicture(Picture):
    """A picture of maps with a marked cell, and with the grid of cells on the photograph."""

    def _show_cells(self, grid: tuple[int, int], maps: Sequence[Axes]) -> None:
        """Draw the grid, of so many rows and columns, on the photograph, and a mark on each map."""
        self.grid, self.maps, photo = grid, maps, self._photo.axes
        limits = photo.axis()
        map_plots.show_grid(photo, Window(0, self.shape[0], 0, self.shape[1]), grid)
        photo.axis(limits)  # without the margins that lines add
        size = (self.shape[1] / grid[1], self.shape[0] / grid[0])
        # Black within white stands out from every colour.
        look = {"lw": 2, "ec": "black", "path_effects": [withStroke(linewidth=5, foreground="w")]}
        marks = [Rectangle((0, 0), *size, fill=False, **look) for _ in maps]
        self._marks = [ax.add_patch(mark) for ax, mark in zip(maps, marks, strict=True)]
        self._moves(*self._marks)

    def _mark(self, row: int, column: int) -> None:
        for mark in self._marks:
            mark.set_xy((column * mark.get_width(), row * mark.get_height()))

    def cell_at(self, x: float, y: float) -> tuple[int, int] | None:
        """The cell (row, column) at a pixel of the picture, from its upper left corner; or None."""
        for ax in (ax for ax in self.maps if ax.get_visible()):
            across, down = ax.transAxes.inverted().transform((x, self.height - y))
            row, column = int((1 - down) // (1 / self.grid[0])), int(across // (1 / self.grid[1]))
            if 0 <= row < self.grid[0] and 0 <= column < self.grid[1]:
                return row, column
        return None


class CellPicture(GridPicture):
    """A photograph with its grid of cells, the bars of a marked cell, predicted and true depth.

    grid: rows and columns of cells.
    """

    def __init__(self, shape: tuple[int, int], grid: tuple[int, int]):
        super().__init__(shape, BOTTOM)
        self._scale_part = self._part_of(self._scale)
        photo = self._photo.axes
        with self._style():
            self.bars = self._place(RIGHT + 200, TOP, (WIDTH - RIGHT - 222, MAP[1] - 40))
            self._show_cells(grid, [photo, self._depth.axes, self._truth.axes])
            where = (RIGHT / WIDTH, 1 - (TOP - 6) / HEIGHT)
            self._headline = photo.text(*where, "", transform=self.figure.transFigure)
            self._headline.set_fontsize(self.text)
        self._moves(self._headline)

    def set_frame(self, rgb: np.ndarray, truth: np.ndarray | None, title: str) -> None:
        """rgb (H, W, 3) and truth (H, W), metres, of the window; None: its place is empty."""
        super().set_frame(rgb, truth, title)
        self._marks[-1].set_visible(truth is not None)
        if truth is None:
            self._put_scale(self._part_of(self._truth.axes), RIGHT)
        else:
            self._put_scale(self._scale_part, BAR)

    def _put_scale(self, part: Part, left: int) -> None:
        """Draw the colour bar with that part of the picture, from that left edge on."""
        before = self._part_of(self._scale)
        self._parts[before].remove(self._scale)
        self._parts[part].append(self._scale)
        self._stale |= {before, part}
        box = self._scale.get_position(original=True)  # without what its pointed end takes off
        self._scale.set_position((left / self.width, box.y0, box.width, box.height))

    def set_depth(self, depth: np.ndarray) -> None:
        """Show depth (H, W) in metres; it and the ground truth set the scale of both maps."""
        self._depth.set_data(map_plots.known(depth))
        self._set_scale(depth[::THIN, ::THIN])
        self._changed(self._depth.axes)

    def set_words(self, words: Sequence[str], bins: Sequence[float]) -> None:
        """Label the bars again: one for each word, with its bin."""
        self._moving = [artist for artist in self._moving if artist.axes is not self.bars]
        with self._style():
            self.bars.clear()
            labels = [short(word, LONGEST_LABEL) for word in words]
            show_weights(self.bars, np.zeros(len(words)), labels, bins, BARS)
        self._moves(*self.bars.patches)
        self._changed(self.bars)

    def set_cell(self, row: int, column: int, weights: Sequence[float], headline: str) -> None:
        """Mark a cell, show its weight for each word, and set the headline."""
        self._mark(row, column)
        for bar, weight in zip(self.bars.patches, weights, strict=True):
            bar.set_width(weight)
        self._headline.set_text(headline)


class BinPicture(Picture):
    """A photograph and its true depth; below them, predicted depth and its error."""

    def __init__(self, shape: tuple[int, int]):
        super().__init__(shape, TOP)
        with self._style():
            ax, title = self._place(RIGHT, BOTTOM), "prediction − ground truth"
            self._error = map_plots.show_error(ax, np.ones(shape), ERROR_LIMIT, title)
            self._error.set_interpolation("nearest")
            self._error_bar = self._colour_bar(self._error, BOTTOM, "error (m)", "both")
        self._moves(self._depth, self._error)

    def set_frame(self, rgb: np.ndarray, truth: np.ndarray | None, title: str) -> None:
        super().set_frame(rgb, truth, title)
        for artist in (self._error, self._error.axes, self._error_bar):
            artist.set_visible(truth is not None)
        self._changed(self._error.axes, self._error_bar)
        self._set_scale(np.array([FARTHEST_PUBLISHED]))  # whatever the bins, so that moves show

    def set_depth(self, depth: np.ndarray) -> None:
        """Show depth (H, W) in metres, and its error."""
        self._depth.set_data(map_plots.known(depth))
        self._error.set_data(np.ma.masked_where(~(self.truth > 0), depth - self.truth))


def short(text: str, longest: int) -> str:
    text = drawable(printable(text))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def draw_nearest(image: AxesImage, renderer: RendererAgg) -> None:
    """Draw an image without interpolation, as its own `draw` does, in a fifth of the time.

    Colours are found for the pixels that are shown, not for all. Its edges are at whole pixels.
    """
    if not (image.get_visible() and image.axes.get_visible()):
        return
    ends = np.rint(image.get_window_extent(renderer).get_points()).astype(int)
    (left, bottom), (width, height) = ends[0], ends[1] - ends[0]
    values = image.get_array()
    shown = (height, values.shape[0]), (width, values.shape[1])
    nearest = np.ix_(*(((np.arange(n) + 0.5) * size / n).astype(int) for n, size in shown))
    colours = image.to_rgba(values[nearest], bytes=True)[::-1]  # matplotlib begins at the bottom
    renderer.draw_image(GraphicsContextBase(), left, bottom, colours)
