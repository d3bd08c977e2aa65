"""The maps that a bin explorer draws again and again, by a quicker way than matplotlib's own."""

import numpy as np
import pytest

from depthclip_core.widgets.pictures import BinPicture, draw_nearest


@pytest.mark.parametrize("shape", [(416, 544), (352, 1216), (97, 61)])
def test_a_quick_map_is_the_map_that_matplotlib_draws(shape):
    """Up to where a source pixel ends: there matplotlib may choose its neighbour."""
    picture = BinPicture(shape)
    slope = np.linspace(0.5, 9.5, shape[1]) + np.linspace(0, 0.4, shape[0])[:, None]
    slope[: shape[0] // 4, : shape[1] // 3] = 0  # missing
    picture.set_frame(np.zeros((*shape, 3), np.uint8), np.full(shape, 3.0), "frame")
    picture.set_depth(slope)
    picture.jpeg()
    image, renderer = picture._depth, picture._canvas.get_renderer()
    drawn = []
    for draw in (image.draw, lambda renderer: draw_nearest(image, renderer)):
        draw(renderer)
        drawn.append(np.asarray(picture._canvas.buffer_rgba()).astype(int))
    difference = np.abs(drawn[0] - drawn[1]).max(-1)
    assert (difference > 0).mean() < 0.05 and (difference > 24).mean() < 0.005
    assert drawn[0].std() > 30
