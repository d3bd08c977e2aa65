"""The dashboard's figure: two heads side by side on one scale, beside what they are of."""

from collections.abc import Mapping, Sequence

import numpy as np

from depthclip_core.plots import map_plots
from depthclip_core.plots.word_plots import show_weights
from depthclip_core.widgets.pictures import (
    BARS,
    FARTHEST_PUBLISHED,
    LONGEST_LABEL,
    LONGEST_TITLE,
    MAP,
    THIN,
    GridPicture,
    short,
)

LEFTS, TOPS, BAR = (4, 394, 784), (30, 368), 1168  # edges of maps and of the colour bar, pixels
LABELS = 204  # pixels: left of the bars, for words and bins


class HeadsPicture(GridPicture):
    """A photograph and its true depth; beside them, each head's depth map and the marked cell's
    bin weights.

    shape: rows and columns of the network's window, in pixels. grid: rows and columns of cells.
    names: of the two heads, from left to right.
    """

    width, height, text = 1236, 664, 14
    columns, rows = (0, LEFTS[1] - 8, LEFTS[2] - 8, BAR - 4), (0, TOPS[1] - TOPS[0])

    def __init__(self, shape: tuple[int, int], grid: tuple[int, int], names: Sequence[str]):
        self._begin(shape)
        self.names, blank = list(names), np.ones(shape)
        with self._style():
            photo, truth = (self._place(LEFTS[0], top) for top in TOPS)
            self._photo = map_plots.show_photo(photo, np.zeros((*shape, 3), np.uint8))
            self._truth = map_plots.show_depth(truth, blank, (0, 1))
            self._depths = {
                name: map_plots.show_depth(self._place(left, TOPS[0]), blank, (0, 1), name)
                for name, left in zip(names, LEFTS[1:], strict=True)
            }
            for image in (self._truth, *self._depths.values()):
                image.set_interpolation("nearest")  # smoothing takes longer than all the rest
            self._scale = self._colour_bar(self._truth, TOPS[0], "depth (m)", "max", BAR)
            size = (MAP[0] - LABELS - 6, MAP[1] - 44)
            self.bars = {
                name: self._place(left + LABELS, TOPS[1], size)
                for name, left in zip(names, LEFTS[1:], strict=True)
            }
            depths = [image.axes for image in self._depths.values()]
            self._show_cells(grid, [photo, *depths, truth])
            self._true, *texts = (self._text(left) for left in LEFTS)
        self._headlines = dict(zip(names, texts, strict=True))

    def set_frame(self, rgb: np.ndarray, truth: np.ndarray | None, title: str) -> None:
        """rgb (H, W, 3) and truth (H, W), metres, of the window; None: its place is empty."""
        super().set_frame(rgb, truth, short(title, LONGEST_TITLE))
        for artist in (self._truth.axes, self._marks[-1]):
            artist.set_visible(truth is not None)

    def set_depths(self, depths: Mapping[str, np.ndarray], bins: Sequence[float]) -> None:
        """Show each head's depth (H, W) in metres. The scale follows ground truth and bins alone.

        Within the published bins it does not change, so that one sees the depth move.
        """
        for name, depth in depths.items():
            self._depths[name].set_data(map_plots.known(depth))
        far = np.array([max(FARTHEST_PUBLISHED, *bins)])
        limits = map_plots.depth_limits(self.truth[::THIN, ::THIN], far)
        images = [self._truth, *self._depths.values()]
        if limits != self._truth.get_clim():
            for image in images:
                image.set_clim(*limits)
            self._changed(self._truth.axes, self._scale)
        self._changed(*(image.axes for image in images[1:]))

    def set_words(self, words: Sequence[str], bins: Sequence[float]) -> None:
        """Label the bars of both heads again: one for each word, with its bin."""
        bars = self.bars.values()
        self._moving = [artist for artist in self._moving if artist.axes not in bars]
        labels = [short(word, LONGEST_LABEL) for word in words]
        with self._style():
            for ax in bars:
                ax.clear()
                show_weights(ax, np.zeros(len(words)), labels, bins, BARS)
                self._moves(*ax.patches)
        self._changed(*bars)

    def set_cell(
        self, cell: tuple[int, int], weights: Mapping[str, np.ndarray], depths: Mapping[str, float]
    ) -> None:
        """Mark a cell (row, column); show each head's weights (K,) and its depth there, metres."""
        self._mark(*cell)
        for name, of_words in weights.items():
            for bar, weight in zip(self.bars[name].patches, of_words, strict=True):
                bar.set_width(weight)
            self._headlines[name].set_text(f"cell {cell[0]}, {cell[1]}: {depths[name]:.2f} m")

    def set_true_depth(self, metres: float) -> None:
        """Show the marked cell's true depth above that map; NaN: not known."""
        known = f"true depth: {metres:.2f} m" if metres > 0 else "true depth"
        shown = f"{known} (grey: not measured)" if self._truth.axes.get_visible() else ""
        self._true.set_text(shown)

    def _text(self, left: int):
        """A line above the lower row, at the left edge of a column."""
        where = (left / self.width, 1 - (TOPS[1] - 6) / self.height)
        text = self._photo.axes.text(
            *where, "", transform=self.figure.transFigure, fontsize=self.text
        )
        self._moves(text)
        return text
