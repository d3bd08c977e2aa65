import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import permutation_test, wasserstein_distance

import depthclip_core as dc
from depthclip_core.analysis import scene_depths, word_responses
from depthclip_core.evaluation import scoring
from depthclip_core.settings import RELEASED_WINDOW

SCENES = ["office", "bathroom", "office", "bathroom"]


def flat(depth):
    return np.full((480, 640), depth, dtype=np.float32)


@pytest.fixture(scope="module")
def ground_truths():
    rng = np.random.default_rng(0)
    made = [rng.uniform(0.5, top, (480, 640)).astype(np.float32) for top in (4, 2, 6, 3)]
    made[0][:, :300] = 0  # an image of fewer pixels counts as much
    return made


@pytest.fixture(scope="module")
def histograms(ground_truths):
    return scene_depths.depth_histograms(ground_truths)


def test_histograms_are_shares_of_valid_pixels(ground_truths, histograms):
    assert histograms.shape == (4, 1000)
    np.testing.assert_allclose(histograms.sum(axis=1), 1)
    inside = ground_truths[0][56:471, 60:601]
    inside = inside[(inside > 1e-3) & (inside < 10)]
    expected = ((inside >= 2) & (inside < 3)).mean()
    steps = (histograms.columns > 2) & (histograms.columns < 3)
    assert histograms.loc[0, steps].sum() == pytest.approx(expected, abs=1e-3)


def test_image_without_depth_is_nan():
    histograms = scene_depths.depth_histograms([flat(2.0), flat(0.0), flat(10.0)])
    assert histograms.isna().all(axis=1).tolist() == [False, True, True]
    shares = scene_depths.by_scene(histograms, ["a", "a", "b"])
    assert list(shares.index) == ["a"]
    assert scene_depths.image_counts(histograms, ["a", "a", "b"])["images"].to_dict() == {"a": 1}
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        scene_depths.by_scene(histograms[1:], ["a", "b"])


def test_images_weigh_the_same(histograms):
    shares = scene_depths.by_scene(histograms, SCENES)
    assert list(shares.index) == ["bathroom", "office"]  # from near to far
    expected = (histograms.loc[0] + histograms.loc[2]) / 2
    np.testing.assert_allclose(shares.loc["office"], expected)
    with pytest.raises(dc.DepthClipError, match="3 scenes for 4 histograms"):
        scene_depths.by_scene(histograms, SCENES[:3])


def test_few_images_are_flagged():
    histograms = scene_depths.depth_histograms([flat(2.0)])
    many = pd.concat([histograms] * 13, ignore_index=True)
    counts = scene_depths.image_counts(many, ["a"] * 10 + ["b"] * 3)
    assert counts["images"].to_dict() == {"a": 10, "b": 3}
    assert counts["few"].to_dict() == {"a": False, "b": True}


def test_quantiles_match_pixels(ground_truths, histograms):
    levels = (0.05, 0.25, 0.5, 0.95)
    got = scene_depths.quantiles(histograms, levels)
    for image, truth in enumerate(ground_truths):
        inside = truth[56:471, 60:601]
        expected = np.quantile(inside[inside > 0], levels)
        np.testing.assert_allclose(got.loc[image], expected, atol=scene_depths.STEP)


def test_distances_are_in_metres():
    histograms = scene_depths.depth_histograms([flat(1.505), flat(4.005), flat(4.005)])
    table = scene_depths.distances(histograms)
    np.testing.assert_allclose(table, [[0, 2.5, 2.5], [2.5, 0, 0], [2.5, 0, 0]], atol=1e-9)


def test_distances_match_pixels(ground_truths, histograms):
    table = scene_depths.distances(histograms)
    a, b = (truth[56:471, 60:601] for truth in (ground_truths[1], ground_truths[3]))
    expected = wasserstein_distance(a.ravel(), b.ravel())
    assert table.loc[1, 3] == pytest.approx(expected, abs=scene_depths.STEP)
    np.testing.assert_allclose(table, table.T)


def test_distance_tests_match_scipy():
    """One room an image: the exact test of two samples by the mean of the histograms."""
    rng = np.random.default_rng(0)
    depths = np.concatenate([rng.uniform(1, 3, 4), rng.uniform(2, 4, 5)])
    histograms = scene_depths.depth_histograms([flat(d) for d in depths])
    scenes = ["a"] * 4 + ["b"] * 5
    table = scene_depths.distance_tests(histograms, scenes, range(9))
    shares = scene_depths.by_scene(histograms, scenes)
    row = table.loc[("a", "b")]
    assert row["distance"] == pytest.approx(scene_depths.distances(shares).loc["a", "b"])

    def distance(x, y):
        mean = [histograms.to_numpy()[i.astype(int)].mean(0) for i in (x, y)]
        return wasserstein_distance(histograms.columns, histograms.columns, *mean)

    samples = (np.arange(4.0), np.arange(4.0, 9))
    expected = permutation_test(
        samples, distance, vectorized=False, n_resamples=np.inf, alternative="greater"
    )
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["least_p"] == pytest.approx(1 / 126) and row["rooms"] == 9


