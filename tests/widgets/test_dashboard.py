import asyncio
from dataclasses import replace

import numpy as np
import nyu_files
import pandas as pd
import pytest
from pages import wish
from PIL import Image

import depthclip_core as dc
from depthclip_core.encoding.store import Store
from depthclip_core.method import pipeline
from depthclip_core.settings import BINS, PROMPTS
from depthclip_core.widgets import dashboard as module
from depthclip_core.widgets.dashboard import FRAME, PHOTO, Dashboard, open_dashboard
from depthclip_core.widgets.scene_bins import SceneBins

BOTH = ["DepthCLIP", "DepthCLIP + value head"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Nine frames in NYU's layout, one of each scene type, and as many to choose bins on."""
    folder = nyu_files.write_sample(tmp_path_factory.mktemp("nyu"), test=1, train=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHCLIP_STORE", str(tmp_path_factory.mktemp("store")))
        yield dc.open_run("nyu", data=folder, encoder="sample")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def kept(run, store):
    return Dashboard(run, cell=(9, 4), store=store)


@pytest.fixture
def dashboard(kept):
    kept.source.value = FRAME
    kept.frame.value = 0
    kept.reset.click()
    wish((kept.row, 9), (kept.column, 4))
    assert kept.message.value == ""
    return kept


def predicted(run, position, head, words="original", bins="original"):
    frame = run.frames[position]
    return pipeline.predict_depth(frame, run.encoder, words, bins, head=head)[0]


def photo(folder, name="mine.png", shape=(200, 320)):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (*shape, 3)).astype(np.uint8)
    Image.fromarray(rgb).save(folder / name)
    return folder / name


def test_both_heads_are_shown_on_one_scale(dashboard, run):
    assert list(dashboard.depths) == BOTH
    for name, head in zip(BOTH, ("released", "value"), strict=True):
        wanted = predicted(run, 0, head)
        np.testing.assert_allclose(dashboard.depths[name], wanted, atol=1e-3)
        scores = dc.evaluate(wanted[None], run.frames[0].raw_depth[None]).iloc[0]
        assert dashboard.metrics_table.metrics.loc[(name, "now"), "rmse"] == pytest.approx(
            scores["rmse"], abs=1e-3
        )
    picture = dashboard.picture
    images = [picture._truth, *picture._depths.values()]
    assert len({image.get_clim() for image in images}) == 1
    assert images[0].get_clim()[1] >= 4


def test_headline_names_the_cell_and_all_three_depths(dashboard):
    row, column = dashboard.cell
    assert (row, column) == (9, 4)
    for name in BOTH:
        weights = dashboard.weights[name][:, row, column]
        assert f"{name} {weights @ BINS['original']:.2f} m" in dashboard.headline
        bars = [bar.get_width() for bar in dashboard.picture.bars[name].patches]
        np.testing.assert_allclose(bars, weights, atol=1e-6)
    assert "true depth" in dashboard.headline
    assert dashboard.headline in dashboard.image.alt


def test_clicks_and_sliders_choose_a_cell(dashboard):
    seen = {dashboard.image.value}
    places = {"photograph": (4, 30), "DepthCLIP": (394, 30), "value": (784, 30), "truth": (4, 368)}
    for number, (left, top) in enumerate(places.values()):
        row, column = number, 12 - number
        wish((dashboard.image, [left + 22 * (column + 0.5), top + 22 * (row + 0.5)]))
        assert dashboard.cell == (row, column)
        assert dashboard.image.value not in seen
        seen.add(dashboard.image.value)
    wish((dashboard.row, 11))
    assert dashboard.cell == (11, 9)
    wish((dashboard.image, [600, 500]))  # among the bars
    assert dashboard.cell == (11, 9)


def test_moved_bin_pushes_neighbours_and_moves_both_maps(dashboard, run):
    wish((dashboard.bin_sliders.sliders[2], 2.7))
    bins = (1.0, 1.5, 2.7, 2.75, 2.8, 2.85, 3.0)
    assert dashboard.bin_sliders.bins == pytest.approx(bins)
    for name, head in zip(BOTH, ("released", "value"), strict=True):
        np.testing.assert_allclose(
            dashboard.depths[name], predicted(run, 0, head, bins=bins), atol=1e-3
        )
    assert not dashboard.metrics_table.metrics.xs("now", level=1).equals(
        dashboard.metrics_table.metrics.xs("at first", level=1)
    )
    wish((dashboard.bin_sliders.sliders[2], 2.0))
    assert dashboard.bin_sliders.bins == pytest.approx(BINS["original"])


def test_scale_grows_with_far_bins_only(dashboard):
    before = dashboard.picture._truth.get_clim()
    wish((dashboard.bin_sliders.sliders[3], 2.4))
    assert dashboard.picture._truth.get_clim() == before
    wish((dashboard.bin_sliders.sliders[6], 9.0))
    assert dashboard.picture._truth.get_clim()[1] == 9.0


def test_presets_and_reset(dashboard, run):
    first = dashboard.image.value
    for name, button in zip(BINS, dashboard.bin_presets.values(), strict=True):
        wish((button, 1))
        assert dashboard.bin_sliders.bins == pytest.approx(BINS[name])
    for name, button in zip(PROMPTS, dashboard.word_presets.values(), strict=True):
        wish((button, 1))
        assert dashboard.words == PROMPTS[name]
        assert dashboard.words_field.value == ", ".join(PROMPTS[name])
        assert [slider.label for slider in dashboard.bin_sliders.sliders] == list(PROMPTS[name])
    wish((dashboard.temperature, 1.0))
    wish((dashboard.reset, 1))
    assert dashboard.words == run.words and dashboard.temperature.value == pytest.approx(0.1)
    assert dashboard.image.value == first


def test_more_or_fewer_words_spread_the_bins(dashboard, run):
    wish((dashboard.words_field, "near, middle, far"))
    assert dashboard.bin_sliders.bins == (1.0, 2.0, 3.0)
    wanted = predicted(run, 0, "value", ["near", "middle", "far"], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(dashboard.depths[BOTH[1]], wanted, atol=1e-3)
    wish((dashboard.bin_presets["class-dependent-3"], 1))
    assert "These are 7 bins, and there are 3 words." in dashboard.message.value
    assert dashboard.bin_sliders.bins == (1.0, 2.0, 3.0)


def test_words_that_cannot_be_read_keep_the_last_ones(dashboard):
    before = dashboard.image.value
    wish((dashboard.words_field, "near, , <b>far"))
    assert "Word 2 of 3 is empty." in dashboard.message.value
    assert dashboard.words == PROMPTS["original"] and dashboard.image.value == before
    wish((dashboard.row, 3))
    assert dashboard.cell[0] == 3 and "Word 2 of 3 is empty." in dashboard.message.value
    wish((dashboard.words_field, "near, <b>far"))
    assert dashboard.message.value == ""
    assert dashboard.bin_sliders.sliders[1].label == "<b>far"  # a browser shows it as text


def test_sliders_of_the_same_words_stay(dashboard):
    before = dashboard.bin_sliders.sliders
    wish((dashboard.bin_presets["class-dependent-1"], 1))
    wish((dashboard.reset, 1))
    assert dashboard.bin_sliders.sliders is before


def test_bins_for_a_scene_type_are_chosen_on_the_train_split(dashboard, run):
    kinds = [kind for _, kind in dashboard.scene_bins.kind.options]
    assert kinds == sorted(set(run.frames.scenes))
    assert dashboard.scene_bins.kind.value == run.frames.scenes[0]
    wish((dashboard.scene_bins.take, 1))
    train = run.with_head("value").train
    own = [i for i, scene in enumerate(train.scenes) if scene == run.frames.scenes[0]]
    scores = {}
    for name, bins in BINS.items():
        maps = np.stack(
            [pipeline.predict_depth(train[i], run.encoder, bins=bins, head="value")[0] for i in own]
        )
        truths = np.stack([train[i].raw_depth for i in own])
        scores[name] = dc.evaluate(maps, truths)["delta1"].mean()
    best = max(scores, key=scores.get)
    assert dashboard.bin_sliders.bins == pytest.approx(BINS[best])
    assert f"{best} bins have the best δ1" in dashboard.note.value
    assert "on the train split" in dashboard.note.value


def test_scene_type_that_the_train_split_lacks_has_the_bins_of_all(run, monkeypatch):
    means = pd.DataFrame(
        {"delta1": [0.1, 0.3]},
        pd.MultiIndex.from_tuples(
            [("all", "original"), ("all", "class-dependent-2")], names=["scene", "bins"]
        ),
    )
    controls = SceneBins(run.with_head("value"))
    monkeypatch.setattr(controls, "_means", lambda words: means)
    name, why = controls.chosen(run.words)
    assert name == "class-dependent-2" and why.startswith("No ")
    with pytest.raises(dc.DepthClipError, match="seven words"):
        controls.chosen(("near", "far"))


def test_frames_are_filtered_by_scene(dashboard, run):
    scene = run.frames.scenes[3]
    place = [value for _, value in dashboard.scene.options].index(scene)
    wish((dashboard.scene, [place, dashboard.scene.labels[place]]))
    assert dashboard.frame.value == 3 and scene in dashboard.image.alt
    assert dashboard.scene_bins.kind.value == scene
    wish((dashboard.scene, [0, dashboard.scene.labels[0]]))


def test_own_photo_has_no_true_depth(dashboard, run, tmp_path):
    dashboard.source.value = PHOTO
    assert dashboard.picker.layout.display == "none"
    assert dashboard.photos.layout.display == ""
    name = "a $x_$ <b>.png"
    dashboard.photos.take(name, photo(tmp_path).read_bytes())
    assert dashboard.image.alt.startswith(f"{name}: photograph")
    assert "true depth" not in dashboard.headline and dashboard.metrics_table.value == ""
    assert not dashboard.picture._truth.axes.get_visible()
    assert "its metres mean nothing" in dashboard.note.value
    assert dashboard.picture.grid == run.encoder.grid(200, 320)
    rgb = dashboard.photos.frame.rgb
    wanted = pipeline.predict_depth(rgb[None], run.encoder, head="value")[0]
    np.testing.assert_allclose(dashboard.depths[BOTH[1]], wanted, atol=1e-3)
    wish((dashboard.image, [4 + 22 * 2.5, 368 + 22 * 2.5]))  # where the true depth would be
    assert dashboard.message.value == ""
    wish((dashboard.row, 0), (dashboard.column, 0))
    assert dashboard.cell == (0, 0)
    dashboard.source.value = FRAME
    assert "true depth" in dashboard.headline and "rmse" in dashboard.metrics_table.value
    assert dashboard.picture.grid == (13, 17)


def test_upload_is_in_sight_and_shows_its_photo(run, store, tmp_path):
    fresh = Dashboard(run, store=store)
    sources = fresh._sources()
    assert fresh.photos.upload in sources and fresh.photos.upload not in fresh.photos.children
    fresh.photos.take("mine.png", photo(tmp_path).read_bytes())
    assert fresh.source.value == PHOTO and fresh.image.alt.startswith("mine.png: photograph")
    assert fresh.photos.layout.display == "" and fresh.picker.layout.display == "none"
    assert "your photograph mine.png" in fresh.heading.value
    fresh.source.value = FRAME
    assert "your photograph" not in fresh.heading.value and "frames" in fresh.heading.value


def test_no_photo_yet_shows_no_frame_in_its_place(run, store):
    fresh = Dashboard(run, store=store)
    fresh.source.value = PHOTO
    parts = (fresh.image, fresh.metrics_table, fresh.note)
    assert [part.layout.display for part in parts] == ["none"] * 3
    assert "Upload a photograph, or type its path." in fresh.message.value
    fresh.source.value = FRAME
    assert not any(part.layout.display for part in parts) and fresh.message.value == ""


def test_photo_smaller_than_a_cell_leaves_the_frame(dashboard, tmp_path):
    headline = dashboard.headline
    dashboard.source.value = PHOTO
    dashboard.photos.take("tiny.png", photo(tmp_path, shape=(8, 8)).read_bytes())
    assert "smaller than one cell" in dashboard.message.value
    dashboard.source.value = FRAME
    assert dashboard.message.value == "" and dashboard.headline == headline


def test_nothing_is_encoded_where_the_store_has_the_answers(run, store, monkeypatch):
    from depthclip_core.encoding.passes import collect_responses

    collect_responses(
        run.frames, run.encoder, "original", ["released", "value"], store=store, progress=False
    )
    fresh = replace(run, encoder=dc.load_encoder("sample"))

    def build():
        raise AssertionError("the network is built")

    monkeypatch.setattr(fresh.encoder, "build", build)
    shown = Dashboard(fresh, store=store)
    shown.frame.value = 4
    wish((shown.bin_sliders.sliders[0], 0.5))
    assert shown.message.value == ""


def test_frames_without_scenes_or_depth(run, tmp_path):
    for name in ("a.png", "b.png"):
        photo(tmp_path, name)
    photos = dc.open_run("photos", "all", data=tmp_path, encoder="sample")
    shown = Dashboard(photos, store=Store(tmp_path / "store"))
    assert shown.scene_bins.children == ()
    assert "true depth" not in shown.headline and shown.metrics_table.value == ""
    shown.frame.value = 1
    assert shown.message.value == "" and shown.image.alt.startswith("b.png")


def test_what_cannot_be_opened_is_one_line():
    shown = open_dashboard(dataset="nyu", data="/no/such/<b>folder")
    assert 'role="alert"' in shown.value and "<b>folder" not in shown.value
    assert "such" in shown.value
    assert "unknown" in open_dashboard(encoder="RN5O").value


def test_open_dashboard_shows_a_run(run, monkeypatch):
    given = {}

    def opened(**options):
        given.update(options)
        return run

    monkeypatch.setattr(module, "open_run", opened)
    shown = open_dashboard(dataset="nyu", data="folder")
    assert isinstance(shown, Dashboard) and given == {"dataset": "nyu", "data": "folder"}


def test_first_scores_do_not_keep_the_picture_waiting(run, store):
    """In a kernel, which runs a cell in its loop, they follow when the cell has ended."""

    async def cell():
        shown = Dashboard(run, store=store)
        at_first = shown.image.value, shown.metrics_table.value
        await asyncio.sleep(0)
        return *at_first, shown.metrics_table.value

    picture, before, after = asyncio.run(cell())
    assert picture and before == "" and "δ1" in after
