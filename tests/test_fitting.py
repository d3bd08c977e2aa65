import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.fitting import STEP, fit_bins


def one_hot_world(noise=0.0, seed=0):
    """Frames in which word k answers alone wherever depth is about BINS[k]."""
    rng = np.random.default_rng(seed)
    bins = np.array([1.2, 2.4, 4.8])
    for _ in range(3):
        word = rng.integers(0, 3, (480, 640))
        truth = bins[word] + rng.normal(0, noise, word.shape)
        truth[rng.random(word.shape) < 0.1] = 0
        weights = np.eye(3)[word[56:472, 60:604]].transpose(2, 0, 1).astype(np.float32)
        yield weights, truth


@pytest.mark.parametrize("method", ["median", "least-squares"])
def test_bins_of_a_world_that_has_some_are_found(method):
    assert fit_bins(one_hot_world(), method) == pytest.approx((1.2, 2.4, 4.8), abs=STEP)
    assert fit_bins(one_hot_world(0.2), method) == pytest.approx((1.2, 2.4, 4.8), abs=0.02)


def test_least_squares_beats_every_small_step_away_from_it():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(4), (416, 544)).transpose(2, 0, 1).astype(np.float32)
    truth = rng.uniform(0.5, 6, (480, 640))
    bins = np.array(fit_bins([(weights, truth)], "least-squares"))
    seen = np.s_[0:415, 0:541]

    def error(b):
        return np.mean((np.tensordot(b, weights, 1)[seen] - truth[56:472, 60:604][seen]) ** 2)

    for k in range(4):
        for step in (-0.05, 0.05):
            moved = bins.copy()
            moved[k] += step
            assert error(moved) > error(bins)


def test_a_word_that_never_answers_takes_the_median_of_all():
    weights = np.zeros((2, 416, 544), np.float32)
    weights[0] = 1
    truth = np.full((480, 640), 3.0)
    assert fit_bins([(weights, truth)]) == pytest.approx((3.0, 3.0), abs=STEP)


def test_bad_input_is_refused():
    weights = np.ones((1, 416, 544), np.float32)
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        fit_bins([(weights, np.zeros((480, 640)))])
    with pytest.raises(dc.DepthClipError, match="did you mean 'median'"):
        fit_bins([], "mean")
