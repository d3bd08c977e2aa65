"""An explorer of photographs, without a browser."""

import struct
from io import BytesIO

import numpy as np
import pytest
from pages import wish
from PIL import Image

import depthclip_core as dc
from depthclip_core.settings import BINS, PROMPTS
from depthclip_core.widgets import photo_files
from depthclip_core.widgets.photo_explorer import PhotoExplorer

WORDS = ("near", "middle", "far")


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample")


@pytest.fixture(scope="module")
def photo_file(tmp_path_factory):
    """A photograph larger than what the network sees of it."""
    path = tmp_path_factory.mktemp("photos") / "a room.png"
    rgb = dc.open_dataset("sample")[3].rgb
    Image.fromarray(rgb).resize((960, 720)).save(path)
    return path


@pytest.fixture
def explorer(photo_file, encoder):
    shown = PhotoExplorer(photo_file, encoder, words=WORDS, bins=(1, 2, 4))
    shown.saved = []
    shown.downloads.save = lambda name, content: shown.saved.append((name, content))
    return shown


def button(row, start):
    (found,) = [b for b in row.children if b.description.startswith(start)]
    return found


def depth_of(explorer, **changed):
    now = explorer.setting
    own = {"prompts": now.words, "bins": now.bins, "head": now.head}
    return dc.predict_depth(explorer.picker.frame, explorer.encoder, **(own | changed))[0]


def test_first_sight(explorer):
    np.testing.assert_allclose(explorer.reading.depth, depth_of(explorer), atol=1e-5)
    view = explorer.view
    cells = np.frombuffer(view.cells, "<f4").reshape(view.grid)
    np.testing.assert_array_equal(cells, explorer.reading.cells)
    weights = np.frombuffer(view.weights, "<f4").reshape(3, *view.grid)
    np.testing.assert_array_equal(weights, explorer.reading.weights)
    assert view.name == "a room.png" and view.words == [*WORDS] and view.bins == [1, 2, 4]
    assert Image.open(BytesIO(view.photo)).size == Image.open(BytesIO(view.depth)).size
    assert (view.height, view.width) == (480, 640)
    assert "the sample's own CLIP" in explorer.about.value
    assert "its metres mean nothing" in explorer.about.value
    assert "assumed, as its file says none" in explorer.angle_note.value


def test_colours_of_the_map_are_those_of_its_scale(explorer):
    shown = np.asarray(Image.open(BytesIO(explorer.view.depth))).astype(int)
    near, far = explorer.view.limits
    at = np.argwhere(np.abs(explorer.reading.depth - (near + far) / 2) < 0.005)[0]
    middle = [int(explorer.view.colours[8][i : i + 2], 16) for i in (1, 3, 5)]
    assert np.abs(shown[tuple(at)] - middle).max() <= 4


def test_slider_changes_one_bin(explorer):
    wish((explorer.bin_sliders.sliders[2], 7.5))
    assert explorer.setting.bins == (1, 2, 7.5) and explorer.view.bins == [1, 2, 7.5]
    np.testing.assert_allclose(explorer.reading.depth, depth_of(explorer), atol=1e-5)


def test_moved_bin_pushes_others_which_return(explorer):
    wish((explorer.bin_sliders.sliders[0], 3.0))
    assert explorer.setting.bins == pytest.approx((3, 3.05, 4))
    assert explorer.view.bins == [*explorer.setting.bins]
    wish((explorer.bin_sliders.sliders[0], 9.9))
    assert explorer.setting.bins == pytest.approx((9.9, 9.95, 10))
    wish((explorer.bin_sliders.sliders[0], 0.5))
    assert explorer.setting.bins == (0.5, 2, 4)
    np.testing.assert_allclose(explorer.reading.depth, depth_of(explorer), atol=1e-5)


