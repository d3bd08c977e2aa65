"""An explorer of one's own photographs: their depth under any words, bins and heads, and as files.

Nothing is scored here, because nobody measured these photographs' depth.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ipywidgets import HTML, Box, VBox

from depthclip_core.analysis.own_photo import PhotoReader, expectations
from depthclip_core.clip.encoders import Encoder, load_encoder
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.datasets.base import Dataset
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError
from depthclip_core.method.photo_depths import Setting, network_title, resolve_setting
from depthclip_core.method.point_cloud import camera_angle
from depthclip_core.settings import BINS, PROMPTS, TEMPERATURE
from depthclip_core.text import as_markup
from depthclip_core.widgets.actions import Acting, fault_of
from depthclip_core.widgets.bin_sliders import BinSliders
from depthclip_core.widgets.controls import Choice, Entry, Slider
from depthclip_core.widgets.depth_view import DepthView
from depthclip_core.widgets.downloads import Downloads
from depthclip_core.widgets.fields import read_words
from depthclip_core.widgets.photo_files import FILES, ShownPhoto
from depthclip_core.widgets.photo_picker import PhotoPicker
from depthclip_core.widgets.point_cloud import PointCloud

START = "Upload a photograph, drop it on the button, or type its path."


class PhotoExplorer(Acting):
    """Choose a photograph, words, bins and a head; read the depth, and save it.

    photos, at: as in `PhotoPicker`. encoder: None for the sample's. head, words, bins,
    temperature: as in `predict_depth`. field_of_view: degrees across the photographs' width; None
    or 0, as `camera_angle` finds them. store: where text vectors are kept.

    `setting` and `reading` are what is shown, and `view.pinned` is the pinned cell.
    """

    def __init__(
        self,
        photos: Dataset | str | Path | Sequence[str | Path] = (),
        encoder: Encoder | None = None,
        head: str = "value",
        words: str | Sequence[str] = "original",
        bins: str | Sequence[float] = "original",
        temperature: float = TEMPERATURE,
        *,
        at: int = 0,
        field_of_view: float | None = None,
        store: Store | None = None,
    ):
        self.encoder = encoder or load_encoder("sample")
        self.setting = self._first = resolve_setting(words, bins, head, temperature)
        self.reading, self._shown, self._given_angle = None, None, field_of_view
        self._reader = PhotoReader(self.encoder, store)
        self.picker = PhotoPicker(photos, at)
        self.view, self.downloads = DepthView(), Downloads()
        self.words_field = Entry(description="words")
        self.head = Choice([(name, name) for name in MAIN_HEADS], head, description="head")
        self.bin_sliders = BinSliders(self.setting.words, self.setting.bins, self._on, self._move)
        self.angle = Slider(low=5, high=150, step=1, digits=0, label="view angle", unit="°")
        self.angle_note, self.about = HTML(), HTML()
        self.size = Choice([("", False)], False, description="size of files")
        self._arrange()
        for control in (self.picker.path, self.picker.chosen, self.size):
            self.wishes.adopt(control)
        self.picker.observe(lambda _: self._safely(self.draw), "frame")
        self._on(self.words_field, self._edit_words)
        self._on(self.head, lambda: self._change(head=self.head.value))
        self._on(self.angle, self._draw_cloud)
        self._safely(self.draw)

    @property
    def shown(self) -> ShownPhoto:
        """What is shown, as it is saved; `DepthClipError` if no photograph is."""
        if self._shown is None:
            raise DepthClipError(START)
        own = {"field_of_view": self.angle.value, "own_size": self.size.value}
        return ShownPhoto(self._shown, self.reading, self.encoder, self.setting, **own)

    def _arrange(self) -> None:
        self.message.layout.min_height = "28px"
        words = {f"words: {name}": partial(self._take, words=w) for name, w in PROMPTS.items()}
        self.word_buttons = self._row(words | {"reset": self._reset})
        saves = {label: partial(self._save, *made) for label, made in FILES.items()}
        self.save_buttons = self._row(saves | {"show or hide the points": self._toggle_cloud})
        self.bin_buttons, self.cloud = VBox(), PointCloud()
        self._offer_bins()
        self.picker.layout.flex, self.head.layout.flex = "4 1 600px", "1 1 240px"
        source = Box([self.picker, self.head], layout={"flex_flow": "row wrap"})
        left = VBox([self.bin_sliders, self.angle, self.angle_note])
        right = VBox(
            [self.message, self.view, self.about, self.size, self.save_buttons, self.downloads]
        )
        panes = Box([left, right])
        above = [source, self.words_field, self.word_buttons, self.bin_buttons]
        super().__init__([*above, panes, self.cloud])
        parts = {self: "explorer", panes: "panes", left: "controls", right: "result"}
        parts |= {self.about: "note", self.angle_note: "note"}
        for box, name in parts.items():
            box.add_class(f"depthclip-{name}")

    def draw(self) -> None:
        self._show(self.setting)

    def _change(self, **changed: object) -> None:
        """Show another setting; if it cannot be shown, the last one stays."""
        now = self.setting
        own = {"bins": now.bins, "head": now.head, "temperature": now.temperature}
        self._show(resolve_setting(**({"prompts": now.words} | own | changed)))

    def _show(self, setting: Setting) -> None:
        photo = self.picker.photo
        self.view.layout.display = "none" if photo is None else ""
        if photo is None:
            self.setting = setting
            self._set_controls()
            return
        reading = self._reader.read(photo.frame, setting, photo.size)
        new, self._shown = photo is not self._shown, photo
        self.setting, self.reading = setting, reading
        self._set_controls()
        with self.view.hold_sync():
            if new:
                self.view.show_photo(photo.frame.rgb, photo.frame.name)
            of_cells = (reading.cells, reading.weights, setting.words, setting.bins)
            self.view.show_depth(reading.depth, *of_cells)
        if new:
            self._set_camera()
        self._draw_cloud()

    def _set_controls(self) -> None:
        """Let the controls say what the setting is."""
        setting = self.setting
        known = expectations(self.encoder, setting)
        self.about.value = as_markup(
            f"{network_title(self.encoder)}, {setting.head} head: {known}."
        )
        with self._held_back():
            self.words_field.value = ", ".join(setting.words)
            self.head.value = setting.head
            sliders, n_before = self.bin_sliders, len(self.bin_sliders.bins)
            # A bin that is being moved still pushes the others, which return.
            if (setting.words, setting.bins) != (sliders.words, sliders.bins):
                sliders.show(setting.words, setting.bins)
            if len(setting.bins) != n_before:
                self._offer_bins()

    def _offer_bins(self) -> None:
        """A button for each published list of as many bins as there are words."""
        n_words = len(self.setting.words)
        fitting = {name: own for name, own in BINS.items() if len(own) == n_words}
        presets = {f"bins: {name}": partial(self._take, bins=own) for name, own in fitting.items()}
        self.bin_buttons.children = [self._row(presets)] if presets else []

    def _set_camera(self) -> None:
        """Say what is known of the photograph's size and camera."""
        photo, seen = self._shown, self._shown.frame.rgb.shape
        angle, source = camera_angle(photo.size, photo.field_of_view, self._given_angle)
        self.angle_note.value = f"across the width, for the point cloud: {source}"
        sizes = [(f"{seen[0]} × {seen[1]}, as the network saw it", False)]
        if photo.size != seen[:2]:
            sizes.append((f"{photo.size[0]} × {photo.size[1]}, the photograph's own", True))
        with self._held_back():
            self.angle.value = angle
            self.size.choose_from(sizes, False)

    def _edit_words(self) -> None:
        self._fault = ""
        try:
            words = read_words(self.words_field.value)
            self._change(prompts=words, bins=self._bins_for(len(words)))
        except Exception as error:  # also of what encodes the words
            self._fault = fault_of(error)  # stays until the words are mended

    def _take(self, words: Sequence[str] | None = None, bins: Sequence[float] | None = None):
        self._fault = ""
        words = words or self.setting.words
        self._change(prompts=words, bins=bins or self._bins_for(len(words)))

    def _reset(self) -> None:
        self._fault = ""
        self._show(self._first)

    def _move(self) -> None:
        self._change(bins=self.bin_sliders.bins)

    def _bins_for(self, n_words: int) -> tuple[float, ...]:
        """The bins, or, for another number of words, as many from the nearest to the farthest."""
        bins = self.setting.bins
        spread = np.linspace(min(bins), max(bins), n_words).round(2)
        return bins if n_words == len(bins) else tuple(spread.tolist())

    def _save(self, ending: str, make: Callable[[ShownPhoto], bytes]) -> None:
        shown = self.shown
        self.downloads.save(shown.file_name(ending), make(shown))

    def _toggle_cloud(self) -> None:
        if self.cloud.opened:
            self.cloud.empty()
        else:
            self.cloud.show(*self.shown.points)

    def _draw_cloud(self) -> None:
        if self.cloud.opened:
            self.cloud.show(*self.shown.points)
