"""What the explorers share: pickers, a picture that keeps its size, errors that are shown."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from ipywidgets import HTML, Button, Dropdown, HBox, Image, Layout, VBox, Widget
from torch import Tensor

from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.datasets.reading import read_rgb
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import PUBLISHED_METRICS, network_window
from depthclip_core.text import as_markup
from depthclip_core.widgets.pictures import HEIGHT, WIDTH, Picture

ALL = "all scenes"
ECHO = 1.0  # seconds after which nothing that a browser sends is an answer to what it was sent


class Explorer(VBox):
    """Pickers of scene and frame, controls, a line for what went wrong, and a picture.

    frames: of one size. at: the frame shown first, counted round where there are fewer.
    title: what the frames are of; empty: as the data set says.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        picture: Picture,
        controls: Sequence[Widget],
        at: int,
        title: str = "",
    ):
        frames = self.frames = as_dataset(frames)
        self.picture = picture
        self.title = title or frames.title
        scenes = [scene or "" for scene in frames.scenes]
        self._of_scene = {ALL: list(range(len(frames)))}
        for scene in sorted(set(scenes) - {""}):
            self._of_scene[scene] = [i for i, s in enumerate(scenes) if s == scene]
        named = zip(frames.names, scenes, strict=True)
        self._labels = [", ".join(filter(None, pair)) for pair in named]
        counts = [(f"{scene} ({len(which)})", scene) for scene, which in self._of_scene.items()]
        self.scene = Dropdown(options=counts, value=ALL, description="scene")
        self.frame = Dropdown(
            options=self._options(ALL), value=at % len(frames), description="frame"
        )
        # It keeps its size: the page stands still, and clicks are counted in the picture's pixels.
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
        """Show what the controls say."""
        raise NotImplementedError

    def _load(self) -> bool:
        """Read the chosen frame, if it is not the one that is shown; whether it was read."""
        position = self.frame.value
        if position == self._shown:
            return False
        self._rgb, self._raw_depth = self.frames.rgb(position), self.frames.raw_depth(position)
        self._window = network_window(self._rgb.shape[:2], self.frames.crop)
        view = self._window.slices
        self.truth = None if self._raw_depth is None else self._raw_depth[view]
        title = ", ".join(filter(None, [self.title, self._labels[position]]))
        self.picture.set_frame(self._rgb[view], self.truth, title)
        self._shown = position
        return True

    def _choose_scene(self) -> None:
        options = self._options(self.scene.value)
        positions = [position for _, position in options]
        stays = self.frame.value if self.frame.value in positions else positions[0]
        with self._at_once():
            self.frame.options = options
            self.frame.value = stays

    def _options(self, scene: str) -> list[tuple[str, int]]:
        return [(self._labels[position], position) for position in self._of_scene[scene]]

    def _on(self, control: Widget, action: Callable[[], None]) -> None:
        """Let a button's click, or another control's new value, do that."""
        if isinstance(control, Button):
            control.on_click(lambda _: self._safely(action))
        else:
            control.observe(lambda change: self._moved(change, action), "value")

    def _moved(self, change: Mapping, action: Callable[[], None]) -> None:
        """A control has a new value, by its user or as an echo of `_put`."""
        control, value = change["owner"], change["new"]
        if self._held or _same(change["old"], value):
            return
        before = self._recent(control)
        if before and not _same(value, before[-1]) and any(_same(value, v) for v in before[:-1]):
            with self._held_back():
                control.value = before[-1]  # an echo: this was asked for since
        else:
            self._safely(action)

    def _put(self, control: Widget, value: object) -> None:
        """Set a control from here.

        Sliders in a browser send back what they are set to, but for rounding, and when they are set
        again meanwhile, what they were set to before: such an echo is not the user's wish.
        """
        now = time.monotonic()
        known = [(now, value) for value in self._recent(control)] or [(now, control.value)]
        self._sent[control] = [*known, (now, value)]
        control.value = value

    def _recent(self, control: Widget) -> list[object]:
        """What a control was set to of late, and had before, the last at the end."""
        since = time.monotonic() - ECHO
        return [value for at, value in self._sent.get(control, ()) if at > since]

    def _safely(self, action: Callable[[], None]) -> None:
        """Do it; the one place where errors are met, and shown to whom they concern."""
        try:
            action()
        except Exception as error:  # without this the kernel would swallow it
            self.message.value = _in_red(error)
        else:
            self.message.value = ""

    @contextmanager
    def _held_back(self):
        """Controls that are set here call nothing."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    @contextmanager
    def _at_once(self):
        """Controls that are set here are followed by one drawing."""
        with self._held_back():
            yield
        self.draw()

    def _scored(self, similarities: Tensor, bins: Sequence[float], temperature: float) -> pd.Series:
        """The paper's metrics of the shown frame; NaN without ground truth."""
        if self._raw_depth is None:
            return pd.Series(np.nan, PUBLISHED_METRICS)
        scores = sweep([self._raw_depth], similarities, [bins], [temperature])
        return scores.rows().iloc[0][[*PUBLISHED_METRICS]]


def _same(one: object, other: object) -> bool:
    """Whether two values of a control are one but for how a browser rounds."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def seen_shape(frames: Sequence[Frame]) -> tuple[int, int]:
    """Rows and columns of pixels that the network sees of each frame."""
    return network_window(read_rgb(frames, [0]).shape[1:3], as_dataset(frames).crop).shape


def check_length(frames: Sequence[Frame], similarities: Tensor) -> None:
    """`DepthClipError` unless there is an answer for each frame."""
    if len(frames) != len(similarities):
        raise DepthClipError(
            f"{len(similarities)} responses for {len(frames)} frames: run collect_responses again"
        )


def as_table(metrics: pd.DataFrame) -> str:
    """Metrics as HTML, a row for each setting."""
    return metrics.to_html(float_format="{:.3f}".format, na_rep="–", border=0)


def _in_red(error: Exception) -> str:
    said = str(error) if isinstance(error, DepthClipError) else f"{type(error).__name__}: {error}"
    return f'<span style="color: #b00020">{as_markup(" ".join(said.split()))}</span>'
