"""Photographs as a browser sends them, without one."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from depthclip_core.datasets import Frame, open_dataset, pictures
from depthclip_core.errors import DepthClipError
from depthclip_core.widgets.photo_picker import PhotoPicker


def jpeg(height=30, width=40, shade=90, kind="JPEG", **options) -> bytes:
    file = BytesIO()
    Image.fromarray(np.full((height, width, 3), shade, np.uint8)).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def picker():
    return PhotoPicker()


def upload(picker, name, content, part_size=200, nth=0):
    """What the browser's side of the button sends for the nth of files chosen together."""
    parts = [content[i : i + part_size] for i in range(0, len(content), part_size)] or [b""]
    for number, part in enumerate(parts):
        facts = {"name": name, "size": len(content), "part": number, "parts": len(parts)}
        facts["nth"] = nth
        data = {"method": "custom", "content": facts}
        picker.upload.comm.handle_msg({"content": {"data": data}, "buffers": [memoryview(part)]})


def listed(picker):
    return [label for label, _ in picker.chosen.options]


def test_nothing_is_chosen_at_first(picker):
    assert picker.frame is None and picker.photo is None and listed(picker) == ["none yet"]


def test_upload_becomes_a_frame(picker):
    content, seen = jpeg(30, 40), []
    assert len(content) > 200  # so that it comes in parts
    picker.observe(lambda change: seen.append(change["new"]), "frame")
    upload(picker, "a.jpg", content)
    assert seen == [picker.frame] and isinstance(picker.frame, Frame)
    assert picker.frame.name == "a.jpg" and picker.frame.raw_depth is None
    assert picker.frame.rgb.shape == (30, 40, 3)
    assert np.abs(picker.frame.rgb.astype(int) - 90).max() <= 2
    assert picker.photo.frame is picker.frame and picker.photo.source == content
    assert picker.message.value == ""


def test_large_photographs_are_shrunk_and_keep_their_own_size(picker):
    upload(picker, "a.jpg", jpeg(900, 1200))
    assert picker.frame.rgb.shape == (480, 640, 3)
    assert picker.photo.size == (900, 1200)
    assert picker.photo.full_rgb().shape == (900, 1200, 3)


def test_faults_of_files_uploaded_together_stay(picker):
    for nth, (name, content) in enumerate(
        [("bad.jpg", b"no picture"), ("a.jpg", jpeg()), ("worse.png", b""), ("b.jpg", jpeg())]
    ):
        upload(picker, name, content, nth=nth)
    assert listed(picker) == ["a.jpg", "b.jpg"] and picker.frame.name == "b.jpg"
    assert "cannot read bad.jpg" in picker.message.value
    assert "cannot read worse.png" in picker.message.value
    upload(picker, "c.jpg", jpeg())
    assert picker.message.value == ""


def test_several_photographs_are_listed(picker, tmp_path):
    upload(picker, "a.jpg", jpeg(shade=10))
    upload(picker, "b.jpg", jpeg(shade=20))
    (tmp_path / "c.png").write_bytes(jpeg(shade=30, kind="PNG"))
    (tmp_path / "d.png").write_bytes(jpeg(shade=40, kind="PNG"))
    picker.path.value = str(tmp_path)
    assert listed(picker) == ["a.jpg", "b.jpg", "c.png", "d.png"]
    assert picker.frame.name == "c.png"
    frames = []
    picker.observe(lambda change: frames.append(change["new"].name), "frame")
    picker.chosen.value = picker.chosen.options[1][1]
    assert picker.frame.name == "b.jpg" and abs(int(picker.frame.rgb[0, 0, 0]) - 20) <= 2
    upload(picker, "a.jpg", jpeg(shade=50))  # the same name again: the newer one counts
    assert listed(picker) == ["a.jpg", "b.jpg", "c.png", "d.png"]
    assert abs(int(picker.frame.rgb[0, 0, 0]) - 50) <= 2
    assert frames == ["b.jpg", "a.jpg"]


def eps() -> bytes:
    return jpeg(kind="EPS")


