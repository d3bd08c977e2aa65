from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import published, systems
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.systems import BLIND, CONSTANT, FITTED, SIX, Systems
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.saved_predictions import save_predictions


@pytest.fixture(scope="module")
def run(nyu_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHCLIP_STORE", str(tmp_path_factory.mktemp("store")))
        yield dc.open_run("nyu", data=str(nyu_folder), device="cpu")


@pytest.fixture(scope="module")
def found(run):
    return Systems(run)


def test_own_bins_are_named_by_their_metres(run):
    own = replace(run, bins=(0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0), bins_name="given")
    assert Systems(own).given == "bins 0.5, 1, 1.5, 2, 3, 4.5, 6 m"


def test_each_head_has_the_runs_bins_and_fitted_ones(run, found):
    assert list(found.settings) == [
        "DepthCLIP, original bins",
        "DepthCLIP + value head, original bins",
        "DepthCLIP + attention head, original bins",
        "DepthCLIP, fitted bins",
        "DepthCLIP + value head, fitted bins",
        "DepthCLIP + attention head, fitted bins",
    ]
    value = run.with_head("value")
    similarities = value.similarities()
    for kind, bins in (
        (found.given, run.bins),
        (FITTED, scoring.fit(run.train, value.similarities(frames=run.train))),
    ):
        expected = scoring.score(run.frames, similarities, bins)
        rows = found.rows[found.name("value", kind)]
        np.testing.assert_allclose(rows[SIX], expected[SIX], atol=1e-6)


def test_controls_are_chosen_on_train_and_scored_on_the_runs_frames(run, found):
    truths = list(run.frames.ground_truths())
    best = dc.best_constants(run.train.ground_truths())
    assert found.constants.equals(best[SIX])
    for metric in SIX:
        flat = dc.constant_depth(best[metric], len(truths))
        expected = dc.evaluate(flat, np.stack(truths))[metric]
        np.testing.assert_allclose(found.best_constant[metric], expected, atol=2e-3)
        mean = found.constant_means.loc[metric, metric]
        assert found.references().loc[metric, CONSTANT] == pytest.approx(mean)
    blind = np.repeat(found.blind["position"][None], len(truths), 0)
    expected = dc.evaluate(blind, np.stack(truths))
    np.testing.assert_allclose(found.rows[BLIND][SIX], expected[SIX], atol=1e-6)
    assert list(found.chance) == [f"random depth per {r}" for r in ("pixel", "image", "cell")]


def test_minus_is_the_difference_on_the_same_frames(found):
    name = found.name("released", found.given)
    table = found.minus(CONSTANT)
    gain = (found.rows[name]["rmse"].to_numpy() - found.best_constant["rmse"].to_numpy()).mean()
    assert table.loc[(name, "rmse"), "mean"] == pytest.approx(gain)
    assert BLIND in table.index.unique("system")
    assert BLIND not in found.minus(BLIND).index.unique("system")


def test_a_system_that_predicts_few_pixels_is_left_out(run, found, tmp_path):
    holed = np.zeros((len(run.frames), *run.frames.frame_shape), np.float32)
    holed[:, 200:300] = 2.5
    save_predictions(tmp_path / "holed", run.frames.names, holed)
    rows = systems.saved_rows(run, tmp_path / "holed")
    other = Systems(run, rows)
    assert list(rows) == ["saved: holed"] and other.coverage("saved: holed") < 0.5
    assert "saved: holed" in other.spread().index.unique(1)
    assert "saved: holed" not in other.minus(BLIND).index.unique("system")


def test_own_maps_saved_and_scored_as_another_system_score_the_same(run, found, tmp_path):
    name = found.name("value", found.given)
    maps = scoring.predictions(found.similarities["value"], run.bins)
    save_predictions(tmp_path / "own", run.frames.names, maps)
    (rows,) = systems.saved_rows(run, str(tmp_path / "own")).values()
    np.testing.assert_allclose(rows[SIX], found.rows[name][SIX], atol=1e-4)


def test_without_a_path_no_system_is_saved(run, tmp_path):
    assert systems.saved_rows(run, "") == {}
    with pytest.raises(DepthClipError, match="no saved predictions"):
        systems.saved_rows(run, tmp_path / "nowhere")


def test_table_shows_printed_rows_only_where_comparable(found, monkeypatch):
    table = found.table()
    assert list(table.index.unique(0)) == ["measured"]
    own = table.loc["measured"]
    assert own.loc[CONSTANT, SIX].notna().all() and own["coverage"].dropna().between(0, 1).all()
    assert own["corr"].notna().sum() == len(found.settings)
    monkeypatch.setattr(Run, "not_comparable", [])
    beside = found.table()
    pd.testing.assert_frame_equal(beside.loc["measured"], own)
    expected = published.results()[SIX].astype(float)
    np.testing.assert_array_equal(beside.loc["printed"][SIX], expected)


def test_sentences_name_the_method_and_the_verdict(found):
    name = found.name("value", found.given)
    text = found.sentence(name)
    assert text.startswith("DepthCLIP + value head, original bins: δ1 0.")
    assert (
        "delta1" not in text and f"minus the {BLIND} " in text and f"minus the {CONSTANT} " in text
    )
    row = found.minus(BLIND, [name]).loc[name, "delta1"]
    assert f"{row['mean']:+.3f}" in found.against_blind([name])


def test_verdicts_are_counted_by_system():
    index = pd.MultiIndex.from_product([["b", "a"], SIX], names=["system", "metric"])
    verdicts = ["better"] * 4 + ["no telling"] * 2 + ["too few groups"] * 6
    table = systems.verdict_counts(pd.DataFrame({"verdict": verdicts}, index))
    assert list(table.index) == ["b", "a"]
    assert table.loc["b"].to_dict() == {"better": 4, "no telling": 2, "too few groups": 0}
    assert table.loc["a"].sum() == len(SIX) == table.loc["a", "too few groups"]


def test_order_beyond_position_has_a_row_for_each_head(found):
    table = found.order_beyond_position()
    assert list(table.index.unique(0)) == list(found.settings)
    assert table["mean"].dropna().between(-1, 1).all()
