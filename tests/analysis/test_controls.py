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

from depthclip_core.analysis import controls
from depthclip_core.errors import DepthClipError
from depthclip_core.plots import vocabularies
from depthclip_core.settings import PROMPTS

matplotlib.use("Agg")
GRID = (3, 4)


def test_vocabularies_are_seven_words_each_and_the_papers_come_first():
    assert list(controls.VOCABULARIES)[:4] == list(PROMPTS)
    for words in controls.VOCABULARIES.values():
        assert len(words) == len(set(words)) == 7
    for name in ("colours", "sizes", "colour names", "random words"):
        assert not set(controls.VOCABULARIES[name]) & {w for ws in PROMPTS.values() for w in ws}


def test_published_controls_are_as_printed():
    table = controls.published()
    assert list(table.columns) == ["abs_rel", "delta1"]
    assert table.loc["distances"].tolist() == [1.014, 0.227]
    assert table.loc["colours"].tolist() == [1.381, 0.131]
    assert table.loc["random text"].tolist() == [1.335, 0.129]
    assert table.loc["sizes"].tolist() == [2.130, 0.048]


def test_even_bins_are_the_centres_of_equal_parts():
    assert controls.even_bins(5) == pytest.approx((1, 3, 5, 7, 9))
    steps = np.diff([-controls.even_bins()[0], *controls.even_bins()])
    np.testing.assert_allclose(steps, 10 / 7)


def test_orders_are_all_of_them_and_the_first_is_as_given():
    orders = controls.orders([1.0, 2.5, 4.0])
    assert orders[0].tolist() == [1.0, 2.5, 4.0]
    assert {tuple(row) for row in orders} == set(permutations([1.0, 2.5, 4.0]))
    assert len(controls.orders(range(7))) == 5040
    with pytest.raises(DepthClipError, match="all orders of 9 bins"):
        controls.orders(range(9))


def test_where_words_win_by_hand():
    depths = np.array([[[1.0, 2.0], [3.0, np.nan]]])
    similarity = torch.zeros(1, 2, 3, 2, 2)
    winners = torch.tensor([[0, 2], [2, 0]])
    similarity[0, 0] = torch.nn.functional.one_hot(winners, 3).permute(2, 0, 1)
    similarity[0, 1, 1] = 9  # the mirror image is not asked
    table = controls.where_words_win(depths, similarity, ["a", "b", "c"])
    assert table["cells"].tolist() == [1, 0, 2]
    np.testing.assert_allclose(table["median"], [1.0, np.nan, 2.5])
    np.testing.assert_allclose(table.loc["c", ["25 %", "75 %"]].astype(float), [2.25, 2.75])
    order = controls.order_in_images(depths, similarity)
    assert np.isnan(order["words"])  # two words win
    assert order["cells"] == pytest.approx(spearmanr([0, 2, 2], [1, 2, 3]).statistic)
    with pytest.raises(DepthClipError, match="cells for depths"):
        controls.order_in_images(depths[:, :1], similarity)


def test_perfect_order_in_images_and_its_reverse():
    winner = torch.arange(12).reshape(1, *GRID) // 2
    similarity = torch.nn.functional.one_hot(winner, 6).permute(0, 3, 1, 2)[:, None].float()
    depths = (winner + 1).numpy().astype(float)
    assert controls.order_in_images(depths, similarity).tolist() == pytest.approx([1, 1])
    assert controls.order_in_images(-depths, similarity).tolist() == pytest.approx([-1, -1])


def test_words_along_a_line_are_in_order_and_few_other_orders_are():
    text = torch.linspace(0, 1, 5)[:, None] * torch.tensor([3.0, 4.0]) + torch.tensor([1.0, 0.0])
    np.testing.assert_allclose(controls.text_positions(text), [0, 0.25, 0.5, 0.75, 1], atol=1e-7)
    order = controls.order_in_text(text)
    assert order["correlation"] == 1
    assert order["chance"] == pytest.approx(2 / 120)  # itself and its reverse
    with pytest.raises(DepthClipError, match="no order to test"):
        controls.order_in_text(text[:2])


