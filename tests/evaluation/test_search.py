import numpy as np
import pytest
import torch
from test_sweep import FRAME, SMALL

import depthclip_core as dc
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.search import search
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.settings import BINS

PROTOCOL = SMALL["None True"]
TRUE_BINS = np.array([0.8, 1.1, 1.9, 2.6, 3.9, 5.2, 7.5])


def training(n=6, n_words=7, seed=0, noise=0.05):
    """Frames whose depth is what the words say under TRUE_BINS, with noise and holes."""
    rng = np.random.default_rng(seed)
    similarities = torch.from_numpy(rng.normal(0.2, 2e-3, (n, 2, n_words, 5, 6))).float()
    truth = np.zeros((n, *FRAME), dtype=np.float32)
    rows, columns = PROTOCOL.window.slices
    truth[:, rows, columns] = depth_maps(
        similarities, TRUE_BINS[:n_words].tolist(), PROTOCOL.window.shape
    ) * rng.normal(1, noise, (n, *PROTOCOL.window.shape))
    truth[rng.random(truth.shape) < 0.2] = 0
    rgb = np.zeros((1, 1, 3), dtype=np.uint8)
    frames = [
        dc.Frame(f"{i}", rgb, t, scene="office" if i % 3 else "bathroom")
        for i, t in enumerate(truth)
    ]
    return frames, truth, similarities


@pytest.fixture(scope="module")
def world():
    return training()


@pytest.mark.parametrize("metric", METRICS)
def test_found_bins_beat_every_start(world, metric):
    frames, truth, similarities = world
    found = search(frames, similarities, metric, protocol=PROTOCOL, n_pixels=80, finalists=4)
    assert list(found.bins) == sorted(found.bins)
    assert 0.5 <= found.bins[0] and found.bins[-1] <= 10
    sign = METRICS[metric].sign
    starts = found.candidates.loc[[*BINS, "median", "least-squares"]]
    assert (sign * found.train >= sign * starts["train"]).all()
    # The exact score is that of evaluate, and the published starts are what was published.
    rows = dc.evaluate(depth_maps(similarities, found.bins, PROTOCOL.window.shape), truth, PROTOCOL)
    assert found.train == pytest.approx(dc.summarise(rows)[metric], abs=1e-3)
    assert found.candidates.loc["original", "bins"] == BINS["original"]
    exact = sweep(truth, similarities, BINS, protocols=[PROTOCOL], metrics=[metric]).means()
    pixel = 5e-4 if METRICS[metric].higher_is_better else 0  # one on the threshold of delta
    np.testing.assert_allclose(starts.loc[[*BINS], "train"], exact[metric], 1e-6, 1e-6 + pixel)


def test_search_recovers_true_bins(world):
    frames, _, similarities = world
    found = search(frames, similarities, "rmse", protocol=PROTOCOL)
    assert found.bins == pytest.approx(TRUE_BINS, abs=0.2)
    assert found.coarse == pytest.approx(found.train, rel=0.1)


def test_search_is_reproducible_by_seed(world):
    frames, _, similarities = world
    options = {"protocol": PROTOCOL, "n_pixels": 40, "finalists": 2}
    first, again = (search(frames, similarities, **options) for _ in range(2))
    assert first.candidates.equals(again.candidates)
    assert search(frames, similarities, seed=1, **options).bins != first.bins


def test_search_of_a_scene_uses_its_frames(world):
    frames, _, similarities = world
    options = {"protocol": PROTOCOL, "n_pixels": 40, "finalists": 2}
    found = search(frames, similarities, scene="bathroom", **options)
    alone = search([frames[0], frames[3]], similarities[[0, 3]], **options)
    assert found.n_frames == 2
    assert found.bins == alone.bins
    with pytest.raises(dc.DepthClipError, match="did you mean 'bathroom'"):
        search(frames, similarities, scene="bathrom", **options)


@pytest.mark.parametrize("protocol", SMALL)
@pytest.mark.parametrize("n_words", [1, 3])
def test_search_works_for_any_protocol_and_number_of_words(protocol, n_words):
    frames, truth, similarities = training(3, n_words)
    frames[1].raw_depth[:] = 0
    found = search(
        frames, similarities, "abs_rel", protocol=SMALL[protocol], n_pixels=16, limits=(0.4, 9)
    )
    assert found.n_frames == 2
    got = sweep(truth, similarities, [found.bins], protocols=[SMALL[protocol]]).means()
    assert found.train == pytest.approx(got["abs_rel"].item(), abs=1e-7)
    assert set(found.candidates.index) >= {"median", "least-squares"}
    assert found.candidates["bins"].map(lambda b: list(b) == sorted(b)).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metric": "delta9"}, "unknown metric"),
        ({"limits": (3, 2)}, "limits must be finite and ascend"),
        ({"limits": (0.5, np.inf)}, "limits must be finite and ascend"),
        ({"limits": (np.nan, 10)}, "limits must be finite and ascend"),
        ({"temperature": np.nan, "protocol": PROTOCOL}, "positive and finite, got nan"),
        ({"n_pixels": 0}, "at least one pixel"),
        ({"protocol": "realeased"}, "did you mean 'released'"),
    ],
)
def test_bad_input_raises(world, options, says):
    frames, _, similarities = world
    with pytest.raises(dc.DepthClipError, match=says):
        search(frames, similarities, **options)
    with pytest.raises(dc.DepthClipError, match="similarities of 6 frames for 5 frames"):
        search(frames[:5], similarities)
    photos = [dc.Frame(f.name, f.rgb) for f in frames]
    with pytest.raises(dc.DepthClipError, match="0 has no depth"):
        search(photos, similarities)
    empty = [dc.Frame(f.name, f.rgb, np.zeros(FRAME, np.float32)) for f in frames]
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        search(empty, similarities, protocol=PROTOCOL)
    with pytest.raises(dc.DepthClipError, match="similarities of frame 2 hold NaN"):
        search(frames, similarities.index_fill(0, torch.tensor(2), torch.nan), protocol=PROTOCOL)
    frames = [dc.Frame(f.name, f.rgb, np.full(FRAME, np.nan)) for f in frames]
    with pytest.raises(dc.DepthClipError, match="ground truth holds NaN"):
        search(frames, similarities, protocol=PROTOCOL)
