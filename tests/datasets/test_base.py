import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.datasets import FrameList, as_dataset, chosen_positions, open_dataset
from depthclip_core.settings import RELEASED_WINDOW, Window


def frame(value=0, shape=(4, 6), **more):
    return dc.Frame(name=f"{value}", rgb=np.full((*shape, 3), value, np.uint8), **more)


def test_as_dataset_wraps_a_list_of_frames():
    depth = np.ones((4, 6), np.float32)
    frames = as_dataset([frame(0, scene="study", group="study_1"), frame(1, raw_depth=depth)])
    assert (frames.names, frames.scenes, frames.groups) == (
        ["0", "1"],
        ["study", None],
        ["study_1", None],
    )
    assert frames.raw_depth(1) is depth and frames.raw_depth(0) is None
    assert frames.title == "2 frames" and frames.crop is None and frames.frame_shape == (4, 6)
    assert as_dataset(frames) is frames


def test_window_is_the_crop_or_the_whole_image():
    assert frame(shape=(480, 640)).window == Window(0, 480, 0, 640)
    assert frame(shape=(480, 640), crop=RELEASED_WINDOW).window == RELEASED_WINDOW
    with pytest.raises(dc.DepthClipError, match="does not lie in an image of 4 x 6 pixels"):
        _ = frame(crop=RELEASED_WINDOW).window


def test_frame_list_rejects_different_crops():
    with pytest.raises(dc.DepthClipError, match="all with one crop"):
        list(FrameList([frame(), frame(crop=Window(0, 2, 0, 2))]))


def test_identity_depends_on_every_pixel_and_on_order():
    def of(frames):
        return as_dataset(frames).identity(checksums=lambda paths: ["unused"])

    frames = [frame(0), frame(1)]
    other = frame(1)
    other.rgb[3, 5, 2] = 2
    assert of(frames) == of([frame(0), frame(1)])
    assert of(frames) != of([frame(0), other]) != of(frames[::-1])


def test_chosen_positions_wrap_around():
    assert chosen_positions("0, 26,5", 10) == [0, 6, 5]
    with pytest.raises(dc.DepthClipError, match="whole numbers with commas.*'0, x'"):
        chosen_positions("0, x", 10)


def test_ground_truth_is_raw_depth_and_photos_have_none():
    depth = np.ones((4, 6), np.float32)
    frames = as_dataset([frame(raw_depth=depth), frame(7)])
    assert frames.ground_truth(0) is depth and next(frames.ground_truths()) is depth
    with pytest.raises(dc.DepthClipError, match="7 has no depth"):
        list(frames.ground_truths())


@pytest.fixture
def frames():
    scenes = ["study", "study", "bath", "bath", "hall"]
    return as_dataset([frame(i, scene=s, group=f"{s}_1") for i, s in enumerate(scenes)])


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (slice(2), ["0", "1"]),
        (slice(None, None, -2), ["4", "2", "0"]),
        (slice(9, 12), []),
        ([3, -1], ["3", "4"]),
        (np.array([1, 0]), ["1", "0"]),
        (range(1, 3), ["1", "2"]),
        (np.array([True, False, False, False, True]), ["0", "4"]),
    ],
)
def test_slices_and_lists_select_a_subset(frames, chosen, names):
    some = frames[chosen]
    assert some.names == [f.name for f in some] == names and len(some) == len(names)
    assert some.scenes == [frames.scenes[int(name)] for name in names]
    assert some.groups == [frames.groups[int(name)] for name in names]
    assert [int(some.rgb(i)[0, 0, 0]) for i in range(len(some))] == [int(name) for name in names]


def test_subset_keeps_the_facts_of_its_data_set():
    whole = open_dataset("sample", "test")
    some = whole[3:6]
    assert some[1:].names == whole.names[4:6]
    for fact in ("splits", "licence", "citation", "frame_shape", "crop", "content", "depth_cap"):
        assert getattr(some, fact) == getattr(whole, fact)
    assert some.evaluation_crop == whole.evaluation_crop
    assert some.title == "sample, test, 3 of 64 frames"
    np.testing.assert_array_equal(some.raw_depth(0), whole.raw_depth(3))


def test_subset_has_its_own_identity(frames):
    def of(some):
        return some.identity(checksums=lambda paths: ["unused"])

    assert of(frames[:2]) == of(frames[[0, 1]]) != of(frames[1:3]) != of(frames)


def test_positions_accept_any_integer_type(frames):
    assert frames[np.int64(2)].name == frames[np.array(2)].name == frames[-3].name == "2"


@pytest.mark.parametrize(
    ("position", "says"),
    [
        ("2", "a whole number, not '2'"),
        (1.0, "a whole number, not 1.0"),
        (None, "a whole number, not None"),
        ([0, "x"], "a whole number, not"),
        ([0, 7], "frame 7 does not exist: 5 frames has 5"),
        ([True, False], "2 flags for 5 frames"),
        (slice("a", None), "cannot slice"),
        (slice(0, 3, 0), "cannot slice"),
        (5, "frame 5 does not exist"),
        (-6, "frame -6 does not exist"),
    ],
)
def test_bad_positions_raise_one_clear_line(frames, position, says):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        frames[position]
    assert "\n" not in str(caught.value)


def test_position_beyond_the_end_is_an_index_error(frames):
    with pytest.raises(IndexError):
        frames[5]


@pytest.mark.parametrize("read", [lambda f: f[0], lambda f: f.rgb(0), lambda f: f.raw_depth(0)])
def test_closed_data_set_cannot_be_read(read, nyu_folder):
    for closed in (open_dataset("sample"), open_dataset("nyu", "all", data=nyu_folder)):
        some = closed[:1]
        closed.close()
        for frames in (closed, some):
            with pytest.raises(dc.DepthClipError, match="is closed: open it again"):
                read(frames)


@pytest.mark.parametrize("frames", ["photo.jpg", 3, [1, 2], {"a": 1}])
def test_as_dataset_rejects_what_is_not_frames(frames):
    with pytest.raises(dc.DepthClipError, match="must be a data set or a list of Frame"):
        as_dataset(frames)