def test_presets_keep_their_buttons(explorer):
    """A button that is replaced would lose the focus."""
    wish((button(explorer.word_buttons, "words: prompt-2"), 1))
    (row,) = explorer.bin_buttons.children
    wish((button(row, "bins: class-dependent-2"), 1))
    wish((button(explorer.word_buttons, "words: prompt-1"), 1))
    assert explorer.bin_buttons.children == (row,)
    wish((explorer.words_field, "close, far"))
    assert explorer.bin_buttons.children != (row,)


def test_other_words_get_as_many_bins(explorer):
    wish((explorer.words_field, "close, far"))
    assert explorer.setting.words == ("close", "far") and explorer.setting.bins == (1, 4)
    assert [slider.label for slider in explorer.bin_sliders.sliders] == ["close", "far"]
    np.testing.assert_allclose(explorer.reading.depth, depth_of(explorer), atol=1e-5)
    wish((explorer.bin_sliders.sliders[1], 3.0))  # the new sliders are in the queue too
    assert explorer.setting.bins == (1, 3)


def test_wrong_words_are_named_and_change_nothing(explorer):
    before = explorer.setting
    wish((explorer.words_field, "near, , far"))
    assert "Word 2 of 3 is empty" in explorer.message.value
    assert explorer.setting is before
    wish((button(explorer.word_buttons, "reset"), 1))
    assert explorer.message.value == "" and explorer.words_field.value == "near, middle, far"


def test_presets_and_head(explorer):
    wish((button(explorer.word_buttons, "words: prompt-2"), 1))
    assert explorer.setting.words == PROMPTS["prompt-2"] and len(explorer.bin_sliders.sliders) == 7
    (row,) = explorer.bin_buttons.children
    wish((button(row, "bins: class-dependent-2"), 1))
    assert explorer.setting.bins == BINS["class-dependent-2"]
    assert [s.value for s in explorer.bin_sliders.sliders] == [*BINS["class-dependent-2"]]
    wish((explorer.head, [0, "released"]))
    assert explorer.setting.head == "released" and "released head" in explorer.about.value
    np.testing.assert_allclose(explorer.reading.depth, depth_of(explorer), atol=1e-5)


def test_pinned_cell_stays_unless_the_grid_changes(explorer, tmp_path):
    explorer.view.pinned = [1, 2]
    wish((explorer.bin_sliders.sliders[0], 0.5))
    assert explorer.view.pinned == [1, 2]
    Image.new("RGB", (320, 200)).save(tmp_path / "small.png")
    wish((explorer.picker.path, str(tmp_path / "small.png")))
    rows, columns = explorer.view.grid
    assert explorer.view.name == "small.png"
    assert explorer.view.pinned[0] < rows and explorer.view.pinned[1] < columns


def saved(explorer, start):
    wish((button(explorer.save_buttons, start), 1))
    assert explorer.message.value == ""
    return explorer.saved[-1]


@pytest.mark.parametrize("own_size", [False, True])
def test_saved_depth_is_the_shown_depth(explorer, own_size):
    size = (720, 960) if own_size else (480, 640)
    label = f"{size[0]} × {size[1]}"
    wish((explorer.size, [int(own_size), explorer.size.labels[own_size]]))
    assert explorer.size.labels[own_size].startswith(label)
    name, content = saved(explorer, "depth .npy")
    depth = np.load(BytesIO(content), allow_pickle=False)
    assert name == "a_room_depth.npy" and depth.shape == size and depth.dtype == np.float32
    if not own_size:
        np.testing.assert_array_equal(depth, explorer.reading.depth)
    name, content = saved(explorer, "depth .png")
    levels = np.asarray(Image.open(BytesIO(content)))
    assert name == "a_room_depth_mm.png" and levels.dtype == np.uint16
    assert Image.open(BytesIO(content)).text["Unit"] == "millimetre"
    assert np.abs(levels / 1000 - depth).max() <= 0.0005001
    name, content = saved(explorer, "figure")
    width, height = Image.open(BytesIO(content)).size
    assert name == "a_room_figure.png" and width >= 2 * size[1] and height >= size[0]


