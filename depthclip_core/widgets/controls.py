"""Controls with names, readable values and their own keys, such as a slider and a picture.

A control sends only what its user wishes, through the queue of its explorer (`wishes.py`), where
wishes keep their order. ipywidgets' controls also send back, rounded, what the kernel sets, which
cannot be told from a wish.
"""

from collections.abc import Callable
from pathlib import Path

import traitlets
from anywidget import AnyWidget
from ipywidgets import widget_serialization

from depthclip_core.widgets.wishes import Wishes

FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """A control's JavaScript, with what all controls share."""
    return "\n".join((FOLDER / part).read_text(encoding="utf-8") for part in ("wishes.js", name))


class Control(AnyWidget):
    """The base of all controls.

    wishes: the queue that brings what a page wishes of this control; one of its own, unless an
    explorer adopts the control. place: its place in the queue.
    """

    _css = FOLDER / "controls.css"
    wishes = traitlets.Instance(Wishes, allow_none=True).tag(sync=True, **widget_serialization)
    place = traitlets.Int(0).tag(sync=True)

    def __init__(self, **values):
        super().__init__(**values)
        Wishes().adopt(self)

    def take(self, wish) -> None:
        """Do what a page wishes."""
        raise NotImplementedError


class Slider(Control):
    """A slider and a number field for one value, from low to high.

    step: of the value, or of its common logarithm if `log`. digits: decimal places shown.
    unit: shown after the number. label: plain text, never markup.
    """

    _esm = script("slider.js")
    value = traitlets.Float().tag(sync=True)
    low = traitlets.Float(0.0).tag(sync=True)
    high = traitlets.Float(1.0).tag(sync=True)
    step = traitlets.Float(1.0).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    digits = traitlets.Int(2).tag(sync=True)
    log = traitlets.Bool(False).tag(sync=True)

    @traitlets.validate("value")
    def _within_limits(self, proposal) -> float:
        return min(max(proposal["value"], self.low), self.high)

    def take(self, wish: float) -> None:
        self.value = wish


class Button(Control):
    """A button. description: what it says."""

    _esm = script("button.js")
    description = traitlets.Unicode().tag(sync=True)

    def __init__(self, **values):
        super().__init__(**values)
        self._actions: list[Callable[[Button], None]] = []

    def on_click(self, action: Callable[["Button"], None]) -> None:
        """Call the action with this button at each press."""
        self._actions.append(action)

    def click(self) -> None:
        """Press the button."""
        for action in self._actions:
            action(self)

    def take(self, wish: int) -> None:
        for _ in range(wish):
            self.click()


class Choice(Control):
    """A list to choose one entry from.

    options: (label, value) pairs. value: that of the chosen entry. labels and index: the same for
    a page.
    """

    _esm = script("choice.js")
    description = traitlets.Unicode().tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    value = traitlets.Any()

    def __init__(self, options: list[tuple[str, object]], value: object, **values):
        super().__init__(**values)
        self.choose_from(options, value)

    @property
    def options(self) -> list[tuple[str, object]]:
        return list(self._options)

    def choose_from(self, options: list[tuple[str, object]], value: object) -> None:
        """Set the entries, and which of them is chosen."""
        self._options = list(options)
        with self.hold_sync():
            self.labels = [label for label, _ in options]
            self.index = self._place_of(value)
            self.value = value

    @traitlets.validate("value")
    def _is_listed(self, proposal) -> object:
        self._place_of(proposal["value"])
        return proposal["value"]

    @traitlets.observe("value")
    def _show_place(self, change) -> None:
        self.index = self._place_of(change["new"])

    def _place_of(self, value: object) -> int:
        values = [listed for _, listed in self._options]
        if value not in values:
            raise traitlets.TraitError(f"{value!r} is not in the list “{self.description}”")
        return values.index(value)

    def take(self, wish: tuple[int, str]) -> None:
        place, label = wish
        if self.labels[place : place + 1] == [label]:  # else the list is another by now
            self.value = self._options[place][1]


class Entry(Control):
    """A line of text. live: whether each key counts, and not only the finished text."""

    _esm = script("entry.js")
    value = traitlets.Unicode().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    live = traitlets.Bool(False).tag(sync=True)

    def take(self, wish: str) -> None:
        self.value = wish


class ShownPicture(Control):
    """A picture that scales with the page, and tells where it was clicked.

    value: a JPEG or PNG file of width × height pixels. least_width: pixels; where a page has less
    room, the picture scrolls in a box of its own. alt: what the picture shows, read out when
    it changes. click: x and y in the picture's pixels from its upper left corner, and a count.
    """

    _esm = script("shown_picture.js")
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    least_width = traitlets.Int(1).tag(sync=True)
    click = traitlets.List([0, 0, 0])

    def take(self, wish: tuple[float, float]) -> None:
        self.click = [*wish, self.click[2] + 1]
