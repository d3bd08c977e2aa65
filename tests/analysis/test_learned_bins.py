"""Learnt bins against pixels, plain loops and worlds in which the right bins are known."""

import naive
import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import learned_bins as lb
from depthclip_core.analysis.learned_bins import Evidence
from depthclip_core.datasets.base import Dataset
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import Window

SHAPE, GRID, N_WORDS = (40, 50), (4, 5), 3
WHOLE = Window(0, *SHAPE[:1], 0, *SHAPE[1:])
PROTOCOL = Protocol(SHAPE, WHOLE, WHOLE, 1e-3, 10)


class Depths(Dataset):
    """Depth alone, from an array."""

    title, frame_shape = "depths", SHAPE

    def __init__(self, depths):
        self.depths = depths

    def __len__(self):
        return len(self.depths)

    def read_raw_depth(self, index):
        return self.depths[index]


def world(bins, seed=0, holes=0.2):
    """Frames whose depth is exactly what their own bins (N, K) say, with holes."""
    rng = np.random.default_rng(seed)
    similarities = torch.from_numpy(rng.normal(0.2, 2e-3, (len(bins), 2, N_WORDS, *GRID))).float()
    weights = naive.pixel_weights(similarities, SHAPE)
    depths = np.einsum("nkhw,nk->nhw", weights, bins).astype(np.float32)
    depths[rng.random(depths.shape) < holes] = 0
    return Depths(depths), similarities, weights


def known(bins, candidates=((1.0, 2.0, 3.0),), metric="rmse", **options):
    frames, similarities, weights = world(np.asarray(bins, dtype=float), **options)
    found = lb.evidence(frames, similarities, np.array(candidates), metric, 0.1, PROTOCOL)
    return found, frames, similarities, weights


def test_least_squares_recover_the_bins_of_weighted_frames():
    near, far = [1.0, 1.5, 2.0], [2.0, 4.0, 8.0]
    found, *_ = known([near, far, near, far])
    weights = np.array([[1, 0, 1, 0], [0, 3, 0, 1]])
    np.testing.assert_allclose(found.least_squares(weights), [near, far], atol=1e-3)


def test_medians_match_weighted_pixels():
    found, frames, _, maps = known([[1.0, 3.0, 6.0], [2.0, 2.5, 7.0]])
    weights = np.array([0.25, 0.75])
    seen = frames.depths > 0
    depths = np.concatenate([d[s] for d, s in zip(frames.depths, seen, strict=True)])
    for word, median in enumerate(found.medians(weights[None])[0]):
        share = np.concatenate(
            [w * m[word][s] / s.sum() for w, m, s in zip(weights, maps, seen, strict=True)]
        )
        assert median == pytest.approx(naive.fitted_median(share, depths), abs=0.011)


def test_weighted_median_is_linear_within_a_step():
    histogram = np.zeros((1, 2, 5))
    histogram[0, 0, 3] = 2.0  # all between 3 and 4 cm: the median is in the middle
    np.testing.assert_allclose(lb.weighted_medians(histogram), [[0.035, 0.035]])
    histogram[0, 1] = [1, 0, 0, 0, 3]
    assert lb.weighted_medians(histogram)[0, 1] == pytest.approx(0.04 + 0.01 / 3)
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        lb.weighted_medians(np.zeros((1, 2, 5)))


@pytest.mark.parametrize("metric", ["rmse", "delta1"])
def test_best_candidate_has_the_best_weighted_mean(metric):
    candidates = np.random.default_rng(1).uniform(0.5, 6, (9, N_WORDS))
    found, frames, similarities, _ = known(
        [[1.0, 2.0, 4.0], [2.0, 3.0, 5.0], [1.0, 1.5, 2.0]], candidates, metric
    )
    weights = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    settings = (candidates, [0.1], [PROTOCOL])
    scores = sweep(frames.depths, similarities, *settings, metrics=[metric]).values[..., 0]
    sign = 1 if metric == "delta1" else -1
    for row, best in zip(weights, found.best(weights, candidates), strict=True):
        np.testing.assert_array_equal(best, candidates[(sign * scores @ row).argmax()])
    later = found.best(weights, candidates[4:], start=4)
    assert set(map(tuple, later)) <= set(map(tuple, candidates[4:]))


