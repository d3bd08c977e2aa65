"""Explorers of cells, bins and words: controls over the package's functions, without own logic.

An explorer is a widget, to be the last value of a notebook's cell. `explorer.picture.figure` is the
figure that it shows, for pages where widgets do not run. Errors appear above the picture.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial

import numpy as np
import pandas as pd
import torch
from ipyevents import Event
from ipywidgets import HTML, FloatLogSlider, FloatSlider, HBox, IntSlider, Layout, Text, VBox
from torch import Tensor

from depthclip_core.analysis.word_responses import cell_depths, checked_cell
from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets import Frame
from depthclip_core.encoding.passes import EncodingJob, collect_responses
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.pipeline import depth_maps, head_vectors, project
from depthclip_core.settings import BINS, PROMPTS, TEMPERATURE, resolve_bins, resolve_prompts
from depthclip_core.text import as_markup
from depthclip_core.widgets.explorer import Explorer, check_length, window_shape
from depthclip_core.widgets.pictures import BinPicture, CellPicture

NEAREST, FARTHEST, STEP = 0.1, 10.0, 0.05  # of the bins' sliders, metres
WIDE = Layout(width="400px")


class CellExplorer(Explorer):
    """Choose a cell with a click or the sliders; see its bin weights, predicted and true depth.

    similarities: (N, V, K, h, w) of the frames and the K words. cell: row and column shown first.
    at, title: as in `Explorer`.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        similarities: Tensor,
        words: str | Sequence[str],
        bins: str | Sequence[float] = "original",
        temperature: float = TEMPERATURE,
        *,
        at: int = 0,
        cell: tuple[int, int] | None = None,
        title: str = "",
    ):
        check_length(frames, similarities)
        self._similarities, self.temperature = similarities, temperature
        self.words = resolve_prompts(words)
        self.bins = resolve_bins(bins, len(self.words))
        self._build(frames, tuple(similarities.shape[-2:]), [], at, cell, title)

    def _build(self, frames, grid, controls: list, at: int, cell, title: str) -> None:
        row, column = checked_cell(*(cell or (grid[0] * 3 // 4, grid[1] // 3)), grid)
        self.row = IntSlider(row, 0, grid[0] - 1, description="row", layout=WIDE)
        self.column = IntSlider(column, 0, grid[1] - 1, description="column", layout=WIDE)
        self._current = self._labelled = None  # words and bins of the depth map and of the bars
        picture = CellPicture(window_shape(frames), grid)
        super().__init__(frames, picture, [*controls, HBox([self.row, self.column])], at, title)
        self._on(self.row, self.draw)
        self._on(self.column, self.draw)
        self.clicks = Event(source=self.image, watched_events=["click"])
        self.clicks.on_dom_event(lambda event: self._safely(partial(self._clicked, event)))

    def draw(self) -> None:
        chosen = self._choice()
        if self._load() or chosen != self._current:
            self._current = None  # stays so if the next line fails
            self._predict(*chosen)
            self._current = chosen
        row, column = self.row.value, self.column.value
        weights, true = self.weights[:, row, column], self._true_depth(row, column)
        known = f"true {true:.2f} m" if true > 0 else "truth unknown"
        self.headline = f"cell ({row}, {column}): predicted {weights @ self.bins:.2f} m, {known}"
        self.picture.set_cell(row, column, weights, self.headline)
        self.image.value = self.picture.png()

    def _choice(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Words and bins, from the controls."""
        return self.words, self.bins

    def _predict(self, words: tuple[str, ...], bins: tuple[float, ...]) -> None:
        """Bin weights of all cells, and the depth map."""
        similarities = self._frame_similarities(words)
        self.weights = cell_weights(similarities[0], self.temperature, flip=True)
        self.depth = depth_maps(similarities, bins, self.picture.shape, self.temperature)[0]
        self.picture.set_depth(self.depth)
        if (words, bins) != self._labelled:
            self.picture.set_words(words, bins)
        self.words, self.bins = self._labelled = words, bins

    def _frame_similarities(self, words: tuple[str, ...]) -> Tensor:
        """Similarities of the shown frame, (1, V, K, h, w)."""
        return self._similarities[self._shown][None]

    def _true_depth(self, row: int, column: int) -> float:
        """Median true depth below a cell of the shown frame, metres; NaN if unknown."""
        if self._raw_depth is None:
            return np.nan
        sides = zip(self.picture.shape, self.picture.grid, (row, column), strict=True)
        pixels = np.ix_(*(np.arange(side) * n // side == cell for side, n, cell in sides))
        masked = np.zeros_like(self._raw_depth)  # one cell takes less time than all of them
        masked[self._window.slices][pixels] = self.truth[pixels]
        depths = cell_depths([masked], self.picture.grid, protocol=self._protocol)
        return float(depths[0, row, column])

    def _clicked(self, event: Mapping) -> None:
        if cell := self.picture.cell_at(event["dataX"], event["dataY"]):
            with self._at_once():
                self._put(self.row, cell[0])
                self._put(self.column, cell[1])


class WordExplorer(CellExplorer):
    """Edit words and bins; see depth, bin weights and metrics.

    Only text is encoded again: the frames' head vectors come from the store. With random weights
    and no store given, nothing is stored, and each frame is encoded when it is chosen.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        encoder: Encoder,
        head: str = "released",
        words: str | Sequence[str] = "original",
        bins: str | Sequence[float] = "original",
        temperature: float = TEMPERATURE,
        *,
        store: Store | None = None,
        at: int = 0,
        cell: tuple[int, int] | None = None,
    ):
        self.encoder, self.head, self.temperature = encoder, head, temperature
        self.words = resolve_prompts(words)
        self.bins = resolve_bins(bins, len(self.words))
        self._first = self.words, self.bins
        # In memory: of vectors and scores the last frame's, the last chunk, the text of all words.
        self._texts = cache(partial(text_vectors, encoder, store=store))
        self._vectors = lru_cache(1)(self._read_vectors)
        self._first_score = lru_cache(1)(self._score_first)
        self._stored = None
        if store or encoder.weights != "random":
            collect_responses(frames, encoder, self.words, [head], store=store, progress=False)
            self._stored = EncodingJob(frames, encoder, None, store or Store()).vectors(head)
            self._chunk = lru_cache(1)(self._stored.read)
        shared = {"continuous_update": False, "layout": Layout(width="818px")}
        self.words_field = Text(_joined(self.words), description="words", **shared)
        self.bins_field = Text(_joined(self.bins), description="bins (m)", **shared)
        self.metrics_table = HTML(layout=Layout(height="96px"))
        buttons = HBox(self._buttons(PROMPTS, self._take, self._first))
        controls = [buttons, self.words_field, self.bins_field, self.metrics_table]
        self._build(frames, encoder.grid(*window_shape(frames)), controls, at, cell, "")
        self._on(self.words_field, self.draw)
        self._on(self.bins_field, self.draw)

    def _choice(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        words = resolve_prompts([word.strip() for word in self.words_field.value.split(",")])
        return words, resolve_bins(self.bins_field.value.split(","), len(words))

    def _take(self, words: Sequence[str], bins: Sequence[float] | None = None) -> None:
        if bins is None and len(self.bins) != len(words):
            bins = BINS["original"]
        with self._at_once():
            self.words_field.value = _joined(words)
            self.bins_field.value = _joined(bins or self.bins)

    def _predict(self, words: tuple[str, ...], bins: tuple[float, ...]) -> None:
        super()._predict(words, bins)
        now = self._scored(self._frame_similarities(words), bins, self.temperature)
        self._show_metrics(self._first_score(self._shown), now)

    def _score_first(self, position: int) -> pd.Series:
        """The shown frame's metrics with the words and bins that were given."""
        words, bins = self._first
        return self._scored(self._frame_similarities(words), bins, self.temperature)

    def _frame_similarities(self, words: tuple[str, ...]) -> Tensor:
        return project(self._vectors(self._shown), self._texts(words)).cpu()

    def _read_vectors(self, position: int) -> Tensor:
        """The shown frame's head vectors (1, 2, D, h, w)."""
        if self._stored is None:
            crop = self.frames.crop
            return head_vectors(self._rgb[None], self.encoder, [self.head], crop=crop)[self.head]
        chunk, place = divmod(position, CHUNK)
        return torch.from_numpy(self._chunk(chunk)[place, None]).to(self.encoder.device)


class BinExplorer(Explorer):
    """Move the bins, which stay in ascending order, and the temperature; see depth map, error map
    and metrics.

    similarities: (N, V, K, h, w) of the frames and the K words. bins: the initial bins.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        similarities: Tensor,
        words: str | Sequence[str],
        bins: str | Sequence[float] = "original",
        temperature: float = TEMPERATURE,
        *,
        at: int = 0,
    ):
        check_length(frames, similarities)
        self._similarities = similarities
        words = resolve_prompts(words)
        self._first = resolve_bins(bins, len(words)), temperature
        # In a plain-text description, MathJax would look for formulae.
        shared = {"min": NEAREST, "max": FARTHEST, "step": STEP, "description_allow_html": True}
        self.sliders = [
            FloatSlider(metres, description=as_markup(word), **shared)
            for word, metres in zip(words, self._first[0], strict=True)
        ]
        self.temperature = FloatLogSlider(temperature, min=-2, max=1, description="temperature")
        for slider in (*self.sliders, self.temperature):
            slider.layout, slider.style.description_width = WIDE, "130px"
        fitting = {name: metres for name, metres in BINS.items() if len(metres) == len(words)}
        self.metrics_table = HTML()
        buttons = self._buttons(fitting, self._take, self._first)
        buttons = HBox(buttons, layout=Layout(flex_flow="row wrap"))
        right = VBox([buttons, self.metrics_table], layout=Layout(width="430px"))
        left = VBox([*self.sliders, self.temperature])
        super().__init__(frames, BinPicture(window_shape(frames)), [HBox([left, right])], at, "")
        self._wished = list(self._first[0])  # a bin that was pushed aside returns here
        for place, slider in enumerate(self.sliders):
            self._on(slider, partial(self._push, place))
        self._on(self.temperature, self.draw)

    @property
    def bins(self) -> tuple[float, ...]:
        """The sliders' values, metres."""
        return tuple(slider.value for slider in self.sliders)

    def draw(self) -> None:
        loaded, similarities = self._load(), self._similarities[self.frame.value][None]
        if loaded:
            self._first_score = self._scored(similarities, *self._first)
        size, temperature = self.picture.shape, self.temperature.value
        (self.depth,) = depth_maps(similarities, self.bins, size, temperature)
        self.picture.set_depth(self.depth)
        self.image.value = self.picture.png()
        now = self._scored(similarities, self.bins, temperature)
        self._show_metrics(self._first_score, now)

    def _push(self, moved: int) -> None:
        self._wished[moved] = self.sliders[moved].value
        with self._at_once():
            self._set_bins(ascending(self._wished, moved))

    def _take(self, bins: Sequence[float], temperature: float | None = None) -> None:
        self._wished = list(bins)
        with self._at_once():
            self._set_bins(bins)
            self._put(self.temperature, temperature or self.temperature.value)

    def _set_bins(self, bins: Sequence[float]) -> None:
        for slider, metres in zip(self.sliders, bins, strict=True):
            if slider.value != metres:
                self._put(slider, metres)


def ascending(bins: Sequence[float], moved: int) -> list[float]:
    """Restore ascending order after one bin moved: it stays, and its neighbours give way.

    Bins stay at least one slider step apart, so that a bin stops where the others need room.
    """
    room = STEP * np.arange(len(bins))
    bins = np.clip(np.asarray(bins, float), NEAREST + room, FARTHEST - room[::-1])
    for k in range(moved + 1, len(bins)):
        bins[k] = max(bins[k], bins[k - 1] + STEP)
    for k in reversed(range(moved)):
        bins[k] = min(bins[k], bins[k + 1] - STEP)
    return bins.round(6).tolist()


def _joined(values: Sequence[object]) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
