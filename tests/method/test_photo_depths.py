import hashlib
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import depthclip_core as dc
from depthclip_core.analysis.own_photo import read_photos
from depthclip_core.errors import DepthClipError
from depthclip_core.method import pipeline
from depthclip_core.method.depth import upsample
from depthclip_core.method.photo_depths import (
    network_title,
    picture_notes,
    predict_photos,
    resolve_setting,
    what_to_expect,
)
from depthclip_core.settings import BINS, PROMPTS

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture(scope="module")
def encoder(own_store):
    return dc.load_encoder("sample", device="cpu")


@pytest.fixture
def photos(tmp_path):
    """Photographs of 64 x 96 pixels, but the third is upright and the last damaged."""
    rng, paths = np.random.default_rng(0), []
    for i, shape in enumerate([(64, 96), (64, 96), (96, 64), (64, 96), (64, 96)]):
        coarse = rng.integers(0, 256, (shape[0] // 16, shape[1] // 16, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(coarse).resize(shape[::-1]).save(paths[-1])
    paths[-1].write_bytes(paths[-1].read_bytes()[:60])
    return paths


def expected(path, encoder, setting, long_side=None):
    photo = Image.open(path)
    if long_side:
        photo.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    rgb = np.array(photo)[None]
    options = {"head": setting.head, "temperature": setting.temperature}
    return dc.predict_depth(rgb, encoder, setting.words, setting.bins, **options)[0]


@pytest.mark.parametrize("batch_size", [None, 1, 2, 4])
def test_photos_have_the_depth_of_predict_depth_in_order(photos, encoder, batch_size):
    setting = resolve_setting(["near", "middle", "far"], [1, 2, 5], "released", 0.3)
    found = list(predict_photos(photos, encoder, setting, batch_size=batch_size))
    for path, photo in zip(photos[:-1], found, strict=False):
        np.testing.assert_allclose(photo.depth, expected(path, encoder, setting), atol=1e-5)
        assert photo.depth.dtype == np.float32
        np.testing.assert_array_equal(photo.rgb, np.array(Image.open(path)))
        assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert isinstance(found[-1], dc.DepthClipError) and len(found) == len(photos)
    assert str(found[-1]).startswith(f"cannot read {photos[-1]} as an image: ")


def test_photos_of_one_size_that_follow_one_another_are_a_batch(photos, encoder, monkeypatch):
    sizes, respond = [], pipeline.respond

    def spy(frames, *arguments, **options):
        sizes.append(frames.shape[:3])
        return respond(frames, *arguments, **options)

    monkeypatch.setattr(pipeline, "respond", spy)
    list(predict_photos(photos, encoder, resolve_setting(), batch_size=2))
    assert sizes == [(2, 64, 96), (1, 96, 64), (1, 64, 96)]


def test_full_size_depth_is_upsampled_from_the_shrunk_photo(photos, encoder):
    setting = resolve_setting()
    (small,) = predict_photos(photos[:1], encoder, setting, long_side=48)
    (full,) = predict_photos(photos[:1], encoder, setting, long_side=48, full_size=True)
    assert small.depth.shape == (32, 48) and small.size == full.size == full.depth.shape == (64, 96)
    np.testing.assert_allclose(small.depth, expected(photos[0], encoder, setting, 48), atol=1e-5)
    wanted = upsample(torch.from_numpy(small.depth)[None], (64, 96))[0]
    np.testing.assert_array_equal(full.depth, wanted)
    assert small.rgb.shape == full.rgb.shape == (32, 48, 3)


def test_small_photos_are_not_enlarged(photos, encoder):
    (found,) = predict_photos(photos[:1], encoder, resolve_setting(), long_side=640)
    assert found.depth.shape == (64, 96)


def test_photo_taken_upright_has_upright_depth(photos, encoder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.open(photos[0]).save(tmp_path / "turned.jpg", exif=exif)
    (found,) = predict_photos([tmp_path / "turned.jpg"], encoder, resolve_setting())
    assert found.size == found.depth.shape == (96, 64)


def test_photo_without_room_for_a_cell_is_an_error_of_its_own(photos, encoder, tmp_path):
    Image.new("RGB", (31, 100)).save(tmp_path / "thin.png")
    thin, ok = predict_photos([tmp_path / "thin.png", photos[0]], encoder, resolve_setting())
    assert str(thin).startswith(f"{tmp_path / 'thin.png'}: an image of 100 x 31 pixels is smaller")
    assert ok.depth.shape == (64, 96)


def test_photo_that_is_too_small_once_shrunk_is_named_by_its_own_size(encoder, tmp_path):
    wide = tmp_path / "wide.png"
    Image.new("RGB", (3000, 40)).save(wide)
    fault = "a photograph of 40 x 3000 pixels, shrunk to 9 x 640, is smaller than one cell"
    (found,) = predict_photos([wide], encoder, resolve_setting())
    assert str(found).startswith(f"{wide}: {fault}")
    frames = dc.open_dataset("photos", data=wide)
    with pytest.raises(DepthClipError, match=fault):
        dc.predict_depth(frames, encoder, prompts="original", bins="original", head="value")
    with pytest.raises(DepthClipError, match=fault):
        read_photos(frames, encoder, resolve_setting())
    assert frames.own_size(0) == (40, 3000) == frames[:].own_size(0)


def test_photos_of_several_sizes_are_named_by_their_own_sizes(encoder, tmp_path):
    Image.new("RGB", (3000, 40)).save(tmp_path / "a.png")
    Image.new("RGB", (600, 500)).save(tmp_path / "b.png")
    frames = dc.open_dataset("photos", data=tmp_path)
    fault = r"frame 1 has 500 x 600 pixels and others 9 x 640 \(shrunk from 40 x 3000\): frames"
    with pytest.raises(DepthClipError, match=fault):
        dc.predict_depth(frames, encoder, prompts="original", bins="original", head="value")


def test_reading_stops_with_the_reader(photos, encoder):
    before = set(threading.enumerate())
    found = predict_photos(photos, encoder, resolve_setting())
    next(found)
    assert set(threading.enumerate()) > before
    found.close()
    assert set(threading.enumerate()) <= before


def test_too_little_memory_is_one_line(photos, encoder, monkeypatch):
    def full(*_, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nOf ...")

    monkeypatch.setattr(pipeline, "respond", full)
    with pytest.raises(
        dc.DepthClipError, match="cpu has too little memory for one frame of 64 x 9"
    ):
        list(predict_photos(photos, encoder, resolve_setting(), batch_size=2))


def test_depth_that_is_not_finite_is_refused(photos, encoder, monkeypatch):
    monkeypatch.setattr(pipeline, "_depth", lambda *_: torch.full((1, 64, 96), torch.nan))
    with pytest.raises(dc.DepthClipError, match="gives depth that is NaN or infinite"):
        list(predict_photos(photos[:1], encoder, resolve_setting()))


@pytest.mark.parametrize(
    "options", [{"long_side": 0}, {"batch_size": 0}, {"batch_size": 1.5}, {"long_side": True}]
)
def test_bad_numbers_are_refused(photos, encoder, options):
    ((name, _),) = options.items()
    with pytest.raises(dc.DepthClipError, match=f"{name} must be a whole number from 1 or None"):
        list(predict_photos(photos, encoder, resolve_setting(), **options))


def test_setting_knows_published_names():
    setting = resolve_setting()
    assert (setting.words, setting.bins) == (PROMPTS["original"], BINS["original"])
    assert (setting.words_name, setting.bins_name, setting.head) == ("original",) * 2 + ("value",)
    assert resolve_setting(["near", "far"], [1, 2]).words_name == "given"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": "orignal"}, "unknown prompts"),
        ({"bins": [1, 2]}, "2 depths but there are 7 words"),
        ({"head": "vale"}, "unknown head"),
        ({"temperature": 0}, "temperature must be positive"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(dc.DepthClipError, match=message):
        resolve_setting(**arguments)


def test_expectation_depends_on_the_weights(encoder, monkeypatch):
    setting = resolve_setting(["near", "far"], [1, 4.5])
    assert "other photographs its metres mean nothing" in what_to_expect(encoder, setting)
    assert network_title(encoder) == "the sample's own CLIP"
    monkeypatch.setattr(encoder, "weights", "random")
    assert what_to_expect(encoder, setting) == "sample has random weights: its depths mean nothing"
    assert network_title(encoder) == "sample, random weights"
    monkeypatch.setattr(encoder, "weights", "a/RN50.pt")
    assert "within the bins, 1 to 4.5 m" in what_to_expect(encoder, setting)
    assert network_title(encoder) == "sample, RN50.pt weights"


def test_a_picture_says_its_bins_and_what_they_mean(encoder):
    for bins, shown in ([[1, 4.5], "bins: 1, 4.5 m"], ["original", "original bins: 1, 1.5, 2, "]):
        words = ["near", "far"] if bins != "original" else "original"
        setting = resolve_setting(words, bins)
        first, last = picture_notes(encoder, setting)
        assert first.startswith(shown) and last == what_to_expect(encoder, setting)
