import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from depthclip_core.errors import DepthClipError
from depthclip_core.method.similarities import bin_weights, text_similarities


def test_similarities_are_dot_products_in_fp32():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, 8, 3, 4, generator=generator)
    text = torch.randn(5, 8, generator=generator)
    got = text_similarities(vectors.bfloat16(), text)
    assert got.dtype == torch.float32
    got = text_similarities(vectors, text)
    for b, k, i, j in np.ndindex(2, 5, 3, 4):
        expected = sum(vectors[b, d, i, j].item() * text[k, d].item() for d in range(8))
        assert got[b, k, i, j].item() == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 2**31), st.integers(1, 9), st.floats(0.01, 10))
def test_weights_are_a_distribution_over_words(seed, k, temperature):
    similarities = torch.randn(2, k, 3, 4, generator=torch.Generator().manual_seed(seed))
    weights = bin_weights(similarities, temperature)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 3, 4))


@given(st.floats(-1, 1))
def test_shift_of_all_similarities_changes_nothing(shift):
    similarities = torch.rand(1, 7, 3, 4, generator=torch.Generator().manual_seed(0)) * 0.01
    torch.testing.assert_close(
        bin_weights(similarities + shift), bin_weights(similarities), atol=1e-3, rtol=0
    )


def test_released_softmax_is_over_a_thousand_times_s():
    similarities = torch.tensor([0.2, 0.201]).view(1, 2, 1, 1)
    weights = bin_weights(similarities).flatten()
    assert weights[1].item() == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-4)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("argument", ["temperature", "logit_scale"])
def test_temperature_and_scale_must_be_positive_and_finite(argument, bad):
    with pytest.raises(DepthClipError, match="must be positive and finite"):
        bin_weights(torch.zeros(1, 2, 1, 1), **{argument: bad})


def test_temperature_whose_logits_leave_float32_is_refused():
    with pytest.raises(DepthClipError, match="must be positive and finite, got 1e-40"):
        bin_weights(torch.zeros(1, 2, 1, 1), temperature=1e-40)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_cell_that_is_not_finite_has_no_weights(bad):
    """Minus infinity, too, which the softmax takes for a word of weight 0."""
    similarities = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = bin_weights(similarities)
    expected[1, :, 0, 1] = torch.nan
    similarities[1, 2, 0, 1] = bad
    assert torch.equal(bin_weights(similarities).nan_to_num(-1), expected.nan_to_num(-1))
