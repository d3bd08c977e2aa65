from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from pages import wish
from PIL import Image

import depthclip_core as dc
from depthclip_core import settings
from depthclip_core.datasets import Frame
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.store import Store
from depthclip_core.method import pipeline
from depthclip_core.widgets import explorers as widgets
from depthclip_core.widgets import frame_picker
from depthclip_core.widgets.bin_sliders import STEP

HEAD = "value"


@pytest.fixture(scope="module")
def frames():
    return dc.open_dataset("sample")


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


class Few(list):
    """Three frames in memory: a network pass over the whole sample takes a minute."""

    title = "sample, three frames"


@pytest.fixture(scope="module")
def few(frames):
    return Few(frames[position] for position in (3, 20, 40))


@pytest.fixture(scope="module")
def similarities(few, encoder, store):
    return collect_responses(few, encoder, "original", [HEAD], store=store, progress=False)[HEAD]


@pytest.fixture
def cells(few, similarities):
    return widgets.CellExplorer(few, similarities, "original", cell=(9, 4))


@pytest.fixture
def bins(few, similarities):
    return widgets.BinExplorer(few, similarities, "original")


def test_pages_without_a_kernel_show_the_picture_and_its_text(bins):
    data, metadata = bins._repr_mimebundle_()
    shown = [Image.open(BytesIO(file)) for file in (b64decode(data["image/png"]), bins.image.value)]
    assert [picture.format for picture in shown] == ["PNG", "JPEG"]
    near = np.abs(np.subtract(*(np.asarray(picture, dtype=float) for picture in shown)))
    assert near.mean() < 2
    assert metadata["image/png"]["alt"] == bins.image.alt
    assert data["text/plain"] == "BinExplorer: run this cell to use it."
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.fixture(scope="module")
def quick_bins(few, similarities):
    """Bins without a picture: one is drawn for each move."""
    shown = widgets.BinExplorer(few, similarities, "original")
    shown.draw = lambda: None
    return shown


@pytest.fixture
def words(few, encoder, store):
    return widgets.WordExplorer(few, encoder, HEAD, store=store, cell=(9, 4))


@pytest.fixture
def passes(encoder, monkeypatch):
    """Count encoded images and sentences."""
    counts = {"images": 0, "sentences": 0}
    features, encode_text = encoder.features, encoder.encode_text

    def count(name, function):
        def counting(batch):
            counts[name] += len(batch)
            return function(batch)

        return counting

    monkeypatch.setattr(encoder, "features", count("images", features))
    monkeypatch.setattr(encoder, "encode_text", count("sentences", encode_text))
    return counts


def move(slider, value):
    """Move a slider as its user does in a browser."""
    wish((slider, value))


def click(shown, x, y):
    """Click at a pixel of the picture."""
    wish((shown.image, [x, y]))


def click_cell(shown, row, column):
    """Click on a cell of the photograph."""
    click(shown, 4 + 22 * (column + 0.5), 24 + 22 * (row + 0.5))


def bar_widths(shown):
    return [bar.get_width() for bar in shown.picture.bars.patches]


def test_clicks_and_sliders_choose_a_cell(cells, similarities):
    seen = {cells.image.value}
    clicks = [(4 + 22 * 2.5, 24 + 22 * 7.5), (390 + 22 * 16.5, 346 + 22 * 0.5)]
    for (x, y), cell in zip(clicks, [(7, 2), (0, 16)], strict=True):
        click(cells, x, y)
        assert (cells.row.value, cells.column.value) == cell
        assert f"row {cell[0]}, column {cell[1]}: predicted" in cells.headline
        assert cells.headline in cells.image.alt
        assert cells.image.value not in seen
        seen.add(cells.image.value)
    cells.row.value = 12
    weights = torch.softmax(1000 * similarities[0], dim=1)
    mean = (weights[0] + weights[1].flip(-1))[:, 12, 16].numpy() / 2
    np.testing.assert_allclose(bar_widths(cells), mean, atol=1e-6)
    assert f"predicted {mean @ settings.BINS['original']:.2f} m" in cells.headline
    assert cells.image.value not in seen


def test_click_outside_the_maps_changes_nothing(cells):
    before = cells.image.value
    click(cells, 700, 100)
    assert (cells.row.value, cells.column.value) == (9, 4)
    assert cells.image.value == before
    assert cells.message.value == ""


def test_true_depth_of_a_cell_is_the_median_of_its_pixels(cells, few):
    window = settings.RELEASED_WINDOW
    patch = few[0].raw_depth[window.slices][9 * 32 : 10 * 32, 4 * 32 : 5 * 32]
    assert f"true {np.median(patch[patch > 0]):.2f} m" in cells.headline


