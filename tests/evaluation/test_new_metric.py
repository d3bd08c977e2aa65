"""A metric from outside: one registration, and everything that scores knows it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_search import PROTOCOL, training

import depthclip_core as dc
from depthclip_core.analysis import tables
from depthclip_core.evaluation.metrics import METRICS, Metric, register
from depthclip_core.evaluation.saved_predictions import score_saved
from depthclip_core.evaluation.search import search
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.evaluation.terms import Term
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.plots import score_plots

BINS = {"near": [0.7, 1.0, 2.0, 2.5, 3.5, 5.0, 7.0], "far": [1.0, 1.5, 2.0, 3.0, 5.0, 6.0, 9.0]}


@pytest.fixture(autouse=True)
def irmse():
    term = Term(lambda p, g: (1 / p - 1 / g) ** 2)
    yield register(Metric("irmse", "irmse", (term,), np.sqrt, unit="1/m"))
    del METRICS["irmse"]


@pytest.fixture(scope="module")
def world():
    return training(3)


def by_hand(depth, truth):
    """irmse of each frame under the small protocol; depth of the window."""
    values = []
    for p, t in zip(depth, truth, strict=True):
        canvas = np.zeros(t.shape)
        canvas[PROTOCOL.window.slices] = p
        mask = PROTOCOL.valid_mask(t, canvas)
        p, g = np.clip(canvas[mask], 1e-3, 10), t[mask].astype(float)
        values.append(np.sqrt(np.mean((1 / p - 1 / g) ** 2)))
    return np.array(values)


def test_evaluate_and_summarise_have_a_new_metric(world):
    _, truth, similarities = world
    depth = depth_maps(similarities, BINS["near"], PROTOCOL.window.shape)
    rows = dc.evaluate(depth, truth, PROTOCOL)
    np.testing.assert_allclose(rows["irmse"], by_hand(depth, truth))
    assert dc.summarise(rows)["irmse"] == pytest.approx(rows["irmse"].mean())


def test_sweep_and_search_have_a_new_metric(world):
    frames, truth, similarities = world
    means = sweep(
        truth, similarities, BINS, protocols=[PROTOCOL], metrics=["irmse", "rmse"]
    ).means()
    for name, bins in BINS.items():
        depth = depth_maps(similarities, bins, PROTOCOL.window.shape)
        expected = by_hand(depth, truth).mean()
        assert means.xs(name)["irmse"].item() == pytest.approx(expected, abs=1e-5)
    options = {"protocol": PROTOCOL, "n_pixels": 16, "finalists": 2}
    found = search(frames, similarities, "irmse", **options)
    assert (found.train <= found.candidates["train"]).all()


def test_baselines_have_a_new_metric(world):
    truth = np.random.default_rng(0).uniform(0.5, 9, (1, 480, 640)).astype(np.float32)
    best = dc.best_constants(truth)["irmse"]
    inverse = (1 / truth[0, 56:471, 60:601].astype(float)).mean()
    assert best == pytest.approx(1 / inverse, abs=0.01)
    rows = dc.lower_bound(truth, seed=3)  # no closed form is given: drawn, and the others are not
    drawn = dc.lower_bound(truth, drawn=True, seed=3)
    assert rows["irmse"].equals(drawn["irmse"]) and not rows["rmse"].equals(drawn["rmse"])
    assert dc.lower_bound(truth, "cell")["irmse"].notna().all()
    with pytest.raises(dc.DepthClipError, match="lower bound of irmse has no closed form"):
        dc.lower_bound(truth, drawn=False)


def test_saved_predictions_are_scored_by_a_new_metric(world):
    frames, truth, similarities = world
    depth = depth_maps(similarities, BINS["far"], PROTOCOL.window.shape)
    np.testing.assert_allclose(score_saved(frames, depth, PROTOCOL)["irmse"], by_hand(depth, truth))


def test_tables_and_figures_have_a_new_metric(world):
    frames, truth, similarities = world
    scores = sweep(truth, similarities, BINS, protocols=[PROTOCOL], metrics=["irmse"])
    table = tables.scene_means(scores, [frame.scene for frame in frames])
    best = tables.best_partitions(table)
    assert best.loc["all", "irmse"] == table.loc["all"]["irmse"].idxmin()
    figure, ax = plt.subplots()
    score_plots.show_scores(ax, pd.DataFrame({"mean": table.loc["all"]["irmse"]}), "irmse")
    assert ax.get_xlabel() == "irmse (1/m) ↓"
    plt.close(figure)


def test_register_refuses_a_taken_name():
    with pytest.raises(dc.DepthClipError, match="'irmse' is taken"):
        register(METRICS["irmse"])


@pytest.fixture
def ratio_of_means():
    """Two terms that each ignore one side, and have no closed form for noise."""
    terms = Term(lambda p, g: p), Term(lambda p, g: g)
    yield register(Metric("bias", "bias", terms, lambda p, g: np.abs(p / g - 1)))
    del METRICS["bias"]


def test_terms_may_ignore_prediction_or_truth(ratio_of_means, world):
    _, truth, similarities = world
    best = dc.best_constants(truth, PROTOCOL)
    depth = np.stack([dc.constant_depth(best["bias"], 1, PROTOCOL)[0]] * len(truth))
    assert dc.evaluate(depth, truth, PROTOCOL)["bias"].mean() < 0.5
    assert np.isfinite(dc.lower_bound(truth, protocol=PROTOCOL)["bias"]).all()
    means = sweep(truth, similarities, BINS, protocols=[PROTOCOL], metrics=["bias"]).means()
    assert np.isfinite(means["bias"]).all()


@pytest.mark.parametrize("name", ["rmse", "n_pixels", "scene", "coverage"])
def test_names_of_metrics_and_columns_are_taken(name):
    with pytest.raises(dc.DepthClipError, match=f"{name!r} is taken"):
        register(Metric(name, "x", (Term(lambda p, g: p),)))
