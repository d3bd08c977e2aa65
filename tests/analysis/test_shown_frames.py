import numpy as np
import pandas as pd
import pytest

from depthclip_core.analysis.shown_frames import best_median_worst, bias_and_shape
from depthclip_core.errors import DepthClipError


@pytest.mark.parametrize(("metric", "best", "worst"), [("delta1", 2, 4), ("rmse", 4, 2)])
def test_extremes_know_which_end_is_better(metric, best, worst):
    scores = pd.DataFrame({metric: [0.5, np.nan, 0.9, 0.6, 0.1, 0.4]}, list("abcdef"))
    found = best_median_worst(scores, metric)
    assert found == {"best": best, "median": 0, "worst": worst}


def test_one_scored_frame_is_all_three_and_none_raises():
    scores = pd.DataFrame({"rmse": [np.nan, 1.0]})
    assert set(best_median_worst(scores, "rmse").values()) == {1}
    with pytest.raises(DepthClipError, match="no frame has rmse"):
        best_median_worst(scores[:1], "rmse")


def test_bias_and_shape_add_up_to_rmse():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 5, (30, 40)).astype(np.float32)
    truth[:5] = 0
    depth = (truth + rng.normal(0.5, 0.2, truth.shape)).astype(np.float32)
    found = bias_and_shape(depth, truth)
    assert found["bias (m)"] == pytest.approx((depth - truth)[5:].mean(), abs=1e-5)
    assert found["bias (m)"] ** 2 + found["shape (m)"] ** 2 == pytest.approx(found["rmse (m)"] ** 2)
    assert found["share of bias"] == pytest.approx((found["bias (m)"] / found["rmse (m)"]) ** 2)


def test_moved_map_is_all_bias():
    truth = np.random.default_rng(0).uniform(1, 5, (30, 40))
    found = bias_and_shape(truth - 1, truth)
    assert found["bias (m)"] == pytest.approx(-1) and found["shape (m)"] == pytest.approx(0)
    assert found["share of bias"] == pytest.approx(1)


def test_maps_without_pixels_or_errors_have_no_share():
    truth = np.ones((3, 4))
    assert np.isnan(list(bias_and_shape(truth, 0 * truth).values())).all()
    exact = bias_and_shape(truth, truth)
    assert exact["rmse (m)"] == 0 and np.isnan(exact["share of bias"])