@given(st.integers(0, 10_000), st.integers(3, 5))
def test_order_in_text_agrees_with_scipy_in_every_order(seed, n_words):
    vectors = np.random.default_rng(seed).normal(size=(n_words, 4))
    text = torch.from_numpy(vectors)
    found = controls.order_in_text(text)
    every = [
        spearmanr(range(n_words), controls.text_positions(text[list(order)])).statistic
        for order in permutations(range(n_words))
    ]
    assert found["correlation"] == pytest.approx(every[0], abs=1e-9)
    assert found["chance"] == pytest.approx(np.mean(np.array(every) >= every[0] - 1e-9))


def test_intervals_are_percentiles_of_means_of_images_drawn_again():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"delta1": rng.random(40), "rmse": 3 * rng.random(40)})
    rows.loc[40] = np.nan
    table = controls.intervals(rows)
    np.testing.assert_allclose(table["mean"], rows.mean())
    draws = rng.integers(0, 40, (20_000, 40))
    expected = np.quantile(rows.to_numpy()[draws].mean(1), [0.025, 0.975], axis=0)
    width = expected[1] - expected[0]
    assert (np.abs(table[["low", "high"]].to_numpy().T - expected) < 0.06 * width).all()
    pd.testing.assert_frame_equal(table, controls.intervals(rows))
    with pytest.raises(DepthClipError, match="two or more"):
        controls.intervals(rows.loc[39:])


def test_verdicts_know_which_way_is_better():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (50, 3))
    reference = pd.DataFrame(0.5 + noise, columns=["delta1", "abs_rel", "rmse"])
    rows = reference + (np.array([0.1, 0.1, 0]) + rng.normal(0, 0.01, (50, 3)))
    rows["rmse"] -= (rows["rmse"] - reference["rmse"]).mean()
    assert controls.compare(rows, reference)["verdict"].tolist() == [
        "better",
        "worse",
        "no telling",
    ]
    assert controls.compare(reference, rows)["verdict"].tolist()[:2] == ["worse", "better"]


def test_figures_draw_what_they_are_given():
    figure, axes = plt.subplots(1, 4)
    words, matrix = ["a", "b"], np.array([[1.0, 0.25], [0.25, 1.0]])
    vocabularies.show_similarities(axes[0], matrix, words, (0, 1), "alike")
    assert [text.get_text() for text in axes[0].texts] == ["1.00", "0.25", "0.25", "1.00"]

    vocabularies.show_positions(axes[1], pd.DataFrame({"x": [0, 0.3, 1]}), "places")
    assert axes[1].lines[-1].get_ydata().tolist() == [0, 0.3, 1]

    table = pd.DataFrame(
        {"cells": [3, 0], "25 %": [0.5, np.nan], "median": [1.0, np.nan], "75 %": [2.0, np.nan]},
        index=words,
    )
    vocabularies.show_where(axes[2], table, (0, 4), "where")
    assert [text.get_text() for text in axes[2].texts] == [" never wins"]

    index = pd.MultiIndex.from_product([["x", "y"], ["even", "fitted"]])
    scores = pd.DataFrame({"mean": [1, 2, 3, 4], "low": [0, 1, 2, 3], "high": [2, 3, 4, 5]}, index)
    vocabularies.show_scores(axes[3], scores, 2.5, "rel")
    assert axes[3].lines[0].get_xdata().tolist() == [1, 3]
    assert axes[3].lines[2].get_xdata()[0] == 2.5
    plt.close(figure)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_word_wins_and_none_has_a_place_by_what_is_not_finite(value):
    depths, similarity = np.ones((2, *GRID)), torch.rand(2, 1, 3, *GRID)
    similarity[1, 0, 2, 0, 0] = value
    with pytest.raises(DepthClipError, match="similarities of frame 1"):
        controls.where_words_win(depths, similarity, ["a", "b", "c"])
    with pytest.raises(DepthClipError, match="similarities of frame 1"):
        controls.order_in_images(depths, similarity)
    if not np.isnan(value):  # which is a cell without a known depth
        depths[0, 1, 1] = value
        with pytest.raises(DepthClipError, match="one not known is NaN"):
            controls.order_in_images(depths, torch.rand(2, 1, 3, *GRID))
    text = torch.eye(4)
    text[1, 2] = value
    with pytest.raises(DepthClipError, match="text vectors hold NaN or infinite"):
        controls.order_in_text(text)
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(controls.text_positions(text)[1])
