import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.analysis import own_photo
from depthclip_core.analysis.own_photo import PhotoReader, expectations
from depthclip_core.datasets.photos import Photo
from depthclip_core.method.photo_depths import resolve_setting


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample")


@pytest.fixture(scope="module")
def photo():
    return Photo.of_frame(dc.open_dataset("sample")[3])


@pytest.mark.parametrize("head", ["released", "value", "attention"])
def test_reading_is_what_predict_depth_returns(encoder, photo, head):
    setting = resolve_setting(["near", "far"], [1.0, 4.0], head)
    reading = PhotoReader(encoder).read(photo.frame, setting)
    expected = dc.predict_depth(photo.frame, encoder, ["near", "far"], [1.0, 4.0], head)[0]
    np.testing.assert_allclose(reading.depth, expected, atol=1e-5)
    assert reading.weights.shape == (2, 13, 17) and reading.cells.shape == (13, 17)
    np.testing.assert_allclose(reading.weights.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(reading.cells, reading.weights[0] + 4 * reading.weights[1], 1e-5)


def test_a_photograph_goes_through_the_network_once(encoder, photo, monkeypatch):
    passes, run = [], own_photo.head_vectors
    monkeypatch.setattr(own_photo, "head_vectors", lambda *a, **k: passes.append(1) or run(*a, **k))
    reader = PhotoReader(encoder)
    for head, bins in [("released", "original"), ("value", "class-dependent-1")]:
        reader.read(photo.frame, resolve_setting("original", bins, head))
    assert passes == [1]
    reader.read(Photo.of_frame(dc.open_dataset("sample")[4]).frame, resolve_setting())
    assert passes == [1, 1]


def test_expectations_name_what_is_known(encoder):
    setting = resolve_setting(bins="original")
    assert "its metres mean nothing" in expectations(encoder, setting)

    class Loaded:
        name, weights, from_openai = "RN50", "openai", True

    known = expectations(Loaded, setting)
    assert "within the bins, 1 to 3 m" in known
    assert "the paper prints δ1 0.394, rel 0.388, rmse 1.167 m for RN50" in known
    Loaded.name = "ViT-B-16"
    assert "has no numbers of ViT-B-16" in expectations(Loaded, setting)
