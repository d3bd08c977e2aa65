import naive
import numpy as np
import pytest
import torch

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import fitting
from depthclip_core.evaluation.fitting import STEP, fit_bins, fit_medians
from depthclip_core.evaluation.protocols import PROTOCOLS

GRID = (3, 4)
WORLD = np.array([1.2, 2.4, 4.8])


def random_similarities(n_frames=3, n_words=7, views=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.004 * torch.randn(n_frames, views, n_words, *GRID, generator=generator)


def random_ground_truths(n_frames=3, seed=0):
    rng = np.random.default_rng(seed)
    smooth = np.kron(rng.uniform(0.5, 9, (n_frames, 12, 16)), np.ones((40, 40)))
    depth = smooth + rng.normal(0, 0.2, smooth.shape)
    depth[rng.random(depth.shape) < 0.2] = 0
    return np.clip(depth, 0, 10.5).astype(np.float32)


def world(noise=0.0, seed=0):
    """Frames in which a word answers alone in all of a frame, at the word's depth."""
    rng = np.random.default_rng(seed)
    similarities = torch.zeros(6, 1, 3, *GRID)
    ground_truths = []
    for frame in range(6):
        similarities[frame, 0, frame % 3] = 1
        truth = WORLD[frame % 3] + rng.normal(0, noise, (480, 640))
        truth[rng.random(truth.shape) < 0.1] = 0
        ground_truths.append(truth)
    return ground_truths, similarities


@pytest.mark.parametrize("method", ["median", "least-squares"])
def test_fit_recovers_true_bins(method):
    assert fit_bins(*world(), method) == pytest.approx(WORLD, abs=STEP)
    assert fit_bins(*world(0.2), method) == pytest.approx(WORLD, abs=0.02)


@pytest.mark.parametrize("protocol", ["released", "bts"])
def test_medians_match_weighted_pixels(protocol):
    """Depth counted by cell, once for all lists, gives what pixel after pixel gives."""
    ground_truths = random_ground_truths(2)
    similarities = {
        "a": random_similarities(2, seed=1),
        "b": random_similarities(2, n_words=5, seed=2),
    }
    found = fit_medians(ground_truths, similarities, protocol=protocol)
    resolved = PROTOCOLS[protocol]
    rows, columns = resolved.window.slices
    seen = np.array(
        [resolved.valid_mask(t, np.full(t.shape, 10.0))[rows, columns] for t in ground_truths]
    )
    depths = ground_truths[:, rows, columns][seen]
    for name, each in similarities.items():
        views = each if resolved.flip else each[:, :1]
        maps = naive.pixel_weights(views, resolved.window.shape)
        for word, bin_ in enumerate(found[name]):
            expected = naive.fitted_median(maps[:, word][seen], depths)
            assert bin_ == pytest.approx(expected, abs=1.1 * STEP)


def test_least_squares_bins_are_a_minimum():
    ground_truths, similarities = random_ground_truths(), random_similarities(n_words=4)
    weights = naive.pixel_weights(similarities, (416, 544))[:, :, :415, :541]
    depths = ground_truths[:, 56:471, 60:601]
    seen = (depths > 1e-3) & (depths < 10)
    bins = np.array(fit_bins(ground_truths, similarities, "least-squares"))

    def error(b):
        return np.mean((np.tensordot(weights, b, (1, 0))[seen] - depths[seen]) ** 2)

    for step in 0.05 * np.eye(4):
        assert error(bins) < min(error(bins + step), error(bins - step))


def test_silent_word_gets_overall_median():
    similarities = random_similarities(n_words=3)
    similarities[:, :, 1] = -1.0
    ground_truths = random_ground_truths()
    alone = fit_bins(ground_truths, similarities[:, :, :1])
    assert fit_bins(ground_truths, similarities)[1] == pytest.approx(alone[0], abs=1.1 * STEP)


def test_histograms_count_each_valid_pixel_once():
    ground_truths, similarities = random_ground_truths(2), random_similarities(2)
    frames = [f["a"] for f in fitting.word_histograms(ground_truths, {"a": similarities})]
    for histogram, truth in zip(frames, ground_truths, strict=True):
        valid = PROTOCOLS["released"].valid_depth_mask(truth[56:471, 60:601])
        assert histogram.sum() == pytest.approx(valid.sum(), rel=1e-6)
        counts, _ = np.histogram(truth[56:471, 60:601][valid], np.linspace(0, 10, 11))
        coarse = histogram.sum(0).reshape(10, -1).sum(1)
        np.testing.assert_allclose(coarse, counts, rtol=1e-5)


@pytest.mark.parametrize("method", fitting.METHODS)
def test_bad_input_raises(method):
    ground_truths = random_ground_truths()
    with pytest.raises(DepthClipError, match="no frame has a valid pixel"):
        fit_bins(0 * ground_truths, random_similarities(), method)
    with pytest.raises(DepthClipError, match="run collect_responses again"):
        fit_bins(ground_truths[:2], random_similarities(), method)
    with pytest.raises(DepthClipError, match="did you mean 'median'"):
        fit_bins(ground_truths, random_similarities(), "mean")
    with pytest.raises(DepthClipError, match="same frames and grid"):
        fit_medians(
            ground_truths, {"a": random_similarities(), "b": random_similarities(n_frames=2)}
        )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", fitting.METHODS)
def test_non_finite_input_raises(method, value):
    similarities = random_similarities()
    similarities[1, 1, 2, 0, 3] = value
    with pytest.raises(DepthClipError, match="similarities of frame 1 hold NaN"):
        fit_bins(random_ground_truths(), similarities, method)
    with pytest.raises(DepthClipError, match="temperature must be positive and finite"):
        fit_bins(random_ground_truths(), random_similarities(), method, temperature=abs(value))
    ground_truths = random_ground_truths()
    ground_truths[2, 100, 100] = value
    with pytest.raises(DepthClipError, match="ground truth holds NaN, infinite or negative"):
        fit_bins(ground_truths, random_similarities(), method)
    histogram = np.ones((3, 20))
    histogram[1, 4] = value
    with pytest.raises(DepthClipError, match="a histogram holds NaN or infinite"):
        fitting.medians(histogram)
