import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import depthclip_core as dc
from depthclip_core.analysis import word_responses
from depthclip_core.method.depth import weighted_depth
from depthclip_core.method.pipeline import depth_maps

GRID, WORDS = (13, 17), ("near", "middle", "far")


def one_hot(order, n_words=3):
    """Weights (N, K, h, w) with which `order` (N, h, w) wins alone."""
    return np.moveaxis(np.eye(n_words)[order], -1, 1)


@pytest.fixture(scope="module")
def world():
    """Six frames of 3 × 4 cells: random weights, depths with unknown cells."""
    rng = np.random.default_rng(0)
    depths = rng.uniform(0.5, 9, (6, 3, 4))
    depths[rng.random(depths.shape) < 0.2] = np.nan
    return rng.dirichlet(np.ones(3), (6, 3, 4)).transpose(0, 3, 1, 2), depths


@pytest.mark.parametrize(("statistic", "function"), [("median", np.median), ("mean", np.mean)])
@pytest.mark.parametrize("grid", [GRID, (26, 34), (5, 7)])
def test_cell_depth_uses_valid_pixels(statistic, function, grid):
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 11, (480, 640)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.3] = 0
    truth[56:130, 60:130] = 0  # cells without a pixel
    got = word_responses.cell_depths([truth, np.zeros_like(truth)], grid, statistic=statistic)
    assert got.shape == (2, *grid)
    assert np.isnan(got[1]).all()
    pixels = {}
    for y in range(56, 472):
        for x in range(60, 604):
            cell = ((y - 56) * grid[0] // 416, (x - 60) * grid[1] // 544)
            seen, all_of_it = pixels.setdefault(cell, ([], []))
            all_of_it.append(1)
            if y < 471 and x < 601 and 1e-3 < truth[y, x] < 10:
                seen.append(float(truth[y, x]))
    for cell, (seen, all_of_it) in pixels.items():
        enough = len(seen) >= 0.5 * len(all_of_it)
        expected = function(seen) if enough else np.nan
        assert got[0][cell] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert np.isnan(got[0]).any()


def test_cell_needs_enough_valid_pixels():
    truth = np.full((480, 640), 2.0)
    truth[56 : 56 + 32, 60 : 60 + 17] = 0  # 15 of 32 columns of the first cell are left
    assert np.isnan(word_responses.cell_depths([truth], GRID)[0, 0, 0])
    assert word_responses.cell_depths([truth], GRID, least=0.4)[0, 0, 0] == 2
    assert np.isfinite(word_responses.cell_depths([truth], GRID)[0]).sum() == 220
    with pytest.raises(dc.DepthClipError, match="'median' or 'mean'"):
        word_responses.cell_depths([truth], GRID, statistic="mode")


def test_mean_weights_give_scored_depth():
    generator = torch.Generator().manual_seed(0)
    similarities = 0.01 * torch.randn(3, 2, 3, 5, 7, generator=generator)
    bins = (1.0, 2.0, 4.0)
    for views, flip in ((similarities, True), (similarities[:, :1], False)):
        weights = word_responses.mean_weights(similarities, 0.5, flip)
        assert weights.sum(1) == pytest.approx(np.ones((3, 5, 7)), abs=1e-6)
        depth = weighted_depth(torch.from_numpy(weights), bins)
        expected = depth_maps(views, bins, (5, 7), 0.5)
        np.testing.assert_allclose(depth, expected, atol=1e-5)
    with pytest.raises(dc.DepthClipError, match="N, V, K, h, w"):
        word_responses.mean_weights(similarities[0])


@pytest.mark.parametrize("cell", [(13, 0), (0, 17), (-1, 3)])
def test_cell_outside_grid_raises(cell):
    assert word_responses.checked_cell(12, 16, GRID) == (12, 16)
    with pytest.raises(dc.DepthClipError, match="rows 0 to 12 and columns 0 to 16"):
        word_responses.checked_cell(*cell, GRID)


def test_entropy_counts_the_words():
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]).T.reshape(1, 4, 1, 3)
    np.testing.assert_allclose(word_responses.entropy(weights)[0, 0], [0, 1, 2], atol=1e-12)


