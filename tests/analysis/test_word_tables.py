"""Tables of which word answers where, against their parts written out."""

import numpy as np
import pytest
import torch

from depthclip_core.analysis import position, word_responses, word_tables

WORDS, BINS = ("near", "middle", "far"), (1.0, 2.0, 4.0)
ROOMS = list("aabbccddeeffgg")


@pytest.fixture(scope="module")
def world():
    """Weights by method and true depths of 14 frames of 4 × 5 cells: one method sees, one not."""
    rng = np.random.default_rng(0)
    blind = np.linspace(1, 4, 20).reshape(4, 5)
    depths = blind * rng.uniform(0.6, 1.6, (14, 4, 5))
    order = np.digitize(depths, [1.5, 3])
    sees = np.moveaxis(np.eye(3)[order], -1, 1)
    guesses = rng.dirichlet(np.ones(3), (14, 4, 5)).transpose(0, 3, 1, 2)
    depths[0, 0, 0] = np.nan
    return {"sees": sees, "guesses": guesses}, depths, blind


def of_views(image, mirrored):
    """Similarities (N, 2, K, h, w) in which the given words (N, h, w) of the two views win."""
    views = [np.moveaxis(np.eye(3)[np.array(order)], -1, 1) for order in (image, mirrored)]
    return torch.tensor(np.stack(views, axis=1), dtype=torch.float32)


def test_order_table_is_rank_correlation_of_each_method(world):
    weights, depths, _ = world
    table = word_tables.order_table(weights, BINS, depths, ROOMS)
    assert table.index.get_level_values("method").unique().tolist() == ["sees", "guesses"]
    winners = word_responses.winners(weights["sees"])
    expected = word_responses.rank_correlation(winners, depths, ROOMS)
    np.testing.assert_allclose(table.loc["sees"].loc["winning word"], expected)
    predicted = (weights["guesses"] * np.array(BINS)[:, None, None]).sum(1)
    expected = word_responses.rank_correlation(predicted.round(6), depths, ROOMS)
    np.testing.assert_allclose(table.loc["guesses"].loc["predicted depth"], expected)


def test_rows_of_one_question_agree_between_tables(world):
    weights, depths, blind = world
    order = word_tables.order_table(weights, BINS, depths, range(14))
    order = order.xs(("predicted depth", "within an image"), level=("ranked", "compared"))
    beyond = word_tables.position_table(weights, BINS, depths, {"position": blind}, range(14))
    beyond = beyond.loc["position"].xs("rho", level="correlation")
    np.testing.assert_allclose(
        order[["spearman", "low", "high"]], beyond[["mean", "low", "high"]], atol=1e-9
    )


def test_nearly_equal_cells_tie():
    weights = np.zeros((1, 3, 1, 2))
    weights[0, 2] = [[1, 1 - 1e-8]]
    weights[0, 0, 0, 1] = 1e-8
    assert len(np.unique(word_tables.predicted_cells(weights, BINS))) == 1


def test_position_table_tells_the_method_that_sees(world):
    weights, depths, blind = world
    table = word_tables.position_table(weights, BINS, depths, {"position": blind}, ROOMS)
    left = table.xs("rho given the blind map", level="correlation").loc["position"]
    assert left.loc["sees", "low"] > 0.5
    assert left.loc["guesses", "low"] < 0 < left.loc["guesses", "high"]
    rows = position.seen_beyond_position(
        word_tables.predicted_cells(weights["sees"], BINS), depths, blind
    )
    assert left.loc["sees", "mean"] == pytest.approx(rows["rho given the blind map"].mean())


def test_strongest_finds_each_words_largest_mean_weight(world):
    weights, depths, _ = world
    curves = word_responses.response_curves(weights["sees"], depths, WORDS, groups=ROOMS)
    table = word_tables.strongest(curves, BINS)
    assert table.index.tolist() == list(WORDS)
    assert table["bin (m)"].tolist() == list(BINS)
    assert (table["mean weight"] == 1).all()
    assert table["mean depth (m)"].is_monotonic_increasing
    assert word_tables.strongest(curves.iloc[:0], BINS).empty


def test_words_of_views_names_mirrored_cells_as_the_images():
    similarities = of_views([[[0, 1, 2]]], [[[2, 1, 1]]])
    table = word_tables.words_of_views(similarities[0], WORDS, [(0, 0), (0, 2)], 0.1)
    assert table.loc["cell (0, 0)"].tolist() == ["near", "middle"]
    assert table.loc["cell (0, 2)"].tolist() == ["far", "far"]


def test_views_apart_counts_cells_of_different_words():
    assert word_tables.views_apart(of_views([[[0, 1, 2]]], [[[2, 1, 0]]]), 0.1) == 0
    assert word_tables.views_apart(of_views([[[0, 1, 2]]], [[[0, 1, 2]]]), 0.1) == 2 / 3


def test_words_by_temperature_go_from_one_to_all():
    table = word_tables.words_by_temperature(of_views([[[0, 0]]], [[[1, 1]]]), [0.1, 1e6])
    assert table.index.tolist() == [0.1, 1e6]
    one, average = table.loc[0.1, "image alone"], table.loc[0.1, "flip average"]
    np.testing.assert_allclose(one, [0, 1], atol=1e-6)
    np.testing.assert_allclose(average, [1, 2], atol=1e-6)  # each view is sure of another word
    np.testing.assert_allclose(table.loc[1e6, ("image alone", "words")], 3, rtol=1e-3)
