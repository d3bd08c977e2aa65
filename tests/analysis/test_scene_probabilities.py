"""Probabilities of scene types: their temperature and calibration, in cases with known answers."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_scene_classifier import TwoColours

import depthclip_core as dc
from depthclip_core.analysis import scene_probabilities as sp
from depthclip_core.analysis.scene_classifier import classify_scenes

rng = np.random.default_rng(0)


def drawn(temperature, n=20_000, n_scenes=4):
    """Similarities, and true types drawn with exactly the probabilities that they mean."""
    rng = np.random.default_rng(0)
    similarities = rng.normal(0.2, 0.03, (n, n_scenes))
    shares = sp.probabilities(similarities, temperature)
    truth = (shares.cumsum(1) > rng.random((n, 1))).argmax(1)
    return similarities, truth


def two_frames():
    red, blue = np.zeros((2, 480, 640, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    return [dc.Frame(name=n, rgb=rgb) for n, rgb in (("r", red), ("b", blue))]


def test_one_template_matches_classifier():
    scenes = ["red_room", "blue_room"]
    found = sp.ensemble_similarities(two_frames(), TwoColours(), scenes, ["a {scene}"])
    expected = classify_scenes(two_frames(), TwoColours(), scenes, "a {scene}")
    np.testing.assert_array_equal(found, expected)


def test_templates_are_averaged_as_vectors():
    """Of "a red blue" and "a blue", the first counts as red: their mean is between the two."""
    templates = ["red {scene}", "{scene}"]
    found = sp.ensemble_similarities(two_frames(), TwoColours(), ["red", "blue"], templates)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found, [[1, half], [0, half]], atol=1e-6)


def test_right_answers_of_each_template():
    """With "red" in a template, every scene type is red, and the first of equals is the answer."""
    scenes, truth = ["red", "blue"], np.array([0, 1])
    found = sp.right_answers(two_frames(), TwoColours(), scenes, truth, ["{scene}", "red {scene}"])
    assert found["{scene}"].tolist() == [True, True]
    assert found["red {scene}"].tolist() == [True, False]
    assert found["all together"].tolist() == [True, True]


def test_bad_ensembles_raise(monkeypatch):
    with pytest.raises(dc.DepthClipError, match="one template or more"):
        sp.ensemble_similarities(two_frames(), TwoColours(), ["red"], [])
    vectors = torch.tensor([[np.nan, 1.0]])
    monkeypatch.setattr(TwoColours, "image_vectors", lambda self, images: vectors)
    with pytest.raises(dc.DepthClipError, match="not finite"):
        sp.ensemble_similarities(two_frames()[:1], TwoColours(), ["red"], ["a {scene}", "{scene}"])


@pytest.mark.parametrize("temperature", [0.005, 0.03, 0.2])
def test_fit_recovers_the_temperature(temperature):
    similarities, truth = drawn(temperature)
    assert sp.fit_temperature(similarities, truth) == pytest.approx(temperature, rel=0.06)


def test_fit_leaves_out_images_of_other_types():
    similarities, truth = drawn(0.03, 500)
    some = np.where(np.arange(500) % 2, truth, -1)
    expected = sp.fit_temperature(similarities[1::2], truth[1::2])
    assert sp.fit_temperature(similarities, some) == pytest.approx(expected)
    with pytest.raises(dc.DepthClipError, match="no image has one of the scene types"):
        sp.fit_temperature(similarities, np.full(500, -1))


def test_log_losses_match_probabilities():
    similarities, truth = drawn(0.03, 50)
    shares = sp.probabilities(similarities, 0.02)
    expected = [-np.log(row[t]) for row, t in zip(shares, truth, strict=True)]
    np.testing.assert_allclose(sp.log_losses(similarities, truth, 0.02), expected)
    assert np.isnan(sp.log_losses(similarities[:1], np.array([-1]), 0.02)).all()


def test_calibration_error_matches_a_loop():
    confidences, right = rng.uniform(0, 1, 300), rng.random(300) < 0.6
    table = sp.calibration_errors(pd.DataFrame({"a": confidences}), right, range(300))
    expected = 0.0
    for level in range(10):
        inside = (confidences >= level / 10) & (confidences < (level + 1) / 10)
        gap = confidences[inside].mean() - right[inside].mean()
        expected += inside.mean() * abs(gap)
    assert table.loc["a", "mean"] == pytest.approx(expected)
    assert table.loc["a", "low"] < table.loc["a", "high"]


def test_calibration_of_true_probabilities_and_of_boasts():
    similarities, truth = drawn(0.03)
    right = similarities.argmax(1) == truth
    ways = {"true": 0.03, "boasts": 0.003}
    confidences = {n: sp.probabilities(similarities, t).max(1) for n, t in ways.items()}
    table = sp.calibration_errors(pd.DataFrame(confidences), right, np.arange(20_000) % 200)
    assert table.loc["true", "mean"] < 0.02
    boast = confidences["boasts"].mean() - right.mean()
    assert table.loc["boasts", "mean"] == pytest.approx(boast, abs=0.02)
    assert table.loc["boasts − true", "low"] > 0.1


def test_few_groups_have_no_interval():
    confidences, right = pd.DataFrame({"a": [1.0, 0.5]}), np.array([True, False])
    table = sp.calibration_errors(confidences, right, ["one", "two"])
    assert table.loc["a", "mean"] == pytest.approx(0.25)
    assert table[["low", "high"]].isna().all(axis=None)


def test_reliability_counts_images_by_tenths():
    confidences = pd.DataFrame({"a": [0.31, 0.39, 0.95, 1.0]})
    table = sp.reliability(confidences, np.array([True, False, True, True]))
    assert table.index.tolist() == [("a", 3), ("a", 9)]
    np.testing.assert_allclose(table, [[0.35, 0.5, 2], [0.975, 1, 2]])