def test_depth_matches_predict_depth(cells, bins, few, encoder):
    depth = pipeline.predict_depth(few[0], encoder, head=HEAD)[0]
    np.testing.assert_allclose(cells.depth, depth, atol=1e-3)
    np.testing.assert_allclose(bins.depth, depth, atol=1e-3)


@pytest.mark.parametrize("kind", ["cells", "bins", "words"])
def test_frame_picker_redraws_the_whole_picture(kind, request):
    shown = request.getfixturevalue(kind)
    first, depth = shown.image.value, shown.depth
    shown.frame.value = 2
    assert shown.image.value != first
    assert np.abs(shown.depth - depth).max() > 0.1
    shown.frame.value = 0
    assert shown.image.value == first  # nothing of the other frame is left
    assert shown.message.value == ""


def test_scene_picker_limits_the_frames(cells, few):
    scene = few[1].scene
    assert (cells.scene.options[0]) == ("all scenes (3)", frame_picker.ALL)
    before = cells.image.value
    cells.scene.value = scene
    positions = [i for i, frame in enumerate(few) if frame.scene == scene]
    assert [position for _, position in cells.frame.options] == positions
    assert cells.frame.value in positions
    assert cells.image.value != before
    cells.scene.value = frame_picker.ALL
    assert len(cells.frame.options) == 3


def test_moved_bin_pushes_neighbours_and_updates_depth_and_metrics(bins, few, similarities):
    first, table = bins.image.value, bins.metrics
    bins.bin_sliders.sliders[2].value = 2.7
    expected = (1.0, 1.5, 2.7, 2.75, 2.8, 2.85, 3.0)
    assert bins.bins == pytest.approx(expected)
    depth = pipeline.depth_maps(similarities[:1], expected, (416, 544))
    np.testing.assert_allclose(bins.depth, depth[0], atol=1e-5)
    scores = dc.evaluate(depth, few[0].raw_depth[None]).iloc[0]
    np.testing.assert_allclose(
        bins.metrics.loc["now"], scores[bins.metrics.columns].astype(float), atol=1e-4
    )
    pd.testing.assert_series_equal(
        bins.metrics.loc["at first"], table.loc["now"], check_names=False
    )
    assert f"{scores['rmse']:.3f}" in bins.metrics_table.value
    assert bins.image.value != first


def test_temperature_presets_and_reset(bins, similarities):
    first = bins.image.value
    bins.temperature.value = 1.0
    depth = pipeline.depth_maps(similarities[:1], bins.bins, (416, 544), 1.0)[0]
    np.testing.assert_allclose(bins.depth, depth, atol=1e-5)
    assert bins.image.value != first
    for name, metres in settings.BINS.items():
        bins.presets[name].click()
        assert bins.bins == pytest.approx(metres)
        assert bins.temperature.value == 1.0
    bins.reset.click()
    assert bins.bins == settings.BINS["original"]
    assert bins.temperature.value == pytest.approx(0.1)
    assert bins.image.value == first


def test_steps_and_as_many_steps_back_end_where_they_began(bins):
    steps = [2.05, 2.1, 2.15, 2.2, 2.25, 2.2, 2.15, 2.1, 2.05, 2.0]
    for metres in steps:
        move(bins.bin_sliders.sliders[2], metres)
    assert bins.bins == pytest.approx(settings.BINS["original"])


def test_every_click_counts(cells):
    for cell in [(9, 4), (3, 12), (9, 4), (3, 12)]:
        click_cell(cells, *cell)
        assert cells.cell == cell
    move(cells.column, 4)
    move(cells.column, 12)
    assert cells.cell == (3, 12)


def test_recent_values_can_be_chosen_again(bins):
    bins.presets["class-dependent-3"].click()
    bins.presets["class-dependent-4"].click()
    before = settings.BINS["class-dependent-3"][4]
    move(bins.bin_sliders.sliders[4], before)
    assert bins.bins[4] == before


@pytest.fixture
def drawn(bins, monkeypatch):
    """The bins each time that they are drawn."""
    drawn, draw = [], bins.draw
    monkeypatch.setattr(bins, "draw", lambda: (drawn.append(bins.bins), draw()))
    return drawn


def test_wishes_that_come_together_are_drawn_once(bins, drawn):
    wish(
        (bins.presets["class-dependent-3"], 1),
        (bins.bin_sliders.sliders[6], 3.0),
        (bins.temperature, 0.2),
        (bins.picker.next, 4),
    )
    assert drawn == [(*settings.BINS["class-dependent-3"][:6], 3.0)]
    assert bins.frame.value == 1 and "0.2" in str(bins.temperature.value)
    alone = bins.image.value
    bins.reset.click()
    bins.presets["class-dependent-3"].click()
    move(bins.bin_sliders.sliders[6], 3.0)
    move(bins.temperature, 0.2)
    assert bins.image.value == alone


