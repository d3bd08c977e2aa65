import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import left_out_bins
from depthclip_core.analysis.left_out_bins import DISTANCE, FIXED, ONE, OWN
from depthclip_core.evaluation import scoring

CHANGES = [f"{ONE} − {FIXED}", f"{OWN} − {ONE}"]


def spikes(depths, n_steps=1000):
    """Histograms (N, K, D) in which each word has all of its weight at one depth (N, K), metres."""
    histograms = np.zeros((*np.shape(depths), n_steps))
    for place, depth in np.ndenumerate(np.asarray(depths)):
        histograms[(*place, int(depth * 100))] = 1.0
    return histograms


@pytest.fixture(scope="module")
def tables(nyu_folder):
    run = dc.open_run("nyu", "all", data=str(nyu_folder), head="value", device="cpu")
    return run, left_out_bins.left_out_scores(run)


def test_bins_of_a_frame_come_from_other_rooms():
    depths = [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [3.0, 4.0], [5.0, 6.0]]
    scenes, rooms = ["a", "a", "a", "b", "b"], ["r", "r", "s", "t", "u"]
    histograms = spikes(depths)
    bins = left_out_bins.left_out_bins(histograms, scenes, rooms)
    # Two words at a step of 1 cm: the median lies in its middle.
    np.testing.assert_allclose(bins[OWN][:2], [[3.005, 4.005]] * 2)
    np.testing.assert_allclose(bins[OWN][2:], [[1.005, 2.005], [5.005, 6.005], [3.005, 4.005]])
    np.testing.assert_allclose(bins[ONE][0], [3.0075, 4.0075])  # of 3, 3 and 5 m

    moved = histograms.copy()
    moved[:2] = spikes([[9.0, 9.5]] * 2)
    again = left_out_bins.left_out_bins(moved, scenes, rooms)
    for name in (ONE, OWN):  # a room does not change its own bins, but those of others
        np.testing.assert_array_equal(again[name][:2], bins[name][:2])
    assert not np.allclose(again[OWN][2], bins[OWN][2])


def test_frames_without_another_room_have_no_bins():
    histograms = spikes([[1.0], [2.0], [3.0]])
    histograms[2] = 0  # no valid pixel
    bins = left_out_bins.left_out_bins(histograms, ["a", "b", "b"], [1, 2, 3])
    assert np.isnan(bins[OWN][:2]).all()
    np.testing.assert_allclose(bins[OWN][2], [2.005])
    np.testing.assert_allclose(bins[ONE], [[2.005], [1.005], [1.01]])
    alone = left_out_bins.left_out_bins(histograms[:1], ["a"], [1])
    assert np.isnan(alone[ONE]).all() and np.isnan(alone[OWN]).all()


def test_distance_is_the_mean_over_weighted_pixels():
    histograms = spikes([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    histograms[1, 0] *= 3
    histograms[2] = 0
    found = left_out_bins.word_distances(histograms, np.array([[1.505, 2.005]] * 3))
    np.testing.assert_allclose(found, [0.25, 0.375, np.nan])


def test_medians_have_the_least_distance_to_the_frames_they_are_fitted_on():
    histograms = np.random.default_rng(0).uniform(size=(2, 3, 1000))
    fitted = left_out_bins.left_out_bins(histograms, ["a", "a"], [0, 1])[ONE]
    least = left_out_bins.word_distances(histograms[:1], fitted[1:])
    for step in (-0.5, 0.5):
        assert (left_out_bins.word_distances(histograms[:1], fitted[1:] + step) > least).all()


def test_scores_match_a_sweep_of_the_fixed_bins(tables):
    run, found = tables
    rows = scoring.score(run.frames, run.similarities(), run.bins, run.temperature, run.protocol)
    assert list(found) == [FIXED, ONE, OWN]
    np.testing.assert_allclose(found[FIXED]["delta1"], rows["delta1"], atol=1e-6)
    assert (found[ONE][DISTANCE] < found[FIXED][DISTANCE]).mean() > 0.5


def test_changes_are_paired_and_means_are_of_the_same_frames(tables):
    run, found = tables
    changes = left_out_bins.left_out_changes(found, run.frames.groups)
    means = left_out_bins.left_out_means(found)
    assert list(changes.index.unique("change")) == CHANGES
    for measure in means:
        paired = changes.loc[(CHANGES[1], measure), "mean"]
        assert paired == pytest.approx(means.loc[OWN, measure] - means.loc[ONE, measure])


def test_verdicts_know_which_end_is_better():
    gain = np.linspace(0.1, 0.2, 8)
    tables = {
        FIXED: pd.DataFrame({"delta1": 0 * gain, "rmse": 1 + 0 * gain, DISTANCE: 1 + 0 * gain}),
        ONE: pd.DataFrame({"delta1": gain, "rmse": 1 + gain, DISTANCE: 1 - gain}),
    }
    tables[OWN] = tables[ONE] * np.nan  # no type has a second room
    changes = left_out_bins.left_out_changes(tables, range(8))
    assert list(changes["verdict"]) == ["better", "worse", "better", *["too few groups"] * 3]
    assert left_out_bins.left_out_means(tables).isna().all(axis=None)
