"""A photograph beside its depth: one size, a scale, and lines that say what the depth may mean."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from depthclip_core.plots import photo_plots, style

NOTE = "the sample's CLIP knows only the sample's rendered rooms: its metres mean nothing " * 3
NOTE = NOTE.strip()


@pytest.fixture(autouse=True)
def in_style(monkeypatch):
    monkeypatch.setattr(Text, "set_text", Text.set_text)  # what `use_style` sets is taken back
    with matplotlib.rc_context(), pd.option_context("display.html.use_mathjax", True):
        style.use_style()
        yield


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (20, 64), (64, 12)])
def test_photo_and_its_depth_have_one_size_and_a_scale(shape):
    depth = np.linspace(1.2, 3.9, shape[0] * shape[1]).reshape(shape)
    title, label = "DepthCLIP, " + "very " * 60 + "long", "a_long_name_" * 20 + ".jpg"
    figure = photo_plots.photo_and_depth(
        np.zeros((*shape, 3), np.uint8), depth, title, label, [NOTE, "one more line"]
    )
    figure.canvas.draw()
    photo, shown, bar = (ax.get_window_extent() for ax in figure.axes)
    assert (photo.width, photo.height) == pytest.approx((shown.width, shown.height))
    assert photo.width / photo.height == pytest.approx(shape[1] / shape[0])
    assert (bar.y0, bar.y1) == pytest.approx((shown.y0, shown.y1))
    assert (photo.y0 > shown.y1) == (shape[1] > 2.2 * shape[0])
    assert figure.axes[1].images[0].get_clim() == (1.0, 4.0)
    assert figure.axes[2].get_ylabel() == "depth (m)"
    (notes,) = figure.texts[:-1]
    inside, lines = figure.bbox, notes.get_text().split("\n")
    assert " ".join(lines) == f"{NOTE} one more line"
    assert len(lines) >= 3 and notes.get_window_extent().y1 < min(photo.y0, shown.y0)
    titles = [ax._left_title for ax in figure.axes]
    texts = [figure._suptitle, notes, *titles, figure.axes[2].yaxis.label]
    for text in (t.get_window_extent() for t in texts if t.get_text()):
        assert inside.x0 <= text.x0 and text.x1 <= inside.x1
        assert inside.y0 <= text.y0 and text.y1 <= inside.y1
    assert titles[0].get_window_extent().x1 <= max(shown.x0, photo.x1)
    assert "…" in titles[0].get_text() and titles[0].get_text().endswith(".jpg")


@pytest.mark.parametrize(
    ("depth", "limits", "extend"),
    [([2.0, 2.0], (1.5, 2.5), "neither"), ([1.2, 1.3], (1.0, 1.5), "neither")],
)
def test_scale_of_a_flat_map(depth, limits, extend):
    rgb = np.zeros((1, 2, 3), np.uint8)
    figure = photo_plots.photo_and_depth(rgb, np.array([depth]), "a", "b")
    assert figure.axes[1].images[0].get_clim() == limits
    assert figure.axes[1].images[0].colorbar.extend == extend


def test_open_ends_of_the_scale_are_marked():
    depth = np.full((20, 20), 2.2)
    depth[0, 0], depth[-1, -1] = 0.3, 9.0
    figure = photo_plots.photo_and_depth(np.zeros((20, 20, 3), np.uint8), depth, "a", "b")
    assert figure.axes[1].images[0].colorbar.extend == "both"
