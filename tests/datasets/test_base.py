import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.datasets import FrameList, as_dataset, chosen_positions
from depthclip_core.settings import RELEASED_WINDOW, Window


def frame(value=0, shape=(4, 6), **more):
    return dc.Frame(name=f"{value}", rgb=np.full((*shape, 3), value, np.uint8), **more)


def test_a_list_of_frames_is_a_data_set():
    depth = np.ones((4, 6), np.float32)
    frames = as_dataset([frame(0, scene="study", room="study_1"), frame(1, raw_depth=depth)])
    assert (frames.names, frames.scenes, frames.rooms) == (
        ["0", "1"],
        ["study", None],
        ["study_1", None],
    )
    assert frames.raw_depth(1) is depth and frames.raw_depth(0) is None
    assert frames.title == "2 frames" and frames.crop is None
    assert as_dataset(frames) is frames


def test_what_is_seen_is_the_crop_of_the_data_set_and_else_all():
    assert frame(shape=(480, 640)).window == Window(0, 480, 0, 640)
    assert frame(shape=(480, 640), crop=RELEASED_WINDOW).window == RELEASED_WINDOW
    with pytest.raises(dc.DepthClipError, match="does not lie in an image of 4 x 6 pixels"):
        _ = frame(crop=RELEASED_WINDOW).window


def test_frames_of_different_crops_are_refused():
    with pytest.raises(dc.DepthClipError, match="different crops"):
        list(FrameList([frame(), frame(crop=Window(0, 2, 0, 2))]))


def test_identity_changes_with_any_pixel_and_with_order():
    def of(frames):
        return as_dataset(frames).identity(checksums=lambda paths: ["unused"])

    frames = [frame(0), frame(1)]
    other = frame(1)
    other.rgb[3, 5, 2] = 2
    assert of(frames) == of([frame(0), frame(1)])
    assert of(frames) != of([frame(0), other]) != of(frames[::-1])


def test_frames_are_chosen_by_numbers_counted_round():
    assert chosen_positions("0, 26,5", 10) == [0, 6, 5]
    with pytest.raises(dc.DepthClipError, match="whole numbers with commas.*'0, x'"):
        chosen_positions("0, x", 10)