@given(st.lists(st.floats(1e-3, 1), min_size=2, max_size=7))
def test_entropy_lies_between_one_word_and_all(values):
    weights = np.array(values) / sum(values)
    bits = word_responses.entropy(weights.reshape(1, -1, 1, 1)).item()
    assert bits == pytest.approx(-sum(w * np.log2(w) for w in weights), abs=1e-9)
    assert -1e-12 <= bits <= np.log2(len(values)) + 1e-12


def test_counts_skip_cells_without_depth(world):
    weights, depths = world
    counts = word_responses.counts_by_depth(weights, depths, WORDS)
    expected = np.zeros(counts.shape, int)
    for image, row, column in np.argwhere(np.isfinite(depths)):
        word = int(np.argmax(weights[image, :, row, column]))
        depth = depths[image, row, column]
        edges = word_responses.EDGES
        interval = next(i for i in range(len(edges) - 1) if edges[i] <= depth < edges[i + 1])
        expected[word, interval] += 1
    np.testing.assert_array_equal(counts, expected)
    assert list(counts.index) == list(WORDS)
    assert counts.columns[1] == "1 – 1.5"


def test_depths_beyond_edges_are_not_counted():
    depths = np.array([[[0.2, 1.0, 2.0, 3.0]]])
    counts = word_responses.counts_by_depth(
        one_hot(np.zeros((1, 1, 4), int)), depths, WORDS, (1, 2, 3)
    )
    assert counts.to_numpy().tolist() == [[1, 1], [0, 0], [0, 0]]
    with pytest.raises(dc.DepthClipError, match="do not fit"):
        word_responses.counts_by_depth(one_hot(np.zeros((1, 1, 4), int)), depths, WORDS[:2])


def test_response_curves_are_means_over_cells(world):
    weights, depths = world
    edges = (0, 3, 6, 10)
    curves = word_responses.response_curves(
        weights, depths, WORDS, edges, groups=range(len(depths))
    )
    assert len(curves) == 9
    for row in curves.itertuples():
        near, far = (float(end) for end in row.interval.split(" – "))
        inside = (depths >= near) & (depths < far)
        assert row.mean == pytest.approx(weights[:, WORDS.index(row.word)][inside].mean())
        assert row.depth == pytest.approx(depths[inside].mean())
        assert row.cells == inside.sum()
        assert row.images == inside.any((1, 2)).sum()
        assert row.low < row.mean < row.high
    assert curves.groupby("interval")["mean"].sum().to_numpy() == pytest.approx(np.ones(3))


def test_intervals_resample_images():
    """Cells of one image that all say the same are one observation: the bootstrap's spread is that
    of the images' means, and not a tenth of it."""
    order = np.repeat(np.arange(40) % 2, 100).reshape(40, 10, 10)
    depths = np.full(order.shape, 2.0)
    curves = word_responses.response_curves(
        one_hot(order), depths, WORDS, (0, 10), groups=range(40), draws=4000
    )
    first = curves.iloc[0]
    expected = 1.96 * np.sqrt(0.25 / 40)
    assert first["mean"] == 0.5
    assert first["high"] - 0.5 == pytest.approx(expected, rel=0.1)
    assert 0.5 - first["low"] == pytest.approx(expected, rel=0.1)


def test_images_of_one_room_are_drawn_together():
    """Four copies of each image, in one room each, say no more than one."""
    rng = np.random.default_rng(0)
    order, depths = rng.integers(0, 3, (12, 4, 4)), rng.uniform(1, 5, (12, 4, 4))
    once, again = (
        word_responses.response_curves(
            one_hot(np.repeat(order, n, axis=0)),
            np.repeat(depths, n, axis=0),
            WORDS,
            groups=np.repeat(range(12), n),
        )
        for n in (1, 4)
    )
    ends = ["mean", "low", "high"]
    np.testing.assert_allclose(once[ends], again[ends])
    ranks = [
        word_responses.rank_correlation(
            np.repeat(order, n, axis=0), np.repeat(depths, n, axis=0), np.repeat(range(12), n)
        )
        for n in (1, 4)
    ]
    np.testing.assert_allclose(ranks[0].loc["within an image"][:3], ranks[1].iloc[1, :3])