def test_frames_without_depth_do_not_count():
    bins = [[1.0, 2.0, 4.0], [5.0, 6.0, 7.0], [1.0, 2.0, 4.0]]
    frames, similarities, _ = world(np.array(bins))
    frames.depths[1] = 0
    found = lb.evidence(frames, similarities, np.ones((1, 3)), "delta1", 0.1, PROTOCOL)
    assert found.known.tolist() == [True, False, True]
    np.testing.assert_allclose(found.least_squares(np.ones((1, 3))), bins[:1], atol=1e-3)
    frames.depths[:] = 0
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        lb.evidence(frames, similarities, np.ones((1, 3)), "delta1", 0.1, PROTOCOL)


def test_stretched_bins_hold_the_given_and_the_constants():
    candidates = lb.stretched([1.0, 2.0, 4.0])
    assert candidates.shape == (len(lb.FACTORS) * len(lb.STRETCHES), 3)
    middle = candidates[lb.STRETCHES.index(0.0)]
    np.testing.assert_allclose(middle, 0.7 * 2)
    np.testing.assert_allclose(np.diff(np.log(candidates), 2), 0, atol=1e-12)  # still geometric
    shape = candidates[lb.STRETCHES.index(1.0)]
    np.testing.assert_allclose(shape, 0.7 * np.array([1.0, 2.0, 4.0]))


def test_weights_of_frames():
    scenes, within = ["a", "b", "a", None, "b"], np.array([True, True, True, True, False])
    weights = lb.frame_weights(scenes, ["a", "b", "c"], within, 2.0)
    expected = [[1.5, 0.5, 1.5, 0.5, 0], [0.5, 1.5, 0.5, 0.5, 0], [0.5, 0.5, 0.5, 0.5, 0]]
    np.testing.assert_allclose(weights, expected)
    shared = lb.frame_weights(scenes, ["a", "b"], within, np.inf)
    np.testing.assert_allclose(shared, [[0.25, 0.25, 0.25, 0.25, 0]] * 2)


