import numpy as np
import pandas as pd
import pytest

from depthclip_core.analysis import dense_tables, statistics


def some_rows(systems, seed=0):
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product(
        [systems, ["given", "fitted"], list("wxyz")], names=["system", "bins", "frame"]
    )
    return pd.DataFrame(rng.uniform(size=(len(keys), 2)), keys, ["delta1", "rmse"])


def test_summary_and_differences_use_intervals_by_group():
    rows, groups = some_rows(["a", "b"]), list("pqrs")
    table = dense_tables.summary(rows, groups, ["delta1", "rmse"])
    expected = statistics.intervals(dense_tables.one_system(rows, "b", "given"), groups)
    pd.testing.assert_frame_equal(
        dense_tables.one_system(table, "b", "given"), expected, check_names=False
    )
    assert np.isnan(table["low"]).all()  # four groups are too few
    reference = dense_tables.one_system(rows, "a", "given")
    found = dense_tables.differences(rows, reference, groups, ["delta1", "rmse"])
    assert (dense_tables.one_system(found, "a", "given")["mean"] == 0).all()
    gap = dense_tables.one_system(rows, "b", "given")["rmse"].mean() - reference["rmse"].mean()
    assert found.loc[("b", "given", "rmse"), "mean"] == pytest.approx(gap)
    assert set(found["verdict"]) == {"too few groups"}
    own = dense_tables.differences(rows, rows, groups, ["delta1", "rmse"])
    assert (own["mean"] == 0).all()


def test_differences_say_better_by_the_measures_direction():
    rows = some_rows(["a"])
    keys = [(*key, f"{i}") for key in (("a", "given"),) for i in range(8)]
    index = pd.MultiIndex.from_tuples(keys, names=rows.index.names)
    rows = pd.DataFrame({"delta1": 1.0, "rmse": 1.0}, index)
    reference = pd.DataFrame({"delta1": 0.5 + np.arange(8) / 100, "rmse": 0.5 - np.arange(8) / 100})
    found = dense_tables.differences(rows, reference, list("abcdefgh"), ["delta1", "rmse"])
    assert list(found["verdict"]) == ["better", "worse"]


def test_cloud_quantiles_and_distances():
    cloud = some_rows([f"projections {i}" for i in range(9)])
    means = cloud.groupby(["bins", "system"]).mean()
    table = dense_tables.cloud_quantiles(cloud, [0.25, 0.5])
    assert list(table.columns) == ["25 %", "50 %"]
    for kind, measure in (("given", "delta1"), ("fitted", "rmse")):
        own = means.loc[kind, measure]
        assert table.loc[(kind, measure), "25 %"] == pytest.approx(np.quantile(own, 0.25))
    found = dense_tables.distances(cloud, cloud)
    own = means.loc["fitted", "rmse"]
    expected = -(own["projections 3"] - own.mean()) / own.std()  # less error is better
    assert found.loc[("projections 3", "fitted"), "rmse"] == pytest.approx(expected)
    middle = dense_tables.cloud_mean(cloud)
    each = [cloud.loc[(f"projections {i}", "given", "x"), "rmse"] for i in range(9)]
    assert middle.loc[("given", "x"), "rmse"] == pytest.approx(np.mean(each))


def test_paired_p_is_the_sign_flip_test_with_holm():
    rows, groups = some_rows(["a", "b", "c"]), list("pqrs")
    reference = dense_tables.one_system(rows, "a", "given")
    found = dense_tables.paired_p(rows, reference, groups, "rmse")
    gap = dense_tables.one_system(rows, "b")["rmse"] - reference["rmse"]
    expected = statistics.sign_flip_test(gap, groups)
    assert found.loc[("b", "fitted"), "p"] == pytest.approx(expected)
    assert found.loc[("a", "given")].isna().all()
    pd.testing.assert_series_equal(found["p_holm"], statistics.holm(found["p"]), check_names=False)


def test_mean_head_averages_systems_frame_by_frame():
    rows = some_rows(["a", "b"])
    found = dense_tables.mean_head(rows)
    assert list(found.index.get_level_values("system").unique()) == ["mean of heads"]
    expected = (rows.loc["a"] + rows.loc["b"]) / 2
    pd.testing.assert_frame_equal(found.loc["mean of heads"], expected)


def test_sign_is_the_measures_direction():
    assert [dense_tables.sign(m) for m in ("delta1", "rmse", "partial")] == [1, -1, 1]
