import numpy as np
import pytest
from test_scene_bins import small_run

from depthclip_core.analysis import scene_bins as sb
from depthclip_core.analysis import scene_tables
from depthclip_core.analysis.scene_bins import CONTINUOUS, FIXED
from depthclip_core.analysis.statistics import compare, sign_flip_test


@pytest.fixture(scope="module")
def two():
    return sb.study(small_run(), "rmse", n_folds=4, n_axes=1)


def test_steps_are_paired_comparisons(two):
    groups = [frame.group for frame in small_run().frames]
    table = scene_tables.steps(two, scene_tables.chain_of("median"), "rmse", groups, seed=3)
    learnt, fixed = two.of(("median", "all"), ["rmse"]), two.of(FIXED, ["rmse"])
    expected = compare(learnt, fixed, groups, seed=3).loc["rmse"]
    for column in ("mean", "low", "high", "verdict"):
        assert table.loc["learnt for all", column] == expected[column]
    np.testing.assert_allclose(table["level"].diff().iloc[1:], table["mean"].iloc[1:])
    assert table["verdict"].iloc[0] == "" and table["verdict"].iloc[-1] == "better"


def test_changes_are_over_one_set_of_the_same_kind(two):
    groups = [frame.group for frame in small_run().frames]
    table = scene_tables.against_all(two, "rmse", groups)
    assert list(table.index) == list(two.strengths.index)
    change = two.scores[CONTINUOUS]["rmse"] - two.scores["least-squares", "all"]["rmse"]
    assert table.loc[CONTINUOUS, "mean"] == pytest.approx(change.mean())
    assert table.loc[CONTINUOUS, "p"] == sign_flip_test(change, groups)
    assert (table["holm"] >= table["p"]).all()
