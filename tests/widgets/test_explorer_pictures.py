from io import BytesIO

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from depthclip_core.settings import BINS, PROMPTS
from depthclip_core.widgets.pictures import BARS, DPI, BinPicture, CellPicture


@pytest.mark.parametrize("colour", [BARS, "#000000", "#FFFFFF", "#808080"])
def test_cell_mark_is_seen_on_every_colour(colour):
    shape, row, column = (416, 544), 6, 8
    picture = CellPicture(shape, (13, 17))
    rgb = np.full((*shape, 3), [int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
    picture.set_frame(rgb, None, "")
    picture.set_depth(np.ones(shape))
    picture.set_words(["near", "far"], [1.0, 2.0])
    picture.set_cell(row, column, [0.5, 0.5], "")
    pixels = np.asarray(Image.open(BytesIO(picture.jpeg())))
    top, left, side = 24 + 22 * row, 4 + 22 * column, 22
    around = pixels[top - 4 : top + side + 4, left - 4 : left + side + 4]
    assert (around.max(axis=-1) < 60).sum() > 2 * side
    assert (around.min(axis=-1) > 200).sum() > 2 * side


def test_no_text_is_cut_or_small():
    """At two thirds of its size, where JupyterLab is 1,280 pixels wide, letters have 9 pixels."""
    shape = (416, 544)
    cells, bins = CellPicture(shape, (13, 17)), BinPicture(shape)
    cells.set_words([*PROMPTS["original"][1:], "m" * 40], [*BINS["original"][1:], 10.0])
    cells.set_cell(12, 16, np.ones(7) / 7, "row 12, column 16: predicted 10.00 m, true 10.00 m")
    for picture in (cells, bins):
        picture.set_frame(np.zeros((*shape, 3), np.uint8), np.full(shape, 9.9), "a" * 80)
        picture.set_depth(np.full(shape, 9.9))
        picture.jpeg()
        for text in picture.figure.findobj(Text):
            if not text.get_visible() or not text.get_text():
                continue
            box = text.get_window_extent()  # with room for descenders
            assert box.x0 >= 0 and box.x1 <= picture.width + 1, text
            assert box.y0 >= -3 and box.y1 <= picture.height + 1, text
            assert text.get_fontsize() * DPI / 72 * 533 / picture.width >= 8.9, text
