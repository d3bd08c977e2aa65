import naive
import numpy as np
import pytest
from test_sweep import SMALL, partitions, world

import depthclip_core as dc
from depthclip_core.evaluation.quadratic import ErrorForms, error_forms
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import depth_maps

PROTOCOL = SMALL["None True"]


@pytest.mark.parametrize("protocol", ["None True", "None False"])
@pytest.mark.parametrize("n_words", [1, 4, 7])
def test_error_form_matches_pixel_rmse(protocol, n_words):
    protocol = SMALL[protocol]
    truth, similarities = world(0, 5, n_words)
    forms = error_forms(iter(truth), similarities, 0.1, protocol)
    bins = partitions(6, n_words)
    got, means = forms.per_frame(bins), forms.rmse(bins)
    for index, b in enumerate(bins):
        views = similarities if protocol.flip else similarities[:, :1]
        rows = dc.evaluate(depth_maps(views, list(b), protocol.window.shape), truth, protocol)
        np.testing.assert_allclose(got[index], rows["rmse"], atol=1e-6)
        assert means[index] == pytest.approx(dc.summarise(rows)["rmse"], abs=1e-6)
        assert forms.count.tolist() == rows["n_pixels"].tolist()


def test_rmse_in_blocks_matches_whole(monkeypatch):
    truth, similarities = world(1)
    forms = error_forms(truth, similarities, 0.1, PROTOCOL)
    bins = partitions(500, 4)
    whole = forms.rmse(bins)
    monkeypatch.setattr("depthclip_core.evaluation.quadratic.BLOCK", 64)
    np.testing.assert_allclose(forms.rmse(bins), whole, rtol=1e-12)


def test_least_squares_bins_match_fit_and_are_best():
    truth, similarities = world(2, 5)
    forms = error_forms(truth, similarities, 0.1, PROTOCOL)
    weights = naive.pixel_weights(similarities, PROTOCOL.window.shape)
    seen = np.stack([PROTOCOL.valid_mask(t, np.full(t.shape, 5.0)) for t in truth])
    seen = seen[:, *PROTOCOL.window.slices]
    a = weights.transpose(0, 2, 3, 1)[seen].astype(float)
    expected = np.linalg.lstsq(a, truth[:, *PROTOCOL.window.slices][seen])[0]
    found = np.array(forms.least_squares())
    assert found == pytest.approx(expected, abs=1e-4)

    def pooled(bins):
        squares = forms.per_frame(bins[None])[0] ** 2 * forms.count
        return np.nansum(squares) / forms.count.sum()

    for step in 0.05 * np.eye(4):
        assert pooled(found) < min(pooled(found + step), pooled(found - step))


def test_negative_bin_is_raised_to_where_a_sweep_can_score_it():
    truth, similarities = world(2, 5)
    forms = error_forms(truth, similarities, 0.1, PROTOCOL)
    forms.product[:, 0] = -abs(forms.product[:, 0])  # as if the first word told negative depth
    bins = forms.least_squares()
    assert min(bins) > PROTOCOL.min_depth
    rows = sweep(truth, similarities, [bins], [0.1], [PROTOCOL], metrics=["rmse"]).rows()
    assert np.isfinite(rows.loc[rows["n_pixels"] > 0, "rmse"]).all()


def test_bad_input_raises():
    truth, similarities = world()
    forms = error_forms(truth, similarities, 0.1, PROTOCOL)
    with pytest.raises(dc.DepthClipError, match="nothing is clamped"):
        forms.rmse([[1, 2, 3, 11]])
    with pytest.raises(dc.DepthClipError, match=r"\(P, 4\), got \(3,\)"):
        forms.rmse([1, 2, 3])
    with pytest.raises(dc.DepthClipError, match="not a quadratic form"):
        error_forms(truth, similarities, 0.1, SMALL["median True"])
    with pytest.raises(dc.DepthClipError, match="3 frames for 2"):
        error_forms(truth[:2], similarities, 0.1, PROTOCOL)
    empty = error_forms(np.zeros_like(truth), similarities, 0.1, PROTOCOL)
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        empty.rmse([[1, 2, 3, 4]])
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        empty.least_squares()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_forms_raise_or_give_nan(value):
    truth, similarities = world()
    good = error_forms(truth, similarities, 0.1, PROTOCOL)
    gram = good.gram.copy()
    gram[0, 1, 1] = value
    forms = ErrorForms(gram, good.product, good.square, good.count, good.limits)
    with pytest.raises(dc.DepthClipError, match="the forms hold NaN or infinite"):
        forms.least_squares()
    assert not np.isfinite(forms.rmse([[1, 2, 3, 4]])).any()
    for bad in (value, -value):
        with pytest.raises(dc.DepthClipError, match="nothing is clamped"):
            good.rmse([[1, 2, 3, bad]])
        similarities[1, 0, 0, 0, 0] = bad
        with pytest.raises(dc.DepthClipError, match="similarities of frame 1"):
            error_forms(truth, similarities, 0.1, PROTOCOL)
