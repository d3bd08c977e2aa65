"""Controls with names, readable values and their own keys: a slider, and a picture to click on.

Both send a message only for what their user does. ipywidgets' sliders also send back, rounded, what
the kernel sets, which cannot be told from a wish. While the kernel is busy, ipywidgets keeps only
the last state of each control, so that stale moves and clicks are dropped.
"""

from pathlib import Path

import traitlets
from anywidget import AnyWidget

FOLDER = Path(__file__).parent


class Slider(AnyWidget):
    """A slider and a number field for one value, from low to high.

    step: of the value, or of its common logarithm if `log`. digits: decimal places shown.
    unit: shown after the number; its label is plain text and never markup.
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

    @traitlets.validate("value")
    def _within_limits(self, proposal) -> float:
        return min(max(proposal["value"], self.low), self.high)


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
