from itertools import permutations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from depthclip_core.analysis import control_words
from depthclip_core.analysis.statistics import partial_rank_correlation
from depthclip_core.errors import DepthClipError
from depthclip_core.plots import score_plots, word_plots
from depthclip_core.settings import PROMPTS

matplotlib.use("Agg")
GRID = (3, 4)


def test_vocabularies_have_seven_words_paper_first():
    assert list(control_words.VOCABULARIES)[:4] == list(PROMPTS)
    for words in control_words.VOCABULARIES.values():
        assert len(words) == len(set(words)) == 7
    for name in ("colours", "sizes", "colour names", "random words"):
        assert not set(control_words.VOCABULARIES[name]) & {
            w for ws in PROMPTS.values() for w in ws
        }


def test_auty_scores_match_the_paper():
    table = control_words.auty_scores()
    assert list(table.columns) == ["abs_rel", "delta1"]
    assert table.loc["distances"].tolist() == [1.014, 0.227]
    assert table.loc["colours"].tolist() == [1.381, 0.131]
    assert table.loc["random text"].tolist() == [1.335, 0.129]
    assert table.loc["sizes"].tolist() == [2.130, 0.048]


def test_even_bins_are_centres_of_equal_parts():
    assert control_words.even_bins(5) == pytest.approx((1, 3, 5, 7, 9))
    steps = np.diff([-control_words.even_bins()[0], *control_words.even_bins()])
    np.testing.assert_allclose(steps, 10 / 7)


def test_orders_are_all_permutations_given_one_first():
    orders = control_words.orders([1.0, 2.5, 4.0])
    assert orders[0].tolist() == [1.0, 2.5, 4.0]
    assert {tuple(row) for row in orders} == set(permutations([1.0, 2.5, 4.0]))
    assert len(control_words.orders(range(7))) == 5040
    with pytest.raises(DepthClipError, match="all orders of 9 bins"):
        control_words.orders(range(9))


def test_where_words_win_by_hand():
    depths = np.array([[[1.0, 2.0], [3.0, np.nan]]])
    similarities = torch.zeros(1, 2, 3, 2, 2)
    winners = torch.tensor([[0, 2], [2, 0]])
    similarities[0, 0] = torch.nn.functional.one_hot(winners, 3).permute(2, 0, 1)
    similarities[0, 1, 1] = 9  # the mirror image is not asked
    table = control_words.where_words_win(depths, similarities, ["a", "b", "c"])
    assert table["cells"].tolist() == [1, 0, 2]
    np.testing.assert_allclose(table["median"], [1.0, np.nan, 2.5])
    np.testing.assert_allclose(table.loc["c", ["25 %", "75 %"]].astype(float), [2.25, 2.75])
    blind = np.array([[2.0, 1.0], [1.5, 9.0]])
    order = control_words.order_in_images(depths, similarities, blind)
    assert order["cells"] == pytest.approx(spearmanr([0, 2, 2], [1, 2, 3]).statistic)
    assert order["blind map"] == pytest.approx(spearmanr([2, 1, 1.5], [1, 2, 3]).statistic)
    expected = partial_rank_correlation([0, 2, 2], [1, 2, 3], [2, 1, 1.5])
    assert order["given the blind map"] == pytest.approx(expected, nan_ok=True)
    with pytest.raises(DepthClipError, match="cells for depths"):
        control_words.order_in_images(depths[:, :1], similarities, blind)
    with pytest.raises(DepthClipError, match="blind map of"):
        control_words.order_in_images(depths, similarities, blind[:1])


def test_order_in_images_of_perfect_and_reversed_words():
    winner = torch.arange(12).reshape(1, *GRID) // 2
    similarities = torch.nn.functional.one_hot(winner, 6).permute(0, 3, 1, 2)[:, None].float()
    depths = (winner + 1).numpy().astype(float)
    blind = np.random.default_rng(0).uniform(1, 5, GRID)
    for sign in (1, -1):
        order = control_words.order_in_images(sign * depths, similarities, blind)
        assert order["cells"] == pytest.approx(sign)
        assert order["given the blind map"] == pytest.approx(sign)
    # When the blind map is the truth, nothing is left of the words.
    order = control_words.order_in_images(depths, similarities, depths[0])
    assert order["blind map"] == pytest.approx(1) and np.isnan(order["given the blind map"])