def test_saved_points_have_the_shown_depth(explorer):
    wish((explorer.angle, 90.0))
    name, content = saved(explorer, "points")
    header, _, body = content.partition(b"end_header\n")
    assert name == "a_room_points.ply"
    assert b"element vertex 307200" in header and b"90.0 degrees across the width" in header
    assert len(body) == 307200 * 15
    x, y, z = struct.unpack_from("<3f", body)
    depth = explorer.reading.depth[0, 0]
    assert (-x, y, -z) == pytest.approx((depth * 319.5 / 320, depth * 239.5 / 320, depth))


def test_depth_that_16_bits_cannot_hold_is_not_saved_as_png(photo_file, encoder):
    shown = PhotoExplorer(photo_file, encoder, words=["near", "far"], bins=[70, 80])
    wish((button(shown.save_buttons, "depth .png"), 1))
    assert "deeper than 65.535 m" in shown.message.value and "save the .npy" in shown.message.value


def test_own_size_is_bounded(explorer, monkeypatch):
    monkeypatch.setattr(photo_files, "MOST_PIXELS", 700 * 900)
    wish((explorer.size, [1, explorer.size.labels[1]]))
    wish((button(explorer.save_buttons, "depth .npy"), 1))
    assert "720 x 960 pixels" in explorer.message.value and explorer.saved == []


def test_photograph_that_is_gone_is_one_line(explorer, photo_file, tmp_path):
    copy = tmp_path / "b.png"
    copy.write_bytes(photo_file.read_bytes())
    wish((explorer.picker.path, str(copy)))
    wish((explorer.size, [1, explorer.size.labels[1]]))
    copy.unlink()
    wish((button(explorer.save_buttons, "figure"), 1))
    assert "no photo at" in explorer.message.value and explorer.saved == []


def test_points_are_drawn_when_asked_for(explorer):
    toggle = button(explorer.save_buttons, "show or hide the points")
    assert not explorer.cloud.opened
    wish((toggle, 1))
    (view,) = explorer.cloud.children
    points = np.frombuffer(view.points, "<f4").reshape(-1, 3)
    assert len(points) == 30_000 == len(view.colours) // 3
    wish((explorer.bin_sliders.sliders[2], 9.0))
    moved = np.frombuffer(view.points, "<f4").reshape(-1, 3)
    assert -moved[:, 2].min() > -points[:, 2].min()
    wish((toggle, 1))
    assert not explorer.cloud.opened


def test_without_a_photograph_it_says_what_to_do(encoder):
    shown = PhotoExplorer(encoder=encoder)
    assert shown.reading is None and shown.view.layout.display == "none"
    wish((button(shown.save_buttons, "depth .npy"), 1))
    assert "Upload a photograph" in shown.message.value
    shown.picker.take("a.png", _png())
    assert shown.view.layout.display == "" and shown.view.name == "a.png"
    assert shown.setting.head == "value" and shown.reading is not None


def test_angle_comes_from_the_file_or_is_given(encoder, tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 18
    Image.new("RGB", (600, 400)).save(tmp_path / "a.jpg", exif=exif)
    shown = PhotoExplorer(tmp_path / "a.jpg", encoder)
    assert shown.angle.value == pytest.approx(90)
    assert "from the photograph's file" in shown.angle_note.value
    given = PhotoExplorer(tmp_path / "a.jpg", encoder, field_of_view=50)
    assert given.angle.value == 50 and "as given" in given.angle_note.value


def _png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (200, 160), "white").save(file, "PNG")
    return file.getvalue()


def test_what_is_chosen_first_comes_first(explorer):
    source, words, *_ = explorer.children
    assert source.children == (explorer.picker, explorer.head) and words is explorer.words_field
    assert explorer.picker.children[:3] == (
        explorer.picker.upload,
        explorer.picker.path,
        explorer.picker.chosen,
    )
