import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.evaluation.metrics import METRICS


def ground_truths(n=2, seed=0):
    """Smooth, NYU-like depth in whole millimetres, with holes."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(0.8, 1.6, 480)[:, None] * np.linspace(1, 1.5, 640)
    truth = np.stack([rows * scale for scale in rng.uniform(1.2, 2.5, n)])
    truth[:, ::7, ::5] = 0
    return np.rint(truth * 1000) / 1000


def test_closed_form_matches_mean_of_draws():
    truth = ground_truths()
    expected = dc.lower_bound(truth)
    drawn = sum(dc.lower_bound(truth, drawn=True, seed=s)[list(METRICS)] for s in range(8)) / 8
    for metric in METRICS:
        assert drawn[metric].to_numpy() == pytest.approx(expected[metric].to_numpy(), rel=5e-3)


def test_pixel_noise_rmse_matches_algebra():
    truth = ground_truths(1)
    seen = truth[0, 56:471, 60:601]
    g = seen[seen > 0]
    algebra = np.sqrt(100 / 3 - 10 * g.mean() + (g**2).mean())
    assert dc.lower_bound(truth)["rmse"][0] == pytest.approx(algebra, abs=2e-3)


def test_cell_noise_loses_five_ninths_of_variance():
    noise = dc.random_depth(200, "cell", seed=3)
    # Means of squared bilinear weights: 2/3 along each axis, 4/9 together.
    assert noise.var() == pytest.approx(100 / 12 * 4 / 9, rel=0.03)
    assert noise.shape == (200, 416, 544)
    pixels = dc.random_depth(2, "pixel", seed=3)
    assert pixels.var() == pytest.approx(100 / 12, rel=0.01)
    truth = ground_truths()
    assert (dc.lower_bound(truth, "cell")["rmse"] < dc.lower_bound(truth)["rmse"]).all()


def test_same_seed_gives_same_noise():
    assert np.array_equal(dc.random_depth(1, "cell", seed=5), dc.random_depth(1, "cell", seed=5))
    assert not np.array_equal(dc.random_depth(1, seed=5), dc.random_depth(1, seed=6))


def test_best_constants_beat_others():
    truth = ground_truths()
    best = dc.best_constants(truth)
    assert list(best.index) == list(METRICS)

    def score(metric, metres):
        rows = dc.evaluate(dc.constant_depth(metres, len(truth)), truth)
        return dc.summarise(rows)[metric] * (-1 if metric.startswith("delta") else 1)

    for metric in ["delta1", "abs_rel", "rmse", "mae", "rmse_log"]:
        here = score(metric, best[metric])
        for other in np.linspace(0.6, 6, 10):
            assert here <= score(metric, other) + 2e-3


def test_one_depth_per_image_is_the_mean_over_constants():
    truth = ground_truths(2)
    truth[1] = 0
    expected = dc.lower_bound(truth, "image")
    assert expected.iloc[1].drop("n_pixels").isna().all()
    constants = np.linspace(0.0125, 9.9875, 400)
    rows = [dc.evaluate(dc.constant_depth(c, 1), truth[:1]) for c in constants]
    mean = pd.concat(rows).mean()
    np.testing.assert_allclose(expected.iloc[0][mean.index], mean, rtol=5e-3)
    depth = dc.random_depth(3, "image", seed=1)
    assert (depth == depth[:, :1, :1]).all() and len(np.unique(depth)) == 3
    drawn = dc.lower_bound(np.repeat(truth[:1], 60, 0), "image", drawn=True)
    assert drawn["rmse"].mean() == pytest.approx(expected["rmse"][0], rel=0.15)


def test_readings_differ_as_their_errors_average():
    """Per image, rmse is a mean of roots: less than per pixel's, the root of a mean."""
    truth = ground_truths(2)
    rmse = {r: dc.lower_bound(truth, r)["rmse"].mean() for r in ("pixel", "image")}
    assert rmse["image"] < 0.95 * rmse["pixel"]
    delta = {r: dc.lower_bound(truth, r)["delta1"].mean() for r in ("pixel", "image")}
    assert delta["image"] == pytest.approx(delta["pixel"], abs=2e-3)


def test_unknown_reading_raises():
    with pytest.raises(dc.DepthClipError, match="did you mean 'pixel'"):
        dc.random_depth(1, "pixels")
    with pytest.raises(dc.DepthClipError, match="closed form here"):
        dc.lower_bound(ground_truths(1), "cell", drawn=False)
    with pytest.raises(dc.DepthClipError, match="without alignment"):
        dc.lower_bound(ground_truths(1), "pixel", "median-scaled", drawn=False)


def test_aligning_protocol_scores_drawn_noise():
    truth = ground_truths(1)
    rows = dc.lower_bound(truth, "pixel", "median-scaled", seed=3)
    drawn = dc.evaluate(dc.random_depth(1, "pixel", seed=3), truth, "median-scaled")
    np.testing.assert_array_equal(rows, drawn)


def test_best_constants_skip_empty_frames():
    truth = ground_truths()
    assert dc.best_constants([np.zeros((480, 640)), *truth]).equals(dc.best_constants(truth))
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        dc.best_constants(np.zeros((2, 480, 640)))


def test_lower_bound_of_empty_frame_is_nan():
    rows = dc.lower_bound(np.zeros((1, 480, 640)))
    assert rows["n_pixels"][0] == 0
    assert rows["rmse"].isna().all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.5])
def test_bad_ground_truth_raises(value):
    truth = ground_truths()
    truth[1, 200, 300] = value
    for reading, drawn in (("pixel", None), ("pixel", True), ("cell", None)):
        with pytest.raises(dc.DepthClipError, match="ground truth holds 1 NaN"):
            dc.lower_bound(truth, reading, drawn=drawn)
    with pytest.raises(dc.DepthClipError, match="ground truth holds 1 NaN"):
        dc.best_constants(truth)
    with pytest.raises(dc.DepthClipError, match="positive, finite depths"):
        dc.best_constants(ground_truths(), candidates=[1.0, value])
    with pytest.raises(dc.DepthClipError, match="depth holds"):
        dc.evaluate(dc.constant_depth(value, 2), ground_truths())


def test_best_constants_need_candidates():
    with pytest.raises(dc.DepthClipError, match="one or more"):
        dc.best_constants(ground_truths(), candidates=[])