def test_order_is_given_beside_both_blind_maps():
    depths, similarities = (
        np.random.default_rng(3).uniform(1, 9, (2, *GRID)),
        torch.rand(2, 1, 3, *GRID, generator=torch.Generator().manual_seed(3)),
    )
    rows = np.repeat(np.arange(1.0, GRID[0] + 1)[:, None], GRID[1], axis=1)
    maps = {"position": depths.mean(0), "row": rows}
    order = control_words.order_beside_both(depths, similarities, maps)
    assert order.iloc[:3].equals(
        control_words.order_in_images(depths, similarities, depths.mean(0))
    )
    expected = control_words.order_in_images(depths, similarities, rows)["given the blind map"]
    assert order["given the blind map by row"] == expected


def test_order_in_images_is_undefined_where_one_word_wins():
    similarities = torch.zeros(1, 1, 3, *GRID)
    similarities[:, :, 1] = 1
    depths, blind = np.arange(12.0).reshape(1, *GRID), np.ones(GRID)
    order = control_words.order_in_images(depths, similarities, blind)
    assert order.isna().all()
    assert control_words.order_in_images(depths * np.nan, similarities, blind).isna().all()


def test_words_along_a_line_are_in_order():
    text = torch.linspace(0, 1, 5)[:, None] * torch.tensor([3.0, 4.0]) + torch.tensor([1.0, 0.0])
    np.testing.assert_allclose(
        control_words.text_positions(text), [0, 0.25, 0.5, 0.75, 1], atol=1e-7
    )
    order = control_words.order_in_text(text)
    assert order["correlation"] == 1
    assert order["chance"] == pytest.approx(2 / 120)  # itself and its reverse
    with pytest.raises(DepthClipError, match="cannot test the order"):
        control_words.order_in_text(text[:2])


@pytest.mark.slow
@given(st.integers(0, 10_000), st.integers(3, 5))
def test_order_in_text_matches_scipy(seed, n_words):
    vectors = np.random.default_rng(seed).normal(size=(n_words, 4))
    text = torch.from_numpy(vectors)
    found = control_words.order_in_text(text)
    every = [
        spearmanr(range(n_words), control_words.text_positions(text[list(order)])).statistic
        for order in permutations(range(n_words))
    ]
    assert found["correlation"] == pytest.approx(every[0], abs=1e-9)
    assert found["chance"] == pytest.approx(np.mean(np.array(every) >= every[0] - 1e-9))


def test_figures_draw_what_they_are_given():
    figure, axes = plt.subplots(1, 4)
    words = ["a", "b"]
    alike = control_words.cosines(torch.eye(3) + torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0]]))
    word_plots.show_cosines(axes[0], {"x": alike, "y": alike}, "alike")
    near = [d.get_offsets()[:, 0].tolist() for d in axes[0].collections]
    assert near == [[1, 0], [0], [1, 0], [0]]

    word_plots.show_positions(axes[1], pd.DataFrame({"x": [0, 0.3, 1]}), "places")
    assert axes[1].lines[-1].get_ydata().tolist() == [0, 0.3, 1]

    table = pd.DataFrame(
        {"cells": [3, 0], "25 %": [0.5, np.nan], "median": [1.0, np.nan], "75 %": [2.0, np.nan]},
        index=words,
    )
    word_plots.show_where(axes[2], table, (0, 4), "where")
    assert [text.get_text() for text in axes[2].texts] == [" never wins"]

    index = pd.MultiIndex.from_product([["x", "y"], ["even", "fitted"]])
    scores = pd.DataFrame({"mean": [1, 2, 3, 4], "low": [0, 1, 2, 3], "high": [2, 3, 4, 5]}, index)
    score_plots.show_list_scores(axes[3], scores, 2.5, "rel")
    assert axes[3].lines[0].get_xdata().tolist() == [1, 3]
    assert axes[3].lines[2].get_xdata()[0] == 2.5
    plt.close(figure)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_vectors_and_depths_raise(value):
    depths, similarities = np.ones((2, *GRID)), torch.rand(2, 1, 3, *GRID)
    similarities[1, 0, 2, 0, 0] = value
    with pytest.raises(DepthClipError, match="similarities of frame 1"):
        control_words.where_words_win(depths, similarities, ["a", "b", "c"])
    with pytest.raises(DepthClipError, match="similarities of frame 1"):
        control_words.order_in_images(depths, similarities, np.ones(GRID))
    if not np.isnan(value):  # which is a cell without a known depth
        depths[0, 1, 1] = value
        with pytest.raises(DepthClipError, match="mark unknown depth with NaN"):
            control_words.order_in_images(depths, torch.rand(2, 1, 3, *GRID), np.ones(GRID))
    text = torch.eye(4)
    text[1, 2] = value
    with pytest.raises(DepthClipError, match="text vectors hold NaN or infinite"):
        control_words.order_in_text(text)
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(control_words.text_positions(text)[1])


