"""A photograph beside its depth, which a page reads out cell by cell without asking the kernel."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import traitlets
from anywidget import AnyWidget
from matplotlib.colors import Normalize, to_hex
from PIL import Image

from depthclip_core.plots.map_plots import known, middle_limits
from depthclip_core.plots.style import DEPTH_COLOURS
from depthclip_core.text import printable

FOLDER = Path(__file__).parent
COLOURS = [to_hex(DEPTH_COLOURS(share)) for share in np.linspace(0, 1, 17)]  # of the colour bar


class DepthView(AnyWidget):
    """A photograph and its depth map side by side, the scale in metres, and what each word weighs.

    The pointer marks the cell below it, a click or the arrow keys pin one. photo, depth: pictures
    as files. grid: rows and columns of cells. cells, weights: float32, little-endian, (h, w)
    metres and (K, h, w). limits: of the scale, metres. pinned: row and column; a page sets it.
    """

    _esm = FOLDER / "depth_view.js"
    _css = FOLDER / "controls.css"
    name = traitlets.Unicode().tag(sync=True)
    photo = traitlets.Bytes().tag(sync=True)
    depth = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    grid = traitlets.List([1, 1]).tag(sync=True)
    cells = traitlets.Bytes().tag(sync=True)
    weights = traitlets.Bytes().tag(sync=True)
    words = traitlets.List().tag(sync=True)
    bins = traitlets.List().tag(sync=True)
    limits = traitlets.List([0.0, 1.0]).tag(sync=True)
    colours = traitlets.List(COLOURS).tag(sync=True)
    pinned = traitlets.List([0, 0]).tag(sync=True)

    def show_photo(self, rgb: np.ndarray, name: str) -> None:
        """Show another photograph (H, W, 3)."""
        self.name, self.photo = printable(name), _file(rgb, "JPEG", quality=92)
        self.height, self.width = rgb.shape[:2]

    def show_depth(
        self,
        depth: np.ndarray,
        cells: np.ndarray,
        weights: np.ndarray,
        words: Sequence[str],
        bins: Sequence[float],
    ) -> None:
        """Show depth (H, W) in metres, and what it is made of: a pinned cell stays, if it exists.

        cells: (h, w) metres. weights: (K, h, w) of K words, each with its bin in metres.
        """
        near, far = self.limits = [*middle_limits(depth)]
        colours = DEPTH_COLOURS(Normalize(near, far)(known(depth)), bytes=True)[..., :3]
        if [*cells.shape] != self.grid:
            self.grid = [*cells.shape]
            self.pinned = [cells.shape[0] * 3 // 4, cells.shape[1] // 3]
        # Speed matters more than size: a nearby browser shows the picture, and nobody keeps it.
        self.depth = _file(np.ascontiguousarray(colours), "PNG", compress_level=1)
        self.cells, self.weights = cells.astype("<f4").tobytes(), weights.astype("<f4").tobytes()
        self.words, self.bins = [printable(word) for word in words], [float(b) for b in bins]


def _file(rgb: np.ndarray, kind: str, **options) -> bytes:
    file = BytesIO()
    Image.fromarray(rgb).save(file, kind, **options)
    return file.getvalue()
