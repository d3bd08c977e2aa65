"""Group bootstrap, permutation tests and Holm's correction, against SciPy and known cases."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from depthclip_core.analysis.statistics import (
    FEWEST_GROUPS,
    compare,
    confirmed,
    each_in_words,
    holm,
    in_words,
    intervals,
    label_test,
    partial_rank_correlation,
    redraws,
    sign_flip_test,
)
from depthclip_core.errors import DepthClipError

rng = np.random.default_rng(0)
SKEWED = pd.DataFrame({"rmse": rng.exponential(1, 40), "abs_rel": rng.normal(3, 1, 40)})
ALONE = range(40)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_of_groups_of_one_match_scipy(method):
    table = intervals(SKEWED, ALONE, draws=40_000, method=method)
    options = {"n_resamples": 40_000, "method": method, "rng": np.random.default_rng(1)}
    expected = scipy.stats.bootstrap((SKEWED.to_numpy(),), np.mean, **options).confidence_interval
    np.testing.assert_allclose(table[["low", "high"]].to_numpy().T, expected, atol=0.012)
    np.testing.assert_allclose(table["mean"], SKEWED.mean())


def test_bca_moves_the_interval_of_skewed_numbers():
    bca, plain = (intervals(SKEWED, ALONE, method=m).loc["rmse"] for m in ("bca", "percentile"))
    assert bca["low"] > plain["low"] and bca["high"] > plain["high"]


def test_equal_images_of_a_group_do_not_narrow_an_interval():
    """Four copies of each image say no more than one."""
    once, again = (
        intervals(pd.concat([SKEWED] * n), [*ALONE] * n)[["mean", "low", "high"]] for n in (1, 4)
    )
    np.testing.assert_allclose(once, again)
    as_images = intervals(pd.concat([SKEWED] * 4), range(160))
    width = once["high"] - once["low"]
    assert ((as_images["high"] - as_images["low"]) < 0.6 * width).all()


def test_groups_of_several_sizes_match_draws_of_whole_groups():
    groups = np.repeat(np.arange(20), [1, 2, 3, 4] * 5)
    values = rng.normal(groups, 3.0)
    table = intervals(pd.DataFrame({"x": values}), groups, method="percentile", draws=20_000)
    own, means = np.random.default_rng(5), []
    for _ in range(20_000):
        drawn = own.integers(0, 20, 20)
        means.append(np.concatenate([values[groups == g] for g in drawn]).mean())
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(table.loc["x", ["low", "high"]].astype(float), expected, atol=0.15)
    assert table.loc["x", "groups"] == 20 and table.loc["x", "images"] == 50


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    """With 25 rooms of three alike images each, 95 % intervals hold the truth in 90 to 99 %."""
    own, groups, held = np.random.default_rng(2), np.repeat(np.arange(25), 3), 0
    for seed in range(200):
        values = own.normal(0, 1, 25)[groups] + own.normal(0, 0.3, 75)
        row = intervals(pd.DataFrame({"x": values}), groups, draws=500, seed=seed).iloc[0]
        held += row["low"] <= 0 <= row["high"]
    assert 0.90 * 200 <= held <= 0.99 * 200


def test_few_groups_have_no_interval_and_no_verdict():
    rows = SKEWED.iloc[:12]
    table = compare(rows + 1, rows, np.repeat(range(FEWEST_GROUPS - 1), 3)[:12])
    assert table[["low", "high"]].isna().all(axis=None)
    assert (table["verdict"] == "too few groups").all()


def test_unknown_groups_have_no_interval_and_the_words_say_so():
    groups = ["a room", *[None] * (len(SKEWED) - 1)]
    table = compare(SKEWED + 1, SKEWED, groups)
    assert table["low"].isna().all() and (table["groups"] == 0).all()
    assert set(table["verdict"]) == {"rooms unknown"}
    assert in_words(table.iloc[0]) == "1.000 (no interval: rooms unknown)"
    assert np.isnan(sign_flip_test(np.ones(3), [None] * 3))


def test_compare_says_which_is_better():
    noise = rng.normal(0, 0.1, (40, 2))
    table = compare(SKEWED - 1 + noise, SKEWED, ALONE)
    assert table["verdict"].tolist() == ["better", "better"]  # of errors, less is better
    assert compare(SKEWED + 1 + noise, SKEWED, ALONE)["verdict"].tolist() == ["worse"] * 2
    assert compare(SKEWED + noise, SKEWED, ALONE)["verdict"].tolist() == ["no telling"] * 2
    delta = SKEWED.rename(columns={"rmse": "delta1"})[["delta1"]]
    assert compare(delta + 1, delta, ALONE)["verdict"].tolist() == ["better"]


def test_in_words_states_mean_bounds_and_verdict():
    row = pd.Series({"mean": 0.0312, "low": -0.0101, "high": 0.0725})
    assert in_words(row) == "0.031 (95 % interval -0.010 to 0.072)"
    told = pd.Series({**row, "verdict": "no telling"})
    words = "+0.03 (95 % interval -0.01 to +0.07: no telling)"
    assert in_words(told, digits=2, signed=True) == words
    row[["low", "high"]] = np.nan
    assert in_words(row) == "0.031 (no interval: too few groups)"
    share = row.rename({"mean": "share"})
    assert in_words(share, 1, of="share", missing="no gain") == "0.0 (no interval: no gain)"
    assert in_words(row * np.nan) == "not defined"


def test_each_in_words_names_the_rows():
    table = pd.DataFrame({"mean": [0.1, 0.2], "low": 0.0, "high": [1.0, np.nan]}, ["a", "b"])
    ends = "(95 % interval +0.0 to"
    assert each_in_words(table, 1, signed=True) == f"a +0.1 {ends} +1.0); b +0.2 {ends} +nan)"


def test_images_without_a_score_are_left_out():
    rows = SKEWED.copy()
    rows.iloc[3, 0] = np.nan
    kept = [i for i in ALONE if i != 3]
    pd.testing.assert_frame_equal(intervals(rows, ALONE), intervals(SKEWED.iloc[kept], kept))


def test_constant_column_has_a_point_as_interval():
    table = intervals(pd.DataFrame({"x": np.full(9, 0.3)}), range(9))
    np.testing.assert_allclose(table.loc["x", ["mean", "low", "high"]].astype(float), 0.3)


def test_redraws_take_whole_groups():
    times = redraws(["a", "b", "a", "c"], draws=50)
    assert (times[:, 0] == times[:, 2]).all() and (times[:, [0, 1, 3]].sum(1) == 3).all()


def test_sign_flips_match_scipy():
    for values in (rng.normal(0.4, 1, 10), rng.normal(0, 1, 10)):
        exact = scipy.stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert sign_flip_test(values, range(10)) == pytest.approx(exact.pvalue)
        drawn = sign_flip_test(values, range(10), draws=1000)
        assert drawn == pytest.approx(exact.pvalue, abs=0.05)


def test_sign_flips_of_groups_flip_whole_groups():
    values = np.array([1.0, 2, -1, 4])
    assert sign_flip_test(values, ["a", "a", "b", "b"]) == 0.5  # sums 3 and 3: ++ and −− reach 6
    assert sign_flip_test([1.0] * 8, range(8)) == 2 / 2**8
    assert math.isnan(sign_flip_test([], []))


def test_label_test_matches_scipy():
    a, b = rng.normal(0, 1, 5), rng.normal(1, 1, 6)
    values = np.concatenate([a, b])
    labels = np.array(["a"] * 5 + ["b"] * 6)

    def gap(dealt):
        return values[dealt == "b"].mean() - values[dealt == "a"].mean()

    expected = scipy.stats.permutation_test(
        (b, a), lambda x, y: x.mean() - y.mean(), alternative="greater", n_resamples=np.inf
    )
    assert label_test(gap, labels, range(11)) == pytest.approx(expected.pvalue)
    drawn = label_test(gap, labels, range(11), draws=400)
    assert drawn == pytest.approx(expected.pvalue, abs=0.06)


def test_label_test_deals_groups_and_rejects_mixed_ones():
    seen = set()

    def note(dealt):
        seen.add("".join(dealt))
        return 0.0

    label_test(note, ["x", "x", "y", "z"], ["1", "1", "2", "3"], draws=60)
    assert all(dealt[0] == dealt[1] for dealt in seen) and len(seen) == 6
    with pytest.raises(DepthClipError, match="group '1' has images of two labels"):
        label_test(note, ["x", "y"], ["1", "1"])
    with pytest.raises(DepthClipError, match="2 groups for 1 labels"):
        label_test(note, ["x"], ["1", "2"])
    with pytest.raises(DepthClipError, match="3 groups for 40 images"):
        intervals(SKEWED, [1, 2, 3])


def test_holm_matches_a_known_case():
    p = pd.Series({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": np.nan})
    expected = {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02, "e": np.nan}
    np.testing.assert_allclose(holm(p), list(expected.values()))
    assert holm(pd.Series([0.7, 0.9])).tolist() == [1, 1]


def test_partial_rank_correlation_is_that_of_residuals_of_ranks():
    z = rng.normal(size=300)
    x, y = z + rng.normal(size=300), z + rng.normal(size=300)
    ranks = [scipy.stats.rankdata(v) for v in (x, y, z)]
    residuals = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    expected = np.corrcoef(*residuals)[0, 1]
    assert partial_rank_correlation(x, y, z) == pytest.approx(expected)
    assert abs(expected) < 0.15 < scipy.stats.spearmanr(x, y).statistic
    assert math.isnan(partial_rank_correlation(x, y, x))
    assert math.isnan(partial_rank_correlation(x, np.ones(300), z))


def test_a_verdict_needs_its_p():
    told = ["better", "worse", "better", "no telling", "too few groups", ""]
    found = confirmed(told, [0.01, 0.05, 0.06, 0.01, np.nan, np.nan])
    assert list(found) == ["better", "worse", "no telling", "no telling", "too few groups", ""]
    assert list(confirmed(["worse"], [np.nan])) == ["no telling"]
