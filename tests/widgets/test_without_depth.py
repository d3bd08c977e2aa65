"""Explorers of photographs without depth show no place for it."""

import numpy as np
import pytest
import torch

from depthclip_core.datasets import Frame
from depthclip_core.widgets.explorers import BinExplorer, CellExplorer

SIMILARITIES = torch.from_numpy(
    np.random.default_rng(0).normal(0.2, 0.01, (2, 2, 3, 2, 3)).astype(np.float32)
)
SETTING = (["near", "middle", "far"], [1.0, 2.0, 4.0])


@pytest.fixture
def frames():
    """The second has depth, the first has none."""
    rgb = np.full((480, 640, 3), 200, np.uint8)
    return [Frame("photo", rgb), Frame("measured", rgb, np.full((480, 640), 2, np.float32))]


def pixels(explorer):
    explorer.picture.jpeg()
    return np.asarray(explorer.picture._canvas.buffer_rgba())[..., :3].copy()


def test_cell_explorer(frames):
    explorer = CellExplorer(frames, SIMILARITIES, *SETTING, title="two")
    assert "true" not in explorer.headline and "predicted" in explorer.headline
    x, y = 600, 500  # in the place of true depth, right of the scale that is there now
    assert (pixels(explorer)[346:, 480:] == 255).all()
    assert explorer.picture.cell_at(x, y) is None
    explorer.frame.value = 1
    assert "true 2.00 m" in explorer.headline
    assert (pixels(explorer)[y, x] != 255).any() and explorer.picture.cell_at(x, y)
    explorer.frame.value = 0
    assert (pixels(explorer)[346:, 480:] == 255).all()


def test_bin_explorer(frames):
    explorer = BinExplorer(frames, SIMILARITIES, *SETTING)
    assert explorer.metrics_table.value == ""
    assert (pixels(explorer)[346:, 390:] == 255).all()
    explorer.frame.value = 1
    assert "table" in explorer.metrics_table.value
    assert (pixels(explorer)[346:, 390:] != 255).any()
