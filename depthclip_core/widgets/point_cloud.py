"""A cloud of points to turn around, drawn by plotly inside the page."""

from importlib import resources
from pathlib import Path

import numpy as np
import traitlets
from anywidget import AnyWidget
from ipywidgets import VBox

MOST_POINTS = 30_000  # that a browser without a graphics card turns around


class CloudView(AnyWidget):
    """Points (N, 3) float32, little-endian, metres, and their colours (N, 3) uint8."""

    _css = Path(__file__).parent / "controls.css"
    points = traitlets.Bytes().tag(sync=True)
    colours = traitlets.Bytes().tag(sync=True)

    @property
    def _esm(self) -> str:
        """The script with plotly's own in it, so that nothing comes from another host."""
        plotly = resources.files("plotly").joinpath("package_data", "plotly.min.js")
        own = Path(__file__).with_name("point_cloud.js").read_text(encoding="utf-8")
        # As a module of Node's kind it leaves alone what the page has loaded by itself.
        before, after = "const module = { exports: {} };", "const Plotly = module.exports;"
        return "\n".join([before, plotly.read_text(encoding="utf-8"), after, own])


class PointCloud(VBox):
    """Empty until it is opened: what draws it has five megabytes, which a page then loads."""

    @property
    def opened(self) -> bool:
        return bool(self.children)

    def show(self, points: np.ndarray, colours: np.ndarray) -> None:
        """Draw points (N, 3) in metres with their colours (N, 3), at most `MOST_POINTS` of them.

        Whoever looks at them keeps the view.
        """
        # No whole number apart, which would leave out whole columns of pixels.
        kept = np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int)
        drawn = {
            "points": points[kept].astype("<f4").tobytes(),
            "colours": colours[kept].astype(np.uint8).tobytes(),
        }
        if self.opened:
            with self.children[0].hold_sync():
                self.children[0].set_state(drawn)
        else:
            self.children = [CloudView(**drawn)]

    def empty(self) -> None:
        """Draw nothing, and free what drew it."""
        shown, self.children = self.children, []
        for view in shown:
            view.close()
