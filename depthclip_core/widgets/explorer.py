"""The base of all explorers: controls beside a picture, metrics, and error messages."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from ipywidgets import Box, VBox, Widget
from torch import Tensor

from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.protocols import protocol_for
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import PUBLISHED_METRICS, network_window
from depthclip_core.text import printable
from depthclip_core.widgets.actions import Acting
from depthclip_core.widgets.controls import ShownPicture
from depthclip_core.widgets.frame_picker import FramePicker
from depthclip_core.widgets.pictures import Picture


class Explorer(Acting):
    """Controls, and beside them what they change: a line for errors, a picture, its metrics.

    Both columns fit JupyterLab at 1,280 × 800 pixels; on narrower pages they stack.

    frames: all of one size. at: position of the frame shown first, modulo their number.
    title: where the frames come from; if empty, the data set's own title. above: controls that
    need the whole width. below: what comes under the picture.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        picture: Picture,
        controls: Sequence[Widget],
        at: int,
        title: str,
        *,
        above: Sequence[Widget] = (),
        below: Sequence[Widget] = (),
    ):
        self.frames, self.picture = as_dataset(frames), picture
        self.title = title or self.frames.title
        self._protocol = protocol_for(self.frames, "released")
        names, scenes = self.frames.names, self.frames.scenes
        self.picker = FramePicker(names, scenes, at % len(names))
        self.scene, self.frame = self.picker.scene, self.picker.frame
        size = {"width": picture.width, "height": picture.height}
        self.image = ShownPicture(**size, least_width=picture.least_width)
        self.message.layout.min_height = "28px"
        self._shown = None
        left = VBox([*self._sources(), *controls])
        right = VBox([self.message, self.image, *below])
        panes = Box([left, right])
        super().__init__([*above, panes])
        parts = {self: "explorer", panes: "panes", left: "controls", right: "result"}
        for box, name in parts.items():
            box.add_class(f"depthclip-{name}")
        self.draw()
        self._on(self.scene, self._choose_scene)
        self._on(self.picker.find, self._narrow)
        self._on(self.frame, self._redraw)
        self._on(self.picker.previous, partial(self._step, -1))
        self._on(self.picker.next, partial(self._step, 1))

    def _repr_mimebundle_(self, **options) -> tuple[dict, dict]:
        """The widget for pages with a kernel; for others its picture, with the text it shows."""
        data = super()._repr_mimebundle_(**options)
        data["image/png"] = b64encode(self.picture.png()).decode()
        return data, {"image/png": {"alt": self.image.alt}}

    def _sources(self) -> list[Widget]:
        """Controls that choose what is shown."""
        return [self.picker]

    def _load(self) -> bool:
        """Read the chosen frame unless it is shown already; return whether it was read."""
        position = self.frame.value
        if position == self._shown:
            return False
        self._rgb, self._raw_depth = self.frames.rgb(position), self.frames.raw_depth(position)
        self._window = network_window(self._rgb.shape[:2], self.frames.crop)
        view = self._window.slices
        self.truth = None if self._raw_depth is None else self._raw_depth[view]
        title = ", ".join(filter(None, [self.title, self.picker.labels[position]]))
        self.picture.set_frame(self._rgb[view], self.truth, title)
        self._shown = position
        return True

    def _show(self, text: str) -> None:
        """Show the picture; the text says what is on it to those who do not see it."""
        label = self.picker.labels[self._shown]
        picture = self.picture.jpeg()
        with self.image.hold_sync():  # one message
            self.image.alt = printable(f"{label}: photograph and depth maps; {text}")
            self.image.value = picture

    def _choose_scene(self) -> None:
        with self._at_once():
            self.picker.find.value = ""
            self.picker.narrow()

    def _step(self, by: int) -> None:
        with self._at_once():
            self.picker.step(by)

    def _narrow(self) -> None:
        with self._at_once():
            self.picker.narrow()

    def _buttons(self, presets: Mapping, take: Callable, first: tuple) -> Box:
        """A button that takes each preset, and one that takes what was set at first."""
        actions = {name: partial(take, values) for name, values in presets.items()}
        box = self._row(actions | {"reset": partial(take, *first)})
        *buttons, self.reset = box.children
        self.presets = dict(zip(presets, buttons, strict=True))
        return box

    def _show_metrics(self, at_first: pd.Series, now: pd.Series) -> None:
        """Put the metrics of the initial and of the current settings into a table."""
        self.metrics = pd.DataFrame({"at first": at_first, "now": now}).T
        style = {"float_format": "{:.3f}".format, "na_rep": "–", "border": 0}
        titled = self.metrics.rename(columns={name: METRICS[name].title for name in self.metrics})
        self.metrics_table.value = "" if self.truth is None else titled.to_html(**style)

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

    def _scored(self, similarities: Tensor, bins: Sequence[float], temperature: float) -> pd.Series:
        """The paper's metrics of the shown frame; NaN without ground truth."""
        if self._raw_depth is None:
            return pd.Series(np.nan, PUBLISHED_METRICS)
        truth = self.frames.ground_truth(self._shown)
        scores = sweep([truth], similarities, [bins], [temperature], [self._protocol])
        return scores.rows().iloc[0][[*PUBLISHED_METRICS]]


def window_shape(frames: Sequence[Frame]) -> tuple[int, int]:
    """Rows and columns of the window that the network sees of each frame, in pixels."""
    return as_dataset(frames)[0].window.shape


def check_length(frames: Sequence[Frame], similarities: Tensor) -> None:
    """Raise `DepthClipError` unless there are similarities for each frame."""
    if len(frames) != len(similarities):
        counts = f"{len(similarities)} similarities for {len(frames)} frames"
        raise DepthClipError(f"{counts}: re-run collect_responses")
