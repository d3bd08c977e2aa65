import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import ceilings, statistics
from depthclip_core.datasets import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import resolve_protocol
from depthclip_core.evaluation.scoring import predictions
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.depth import upsample

FRAME, WINDOW, GRID = (480, 640), (416, 544), (4, 5)
BINS = (1.0, 2.0, 3.0)


def similarities(n, seed=0):
    values = np.random.default_rng(seed).normal(0, 0.002, (n, 2, len(BINS), *GRID))
    return torch.from_numpy(values.astype(np.float32))


def in_frame(window):
    truth = np.zeros(FRAME, np.float32)
    truth[56:472, 60:604] = window
    return truth


@pytest.fixture(scope="module")
def truths():
    """Frames with rough depth up to 8 m and holes."""
    rng = np.random.default_rng(5)
    cells = torch.from_numpy(rng.uniform(0.7, 8, (3, 9, 11)).astype(np.float32))
    maps = upsample(cells, WINDOW).numpy()
    return [in_frame(np.where(rng.uniform(size=WINDOW) < 0.2, 0, m)) for m in maps]


@pytest.fixture(scope="module")
def oracle_bins(truths):
    frames = [Frame(str(i), np.zeros((*FRAME, 3), np.uint8), t, t) for i, t in enumerate(truths)]
    # Lists of frames have no crop of their own, so the protocol's window is given by hand.
    return ceilings.split_bins(frames, similarities(3), protocol=resolve_protocol("released"))


@pytest.fixture(scope="module")
def rows(truths, oracle_bins):
    return ceilings.ceiling_scores(
        [*truths, np.zeros(FRAME, np.float32)], similarities(4)[:4], BINS, oracle_bins
    )


def test_reach_matches_a_loop():
    window = np.random.default_rng(1).uniform(0.3, 6, WINDOW).astype(np.float32)
    shares = ceilings.reach([in_frame(window), np.zeros(FRAME)], BINS)
    g = window[:415, :541].ravel().tolist()
    expected = {
        "nearer": sum(d < 1 for d in g),
        "farther": sum(d > 3 for d in g),
        # No prediction in [1, 3] has a ratio below 1.25.
        "near miss": sum(1 / d >= 1.25 for d in g),
        "far miss": sum(d / 3 >= 1.25 for d in g),
        "missed": sum(1 / d >= 1.25 or d / 3 >= 1.25 for d in g),
    }
    assert shares.loc[0].to_dict() == pytest.approx({k: n / len(g) for k, n in expected.items()})
    assert shares.loc[1].isna().all()


def test_first_row_matches_sweep(rows, truths):
    expected = sweep(truths, similarities(4)[:3], {"b": BINS}, metrics=ceilings.SCORED).rows()
    for metric in ceilings.SCORED:
        np.testing.assert_allclose(rows[metric]["as given"][:3], expected[metric], atol=1e-5)


def test_oracle_rows_match_evaluate(rows, truths, oracle_bins):
    first = similarities(4)[:1]
    (plain,) = predictions(first, oracle_bins["rmse"])
    g, p = (m[:415, :541].ravel().astype(float) for m in (truths[0][56:472, 60:604], plain))
    p, g = p[g > 0], g[g > 0]
    scaled = plain * (p @ g) / (p @ p)
    flat = np.full(WINDOW, g.mean(), np.float32)
    found = rows["rmse"].loc[0, ["split bins", "image scale", ceilings.FLAT]].to_numpy()
    expected = evaluate(np.stack([plain, scaled, flat]), np.stack([truths[0]] * 3))["rmse"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_oracles_are_ordered(rows):
    scored = rows[:3]
    assert (scored.xs("perfect", axis=1, level="system") == [1, 0]).all(axis=None)
    for metric, sign in (("delta1", 1), ("rmse", -1)):
        better = scored[metric] * sign
        for worse, best in (
            ("split bins", "image scale"),
            ("image scale", "image bins"),
            ("words in range", "best map"),
            (ceilings.FLAT, "best map"),
        ):
            assert (better[worse] <= better[best] + 1e-9).all(), (metric, worse, best)
    means = scored["delta1"].mean()
    assert means["split bins"] >= means["as given"]
    assert rows.loc[3].isna().all()


def test_best_map_of_a_map_of_cells_is_perfect():
    cells = torch.from_numpy(np.random.default_rng(7).uniform(1, 5, (1, *GRID)).astype(np.float32))
    truth = in_frame(upsample(cells, WINDOW)[0].numpy())
    oracle = dict.fromkeys(ceilings.SCORED, BINS)
    row = ceilings.ceiling_scores([truth], similarities(1), BINS, oracle).loc[0]
    assert row["delta1", "best map"] == 1 and row["rmse", "best map"] < 1e-3


def test_waterfall_adds_up_and_has_paired_intervals(rows):
    groups = ["a", "b", "c", "d"]
    for metric, route in itertools.product(ceilings.SCORED, ceilings.ROUTES):
        table = ceilings.waterfall(rows, groups, metric, route)
        assert list(table.index) == list(ceilings.ROUTES[route])
        np.testing.assert_allclose(table["before"] + table["mean"], table["after"])
        np.testing.assert_allclose(table["after"][:-1], table["before"][1:])
        assert table["before"].iloc[0] == pytest.approx(rows[metric]["as given"].mean())
        assert set(table["images"]) == {3} and table["low"].isna().all()
    many = pd.concat([rows[:3]] * 4, ignore_index=True)
    table = ceilings.waterfall(many, range(12), "rmse", "bins first")
    change = many["rmse"]["split bins"] - many["rmse"]["as given"]
    expected = statistics.intervals(change.to_frame(), range(12)).iloc[0]
    for column in ("mean", "low", "high"):
        assert table.loc["bins of the split", column] == pytest.approx(expected[column])
    with pytest.raises(DepthClipError, match="unknown route"):
        ceilings.waterfall(rows, groups, "rmse", "sideways")


def test_oracle_table_is_made_of_intervals(rows):
    many = pd.concat([rows[:3]] * 4, ignore_index=True)
    table = ceilings.oracle_table(many, range(12))
    expected = statistics.intervals(many["rmse"], range(12))
    pd.testing.assert_frame_equal(table["rmse"], expected[["mean", "low", "high"]])
    assert table.loc["perfect", ("delta1", "mean")] == 1


def test_run_is_scored_with_its_own_settings():
    run = dc.open_run("sample", head="value", temperature=0.5, device="cpu")
    run = replace(run, frames=run.frames[:2])
    bins, rows = ceilings.of_run(run)
    how = (run.temperature, run.protocol)
    assert bins == ceilings.split_bins(run.frames, run.similarities(), *how)
    expected = sweep(run.frames.ground_truths(), run.similarities(), {"own": run.bins}, [0.5])
    first = rows["delta1", ceilings.START]
    np.testing.assert_allclose(first, expected.rows("own")["delta1"], atol=1e-5)


def test_errors(truths, oracle_bins):
    with pytest.raises(DepthClipError, match="does not align"):
        ceilings.ceiling_scores(truths, similarities(3), BINS, oracle_bins, protocol="marigold")
    empty = [Frame("a", np.zeros((*FRAME, 3), np.uint8), np.zeros(FRAME, np.float32))]
    with pytest.raises(DepthClipError, match="no frame has a valid pixel"):
        ceilings.split_bins(empty, similarities(1), protocol=resolve_protocol("released"))
