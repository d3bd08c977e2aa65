import dataclasses

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.store import Store
from depthclip_core.evaluation import scoring
from depthclip_core.settings import BINS, PROMPTS, RELEASED_WINDOW

WORDS, METRES = PROMPTS["original"], BINS["original"]


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    return [
        dc.Frame(
            name=f"{i:04d}",
            rgb=np.kron(rng.integers(0, 255, (15, 20, 3)), np.ones((32, 32, 1))).astype(np.uint8),
            raw_depth=rng.uniform(0.5, 5, (480, 640)).astype(np.float32),
            scene="bathroom" if i % 2 else "office",
            crop=RELEASED_WINDOW,
        )
        for i in range(10)  # more than one batch
    ]


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample", device="cpu")


@pytest.fixture(scope="module")
def similarities(frames, encoder, tmp_path_factory):
    return collect_responses(
        frames,
        encoder,
        WORDS,
        ["value", "released"],
        store=Store(tmp_path_factory.mktemp("store")),
        progress=False,
    )


def test_score_matches_predict_and_evaluate(frames, encoder, similarities):
    rows = scoring.score(frames, similarities["released"], METRES)
    depth = dc.predict_depth(frames, encoder)
    truth = np.stack([f.raw_depth for f in frames])
    expected = dc.evaluate(depth, truth, names=[f.name for f in frames])
    assert list(rows.index) == [f.name for f in frames]
    assert rows["scene"].tolist() == [f.scene for f in frames]
    np.testing.assert_allclose(rows[expected.columns], expected, atol=1e-4)


def test_heads_differ_from_one_pass(similarities):
    assert {head: tuple(s.shape) for head, s in similarities.items()} == {
        "value": (10, 2, 7, 13, 17),
        "released": (10, 2, 7, 13, 17),
    }
    assert not torch.allclose(similarities["value"], similarities["released"], atol=1e-3)


def test_fitted_bins_score_better(frames, similarities):
    similarities = similarities["value"]
    fitted = scoring.fit(frames, similarities, "least-squares", temperature=1.0)
    before = dc.summarise(scoring.score(frames, similarities, METRES, 1.0))
    after = dc.summarise(scoring.score(frames, similarities, fitted, 1.0))
    assert after["rmse"] < before["rmse"]


def test_correlation_pools_all_pixels(frames, similarities):
    got = scoring.correlation(frames, similarities["value"], METRES)
    depth = np.stack(list(scoring.predictions(similarities["value"], METRES)))[:, :415, :541]
    truth = np.stack([f.raw_depth for f in frames])[:, 56:471, 60:601]
    expected = np.corrcoef(depth.astype(np.float64).ravel(), truth.astype(np.float64).ravel())
    assert got == pytest.approx(expected[0, 1], abs=1e-6)


def test_wrong_frames_and_photos_raise(frames, similarities):
    with pytest.raises(dc.DepthClipError, match="similarities of 10 frames for 9 frames"):
        scoring.score(frames[:9], similarities["value"], METRES)
    photo = dc.Frame(name="a.jpg", rgb=frames[0].rgb)
    with pytest.raises(dc.DepthClipError, match="a.jpg has no depth"):
        scoring.score([photo], similarities["value"][:1], METRES)


def test_frames_with_another_crop_raise(frames, similarities):
    whole = [dataclasses.replace(frame, crop=None) for frame in frames]
    for question in (scoring.score, scoring.correlation):
        with pytest.raises(dc.DepthClipError, match="scores rows 56:472 and columns 60:604"):
            question(whole, similarities["value"], METRES)
    with pytest.raises(dc.DepthClipError, match="give the frames this crop"):
        scoring.fit(whole, similarities["value"])
