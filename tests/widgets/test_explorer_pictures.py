from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from depthclip_core.widgets.pictures import BARS, CellPicture


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
