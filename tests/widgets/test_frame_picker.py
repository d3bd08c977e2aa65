import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.widgets.frame_picker import ALL, FramePicker


@pytest.fixture
def picker():
    names = ["0001", "0002", "0110", "0111"]
    return FramePicker(names, ["kitchen", "office", "kitchen", None], at=1)


def listed(picker):
    return [position for _, position in picker.frame.options]


def test_every_frame_is_listed_with_its_scene(picker):
    assert [label for label, _ in picker.frame.options] == [
        "0001, kitchen",
        "0002, office",
        "0110, kitchen",
        "0111",
    ]
    assert picker.frame.value == 1
    assert [label for label, _ in picker.scene.options] == [
        f"{ALL} (4)",
        "kitchen (2)",
        "office (1)",
    ]


def test_scene_and_text_narrow_the_list(picker):
    picker.find.value = " 0 "
    picker.narrow()
    assert listed(picker) == [0, 1, 2, 3] and picker.frame.value == 1
    picker.find.value = "011"
    picker.narrow()
    assert listed(picker) == [2, 3] and picker.frame.value == 2
    picker.scene.value = "kitchen"
    picker.narrow()
    assert listed(picker) == [2]
    picker.find.value = "KITCH"
    picker.narrow()
    assert listed(picker) == [0, 2] and picker.frame.value == 2


def test_text_that_no_name_contains_leaves_the_list(picker):
    picker.find.value = "sofa"
    with pytest.raises(DepthClipError, match="No frame has “sofa” in its name"):
        picker.narrow()
    assert listed(picker) == [0, 1, 2, 3]


def test_steps_go_round_the_list(picker):
    picker.scene.value = "kitchen"
    picker.narrow()
    assert picker.frame.value == 0
    picker.step(-1)
    assert picker.frame.value == 2
    picker.step(1)
    assert picker.frame.value == 0


def test_one_frame_needs_no_controls(picker):
    assert picker.children and not FramePicker(["0001"], [None], at=0).children
