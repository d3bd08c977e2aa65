"""The base of all explorers: frame pickers, a picture of fixed size, and error messages."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd
from ipywidgets import HTML, Button, Dropdown, HBox, Image, Layout, VBox, Widget
from torch import Tensor

from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.protocols import protocol_for
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import PUBLISHED_METRICS, network_window
from depthclip_core.text import as_markup
from depthclip_core.widgets.pictures import HEIGHT, WIDTH, Picture

ALL = "all scenes"
ECHO = 1.0  # seconds within which a browser may still echo a value that was set from here


class Explorer(VBox):
    """Pickers for scene and frame, controls, a line for errors, and a picture.

    frames: all of one size. at: position of the frame shown first, modulo their number.
    title: where the frames come from; if empty, the data set's own title.
    """

    def __init__(
        self, frames: Sequence[Frame], picture: Picture, controls: list[Widget], at: int, title: str
    ):
        self.frames, self.picture = as_dataset(frames), picture
        self.title = title or self.frames.title
        self._protocol = protocol_for(self.frames, "released")
        facts = zip(self.frames.names, self.frames.scenes, strict=True)
        labels = [(", ".join(filter(None, pair)), i) for i, pair in enumerate(facts)]
        self._options = {ALL: labels}  # of the frames' picker, by scene
        for scene in sorted(set(self.frames.scenes) - {None, ""}):
            places = [i for i, s in enumerate(self.frames.scenes) if s == scene]
            self._options[scene] = [labels[i] for i in places]
        counts = [(f"{scene} ({len(which)})", scene) for scene, which in self._options.items()]
        self.scene = Dropdown(options=counts, value=ALL, description="scene")
        self.frame = Dropdown(options=labels, value=at % len(labels), description="frame")
        # A fixed size keeps the page still and lets a click's position count the picture's pixels.
        size = Layout(width=f"{WIDTH}px", height=f"{HEIGHT}px", flex="0 0 auto", max_width="none")
        self.image = Image(format="png", layout=size)
        self.message = HTML(layout=Layout(height="28px"))
        self._held, self._shown = False, None
        self._sent: dict[Widget, list[tuple[float, object]]] = {}
        pickers = HBox([self.scene, self.frame])
        super().__init__([pickers, *controls, self.message, self.image])
        self.draw()
        self._on(self.scene, self._choose_scene)
        self._on(self.frame, self.draw)

    def draw(self) -> None:
        """Draw the picture for the current values of the controls."""
        raise NotImplementedError

    def _load(self) -> bool:
        """Read the chosen frame unless it is shown already; return whether it was read."""
        position = self.frame.value
        if position == self._shown:
            return False
        self._rgb, self._raw_depth = self.frames.rgb(position), self.frames.raw_depth(position)
        self._window = network_window(self._rgb.shape[:2], self.frames.crop)
        view = self._window.slices
        self.truth = None if self._raw_depth is None else self._raw_depth[view]
        title = ", ".join(filter(None, [self.title, self._options[ALL][position][0]]))
        self.picture.set_frame(self._rgb[view], self.truth, title)
        self._shown = position
        return True

    def _choose_scene(self) -> None:
        options, now = self._options[self.scene.value], self.frame.value
        with self._at_once():
            self.frame.options = options
            self.frame.value = now if now in [i for _, i in options] else options[0][1]

    def _on(self, control: Widget, action: Callable[[], None]) -> None:
        """Run an action when a button is clicked, or when another control's value changes."""
        if isinstance(control, Button):
            control.on_click(lambda _: self._safely(action))
        else:
            control.observe(lambda change: self._moved(change, action), "value")

    def _moved(self, change: Mapping, action: Callable[[], None]) -> None:
        """React to a control's new value, which comes from its user or is an echo of `_put`."""
        control, value = change["owner"], change["new"]
        if self._held or _same(change["old"], value):
            return
        before = self._recent(control)
        if before and not _same(value, before[-1]) and any(_same(value, v) for v in before[:-1]):
            with self._held_back():
                control.value = before[-1]  # an echo: this value was set later
        else:
            self._safely(action)

    def _put(self, control: Widget, value: object) -> None:
        """Set a control from here.

        A slider in a browser sends back every value that it is set to, rounded. If it has been set
        again meanwhile, an old value comes back late; `_moved` ignores such an echo.
        """
        now = time.monotonic()
        known = [(now, value) for value in self._recent(control)] or [(now, control.value)]
        self._sent[control] = [*known, (now, value)]
        control.value = value

    def _recent(self, control: Widget) -> list[object]:
        """The values that a control was set to recently, oldest first, with the one before them."""
        since = time.monotonic() - ECHO
        return [value for at, value in self._sent.get(control, ()) if at > since]

    def _safely(self, action: Callable[[], None]) -> None:
        """Run an action and show its error, if any, above the picture."""
        shown = ""
        try:
            action()
        except Exception as error:  # the kernel would swallow it
            text = f"{type(error).__name__}: {error}"
            text = str(error) if isinstance(error, DepthClipError) else text
            shown = f'<span style="color: #b00020">{as_markup(" ".join(text.split()))}</span>'
        self.message.value = shown

    @contextmanager
    def _held_back(self):
        """Setting controls in this block runs no actions."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    @contextmanager
    def _at_once(self):
        """Setting controls in this block draws once, at its end."""
        with self._held_back():
            yield
        self.draw()

    def _buttons(self, presets: Mapping, take: Callable, first: tuple) -> list[Button]:
        """A button that takes each preset, and one that takes what was set at first."""
        *buttons, self.reset = [Button(description=name) for name in (*presets, "reset")]
        self.presets = dict(zip(presets, buttons, strict=True))
        for name, values in presets.items():
            self._on(self.presets[name], partial(take, values))
        self._on(self.reset, partial(take, *first))
        return [*buttons, self.reset]

    def _show_metrics(self, at_first: pd.Series, now: pd.Series) -> None:
        """Put the metrics of the initial and of the current settings into a table."""
        self.metrics = pd.DataFrame({"at first": at_first, "now": now}).T
        style = {"float_format": "{:.3f}".format, "na_rep": "–", "border": 0}
        self.metrics_table.value = self.metrics.to_html(**style)

    def _scored(self, similarities: Tensor, bins: Sequence[float], temperature: float) -> pd.Series:
        """The paper's metrics of the shown frame; NaN without ground truth."""
        if self._raw_depth is None:
            return pd.Series(np.nan, PUBLISHED_METRICS)
        truth = self.frames.ground_truth(self._shown)
        scores = sweep([truth], similarities, [bins], [temperature], [self._protocol])
        return scores.rows().iloc[0][[*PUBLISHED_METRICS]]


def _same(one: object, other: object) -> bool:
    """Whether two values of a control are equal up to the rounding of a browser."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def window_shape(frames: Sequence[Frame]) -> tuple[int, int]:
    """Rows and columns of the window that the network sees of each frame, in pixels."""
    return as_dataset(frames)[0].window.shape


def check_length(frames: Sequence[Frame], similarities: Tensor) -> None:
    """Raise `DepthClipError` unless there are similarities for each frame."""
    if len(frames) != len(similarities):
        counts = f"{len(similarities)} similarities for {len(frames)} frames"
        raise DepthClipError(f"{counts}: re-run collect_responses")