WRONG = {
    "text": ("a.jpg", b"no picture <b>at all</b>", "cannot read a.jpg as an image"),
    "EPS": ("b.jpg", eps(), "cannot read b.jpg as an image"),
    "nothing": ("c.jpg", b"", "cannot read c.jpg as an image"),
    "half": ("d.jpg", jpeg(300, 400)[:900], "cannot read d.jpg as an image"),
    "HEIC": ("e.heic", b"\0\0\0\x18ftypheic" + bytes(40), "save it as JPEG"),
    "markup": ("<img src=x onerror=alert(1)>.jpg", b"", "&#60;img src=x onerror=alert(1)&#62;"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_photograph_is_one_line_and_changes_nothing(picker, kind):
    upload(picker, "good.jpg", jpeg())
    frame = picker.frame
    name, content, line = WRONG[kind]
    upload(picker, name, content)
    assert line in picker.message.value and "\n" not in picker.message.value
    assert "<img" not in picker.message.value and "<b>" not in picker.message.value
    assert picker.frame is frame and listed(picker) == ["good.jpg"]
    upload(picker, "other.jpg", jpeg())
    assert picker.message.value == "" and picker.frame is not frame


def test_huge_picture_is_refused_before_it_is_decoded(picker, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1000)
    upload(picker, "a.png", jpeg(kind="PNG"))
    assert "30 x 40 pixels, and at most" in picker.message.value and picker.frame is None


def test_large_file_is_refused_by_its_size(picker):
    facts = {"name": "../a.jpg", "size": 200 * 2**20, "part": 0, "parts": 400, "nth": 0}
    data = {"method": "custom", "content": facts}
    picker.upload.comm.handle_msg({"content": {"data": data}, "buffers": []})
    assert "a.jpg has 200 MB, and at most 64 MB are taken" in picker.message.value
    assert ".." not in picker.message.value


def test_more_parts_than_promised_are_not_kept(picker):
    picker.upload.most = 100
    part = memoryview(bytes(60))
    for number in range(5):
        facts = {"name": "a.jpg", "size": 90, "part": number, "parts": 5, "nth": 0}
        data = {"method": "custom", "content": facts}
        picker.upload.comm.handle_msg({"content": {"data": data}, "buffers": [part]})
        assert sum(map(len, picker.upload._parts)) <= 100
    assert picker.frame is None


def test_path_that_is_wrong_is_one_line(picker, tmp_path):
    for path, line in {
        tmp_path / "none.jpg": "no photo or folder of photos at",
        tmp_path: "no photos in",
    }.items():
        picker.path.value = str(path)
        assert line in picker.message.value and picker.frame is None


def test_damaged_photograph_of_a_folder_leaves_the_others(tmp_path):
    for name in ("b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(jpeg())
    (tmp_path / "a.jpg").write_bytes(b"damaged")
    picker = PhotoPicker(tmp_path)
    assert listed(picker) == ["a.jpg", "b.jpg", "c.jpg"] and picker.frame.name == "b.jpg"
    picker.chosen.value = picker.chosen.options[0][1]
    assert "cannot read" in picker.message.value
    assert picker.frame.name == "b.jpg" and picker.chosen.index == 1
    picker.chosen.value = picker.chosen.options[2][1]
    assert picker.message.value == "" and picker.frame.name == "c.jpg"


def test_first_photographs_that_cannot_be_read_are_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"damaged")
    with pytest.raises(DepthClipError, match=r"cannot read .*a\.jpg"):
        PhotoPicker(tmp_path)


def test_frames_of_a_data_set_count_as_photographs():
    frames = open_dataset("sample")
    picker = PhotoPicker(frames, at=3)
    expected = frames[3].rgb[frames[3].window.slices]
    assert (picker.frame.rgb == expected).all() and picker.frame.raw_depth is None
    assert picker.photo.size == expected.shape[:2] and picker.photo.full_rgb() is picker.frame.rgb
    assert len(listed(picker)) == len(frames)


def test_field_of_view_is_read_from_the_cameras_notes(picker):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 18  # FocalLengthIn35mmFilm: a lens of 90 degrees across 36 mm
    upload(picker, "a.jpg", jpeg(400, 600, exif=exif))
    assert picker.photo.field_of_view == pytest.approx(90)
    exif[0x0112] = 6  # held upright
    upload(picker, "b.jpg", jpeg(400, 600, exif=exif))
    assert picker.photo.size == (600, 400)
    assert picker.photo.field_of_view == pytest.approx(np.degrees(2 * np.arctan(12 / 18)))
    upload(picker, "c.jpg", jpeg())
    assert picker.photo.field_of_view is None
