"""The dashboard: a frame or a photo of one's own, cells, words, bins, both heads, on one page."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial

import numpy as np
import pandas as pd
from ipywidgets import HTML, Box, VBox, Widget
from torch import Tensor

from depthclip_core.analysis.setup import Run, open_run
from depthclip_core.analysis.word_responses import checked_cell
from depthclip_core.datasets.base import Frame
from depthclip_core.encoding.frame_vectors import FrameVectors
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.pipeline import depth_maps, project
from depthclip_core.settings import BINS, PROMPTS, network_window
from depthclip_core.text import as_markup, printable
from depthclip_core.widgets.actions import as_alert, fault_of
from depthclip_core.widgets.bin_sliders import BinSliders
from depthclip_core.widgets.controls import Choice, Entry, Slider
from depthclip_core.widgets.dashboard_texts import heading, photo_note
from depthclip_core.widgets.explorer import Explorer
from depthclip_core.widgets.fields import read_words
from depthclip_core.widgets.heads_picture import HeadsPicture
from depthclip_core.widgets.photo_picker import PhotoPicker
from depthclip_core.widgets.scene_bins import SceneBins
from depthclip_core.widgets.score_table import ScoreTable, soon

FRAME, PHOTO = "frame of the data set", "photo of your own"


class Dashboard(Explorer):
    """One page for a run: what is shown, its cells, words and bins, with both heads side by side.

    Frames that the store has need no network; another frame, or a photo, goes through it when it
    is chosen. at: position of the frame shown first. cell: row and column shown first.
    """

    def __init__(
        self,
        run: Run,
        *,
        at: int = 0,
        cell: tuple[int, int] | None = None,
        store: Store | None = None,
    ):
        self.run, self.words = run, run.words
        self.heads = {name: each.head for name, each in run.both_heads.items()}
        self._vectors = FrameVectors(run.frames, run.encoder, list(self.heads.values()), store)
        self._of_photo = lru_cache(1)(lambda p: self._vectors.of_picture(p.rgb, p.crop))
        self._texts = cache(partial(text_vectors, run.encoder, store=store))
        first = run.words, run.bins, run.temperature
        self._first_scores = lru_cache(1)(lambda _: self._scores(*first))
        self.scene_bins = SceneBins(list(run.both_heads.values())[1])
        self._current = self._labelled = None
        self._marked = {}  # the cell that was marked last, for each size of window
        window = run.frames[at % len(run.frames)].window.shape
        self._new_picture(window, cell)
        self.source = Choice([(kind, kind) for kind in (FRAME, PHOTO)], FRAME, description="show")
        self.photos = PhotoPicker()
        self.photos.children = [self.photos.path, self.photos.chosen]
        self.photos.layout.display = "none"
        self.bin_sliders = BinSliders(run.words, run.bins, self._on, self._redraw)
        limits = {"low": 0.01, "high": 10.0, "step": 0.1, "log": True}
        self.temperature = Slider(value=run.temperature, label="temperature", **limits)
        self.metrics_table, self.note = ScoreTable(), HTML()
        self._started = False
        controls = [self.cell_sliders, self.bin_sliders, self.temperature]
        controls += [self._bin_buttons(), self.scene_bins]
        self.heading, below = HTML(heading(run)), [self.metrics_table, self.note]
        around = {"above": [self.heading, self._word_controls()], "below": below}
        super().__init__(run.frames, self.picture, controls, at, "", **around)
        self.add_class("depthclip-dashboard")
        soon(lambda: self._safely(self._complete))
        self._on(self.source, self._switch)
        self.photos.observe(lambda _: self._safely(self._show_photo), "frame")
        self._on(self.scene_bins.kind, lambda: None)
        self._on(self.temperature, self._redraw)
        self._on(self.scene_bins.take, self._take_scene_bins)
        self._on(self.image, self._clicked, "click")

    def _sources(self) -> list[Widget]:
        return [self.source, self.photos.upload, self.photos.message, self.picker, self.photos]

    def _word_controls(self) -> Box:
        self.words_field = Entry(value=", ".join(self.words), description="words")
        self._on(self.words_field, self._edited)
        presets = self._presets("words", PROMPTS, self._take_words)
        self.word_presets = dict(zip(PROMPTS, presets.children, strict=True))
        row = Box([self.words_field, *self.word_presets.values()])
        row.add_class("depthclip-buttons")
        row.add_class("depthclip-words")
        return row

    def _bin_buttons(self) -> Box:
        box = self._presets("bins", BINS, self._take_bins, reset=self._reset)
        *presets, self.reset = box.children
        self.bin_presets = dict(zip(BINS, presets, strict=True))
        return box

    def _presets(self, kind: str, named: Mapping, take: Callable, **others: Callable) -> Box:
        """A button for each published list of words or bins; the original says what it is of."""
        titles = {name: f"original {kind}" if name == "original" else name for name in named}
        actions = {titles[name]: partial(take, values) for name, values in named.items()}
        return self._row(actions | others)

    def _new_picture(self, window: tuple[int, int], cell: tuple[int, int] | None) -> None:
        """A picture, and sliders for its cells, for a window of so many rows and columns."""
        grid = self.run.encoder.grid(*window)
        row, column = checked_cell(*(cell or (grid[0] * 3 // 4, grid[1] // 3)), grid)
        self.picture = HeadsPicture(window, grid, list(self.heads))
        self._labelled = None
        self.row = Slider(value=row, high=grid[0] - 1, label="row", digits=0)
        self.column = Slider(value=column, high=grid[1] - 1, label="column", digits=0)
        if not hasattr(self, "cell_sliders"):
            self.cell_sliders = VBox()
        old, self.cell_sliders.children = self.cell_sliders.children, [self.row, self.column]
        for slider in old:
            slider.close()
        for slider in self.cell_sliders.children:
            self._on(slider, self._redraw)

    def _switch(self) -> None:
        """Show the controls of what was chosen to be shown, and draw it."""
        own = self.source.value == PHOTO
        self.picker.layout.display = "none" if own else ""
        self.photos.layout.display = "" if own else "none"
        photo, empty = self.photos.frame, own and self.photos.frame is None
        for part in (self.image, self.metrics_table, self.note):
            part.layout.display = "none" if empty else ""
        self.heading.value = heading(self.run, photo.name if own and photo else None)
        if empty:
            raise DepthClipError("Upload a photograph, or type its path.")
        self._redraw()

    def _show_photo(self) -> None:
        """Show the photo that was chosen, whatever was shown before."""
        with self._held_back():
            self.source.value = PHOTO
        self._switch()

    def _edited(self) -> None:
        """Show the words that were typed; if they cannot be read, keep the last, and say why."""
        self._fault = ""
        try:
            words = read_words(self.words_field.value)
            self._texts(words)
        except Exception as error:  # also of what encodes the words
            self._fault = fault_of(error)
        else:
            self._set_words(words)

    def _take_words(self, words: Sequence[str]) -> None:
        with self._held_back():
            self.words_field.value = ", ".join(words)
        self._edited()

    def _set_words(self, words: tuple[str, ...]) -> None:
        """Other words; if they are more or fewer, their bins are spread over the same depths."""
        bins = self.bin_sliders.bins
        if len(words) != len(bins):
            bins = np.linspace(bins[0], bins[-1], len(words)).round(2).tolist()
        self.words = words
        self.bin_sliders.show(words, bins)
        self._redraw()

    def _take_bins(self, bins: Sequence[float]) -> None:
        n_words = len(self.words)
        if len(bins) != n_words:
            raise DepthClipError(f"These are {len(bins)} bins, and there are {n_words} words.")
        with self._at_once():
            self.bin_sliders.bins = bins

    def _reset(self) -> None:
        with self._held_back():
            self.words_field.value = ", ".join(self.run.words)
            self.temperature.value = self.run.temperature
        self._fault, self.words = "", self.run.words
        self.bin_sliders.show(self.words, self.run.bins)
        self._redraw()

    def _take_scene_bins(self) -> None:
        """The published bins that are best for the chosen scene type on the train split."""
        before, waiting = self.note.value, "Choosing among the published bins on the train split …"
        self.note.value = waiting  # seconds, or as long as a network pass takes
        try:
            name, why = self.scene_bins.chosen(self.words)
        except Exception:
            self.note.value = before
            raise
        self._take_bins(BINS[name])
        self.note.value = as_markup(why)

    def _clicked(self) -> None:
        x, y, _ = self.image.click
        if cell := self.picture.cell_at(x, y):
            with self._at_once():
                self.row.value, self.column.value = cell

    @property
    def cell(self) -> tuple[int, int]:
        """Row and column of the marked cell."""
        return round(self.row.value), round(self.column.value)

    def draw(self) -> None:
        chosen = self.words, self.bin_sliders.bins, self.temperature.value
        if self._load() or chosen != self._current:
            self._current = None  # stays so if the next line fails
            self._predict(*chosen)
            self._current, self._scores_are_old = chosen, True
        row, column = self.cell
        weights = {name: of_cells[:, row, column] for name, of_cells in self.weights.items()}
        depths = {name: float(of_words @ chosen[1]) for name, of_words in weights.items()}
        true = self._true_depth(row, column) if self._started else np.nan
        self.picture.set_cell((row, column), weights, depths)
        self.picture.set_true_depth(true)
        said = [f"{name} {depth:.2f} m" for name, depth in depths.items()]
        said += [f"true depth {true:.2f} m"] if true > 0 else []
        self.headline = f"row {row}, column {column}: {', '.join(said)}"
        self.image.alt = printable(f"{self._label}: photograph and depth maps; {self.headline}")
        self.image.value = self.picture.jpeg()
        if self._started:
            self._score()

    def _load(self) -> bool:
        """Read the chosen frame or photo unless it is shown already; return whether it was."""
        photo = self.photos.frame if self.source.value == PHOTO else None
        chosen = self.frame.value if photo is None else photo
        if chosen == self._shown:
            return False
        rgb = self.frames.rgb(chosen) if photo is None else photo.rgb
        window = network_window(rgb.shape[:2], self.frames.crop if photo is None else photo.crop)
        raw_depth = self.frames.raw_depth(chosen) if photo is None else None
        if window.shape != self.picture.shape:
            marked = self.picture.shape, self.cell
            self._new_picture(window.shape, self._marked.get(window.shape))
            self._marked |= [marked]
        self._rgb, self._raw_depth, self._window = rgb, raw_depth, window
        self._label = self.picker.labels[chosen] if photo is None else photo.name
        if photo is None:
            self.scene_bins.show(self.frames.scenes[chosen])
        view = self._window.slices
        self.truth = None if self._raw_depth is None else self._raw_depth[view]
        self.picture.set_frame(self._rgb[view], self.truth, self._label)
        of_photo = self.run.encoder, self.words, self.bin_sliders.bins
        self.note.value = "" if photo is None else photo_note(*of_photo)
        self._shown = chosen
        return True

    def _similarities(self, words: tuple[str, ...]) -> dict[str, Tensor]:
        """Of the shown frame or photo with K words, by name of the head: (1, 2, K, h, w)."""
        if isinstance(self._shown, Frame):
            vectors = self._of_photo(self._shown)
        else:
            vectors = self._vectors.of(self._shown)
        text = self._texts(words)
        return {name: project(vectors[head], text).cpu() for name, head in self.heads.items()}

    def _predict(self, words: tuple[str, ...], bins: tuple[float, ...], temperature: float) -> None:
        """Bin weights of all cells and the depth map, by each head."""
        found, shape = self._similarities(words), self.picture.shape
        self.weights = {name: cell_weights(s[0], temperature, True) for name, s in found.items()}
        self.depths = {
            name: depth_maps(s, bins, shape, temperature)[0] for name, s in found.items()
        }
        self.picture.set_depths(self.depths, bins)
        if (words, bins) != self._labelled:
            self.picture.set_words(words, bins)
            self._labelled = words, bins

    def _complete(self) -> None:
        """Add to the first picture what takes a second: true depth and metrics are compiled."""
        self._started = True
        self.draw()

    def _score(self) -> None:
        """Show the metrics of what is shown, if they are not shown already."""
        if self._scores_are_old and self._raw_depth is None:
            self.metrics_table.value = ""
        elif self._scores_are_old:
            words, *setting = self._current
            self.metrics_table.show(self._first_scores(self._shown), self._scores(words, *setting))
        self._scores_are_old = False

    def _scores(self, words, bins, temperature) -> dict[str, pd.Series]:
        """The shown frame's metrics by head."""
        found = self._similarities(words)
        return {name: self._scored(s, bins, temperature) for name, s in found.items()}


def open_dashboard(**options: object) -> Widget:
    """The dashboard of a run, options as of `open_run`, or one line that says why there is none."""
    try:
        return Dashboard(open_run(**options))
    except DepthClipError as error:
        return HTML(as_alert(fault_of(error)))
