"""A cloud of points to turn around, drawn by plotly inside the page."""

import numpy as np
from ipywidgets import VBox

from depthclip_core.plots.photo_plots import cloud_figure, drawn_points


class PointCloud(VBox):
    """Empty until it is opened: what draws it has some megabytes, which a page then loads once."""

    @property
    def opened(self) -> bool:
        return bool(self.children)

    def open_on(self, points: np.ndarray, colours: np.ndarray) -> None:
        """Draw points (N, 3) in metres with their colours (N, 3), from the camera's place."""
        import plotly.graph_objects as go  # slow to import, and rarely used

        self.children = [go.FigureWidget(cloud_figure(points, colours))]

    def move(self, points: np.ndarray) -> None:
        """Draw other places of the same points; whoever looks keeps the view."""
        (figure,) = self.children
        with figure.batch_update():
            figure.data[0].x, figure.data[0].y, figure.data[0].z = drawn_points(points).T

    def empty(self) -> None:
        """Draw nothing, and free what drew it."""
        for figure in self.children:
            figure.close()
        self.children = []
