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
    for column in ("mean", "low", "high"):
        assert table.loc["learned for all", column] == expected[column]
    np.testing.assert_allclose(table["level"].diff().iloc[1:], table["mean"].iloc[1:])
    assert table["verdict"].iloc[0] == ""
    sure = table["verdict"].isin(["better", "worse"])
    assert (table["holm"][sure] <= 0.05).all()
    p = sign_flip_test((learnt - fixed)["rmse"], groups, seed=3)
    assert np.isnan(table["holm"].iloc[0]) and p <= table.loc["learned for all", "holm"] <= 5 * p


def test_changes_are_over_one_set_of_the_same_kind(two):
    groups = [frame.group for frame in small_run().frames]
    table = scene_tables.against_all(two, "rmse", groups)
    assert list(table.index) == list(two.strengths.index)
    change = two.scores[CONTINUOUS]["rmse"] - two.scores["least-squares", "all"]["rmse"]
    assert table.loc[CONTINUOUS, "mean"] == pytest.approx(change.mean())
    assert table.loc[CONTINUOUS, "p"] == sign_flip_test(change, groups)
    assert (table["holm"] >= table["p"]).all()
