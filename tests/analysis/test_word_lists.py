"""Lists of words with the same bins, with bins of their own, and in all orders."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import control_words, word_lists
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.baselines import best_constants
from depthclip_core.evaluation.fitting import fit_bins
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import PROMPTS, PUBLISHED_METRICS

ROOMS = [f"room {i // 2}" for i in range(16)]


@pytest.fixture(scope="module")
def run(nyu_folder):
    return dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu")


@pytest.fixture(scope="module")
def lists(run):
    return word_lists.score_lists(run, dict(PROMPTS) | {"sizes": control_words.CONTROLS["sizes"]})


def made(given, fitted, constant=0.4, rooms=ROOMS):
    """Lists whose δ1 is given for each list and kind of bins: a number, or one for each image."""
    run, n = SimpleNamespace(frames=SimpleNamespace(groups=rooms)), len(rooms)
    scores = {}
    for name in given:
        table = {"given": given[name], "even": 0.1, "fitted": fitted[name]}
        rows = {
            kind: pd.DataFrame(0.5, range(n), list(PUBLISHED_METRICS)).assign(delta1=value)
            for kind, value in table.items()
        }
        scores[name] = SimpleNamespace(rows=lambda bins, rows=rows: rows[bins])
    floor = pd.DataFrame(0.5, range(n), list(PUBLISHED_METRICS)).assign(delta1=constant)
    return word_lists.Lists(run, dict.fromkeys(given, ()), {}, {}, scores, floor)


def test_lists_are_scored_with_the_same_and_with_fitted_bins(run, lists):
    truths, name = list(run.frames.ground_truths()), "prompt-2"
    own = run.similarities(PROMPTS[name])
    learn = run.similarities(PROMPTS[name], run.train)
    fitted = fit_bins(run.train.ground_truths(), learn)
    assert lists.fitted[name] == pytest.approx(fitted)
    for kind, bins in {"given": run.bins, "fitted": fitted}.items():
        expected = sweep(truths, own, {"x": bins}).means()[list(PUBLISHED_METRICS)].iloc[0]
        np.testing.assert_allclose(lists.means(kind).loc[name], expected, atol=1e-6)
    with pytest.raises(DepthClipError, match="unknown words"):
        lists.rows("sizez", "given")


def test_the_constant_is_the_best_of_the_train_split(run, lists):
    depth = best_constants(run.train.ground_truths(), run.protocol)["rmse"]
    truth = run.frames.ground_truth(0)
    flat = np.full((1, *run.frames[0].window.shape), depth, np.float32)
    expected = dc.evaluate(flat, truth[None], run.protocol)["rmse"].iloc[0]
    assert lists.constant["rmse"].iloc[0] == pytest.approx(expected, abs=1e-4)


def test_all_orders_of_the_bins_surround_the_listed_one(run, lists):
    table = lists.order_rmse(["original", "sizes"])
    assert list(table.index.get_level_values("bins").unique()) == ["given", "fitted, ascending"]
    listed = table.loc[("original", "given")]
    assert listed["as listed"] == pytest.approx(
        lists.means("given").loc["original", "rmse"], abs=1e-3
    )
    quantiles = table[["best", "5 %", "median", "95 %", "worst"]]
    assert (quantiles.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert (table["as good"] >= 1 / 5040).all()
    best = table["as listed"] <= table["best"] + 1e-9
    assert (table.loc[best, "as good"] < 0.05).all()


def test_spans_that_only_fitted_bins_close_say_that_metres_matter():
    noise = np.random.default_rng(0).normal(0, 0.01, len(ROOMS))
    given = {name: 0.3 + 0.1 * i + noise for i, name in enumerate(PROMPTS)}
    found = word_lists.spans(made(given, dict.fromkeys(PROMPTS, 0.7)))
    assert found["mean"].tolist() == pytest.approx([0.3, 0, -0.3])
    assert found.loc[word_lists.CHANGE, "verdict"] == "better"
    said = word_lists.said_of_spans("DepthCLIP", found)
    assert said.startswith("DepthCLIP: the paper's four lists span 0.300 of δ1")
    assert "-0.300 (95 % interval -0.300 to -0.300: better)" in said
    assert said.endswith("so the metres of the bins matter, not only the order of the words.")


def test_spans_of_lists_that_differ_by_chance_do_not_tell():
    rng = np.random.default_rng(1)
    draws = [{name: rng.normal(0.5, 0.1, len(ROOMS)) for name in PROMPTS} for _ in range(2)]
    found = word_lists.spans(made(*draws))
    assert found.loc[word_lists.CHANGE, "verdict"] == "no telling"
    assert "cannot tell" in word_lists.said_of_spans("x", found)
    turned = word_lists.spans(
        made(dict.fromkeys(PROMPTS, 0.7), {n: 0.1 * i for i, n in enumerate(PROMPTS)})
    )
    assert turned.loc[word_lists.CHANGE, "verdict"] == "worse"


def test_spans_without_enough_rooms_have_no_interval():
    few = made(dict.fromkeys(PROMPTS, 0.3), dict.fromkeys(PROMPTS, 0.7), rooms=["a", "b", "c"])
    found = word_lists.spans(few)
    assert found.loc[word_lists.CHANGE, "verdict"] == "too few groups"
    assert "too few rooms" in word_lists.said_of_spans("x", found)
    empty = made(dict.fromkeys(PROMPTS, np.nan), dict.fromkeys(PROMPTS, np.nan))
    assert word_lists.spans(empty)["mean"].isna().all()


def test_gaps_compare_with_the_constant_and_with_one_list():
    noise = np.random.default_rng(2).normal(0, 0.01, len(ROOMS))
    fitted = {"original": 0.7, "sizes": 0.5 + noise, "colours": 0.3 + noise}
    gaps = made(fitted, fitted, constant=0.4 - noise).gaps("original", ["sizes", "colours"])
    assert list(gaps.index) == list(fitted)
    over = gaps[word_lists.OVER_CONSTANT]
    assert over["verdict"].tolist() == ["better", "better", "worse"]
    own = gaps["minus original"]
    assert own.loc["original"].isna().all()
    assert own["mean"].tolist()[1:] == pytest.approx([-0.2 + noise.mean(), -0.4 + noise.mean()])
    assert own["verdict"].tolist()[1:] == ["worse", "worse"]
    said = word_lists.said_of_controls("DepthCLIP", gaps, ["sizes", "colours"])
    assert said == (
        "DepthCLIP: with bins of their own, 2 of 2 control lists are worse than original, and 1 are"
        " better than the best constant."
    )


def test_lists_are_compared_with_the_first_on_the_same_images(lists):
    table = lists.against("original", "given", ["delta1"])
    assert list(table.index) == [(name, "delta1") for name in list(PROMPTS)[1:]]
    means = lists.means("given")["delta1"]
    for (name, _), row in table.iterrows():
        assert row["mean"] == pytest.approx(means[name] - means["original"])


def test_spread_has_a_row_for_each_list_and_kind(lists):
    table = lists.spread("delta1")
    assert list(table.index) == [
        (name, kind) for name in lists.scores for kind in ("given", "fitted")
    ]
    assert table.loc[("sizes", "fitted"), "mean"] == pytest.approx(
        lists.means("fitted").loc["sizes", "delta1"]
    )
