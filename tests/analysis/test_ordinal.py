from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import ordinal, statistics
from depthclip_core.analysis.compared_maps import BLIND
from depthclip_core.datasets import FrameList
from depthclip_core.datasets.base import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import scoring
from depthclip_core.settings import RELEASED_WINDOW

FRAME, WINDOW = (480, 640), (416, 544)


def frame(name, seed):
    rng = np.random.default_rng(seed)
    depth = np.where(rng.uniform(size=FRAME) < 0.3, 0, rng.uniform(0.5, 9, FRAME))
    rgb = np.zeros((*FRAME, 3), np.uint8)
    depth = depth.astype(np.float32) * (name != "empty")
    return Frame(name, rgb, depth, crop=RELEASED_WINDOW)


@pytest.fixture(scope="module")
def frames():
    return FrameList([frame("a", 1), frame("b", 2), frame("empty", 3)])


def test_order_matches_its_definition():
    pairs = np.random.default_rng(4).uniform(1, 1.3, (2, 500))
    for (a, b), said in zip(pairs.T, ordinal.order(pairs, 1.1), strict=True):
        equal = max(a / b, b / a) <= 1.1
        assert said == (0 if equal else 1 if a > b else -1)


def test_ordinal_errors_of_known_predictions(frames):
    truths = [frames.raw_depth(i)[56:472, 60:604] for i in range(3)]
    systems = {
        "truth": [np.maximum(t, 0.1) for t in truths],
        "tripled": [np.clip(t / 9, 0.01, 9) for t in truths],
        "reversed": [10 - t for t in truths],
        "flat": [np.full(WINDOW, 2.0) for _ in truths],
    }
    rows = ordinal.ordinal_errors(frames, systems, thresholds=[1.02, 1.1])
    for threshold in (1.02, 1.1):
        own = rows[threshold].iloc[:2]
        assert (own["truth"] == 0).all() and (own["tripled"] == 0).all()  # scale does not count
        assert (own["reversed"] > 0.9).all() and (own["flat"] > 0.85).all()
    assert rows.loc["empty"].isna().all()
    again = ordinal.ordinal_errors(frames, systems, thresholds=[1.1])
    pd.testing.assert_frame_equal(again, rows[[1.1]])
    other = ordinal.ordinal_errors(frames, systems, thresholds=[1.1], seed=1)
    assert not other[1.1]["flat"].equals(again[1.1]["flat"])


def test_order_table_is_beside_the_blind_map():
    rows = np.random.default_rng(8).uniform(size=(12, 2))
    columns = pd.MultiIndex.from_product([[1.1], ["own", BLIND]])
    table = ordinal.order_table(pd.DataFrame(rows, columns=columns), range(12))
    expected = statistics.intervals(pd.DataFrame({"d": rows[:, 0] - rows[:, 1]}), range(12))
    found = table.loc[(1.1, "own"), ["mean", "low", "high"]].astype(float)
    np.testing.assert_allclose(found, expected[["mean", "low", "high"]].iloc[0])
    assert table.loc[(1.1, BLIND), "verdict"] == "–"
    np.testing.assert_allclose(table["error"], rows.mean(0))


def test_errors(frames):
    maps = {"s": np.ones((3, *WINDOW))}
    for faulty in ({"thresholds": [1.0]}, {"thresholds": []}, {"n_pairs": 0}):
        with pytest.raises(DepthClipError, match="above 1|one pair"):
            ordinal.ordinal_errors(frames, maps, **faulty)
    with pytest.raises(DepthClipError, match="does not align"):
        ordinal.ordinal_errors(frames, maps, "marigold")


def test_metres_and_order_are_those_of_the_run():
    run = dc.open_run("sample", head="value", device="cpu")
    run = replace(run, frames=run.frames[:3])
    blind = np.full((416, 544), 2.5, np.float32)
    table = ordinal.metres_and_order(run, blind, n_pairs=200)
    assert list(table.index) == ["given bins", "fitted bins", BLIND]
    scores = scoring.score(run.frames, run.similarities(), run.bins, 0.1, run.protocol)
    expected = scores["abs_rel"].mean()
    assert table.loc["given bins", ("abs_rel", "mean")] == pytest.approx(expected, abs=1e-4)
    alone = {BLIND: [blind] * 3}
    order = ordinal.ordinal_errors(run.frames, alone, run.protocol, n_pairs=200)
    mean = order[ordinal.THRESHOLD, BLIND].mean()
    assert table.loc[BLIND, ("wrong order", "mean")] == pytest.approx(mean)