def test_few_rooms_have_no_interval(world):
    weights, depths = world
    few = word_responses.response_curves(weights[:4], depths[:4], WORDS, (0, 10), groups=range(4))
    assert few[["low", "high"]].isna().all(axis=None)
    assert few["mean"].notna().all()
    nothing = word_responses.response_curves(
        weights, np.full_like(depths, np.nan), WORDS, groups=range(len(depths))
    )
    assert nothing.empty


def test_rank_correlation_matches_spearman(world):
    weights, depths = world
    order = word_responses.winners(weights)
    table = word_responses.rank_correlation(order, depths, range(len(depths)))
    known = np.isfinite(depths)
    together = spearmanr(order[known], depths[known]).statistic
    assert table.loc["all cells", "spearman"] == pytest.approx(together)
    single = [spearmanr(o[k], d[k]).statistic for o, d, k in zip(order, depths, known, strict=True)]
    assert table.loc["within an image", "spearman"] == pytest.approx(np.mean(single))
    assert table["cells"].tolist() == [known.sum()] * 2
    for row in table.itertuples():
        assert row.low < row.spearman < row.high


def test_rank_correlation_of_ordered_and_reversed_words():
    depths = np.tile(np.array([1.0, 3.0, 8.0]), (8, 4, 1))
    order = np.tile(np.array([0, 1, 2]), (8, 4, 1))
    table = word_responses.rank_correlation(order, depths, range(len(depths)))
    np.testing.assert_allclose(table[["spearman", "low", "high"]], 1)
    np.testing.assert_allclose(
        word_responses.rank_correlation(2 - order, depths, range(8))["spearman"], -1
    )


def test_rank_correlation_of_one_word_is_nan():
    depths = np.random.default_rng(0).uniform(1, 5, (4, 3, 3))
    table = word_responses.rank_correlation(np.zeros((4, 3, 3), int), depths, range(4))
    assert table["spearman"].isna().all()
    assert table["images"].tolist() == [4, 0]
    unknown = word_responses.rank_correlation(
        np.zeros((4, 3, 3), int), np.full((4, 3, 3), np.nan), range(4)
    )
    assert unknown["spearman"].isna().all()
    assert unknown["cells"].tolist() == [0, 0]


def test_correlation_between_rooms_is_not_within_images():
    """A word per room, by the room's depth: order over all cells, none to be had within."""
    rng = np.random.default_rng(0)
    order = np.repeat(np.arange(3), 9).reshape(3, 3, 3)
    depths = 1 + order + rng.uniform(0, 0.5, order.shape)
    table = word_responses.rank_correlation(order, depths, range(len(depths)))
    assert table.loc["all cells", "spearman"] > 0.9
    assert np.isnan(table.loc["within an image", "spearman"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_weights_raise(world, value):
    weights, depths = (array.copy() for array in world)
    weights[2, 1, 1, 2] = value
    for call in (
        lambda: word_responses.winners(weights),
        lambda: word_responses.counts_by_depth(weights, depths, WORDS),
        lambda: word_responses.response_curves(weights, depths, WORDS, groups=range(len(depths))),
    ):
        with pytest.raises(dc.DepthClipError, match="weights hold NaN or infinite values"):
            call()
    with np.errstate(all="ignore"):
        assert np.isnan(word_responses.entropy(weights)[2, 1, 2])
    with pytest.raises(dc.DepthClipError, match="similarities of frame 1"):
        word_responses.mean_weights(torch.tensor([0, value]).reshape(2, 1, 1, 1, 1))
    with pytest.raises(dc.DepthClipError, match="the winning words hold NaN"):
        word_responses.rank_correlation(weights[:, 1], depths, range(len(depths)))


@pytest.mark.parametrize("value", [np.inf, -np.inf, -1.0])
def test_infinite_or_negative_cell_depths_raise(world, value):
    weights, depths = world[0], world[1].copy()
    depths[2, 1, 2] = value
    for call in (
        lambda: word_responses.counts_by_depth(weights, depths, WORDS),
        lambda: word_responses.response_curves(weights, depths, WORDS, groups=range(len(depths))),
        lambda: word_responses.rank_correlation(
            word_responses.winners(weights), depths, range(len(depths))
        ),
    ):
        with pytest.raises(dc.DepthClipError, match="mark unknown depth with NaN"):
            call()
    with pytest.raises(dc.DepthClipError, match="ground truth holds NaN, infinite or negative"):
        word_responses.cell_depths([np.full((480, 640), value)], GRID)
