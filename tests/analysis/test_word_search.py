from itertools import combinations

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import nulls, word_search
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.settings import PROMPTS

SHAPE = (5, 3, 4)  # frames, rows and columns of cells


@pytest.fixture(scope="module")
def world():
    """Similarities with eight words, some of which know depth, and the depths of the cells."""
    rng = np.random.default_rng(0)
    depths = rng.uniform(1, 5, SHAPE)
    slopes = np.array([0.002, -0.002, 0.001, 0, 0, 0, 0.0005, 0])
    views = depths[:, None], depths[:, None, :, ::-1]
    values = [slopes[:, None, None] * view + 0.002 * rng.random((5, 8, 3, 4)) for view in views]
    depths = depths.copy()
    depths[0, 0, 0] = np.nan
    return torch.from_numpy(np.stack(values, axis=1)).float(), depths


def error(similarities, depths, words):
    """Root mean square error of a list with its best bins, from the weights of `cell_weights`."""
    weights = cell_weights(similarities[:, :, list(words)], 0.1, True).transpose(0, 2, 3, 1)
    known = np.isfinite(depths)
    x, y = weights[known].astype(np.float64), depths[known]
    bins = np.clip(np.linalg.lstsq(x, y, rcond=1e-9)[0], *word_search.LIMITS)
    return np.sqrt(np.mean((x @ bins - y) ** 2))


def test_every_step_takes_the_best_word(world):
    similarities, depths = world
    path = word_search.forward_selection(similarities, depths, most=4)
    for size in (3, 4):
        before = path.chosen[: size - 1]
        others = set(range(8)) - set(before)
        errors = {w: error(similarities, depths, (*before, w)) for w in others}
        assert path.chosen[size - 1] == min(errors, key=errors.get)
        assert path.error[size - 2] == pytest.approx(min(errors.values()), rel=1e-4)


def test_first_pair_is_the_best_of_all(world):
    similarities, depths = world
    path = word_search.forward_selection(similarities, depths, most=2)
    errors = {pair: error(similarities, depths, pair) for pair in combinations(range(8), 2)}
    assert set(path.chosen) == set(min(errors, key=errors.get))
    assert len(path.bins) == len(path.error) == 1


def test_bins_lie_within_the_limits():
    gram = np.eye(3)
    bins = word_search.least_squares_bins(gram, np.array([-1.0, 2.0, 30.0]))
    np.testing.assert_allclose(bins, [0.5, 2, 10])


def test_bad_searches_raise(world):
    similarities, depths = world
    with pytest.raises(DepthClipError, match="cannot choose 9 of 8 words"):
        word_search.forward_selection(similarities, depths, most=9)
    with pytest.raises(DepthClipError, match="no cell has a known depth"):
        word_search.forward_selection(similarities, np.full(SHAPE, np.nan), most=2)
    with pytest.raises(DepthClipError, match="cells for depths"):
        word_search.forward_selection(similarities, depths[1:], most=2)


def test_expressions_are_different_and_hold_the_papers():
    words = word_search.distance_expressions()
    assert len(words) == len(set(words)) > 150
    assert {w for ws in PROMPTS.values() for w in ws} < set(words)
    assert {"very close", "about two metres away", "across the room"} < set(words)
    assert not any("{" in word for word in words)


def test_ordinary_expressions_repeat_with_their_seed():
    words = word_search.ordinary_expressions(200, seed=4)
    assert len(set(words)) == 200 and words == word_search.ordinary_expressions(200, seed=4)
    assert words != word_search.ordinary_expressions(200, seed=5)
    assert not set(words) & set(word_search.distance_expressions())
    with pytest.raises(DepthClipError, match="not 5000"):
        word_search.ordinary_expressions(5000)


@pytest.mark.slow
def test_search_on_a_run(nyu_folder, own_store):
    run = dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu")
    splits, depths = nulls.open_splits(run, 32), word_search.train_cells(run)
    found = word_search.search_words(run, splits, depths, word_search.distance_expressions(), 4)
    assert found.train.shape == (3, 16, 6) and found.test.shape == (3, 8, 6)
    similarities = run.similarities(found.words[:3])
    depth = np.einsum("nkhw,k->nhw", splits.weights(similarities), found.path.bins[1])
    np.testing.assert_allclose(found.rows(3), splits.test.scores(depth), atol=1e-4)
    with pytest.raises(DepthClipError, match="2 to 4 words, not 5"):
        found.rows(5)
    table = word_search.curves(found, [found, found], "delta1")
    assert (table["test"] == table["null test"]).all() and list(table.index) == [2, 3, 4]
    bins, rows = word_search.given_list(run, splits, depths)
    assert bins.shape == (7,) and rows.shape == (8, 6)
    groups = run.frames.groups
    same = word_search.differences(found, rows, [found, found], 3, groups)
    ordinary = same.loc["searched ordinary words"]
    np.testing.assert_allclose(ordinary[["mean", "low", "high"]].astype(float), 0, atol=1e-9)
    gap = (found.rows(3) - rows).mean()
    np.testing.assert_allclose(same.loc["the run's words", "mean"].astype(float), gap)
    blind = found.test[1] - 0.1
    share = word_search.null_share(found, [found], blind, 3, groups, "delta1")
    assert share["share"] == pytest.approx(1)
