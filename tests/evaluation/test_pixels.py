import numpy as np
import pytest
import torch
from test_sweep import FRAME, SMALL, world

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import (
    cell_weights,
    checked_similarities,
    counted,
    moments,
    pixel_maps,
)
from depthclip_core.method.similarities import bin_weights

PROTOCOL = SMALL["None True"]
NOT_FINITE = (np.nan, np.inf, -np.inf)


def poisoned(similarities, value, at=(2, 1, 3, 4, 5)):
    similarities = similarities.clone()
    similarities[at] = value
    return similarities


def test_cell_weights_average_both_views():
    _, similarities = world(0)
    first, second = bin_weights(similarities[0], 0.1)
    expected = ((first + second.flip(-1)) / 2).numpy()
    np.testing.assert_allclose(cell_weights(similarities[0], 0.1, flip=True), expected, atol=1e-30)
    alone = cell_weights(similarities[0], 0.1, flip=False)
    np.testing.assert_allclose(alone, first, rtol=1e-6, atol=1e-30)


def test_negligible_weights_become_zero():
    similarities = torch.tensor([0.3, 0.2]).reshape(1, 2, 1, 1)
    assert cell_weights(similarities, 0.1, flip=True).ravel().tolist() == [1, 0]  # exp(−100)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_non_finite_cell_alone_gets_nan_weights(value):
    _, similarities = world(0)
    alone = cell_weights(poisoned(similarities, value)[2], 0.1, flip=True)
    bad = np.zeros((5, 6), dtype=bool)
    bad[4, 0] = True  # the mirror image of the last column
    np.testing.assert_array_equal(np.isnan(alone), np.broadcast_to(bad, alone.shape))
    sound = cell_weights(similarities[2], 0.1, flip=True)
    np.testing.assert_array_equal(alone[:, ~bad], sound[:, ~bad])
    maps = pixel_maps(alone, PROTOCOL)
    assert np.isnan(moments(maps, counted(world(0)[0][2], PROTOCOL))[0]).all()


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("at", [(0, 0, 0, 0, 0), (2, 1, 3, 4, 5)])
def test_non_finite_similarities_raise(value, at):
    similarities = world(0)[1]
    assert checked_similarities(similarities) is similarities
    with pytest.raises(DepthClipError, match=f"similarities of frame {at[0]} hold NaN") as caught:
        checked_similarities(poisoned(similarities, value, at))
    assert "\n" not in str(caught.value)


def test_large_similarities_pass():
    similarities = torch.full((2, 1, 2, 3, 4), 3e38)  # their sum is infinite
    assert checked_similarities(similarities) is similarities


@pytest.mark.parametrize("value", [*NOT_FINITE, -0.5])
def test_bad_ground_truth_raises(value):
    truth = np.full(FRAME, 2.0)
    truth[0, 0] = 0
    assert counted(truth, PROTOCOL).n_valid == counted(np.full(FRAME, 2.0), PROTOCOL).n_valid
    truth[0, 0] = value  # outside the region, too
    for kind in (np.float16, np.float32, np.float64):
        with pytest.raises(DepthClipError, match="infinite or negative values: mark holes with 0"):
            counted(truth.astype(kind), PROTOCOL)


@pytest.mark.parametrize("kind", ["f2", "f4", ">f4", "f8"])
def test_counted_depths_of_any_type_are_those_of_the_protocol(kind):
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1e-3, 0.5, 2, 9.9999999, 10, 11], FRAME).astype(kind)
    truth.flags.writeable = False
    part = truth[PROTOCOL.overlap.slices].astype("f4" if kind == "f2" else kind)
    expected = np.where(PROTOCOL.valid_depth_mask(part), part, 0)
    for given in (truth, truth[:, ::-1][:, ::-1], np.asfortranarray(truth)):
        found = counted(given, PROTOCOL)
        np.testing.assert_array_equal(found.depth, expected.astype(np.float32))
        assert found.n_valid == np.count_nonzero(found.valid_mask) == (expected > 0).sum()
