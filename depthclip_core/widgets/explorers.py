"""Explorers of cells, bins and words: controls over the package's functions, without own logic.

An explorer is a widget, to be the last value of a notebook's cell. `explorer.picture.figure` is the
figure that it shows, for pages where widgets do not run. Errors appear above the picture.
"""

from collections.abc import Sequence
from functools import cache, lru_cache, partial

import pandas as pd
import torch
from ipywidgets import HTML
from torch import Tensor

from depthclip_core.analysis.word_responses import checked_cell
from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets import Frame
from depthclip_core.encoding.passes import EncodingJob, collect_responses
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.pipeline import depth_maps, head_vectors, project
from depthclip_core.settings import BINS, PROMPTS, TEMPERATURE, resolve_bins, resolve_prompts
from depthclip_core.widgets.actions import fault_of
from depthclip_core.widgets.bin_sliders import BinSliders
from depthclip_core.widgets.controls import Entry, Slider
from depthclip_core.widgets.explorer import Explorer, check_length, window_shape
from depthclip_core.widgets.fields import read_bins, read_words
from depthclip_core.widgets.pictures import BinPicture, CellPicture


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

    def _build(self, frames, grid, controls: list, at: int, cell, title: str, **around) -> None:
        row, column = checked_cell(*(cell or (grid[0] * 3 // 4, grid[1] // 3)), grid)
        self.row = Slider(value=row, high=grid[0] - 1, label="row", digits=0)
        self.column = Slider(value=column, high=grid[1] - 1, label="column", digits=0)
        self._current = self._labelled = None  # words and bins of the depth map and of the bars
        picture = CellPicture(window_shape(frames), grid)
        controls = [self.row, self.column, *controls]
        super().__init__(frames, picture, controls, at, title, **around)
        self._on(self.row, self._redraw)
        self._on(self.column, self._redraw)
        self._on(self.image, self._clicked, "click")

    @property
    def cell(self) -> tuple[int, int]:
        """Row and column of the marked cell."""
        return round(self.row.value), round(self.column.value)

    def draw(self) -> None:
        chosen = self._choice()
        if self._load() or chosen != self._current:
            self._current = None  # stays so if the next line fails
            self._predict(*chosen)
            self._current = chosen
        row, column = self.cell
        weights, true = self.weights[:, row, column], self._true_depth(row, column)
        known = f", true {true:.2f} m" if true > 0 else ", truth unknown"
        known = "" if self.truth is None else known
        self.headline = f"row {row}, column {column}: predicted {weights @ self.bins:.2f} m{known}"
        self.picture.set_cell(row, column, weights, self.headline)
        self._show(self.headline)

    def _choice(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Words and bins to show."""
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

    def _clicked(self) -> None:
        x, y, _ = self.image.click
        if cell := self.picture.cell_at(x, y):
            with self._at_once():
                self.row.value, self.column.value = cell


class WordExplorer(CellExplorer):
    """Edit words and bins; see depth, bin weights and metrics.

    What cannot be read or encoded is named above the picture, which keeps the last words and bins
    that could.

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
        self._first = self._chosen = self.words, self.bins
        # In memory: of vectors and scores the last frame's, the last chunk, the text of all words.
        self._texts = cache(partial(text_vectors, encoder, store=store))
        self._vectors = lru_cache(1)(self._read_vectors)
        self._first_score = lru_cache(1)(self._score_first)
        self._stored = None
        if store or encoder.weights != "random":
            collect_responses(frames, encoder, self.words, [head], store=store, progress=False)
            self._stored = EncodingJob(frames, encoder, None, store or Store()).vectors(head)
            self._chunk = lru_cache(1)(self._stored.read)
        self.words_field = Entry(value=_joined(self.words), description="words")
        self.bins_field = Entry(value=_joined(self.bins), description="bins (m)")
        self.metrics_table = HTML()
        around = {"above": [self.words_field, self.bins_field], "below": [self.metrics_table]}
        buttons = self._buttons(PROMPTS, self._take, self._first)
        grid = encoder.grid(*window_shape(frames))
        self._build(frames, grid, [buttons], at, cell, "", **around)
        self._on(self.words_field, self._edited)
        self._on(self.bins_field, self._edited)

    def _choice(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        return self._chosen

    def _edited(self) -> None:
        """Show what the fields say; if that fails, keep what was shown, and say why."""
        before, self._fault = self._chosen, ""
        try:
            words = read_words(self.words_field.value)
            self._chosen = words, read_bins(self.bins_field.value, len(words))
            self.draw()
        except Exception as error:  # also of what encodes the words
            self._chosen, self._fault = before, fault_of(error)

    def _take(self, words: Sequence[str], bins: Sequence[float] | None = None) -> None:
        if bins is None and len(self.bins) != len(words):
            bins = BINS["original"]
        with self._held_back():
            self.words_field.value = _joined(words)
            self.bins_field.value = _joined(bins or self.bins)
        self._edited()

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
    """Move the bins and the temperature; see depth map, error map and metrics.

    Bins stay in ascending order: a moved bin pushes the bins in its way, and as it moves back they
    return, until another bin is moved.

    similarities: (N, V, K, h, w) of the frames and the K words. bins: the initial bins, ascending.
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
        self.bin_sliders = BinSliders(words, self._first[0], self._on, self._redraw)
        shared = {"low": 0.01, "high": 10.0, "step": 0.1, "log": True}
        self.temperature = Slider(value=temperature, label="temperature", **shared)
        fitting = {name: metres for name, metres in BINS.items() if len(metres) == len(words)}
        buttons = self._buttons(fitting, self._take, self._first)
        self.metrics_table = HTML()
        controls = [self.bin_sliders, self.temperature, buttons]
        picture = BinPicture(window_shape(frames))
        super().__init__(frames, picture, controls, at, "", below=[self.metrics_table])
        self._on(self.temperature, self._redraw)

    @property
    def bins(self) -> tuple[float, ...]:
        """The sliders' values, metres."""
        return self.bin_sliders.bins

    def draw(self) -> None:
        loaded, similarities = self._load(), self._similarities[self.frame.value][None]
        if loaded:
            self._first_score = self._scored(similarities, *self._first)
        size, temperature = self.picture.shape, self.temperature.value
        (self.depth,) = depth_maps(similarities, self.bins, size, temperature)
        self.picture.set_depth(self.depth)
        now = self._scored(similarities, self.bins, temperature)
        self._show_metrics(self._first_score, now)
        span = f"predicted depth from {self.depth.min():.2f} to {self.depth.max():.2f} m"
        scored = "" if self.truth is None else f", {METRICS['rmse'].label} {now['rmse']:.3f} m"
        self._show(span + scored)

    def _take(self, bins: Sequence[float], temperature: float | None = None) -> None:
        with self._at_once():
            self.bin_sliders.bins = bins
            self.temperature.value = temperature or self.temperature.value


def _joined(values: Sequence[object]) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
