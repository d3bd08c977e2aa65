import naive
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from depthclip_core.errors import DepthClipError
from depthclip_core.method.depth import flip_average, place, upsample, weighted_depth
from depthclip_core.method.similarities import bin_weights
from depthclip_core.settings import Window


@st.composite
def answers(draw):
    """Similarities of any grid and number of words, with as many bins."""
    k, h, w = draw(st.integers(1, 9)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    seed = draw(st.integers(0, 2**31))
    generator = torch.Generator().manual_seed(seed)
    similarities = torch.rand(2, k, h, w, generator=generator) * 0.1
    bins = (torch.rand(k, generator=generator) * 9 + 0.5).tolist()
    return similarities, bins


@given(answers(), st.floats(0.01, 10))
def test_depth_stays_within_the_bins(case, temperature):
    similarities, bins = case
    depth = weighted_depth(bin_weights(similarities, temperature), bins)
    assert depth.min() >= min(bins) - 1e-5
    assert depth.max() <= max(bins) + 1e-5


@given(answers(), st.randoms(use_true_random=False))
def test_permuting_words_with_their_bins_changes_nothing(case, random):
    similarities, bins = case
    order = list(range(len(bins)))
    random.shuffle(order)
    depth = weighted_depth(bin_weights(similarities), bins)
    permuted = weighted_depth(bin_weights(similarities[:, order]), [bins[i] for i in order])
    torch.testing.assert_close(permuted, depth, atol=1e-5, rtol=0)


@given(answers())
def test_flipping_twice_changes_nothing(case):
    similarities, bins = case
    depth = weighted_depth(bin_weights(similarities), bins)
    assert torch.equal(depth.flip(-1).flip(-1), depth)
    assert torch.equal(flip_average(depth, depth.flip(-1)), depth)
    other = torch.rand_like(depth)
    mirrored = flip_average(other, depth)  # of the mirrored photograph: the mirrored mean
    torch.testing.assert_close(mirrored, flip_average(depth, other).flip(-1))


@given(answers())
def test_upsampling_commutes_with_the_weighted_sum(case):
    similarities, bins = case
    weights = bin_weights(similarities)
    late = upsample(weighted_depth(weights, bins), (20, 24))
    early = weighted_depth(upsample(weights, (20, 24)), bins)
    torch.testing.assert_close(late, early, atol=1e-5, rtol=1e-5)


def test_upsample_matches_plain_loops():
    cells = torch.rand(1, 13, 17, generator=torch.Generator().manual_seed(0)) * 3
    pixels = upsample(cells, (104, 136))[0].numpy()
    np.testing.assert_allclose(pixels, naive.upsample(cells[0].numpy(), 104, 136), atol=1e-5)
    assert pixels[0, 0] == cells[0, 0, 0]
    assert pixels[-1, -1] == cells[0, -1, -1]


def test_place_is_zero_outside_its_window():
    canvas = place(torch.ones(1, 416, 544), (480, 640), Window(56, 472, 60, 604))
    assert canvas.sum() == 416 * 544
    assert canvas[0, 56, 60] == canvas[0, 471, 603] == 1
    assert canvas[0, 55].sum() == canvas[0, :, 604].sum() == 0


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(DepthClipError, match="2 bins for weights of 3 words"):
        weighted_depth(torch.ones(1, 3, 2, 2) / 3, [1.0, 2.0])
    with pytest.raises(DepthClipError, match="does not fill"):
        place(torch.ones(1, 4, 4), (480, 640), Window(0, 5, 0, 4))
