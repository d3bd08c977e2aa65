import numpy as np
import pytest

from depthclip_core.crops import CROPS, bottom_centre, centre, crop_window, crops_for, overlap
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import Window

NYU, LOW, USUAL = (480, 640), (370, 1224), (375, 1242)


@pytest.mark.parametrize(
    ("name", "shape", "window"),
    [
        ("none", (5, 7), Window(0, 5, 0, 7)),
        ("eigen-nyu", NYU, Window(45, 471, 41, 601)),
        ("released", NYU, Window(45, 471, 46, 601)),
        ("nyu-21", NYU, Window(21, 461, 25, 617)),
        ("depthclip-window", NYU, Window(56, 472, 60, 604)),
        ("garg", LOW, Window(151, 366, 43, 1180)),
        ("garg", USUAL, Window(153, 371, 44, 1197)),
        ("eigen-kitti", LOW, Window(122, 337, 43, 1180)),
        ("eigen-kitti", USUAL, Window(124, 342, 44, 1197)),
        ("kb", LOW, Window(18, 370, 4, 1220)),
        ("kb", USUAL, Window(23, 375, 13, 1229)),
    ],
)
def test_crop_window(name, shape, window):
    assert crop_window(name, shape) == window


@pytest.mark.parametrize("name", ["garg", "eigen-kitti"])
def test_fractions_are_truncated_as_in_the_common_code(name):
    """The line that BTS, AdaBins and their successors copy."""
    rows, columns = {
        "garg": ((0.40810811, 0.99189189), (0.03594771, 0.96405229)),
        "eigen-kitti": ((0.3324324, 0.91351351), (0.0359477, 0.96405229)),
    }[name]
    for height in range(352, 377):
        for width in (1216, 1224, 1226, 1238, 1241, 1242):
            usual = [a * height for a in rows] + [a * width for a in columns]
            assert crop_window(name, (height, width)) == Window(*np.array(usual).astype(np.int32))


def test_all_known_crops_have_a_window():
    for name in CROPS:
        shape = USUAL if name in ("garg", "eigen-kitti", "kb", "none") else NYU
        window = crop_window(name, shape)
        assert 0 <= window.top < window.bottom <= shape[0]
        assert 0 <= window.left < window.right <= shape[1]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: crop_window("gargg", USUAL), "did you mean 'garg'"),
        (lambda: crop_window(None, USUAL), "unknown crop 'None'"),
        (lambda: crop_window("eigen-nyu", USUAL), "480 x 640 pixels, not 375 x 1242"),
        (lambda: crop_window("kb", NYU), "480 x 640 pixels is too small for a crop of 352 x 1216"),
        (lambda: centre((6, 5), (5, 5)), "too small"),
    ],
)
def test_bad_input_raises_one_clear_line(call, says):
    with pytest.raises(DepthClipError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_parts_of_a_frame():
    assert centre((2, 3), (5, 6)) == Window(1, 3, 1, 4)
    assert bottom_centre((2, 3), (5, 6)) == Window(3, 5, 1, 4)
    assert overlap(Window(0, 5, 0, 5), Window(2, 9, 3, 4)) == Window(2, 5, 3, 4)
    assert overlap(Window(0, 2, 0, 2), Window(4, 6, 0, 2)).shape == (0, 2)


def test_crops_for_a_shape_are_those_of_its_data_set():
    assert crops_for(NYU) == ["none", "eigen-nyu", "released", "nyu-21", "depthclip-window"]
    assert crops_for(LOW) == crops_for(USUAL) == ["none", "garg", "eigen-kitti", "kb"]
    assert crops_for((300, 1000)) == ["none", "garg", "eigen-kitti"]
    assert crops_for((530, 730)) == ["none"]
    for shape in (NYU, LOW, (530, 730)):
        assert all(crop_window(name, shape) for name in crops_for(shape))
