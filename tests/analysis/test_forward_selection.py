from itertools import combinations

import numpy as np
import pytest
import torch

from depthclip_core.analysis import forward_selection
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import cell_weights

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
    bins = np.clip(np.linalg.lstsq(x, y, rcond=1e-9)[0], *forward_selection.LIMITS)
    return np.sqrt(np.mean((x @ bins - y) ** 2))


def test_every_step_takes_the_best_word(world):
    similarities, depths = world
    path = forward_selection.forward_selection(similarities, depths, most=4)
    for size in (3, 4):
        before = path.chosen[: size - 1]
        others = set(range(8)) - set(before)
        errors = {w: error(similarities, depths, (*before, w)) for w in others}
        assert path.chosen[size - 1] == min(errors, key=errors.get)
        assert path.error[size - 2] == pytest.approx(min(errors.values()), rel=1e-4)


def test_first_pair_is_the_best_of_all(world):
    similarities, depths = world
    path = forward_selection.forward_selection(similarities, depths, most=2)
    errors = {pair: error(similarities, depths, pair) for pair in combinations(range(8), 2)}
    assert set(path.chosen) == set(min(errors, key=errors.get))
    assert len(path.bins) == len(path.error) == 1


def test_bins_lie_within_the_limits():
    gram = np.eye(3)
    bins = forward_selection.least_squares_bins(gram, np.array([-1.0, 2.0, 30.0]))
    np.testing.assert_allclose(bins, [0.5, 2, 10])


def test_bad_searches_raise(world):
    similarities, depths = world
    with pytest.raises(DepthClipError, match="cannot choose 9 of 8 words"):
        forward_selection.forward_selection(similarities, depths, most=9)
    with pytest.raises(DepthClipError, match="no cell has a known depth"):
        forward_selection.forward_selection(similarities, np.full(SHAPE, np.nan), most=2)
    with pytest.raises(DepthClipError, match="cells for depths"):
        forward_selection.forward_selection(similarities, depths[1:], most=2)
