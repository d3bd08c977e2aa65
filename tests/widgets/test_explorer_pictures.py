from io import BytesIO

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from depthclip_core.settings import BINS, PROMPTS
from depthclip_core.widgets.heads_picture import HeadsPicture
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
    """As small as a page may show it, letters have 9 pixels."""
    shape, names = (416, 544), ["DepthCLIP", "DepthCLIP + value head"]
    cells, bins = CellPicture(shape, (13, 17)), BinPicture(shape)
    heads = HeadsPicture(shape, (13, 17), names)
    weights, depth = np.ones(7) / 7, np.full(shape, 9.9)
    for picture in (cells, bins, heads):
        picture.set_frame(np.zeros((*shape, 3), np.uint8), depth, "a" * 80)
    for picture in (cells, heads):
        picture.set_words([*PROMPTS["original"][1:], "m" * 40], [*BINS["original"][1:], 10.0])
    for picture in (cells, bins):
        picture.set_depth(depth)
    cells.set_cell(12, 16, weights, "row 12, column 16: predicted 10.00 m, true 10.00 m")
    heads.set_cell((12, 16), dict.fromkeys(names, weights), dict.fromkeys(names, 10.0))
    heads.set_depths(dict.fromkeys(names, depth), [10.0])
    heads.set_true_depth(10.0)
    for picture in (cells, bins, heads):
        picture.jpeg()
        for text in picture.figure.findobj(Text):
            if not text.get_visible() or not text.get_text():
                continue
            box = text.get_window_extent()  # with room for descenders
            assert box.x0 >= 0 and box.x1 <= picture.width + 1, text
            assert box.y0 >= -3 and box.y1 <= picture.height + 1, text
            assert text.get_fontsize() * DPI / 72 * picture.least_width / picture.width >= 9, text