def test_error_among_wishes_that_come_together_is_shown(bins, drawn):
    wish((bins.bin_sliders.sliders[6], 4.0), (bins.picker.find, "no such frame"))
    assert "No frame has" in bins.message.value
    assert len(drawn) == 1


def test_setting_sliders_from_here_draws_once(bins, monkeypatch):
    drawn = []
    monkeypatch.setattr(bins, "draw", lambda: drawn.append(bins.bins))
    bins.presets["class-dependent-3"].click()
    assert drawn == [settings.BINS["class-dependent-3"]]


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0.1, 10)), max_size=8))
def test_bins_ascend_after_any_moves(quick_bins, moves):
    for place, metres in moves:
        move(quick_bins.bin_sliders.sliders[place], metres)
        assert (np.diff(quick_bins.bins) > STEP / 2).all()
    quick_bins.reset.click()
    assert quick_bins.bins == settings.BINS["original"]


def test_pushed_bins_stay_when_another_is_moved(bins):
    bins.bin_sliders.sliders[6].value = 0.1
    pushed = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
    assert bins.bins == pytest.approx(pushed)
    bins.bin_sliders.sliders[6].value = 9.0
    assert bins.bins == pytest.approx((*settings.BINS["original"][:6], 9.0))
    bins.bin_sliders.sliders[6].value = 0.1
    bins.bin_sliders.sliders[4].value = 0.2  # there is no room for the four below
    assert bins.bins == pytest.approx(pushed)
    bins.bin_sliders.sliders[4].value = 0.5
    assert bins.bins == pytest.approx((0.1, 0.15, 0.2, 0.25, 0.5, 0.55, 0.6))


def test_bins_beyond_the_usual_limits_fit(few, similarities):
    far = (0.05, 1.0, 5.0, 10.0, 20.0, 40.0, 80.0)
    shown = widgets.BinExplorer(few, similarities, "original", far)
    assert shown.bins == far
    shown.bin_sliders.sliders[4].value = 50.0
    assert shown.bins == pytest.approx((*far[:4], 50.0, 50.05, 80.0))


def test_pushed_bins_return(bins):
    bins.bin_sliders.sliders[2].value = 9.9
    assert bins.bins == pytest.approx((1.0, 1.5, 9.8, 9.85, 9.9, 9.95, 10.0))
    bins.bin_sliders.sliders[2].value = 2.0
    assert bins.bins == pytest.approx(settings.BINS["original"])


def test_edited_words_encode_text_but_no_images(words, passes, few, encoder):
    first = words.image.value
    edited = ("giant", "extremely close", "close", "near", "a little remote", "far", "unseen")
    words.words_field.value = ", ".join(edited)
    assert passes == {"images": 0, "sentences": 7}
    assert words.words == edited
    assert words.image.value != first
    words.frame.value = 1
    assert passes["images"] == 0  # from the store
    expected = pipeline.predict_depth(few[1], encoder, edited, head=HEAD)
    np.testing.assert_allclose(words.depth, expected[0], atol=1e-3)
    scores = dc.evaluate(expected, few[1].raw_depth[None]).iloc[0]
    assert words.metrics.loc["now", "rmse"] == pytest.approx(scores["rmse"], abs=1e-3)
    words.reset.click()
    words.frame.value = 0
    assert words.image.value == first


def test_word_presets_and_typed_bins(words):
    for name, expected in settings.PROMPTS.items():
        words.presets[name].click()
        assert words.words == expected
    words.bins_field.value = "1, 2, 3, 4, 5, 6, 7"
    assert words.bins == (1, 2, 3, 4, 5, 6, 7)
    assert words.metrics.loc["now", "rmse"] != words.metrics.loc["at first", "rmse"]
    labels = [label.get_text() for label in words.picture.bars.get_yticklabels()]
    assert labels[-1] == "unseen  7.00 m"


def test_errors_are_shown_and_then_cleared(words):
    picture = words.image.value
    words.words_field.value = "giant, , <b>far"
    assert "Word 2 of 3 is empty." in words.message.value
    assert 'role="alert"' in words.message.value
    assert words.image.value == picture
    words.words_field.value = "near, far"
    assert "There are 2 words but 7 bins" in words.message.value
    words.bins_field.value = "1, <b>4"
    assert "“1, 4”" not in words.message.value and "&#60;b&#62;4" in words.message.value
    words.bins_field.value = "1, 4"
    assert words.message.value == ""
    assert len(bar_widths(words)) == 2
    assert words.image.value != picture
    words.presets["original"].click()  # seven words bring seven bins
    assert words.bins == settings.BINS["original"]
    assert words.message.value == ""


def test_error_left_standing_blocks_no_clicks(words):
    words.words_field.value = "near, , far"
    for cell in [(2, 3), (10, 14)]:
        click_cell(words, *cell)
        assert words.cell == cell and f"row {cell[0]}, column {cell[1]}" in words.headline
        assert "Word 2 of 3 is empty." in words.message.value
    words.frame.value = 1
    assert words.words == settings.PROMPTS["original"] and "Word 2" in words.message.value
    words.reset.click()
    assert words.message.value == ""