def test_given_words_join_the_lists():
    lists = control_words.vocabularies(tuple("abcdefg"))
    assert list(lists) == [*control_words.VOCABULARIES, "given"]
    assert lists["given"] == tuple("abcdefg")
    assert control_words.vocabularies(PROMPTS["prompt-2"]) == control_words.VOCABULARIES
    with pytest.raises(DepthClipError, match="give seven words .* not 2"):
        control_words.vocabularies(("near", "far"))


def test_agreement_compares_winning_depths():
    wins = torch.tensor([[[0, 1], [2, 2]]])  # (N, h, w)
    one = torch.nn.functional.one_hot(wins, 3).permute(0, 3, 1, 2)[:, None].float()
    both, blind = {"a": one, "b": one}, np.array([[1.0, 2.0], [1.0, 2.0]])
    same = control_words.agreement(both, {"a": [1, 2, 4], "b": [1.2, 2.4, 8]}, blind)
    row = same.loc[("a", "b")]
    assert row["within 1.25"] == 0.5 and row["ratio"] == pytest.approx((1.2 + 2) / 2)
    assert row["rank correlation"] == pytest.approx(1)
    assert row["given the blind map"] == pytest.approx(1)
    turned = control_words.agreement(both, {"a": [1, 2, 4], "b": [4, 2, 1]}, blind)
    assert turned.loc[("a", "b"), "rank correlation"] == pytest.approx(-1)
    flat = control_words.agreement(both, {"a": [1, 2, 4], "b": [3, 3, 3]}, blind)
    assert flat.loc[("a", "b"), ["rank correlation", "given the blind map"]].isna().all()


def test_what_two_lists_share_by_position_is_not_their_agreement():
    """Two lists whose depths are those of position, each with noise of its own."""
    rng = np.random.default_rng(3)
    place = np.arange(7)
    noisy = [np.clip(place + rng.integers(-1, 2, (400, 1, 7)), 0, 6) for _ in range(2)]
    views = [torch.nn.functional.one_hot(torch.from_numpy(n), 7).permute(0, 3, 1, 2) for n in noisy]
    lists = {name: view[:, None].float() for name, view in zip("ab", views, strict=True)}
    metres = dict.fromkeys("ab", np.arange(1.0, 8))
    row = control_words.agreement(lists, metres, place[None] + 1.0).loc[("a", "b")]
    assert row["rank correlation"] > 0.8 and abs(row["given the blind map"]) < 0.1


def test_cosines_tell_neighbours_from_other_pairs():
    text = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    table = control_words.cosines(text)
    assert table["cosine"].tolist() == pytest.approx([0.6, 0, 0.8])
    assert table["neighbours"].tolist() == [True, False, True]
    row = control_words.cosine_table({"x": text}).loc["x"]
    assert row.tolist() == pytest.approx([0, 1.4 / 3, 0.7, 0.8, 0])
