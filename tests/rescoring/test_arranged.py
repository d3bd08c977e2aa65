"""Maps are placed by a stated rule and resized as a plain loop does."""

import numpy as np
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import OPTIONS
from depthclip_core.rescoring.arranged import arrange, covered_window
from depthclip_core.settings import Window

NYU, KITTI = (480, 640), (375, 1242)


@pytest.mark.parametrize(
    ("shape", "frame", "window"),
    [
        (NYU, NYU, Window(0, 480, 0, 640)),
        ((240, 320), NYU, Window(0, 480, 0, 640)),
        ((416, 544), NYU, Window(56, 472, 60, 604)),
        ((426, 560), NYU, Window(45, 471, 41, 601)),
        ((213, 280), NYU, Window(45, 471, 41, 601)),
        ((426, 555), NYU, Window(45, 471, 46, 601)),
        ((352, 1216), KITTI, Window(23, 375, 13, 1229)),
        ((530, 730), (530, 730), Window(0, 530, 0, 730)),
    ],
)
def test_what_a_map_covers_is_told_by_its_size(shape, frame, window):
    assert covered_window(shape, frame) == window


def test_place_by_name_and_sizes_that_tell_nothing():
    assert covered_window((100, 200), NYU, "eigen-nyu") == Window(45, 471, 41, 601)
    turned = ((640, 480), "is turned, for a frame of 480 × 640: save maps as")
    for shape, says in [((100, 200), "no known part"), ((10, 13), "none or eigen-nyu"), turned]:
        with pytest.raises(DepthClipError, match=says) as caught:
            covered_window(shape, NYU)
        assert "\n" not in str(caught.value)


def at(values, row, column):
    """Bilinear between the pixels around a place, which is held inside."""
    height, width = values.shape
    row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
    r, c = int(row), int(column)
    below, right = min(r + 1, height - 1), min(c + 1, width - 1)
    a, b = row - r, column - c
    around = values[r, c], values[r, right], values[below, c], values[below, right]
    return np.dot(around, [(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b])


def plain_resize(values, shape, mode):
    out = np.zeros(shape)
    (height, width), (tall, wide) = values.shape, shape
    for i in range(tall):
        for j in range(wide):
            if mode == "corners aligned":
                out[i, j] = at(values, i * (height - 1) / (tall - 1), j * (width - 1) / (wide - 1))
            elif mode == "bilinear":
                row, column = (i + 0.5) * height / tall - 0.5, (j + 0.5) * width / wide - 0.5
                out[i, j] = at(values, row, column)
            else:
                out[i, j] = values[int(i * height / tall), int(j * width / wide)]
    return out


@pytest.mark.parametrize("resize", OPTIONS["resize"])
def test_resizing_matches_a_plain_loop(resize):
    rng = np.random.default_rng(0)
    depth, truth = rng.uniform(1, 5, (6, 8)), rng.uniform(1, 5, (12, 16))
    truth[0, :3] = 0
    found = arrange(depth, truth, "by size", resize)
    what, mode = resize.split(", ")
    if what == "map":
        np.testing.assert_allclose(found.depth, plain_resize(depth, (12, 16), mode), rtol=1e-5)
        np.testing.assert_array_equal(found.truth, truth.astype(np.float32))
    else:
        np.testing.assert_allclose(found.truth, plain_resize(truth, (6, 8), mode), atol=1e-5)
        np.testing.assert_array_equal(found.depth, depth.astype(np.float32))


def test_pixel_with_a_missing_neighbour_stays_missing():
    depth, truth = np.full((5, 5), 2.0), np.ones((9, 9))
    depth[2, 2] = 0
    found = arrange(depth, truth, "by size", "map, corners aligned").depth
    assert set(np.unique(found)) == {0.0, 2.0}
    assert found[4, 4] == found[3, 4] == found[5, 5] == 0 and found[2, 4] == found[6, 4] == 2


def test_crop_is_the_same_part_of_a_smaller_grid():
    small = arrange(np.ones((240, 320)), np.ones(NYU), "by size", "truth, nearest")
    assert small.inside("eigen-nyu") == (slice(22, 236), slice(20, 300))  # 45 / 2 is even as 22
    whole = arrange(np.ones((416, 544)), np.ones(NYU), "by size", "map, nearest")
    assert whole.inside("released") == (slice(0, 415), slice(0, 541))
    assert whole.inside("none") == (slice(0, 416), slice(0, 544))
