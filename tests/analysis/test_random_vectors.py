import numpy as np
import pytest
import torch

from depthclip_core.analysis import random_vectors as rv
from depthclip_core.errors import DepthClipError


def test_random_lists_have_different_words():
    lists = rv.random_lists(7, 9, 40, seed=1)
    assert lists.shape == (40, 7) and lists.max() < 9
    assert all(len(set(row)) == 7 for row in lists.tolist())
    assert (lists == rv.random_lists(7, 9, 40, seed=1)).all()
    with pytest.raises(DepthClipError, match="7 different words from 3"):
        rv.random_lists(7, 3, 1)


def test_random_directions_have_no_preferred_one():
    directions = rv.random_directions(4000, 3)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(4000))
    assert directions.mean(0).abs().max() < 0.05
    second = directions.T @ directions / 4000  # a third of the square along each axis
    torch.testing.assert_close(second, torch.eye(3) / 3, atol=0.02, rtol=0)


def test_spread_directions_are_as_far_apart_as_the_words():
    text = torch.nn.functional.normalize(torch.randn(5, 8, generator=torch.manual_seed(0)), dim=1)
    drawn = rv.directions_spread_like(text, 2000, seed=3).unflatten(0, (2000, 5))

    def apart(vectors):
        return torch.cdist(vectors, vectors).square().sum((-1, -2)) / 20

    assert apart(drawn).mean() == pytest.approx(float(apart(text)), rel=0.03)
    torch.testing.assert_close(drawn.mean((0, 1)), text.mean(0), atol=0.03, rtol=0)
    with pytest.raises(DepthClipError, match="two or more words"):
        rv.directions_spread_like(text[:1], 3)


def test_channels():
    assert rv.released_channels(8, 4).tolist() == [0, 2, 4, 6]
    assert rv.released_channels(768, 512)[:5].tolist() == [0, 1, 3, 4, 6]
    some = rv.random_channels(8, 4, 30)
    assert (np.diff(some, axis=1) > 0).all() and len(np.unique(some)) == 8
    orders = rv.permuted_channels(8, 4, 30)
    assert (np.sort(orders, axis=1) == [0, 2, 4, 6]).all() and len(np.unique(orders, axis=0)) > 5


def test_channel_directions_match_kept_channels():
    text, kept = torch.rand(2, 3), np.array([[0, 4, 2], [1, 3, 5]])
    cells = torch.rand(10, 6)
    found = cells @ rv.channel_directions(text, kept, 6).T  # (10, L · K)
    expected = torch.cat([cells[:, row] @ text.T for row in torch.from_numpy(kept)], dim=1)
    torch.testing.assert_close(found, expected)