def test_distance_tests_tell_scenes_apart_and_say_what_they_cannot_tell():
    rng = np.random.default_rng(0)
    depths = np.concatenate([rng.uniform(1, 2, 16), rng.uniform(4, 5, 16), rng.uniform(7, 8, 4)])
    histograms = scene_depths.depth_histograms([flat(d) for d in depths])
    scenes = ["a"] * 16 + ["b"] * 16 + ["few"] * 4
    rooms = [*np.arange(32) // 2, *(90, 90, 91, 91)]
    table = scene_depths.distance_tests(histograms, scenes, rooms)
    assert table.loc[("a", "b"), "verdict"] == "more than chance"
    assert table.loc[("a", "few"), "verdict"] == "cannot be told"  # 45 deals, three pairs
    assert table["distance"].is_monotonic_decreasing
    mixed = [*("a", "b") * 16, *["few"] * 4]
    again = scene_depths.distance_tests(histograms, mixed, range(36))
    assert again.loc[("a", "b"), "verdict"] == "no telling"


def test_images_of_one_room_count_as_one():
    """Copies of the same images in the same rooms do not make a difference significant."""
    depths = np.random.default_rng(3).uniform(1, 4, 10)
    scenes = ["a", "b"] * 5
    once, again = (
        scene_depths.distance_tests(
            scene_depths.depth_histograms([flat(d) for d in np.repeat(depths, n)]),
            np.repeat(scenes, n),
            np.repeat(range(10), n),
        )
        for n in (1, 4)
    )
    assert once["p"].iloc[0] == again["p"].iloc[0] > 0.05


def test_unknown_scene_raises_with_known_ones():
    assert scene_depths.positions_of(SCENES, "bathroom") == [1, 3]
    with pytest.raises(dc.DepthClipError, match="unknown scene .attic.*bathroom, office"):
        scene_depths.positions_of(SCENES, "attic")


def test_typical_frame_is_nearest_to_scene_median():
    depths = (1.0, 2.0, 2.2, 0.0, 9.0)
    histograms = scene_depths.depth_histograms([flat(d) for d in depths])
    scenes = ["a", "b", "b", "b", "b"]
    assert scene_depths.typical_frame(histograms, scenes, "b") == 2
    assert scene_depths.typical_frame(histograms, scenes, "a") == 0
    with pytest.raises(dc.DepthClipError, match="no frame of scene 'b' has"):
        scene_depths.typical_frame(histograms.iloc[[0, 3]].reset_index(drop=True), "ab", "b")


def test_wanted_bins_match_fit_of_each_scene():
    rng = np.random.default_rng(0)
    frames = [
        dc.Frame(
            f"{i}",
            np.zeros((480, 640, 3), np.uint8),
            rng.uniform(1, 5, (480, 640)),
            scene=scene,
            crop=RELEASED_WINDOW,
        )
        for i, scene in enumerate(SCENES)
    ]
    generator = torch.Generator().manual_seed(0)
    similarities = 0.001 * torch.randn(4, 2, 3, 13, 17, generator=generator)
    table = scene_depths.wanted_bins(frames, similarities, SCENES, ("x", "y", "z"))
    assert list(table.index) == ["all", "bathroom", "office"]
    for row, of_scene in (("all", [0, 1, 2, 3]), ("bathroom", [1, 3]), ("office", [0, 2])):
        expected = scoring.fit([frames[i] for i in of_scene], similarities[of_scene])
        np.testing.assert_allclose(table.loc[row], expected, atol=1e-9)
    with pytest.raises(dc.DepthClipError, match="4 responses and 3 scenes for 4 frames"):
        scene_depths.wanted_bins(frames, similarities, SCENES[:3], ("x", "y", "z"))


def test_quantiles_of_rows_without_known_pixels_are_nan():
    shares = pd.DataFrame([[0.5, 0.5], [np.nan, 1.0], [0.0, 0.0]], columns=[1.0, 2.0])
    found = scene_depths.quantiles(shares, [0.5])[0.5]
    assert found[0] == 1.0 and found[1:].isna().all()


def test_spread_test_finds_types_that_differ_and_counts_rooms():
    rng = np.random.default_rng(0)
    apart = scene_depths.depth_histograms([flat(d) for d in (*rng.uniform(1, 2, 6), *[4.0] * 6)])
    scenes = ["a"] * 6 + ["b"] * 6
    # All deals of 12 rooms to two types of six: two of 924 are as far apart.
    assert scene_depths.spread_test(apart, scenes, range(12)) == pytest.approx(2 / 924)
    assert scene_depths.spread_test(apart, scenes, np.arange(12) // 3) == pytest.approx(2 / 6)
    holed = apart.copy()
    holed.iloc[0] = np.nan
    assert scene_depths.spread_test(holed, scenes, range(12)) == pytest.approx(1 / 462)
    assert scene_depths.spread_test(apart, ["a", "b"] * 6, range(12)) > 0.05


def test_word_shares_are_means_over_the_images_of_a_type():
    generator = torch.Generator().manual_seed(0)
    similarities = 0.1 * torch.randn(4, 2, 3, 13, 17, generator=generator)
    shares = scene_depths.word_shares(similarities, SCENES, "xyz")
    assert list(shares.index) == ["bathroom", "office"] and list(shares.columns) == list("xyz")
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    weights = word_responses.mean_weights(similarities)
    np.testing.assert_allclose(shares.loc["office"], weights[[0, 2]].mean((0, 2, 3)), atol=1e-6)


def test_bin_distances_weigh_words_by_their_share():
    wanted = pd.DataFrame([[1, 2], [2, 2], [1, 4]], ["all", "a", "b"], ["x", "y"], dtype=float)
    shares = pd.DataFrame([[0.75, 0.25], [0.5, 0.5]], ["a", "b"], ["x", "y"])
    found = scene_depths.bin_distances(wanted, (1.0, 3.0), shares)
    np.testing.assert_allclose(found.loc["a"], [0.75 + 0.25, 0.75])
    np.testing.assert_allclose(found.loc["b"], [0.5, 1.0])