def linear_world(n=24, seed=3):
    """Bins that are a linear function of two numbers, hidden in embeddings of six."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 2))
    bins = np.array([1.5, 3.0, 5.0]) + hidden @ rng.normal(0, 0.15, (2, 3))
    return hidden @ rng.normal(size=(2, 6)) + 0.3, bins


def test_continuous_recovers_a_linear_law():
    vectors, bins = linear_world()
    found, *_ = known(bins)
    within = np.arange(24) < 16
    (fit,) = lb.fit_continuous(found, vectors, within, [1e-9])
    np.testing.assert_allclose(fit.bins(vectors), bins, atol=5e-3)


def test_continuous_matches_ridge_on_stacked_pixels():
    """The quadratic forms give what least squares on every pixel gives, with the ridge as rows."""
    vectors, _ = linear_world(6)
    rng, within = np.random.default_rng(4), np.ones(6, dtype=bool)
    a = rng.random((6, 50, N_WORDS))
    y = rng.uniform(1, 5, (6, 50))
    gram, product = np.einsum("npk,npl->nkl", a, a) / 50, np.einsum("npk,np->nk", a, y) / 50
    found = Evidence(np.zeros((6, N_WORDS, 1)), gram, product, np.zeros((1, 6)), within)
    (fit,) = lb.fit_continuous(found, vectors, within, [2.5], n_axes=2)
    phi = np.column_stack([np.ones(6), (vectors - fit.centre) @ fit.axes])
    np.testing.assert_allclose(phi[:, 1:].T @ phi[:, 1:] / 6, np.eye(2), atol=1e-9)
    rows = np.einsum("na,npk->npak", phi, a).reshape(300, -1) / np.sqrt(50)
    root = np.linalg.cholesky(gram.mean(0)).T
    ridge = np.kron(np.diag([0.0, 1, 1]), np.sqrt(2.5) * root)
    target = np.concatenate([y.ravel() / np.sqrt(50), np.zeros(len(ridge))])
    expected = np.linalg.lstsq(np.vstack([rows, ridge]), target, rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients.ravel(), expected, atol=1e-8)


def test_continuous_with_infinite_strength_is_one_set_for_all():
    vectors, bins = linear_world()
    found, *_ = known(bins)
    within = np.arange(24) < 16
    strong, shared = lb.fit_continuous(found, vectors, within, [1e9, np.inf])
    of_all = found.least_squares(within[None].astype(float))
    np.testing.assert_allclose(shared.bins(vectors), np.tile(of_all, (24, 1)), atol=1e-6)
    np.testing.assert_allclose(strong.bins(vectors), shared.bins(vectors), atol=1e-4)


def test_equal_embeddings_have_no_axes():
    found, *_ = known(np.tile([1.0, 2.0, 4.0], (4, 1)))
    (fit,) = lb.fit_continuous(found, np.ones((4, 6)), np.ones(4, dtype=bool), [1.0])
    np.testing.assert_allclose(fit.bins(np.ones((2, 6))), [[1.0, 2.0, 4.0]] * 2, atol=1e-3)


def test_folds_keep_rooms_together_and_spread_scene_types():
    rooms = np.repeat(np.arange(20), 3)
    scenes = np.where(rooms < 10, "bedroom", "office")
    folds = lb.room_folds(rooms, scenes, 5, seed=1)
    for fold in range(5):
        own = folds == fold
        assert len(set(rooms[own])) == 4 and own.sum() == 12
        assert not set(rooms[own]) & set(rooms[~own])
        assert (scenes[own] == "bedroom").sum() == 6
    assert (folds == lb.room_folds(rooms, scenes, 5, seed=1)).all()
    assert (folds != lb.room_folds(rooms, scenes, 5, seed=2)).any()
    assert sorted(lb.room_folds(["a", "b", "c"], [None] * 3, 5)) == [0, 1, 2]


@pytest.mark.parametrize(("rooms", "n_folds"), [(["a", "a"], 5), (["a", "b"], 1)])
def test_too_few_rooms_or_folds_raise(rooms, n_folds):
    with pytest.raises(dc.DepthClipError, match="cannot be left out in turn"):
        lb.room_folds(rooms, [None, None], n_folds)


def test_mixed_bins_are_means_and_unknown_scenes_get_the_rest():
    bins = np.arange(12.0).reshape(2, 2, 3)
    shares, rest = np.array([[0.25, 0.75], [0, 0], [0.5, 0]]), np.array([100.0, 200, 300])
    found = lb.mixed(bins, shares, rest)
    np.testing.assert_allclose(found[0, 0], 0.25 * bins[0, 0] + 0.75 * bins[0, 1])
    np.testing.assert_allclose(found[1, 1], rest)
    np.testing.assert_allclose(found[1, 2], 0.5 * bins[1, 0] + 0.5 * rest)


def test_own_scores_match_a_sweep_of_each_frame():
    frames, similarities, maps = world(np.array([[1.0, 2, 4], [2, 3, 5], [1, 2, 3]]))
    bins = np.random.default_rng(0).uniform(1, 5, (4, 3, N_WORDS))
    bins[2] = bins[0]
    found = lb.own_scores(frames, similarities, bins, ["delta1", "rmse"], 0.1, PROTOCOL)
    for system, frame in np.ndindex(4, 3):
        depth = np.einsum("khw,k->hw", maps[frame], bins[system, frame]).astype(np.float32)
        rows = dc.evaluate(depth[None], frames.depths[frame][None], PROTOCOL)
        expected = rows[["delta1", "rmse"]].iloc[0]
        np.testing.assert_allclose(found[system, frame], expected, atol=1e-3)
    with pytest.raises(dc.DepthClipError, match="for 3 frames"):
        lb.own_scores(frames, similarities, bins[0], ["rmse"], 0.1, PROTOCOL)