def test_words_that_cannot_be_encoded_are_left_out(words, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(words, "_texts", fails_with(OSError("no tokens")))
        words.words_field.value = "a, b, c, d, e, f, g"
    assert "OSError: no tokens" in words.message.value
    click_cell(words, 1, 1)
    assert words.cell == (1, 1) and words.words == settings.PROMPTS["original"]
    assert "OSError: no tokens" in words.message.value


def fails_with(error):
    def fail(*arguments):
        raise error

    return fail


def test_next_change_after_a_failure_is_drawn(bins, similarities, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(bins.frames, "rgb", fails_with(OSError("the disk\nis gone")))
        bins.frame.value = 1
        assert "OSError: the disk is gone" in bins.message.value
    bins.temperature.value = 0.2
    assert bins.message.value == ""
    depth = pipeline.depth_maps(similarities[1:2], bins.bins, (416, 544), 0.2)[0]
    np.testing.assert_allclose(bins.depth, depth, atol=1e-5)


def test_random_weights_encode_only_the_chosen_frame(few, encoder, passes, monkeypatch, tmp_path):
    monkeypatch.setattr(encoder, "weights", "random")
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path / "store"))
    shown = widgets.WordExplorer(few, encoder, HEAD)
    assert passes["images"] == 2  # one frame and its mirror image
    shown.words_field.value = "a, b, c, d, e, f, g"
    assert passes["images"] == 2
    shown.frame.value = 1
    assert passes["images"] == 4
    assert not (tmp_path / "store").exists()


def test_explorers_work_without_ground_truth(encoder, store):
    rng = np.random.default_rng(0)
    photos = [Frame(f"{i}.jpg", rng.integers(0, 255, (96, 160, 3), np.uint8)) for i in range(2)]
    answers = collect_responses(photos, encoder, "original", [HEAD], store=store, progress=False)
    shown = widgets.CellExplorer(photos, answers[HEAD], "original")
    assert shown.headline.endswith(" m") and "true" not in shown.headline
    assert [label for label, _ in shown.scene.options] == ["all scenes (2)"]
    moved = widgets.BinExplorer(photos, answers[HEAD], "original")
    assert moved.metrics.isna().all(axis=None) and moved.metrics_table.value == ""
    typed = widgets.WordExplorer(photos, encoder, HEAD, store=store)
    for explored in (shown, moved, typed):
        before = explored.image.value
        explored.frame.value = 1
        assert explored.image.value != before and explored.message.value == ""


def test_mismatched_arguments_are_rejected(few, similarities, encoder):
    with pytest.raises(dc.DepthClipError, match="3 similarities for 2 frames"):
        widgets.CellExplorer(few[:2], similarities, "original")
    with pytest.raises(dc.DepthClipError, match="3 similarities for 2 frames"):
        widgets.BinExplorer(few[:2], similarities, "original")
    with pytest.raises(dc.DepthClipError, match=r"no cell \(13, 0\)"):
        widgets.CellExplorer(few, similarities, "original", cell=(13, 0))
    with pytest.raises(dc.DepthClipError, match="one bin for each word"):
        widgets.CellExplorer(few, similarities, "original", [1, 2])


def test_picture_has_a_fixed_size(cells):
    for frame in (0, 1):
        cells.frame.value = frame
        size = Image.open(BytesIO(cells.image.value)).size
        assert size == (cells.image.width, cells.image.height)


def test_names_and_words_are_never_markup(few, similarities, recwarn):
    named = [replace(frame, name="a $x_$ 写\n.jpg", scene="<b>_\udcff</b>") for frame in few]
    words = ("$w_$ <b>写</b>", *settings.PROMPTS["original"][1:])
    for shown in (
        widgets.CellExplorer(named, similarities, words, title="$t_$"),
        widgets.BinExplorer(named, similarities, words),
    ):
        shown.frame.value = 1
        assert shown.message.value == ""
        assert "$x_$ □ .jpg" in " ".join(ax.get_title("left") for ax in shown.picture.figure.axes)
        assert "$x_$ 写 .jpg" in shown.image.alt
    assert shown.bin_sliders.sliders[0].label == words[0]  # a browser shows it as text
    assert not list(recwarn)


def test_error_messages_are_never_markup(cells, monkeypatch):
    error = dc.DepthClipError("no <img src=x onerror=alert(1)> $x$")
    monkeypatch.setattr(cells.frames, "rgb", fails_with(error))
    cells.frame.value = 1
    message = BeautifulSoup(cells.message.value, "html.parser")
    assert message.get_text() == "no <img src=x onerror=alert(1)> $x$"
    assert not message.find("img")
