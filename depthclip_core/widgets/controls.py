"""Controls with names, readable values and their own keys: a slider, and a picture to click on.

Both send a message only for what their user wishes. ipywidgets' sliders also send back, rounded,
what the kernel sets, which cannot be told from a wish. Wishes are numbered: each is new to the
kernel, also where it repeats a value, and a browser knows which of them the kernel has answered.
While the kernel is busy, ipywidgets keeps the last state of a control only, so that stale moves and
clicks are dropped.
"""

from pathlib import Path
from threading import RLock

import traitlets
from anywidget import AnyWidget

FOLDER = Path(__file__).parent
# JupyterLab may let each control's messages be handled in a thread of its own: what one wish
# brings about ends before the next is taken.
ONE_WISH = RLock()


class Slider(AnyWidget):
    """A slider and a number field for one value, from low to high.

    step: of the value, or of its common logarithm if `log`. digits: decimal places shown.
    unit: shown after the number. label: plain text, never markup. wish: what the user chose, and
    the wish's number. answered: the number of the last wish that was taken.
    """

    _esm = FOLDER / "slider.js"
    _css = FOLDER / "controls.css"
    value = traitlets.Float().tag(sync=True)
    low = traitlets.Float(0.0).tag(sync=True)
    high = traitlets.Float(1.0).tag(sync=True)
    step = traitlets.Float(1.0).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    digits = traitlets.Int(2).tag(sync=True)
    log = traitlets.Bool(False).tag(sync=True)
    wish = traitlets.List([0.0, 0]).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)

    @traitlets.validate("value")
    def _within_limits(self, proposal) -> float:
        return min(max(proposal["value"], self.low), self.high)

    @traitlets.observe("wish")
    def _take(self, change) -> None:
        # Both are sent together, after what the new value brings about.
        with ONE_WISH, self.hold_sync():
            self.value, self.answered = change["new"]


class ShownPicture(AnyWidget):
    """A picture that scales with the page, and tells where it was clicked.

    value: a PNG file of width × height pixels. alt: what the picture shows, read out when it
    changes. click: x and y in the picture's pixels from its upper left corner, and a count.
    """

    _esm = FOLDER / "shown_picture.js"
    _css = FOLDER / "controls.css"
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    click = traitlets.List([0, 0, 0]).tag(sync=True)
