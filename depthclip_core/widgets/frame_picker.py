"""Choose a frame: by scene, by part of its name, from the list of what is left, or the next one."""

from collections.abc import Sequence

from ipywidgets import HBox, VBox

from depthclip_core.errors import DepthClipError
from depthclip_core.widgets.controls import Button, Choice, Entry

ALL = "all scenes"


class FramePicker(VBox):
    """Controls that choose one of the frames; `frame.value` is its position.

    They are shown if there are several frames. names, scenes: of the frames; a scene may be None.
    at: position of the frame chosen first.
    """

    def __init__(self, names: Sequence[str], scenes: Sequence[str | None], at: int):
        facts = zip(names, scenes, strict=True)
        self.labels = [", ".join(filter(None, pair)) for pair in facts]
        self._scenes = scenes
        counts = [(f"{ALL} ({len(names)})", ALL)]
        for scene in sorted(set(scenes) - {None, ""}):
            counts.append((f"{scene} ({list(scenes).count(scene)})", scene))
        self.scene = Choice(options=counts, value=ALL, description="scene")
        self.find = Entry(description="find", placeholder="part of a frame's name", live=True)
        options = [(label, i) for i, label in enumerate(self.labels)]
        self.frame = Choice(options=options, value=at, description="frame")
        self.previous = Button(description="previous frame")
        self.next = Button(description="next frame")
        steps = HBox([self.previous, self.next])
        steps.add_class("depthclip-buttons")
        # With one frame, there is nothing to choose.
        super().__init__([self.scene, self.find, self.frame, steps] if len(names) > 1 else [])

    def narrow(self) -> None:
        """List only frames of the chosen scene whose names contain the text to find.

        The chosen frame stays if it is listed; else the first is chosen. Raises `DepthClipError`
        if there is none.
        """
        scene, text = self.scene.value, self.find.value.strip()
        options = [
            (label, i)
            for i, label in enumerate(self.labels)
            if scene in (ALL, self._scenes[i]) and text.casefold() in label.casefold()
        ]
        if not options:
            place = "No frame" if scene == ALL else f"No frame of {scene}"
            raise DepthClipError(f"{place} has “{text}” in its name.")
        now = self.frame.value
        chosen = now if now in [i for _, i in options] else options[0][1]
        self.frame.choose_from(options, chosen)

    def step(self, by: int) -> None:
        """Choose the frame so many places further down the list, which is a circle."""
        listed = [i for _, i in self.frame.options]
        self.frame.value = listed[(listed.index(self.frame.value) + by) % len(listed)]
