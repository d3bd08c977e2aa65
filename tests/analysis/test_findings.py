"""Each claim is measured as its words say, and judged by its interval."""

import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.analysis import findings
from depthclip_core.analysis.findings import FAILS, FEW, HOLDS, OPEN, verdict
from depthclip_core.analysis.statistics import FEWEST_GROUPS, sign_flip_test
from depthclip_core.settings import BINS


@pytest.fixture(scope="module")
def evidence(nyu_folder, own_store):
    run = dc.open_run("nyu", data=nyu_folder, encoder="sample", head="value")
    return findings.Evidence(run)


@pytest.mark.parametrize(
    ("low", "high", "p", "kind", "expected"),
    [
        (0.1, 0.3, 0.01, "above", HOLDS),
        (0.1, 0.3, 0.125, "above", OPEN),
        (-0.3, -0.1, 0.125, "above", OPEN),
        (-0.1, 0.3, 0.4, "above", OPEN),
        (-0.3, -0.1, 0.01, "above", FAILS),
        (0.0, 0.3, 0.05, "above", OPEN),
        (-0.01, 0.015, np.nan, "small", HOLDS),
        (0.01, 0.03, np.nan, "small", OPEN),
        (0.03, 0.05, np.nan, "small", FAILS),
        (-0.05, -0.03, np.nan, "small", FAILS),
        (np.nan, np.nan, 0.5, "above", FEW),
        (np.nan, np.nan, np.nan, "small", FEW),
    ],
)
def test_verdict_follows_the_interval_and_p(low, high, p, kind, expected):
    assert verdict(low, high, p, kind) == expected


@pytest.mark.slow
def test_scores_are_those_of_the_method(evidence):
    run = evidence.run
    for position in (0, 5):
        frame = run.frames[position]
        depth = dc.predict_depth(frame, run.encoder, head="value")
        truth = frame.raw_depth[None]
        score = dc.evaluate(depth, truth, run.protocol)["delta1"][0]
        assert evidence.own.iloc[position] == pytest.approx(score, abs=1e-5)
        metres = dc.best_constants(run.train.ground_truths(), run.protocol)["delta1"]
        flat = dc.evaluate(dc.constant_depth(metres, 1, run.protocol), truth, run.protocol)
        gain = score - flat["delta1"][0]
        assert evidence.above_constant().iloc[position] == pytest.approx(gain, abs=1e-5)


@pytest.mark.slow
def test_choices_are_made_on_train(evidence):
    learnt, own = evidence.learnt["original"], evidence.scores["original"]
    means = {b: learnt[b].mean() for b in BINS}
    best, worst = max(means, key=means.get), min(means, key=means.get)
    np.testing.assert_allclose(evidence.partitions(), own[best] - own[worst])
    expected = []
    for position, scene in enumerate(evidence.frames.scenes):
        rooms = [i for i, s in enumerate(evidence.run.train.scenes) if s == scene]
        of_scene = {b: learnt[b].iloc[rooms].mean() for b in BINS}
        chosen = max(of_scene, key=of_scene.get)
        expected.append(own[chosen].iloc[position] - own[best].iloc[position])
    np.testing.assert_allclose(evidence.bins_by_scene(), expected)


@pytest.mark.slow
def test_every_claim_has_a_number_and_a_verdict(evidence):
    table = findings.findings(evidence)
    assert table["claim"].is_unique and len(table) == len(findings.CLAIMS) + 1
    assert set(table["verdict"]) <= {HOLDS, FAILS, OPEN, FEW}
    measured = table.iloc[:-1]
    assert measured["mean"].notna().all()
    assert len(set(evidence.frames.groups)) >= FEWEST_GROUPS
    assert ((measured["low"] <= measured["mean"]) & (measured["mean"] <= measured["high"])).all()
    small = [kind == "small" for *_, kind in findings.CLAIMS]
    assert (measured["p"].isna() == small).all() and table["p"].iloc[-1] > 0
    alone = sign_flip_test(evidence.near_and_far(), evidence.frames.groups)
    assert table.set_index("claim")["p"]["Distinguishes close and remote patches"] >= alone
