"""The three readings of the paper's lower bound, without any data set."""

import numpy as np
import pandas as pd
import pytest

from depthclip_core.analysis import empty_rooms, published

SIX = empty_rooms.SIX


@pytest.fixture(scope="module")
def rooms():
    return empty_rooms.room_scores(np.arange(0.5, 5.25, 0.25), draws=4)


def test_the_reading_per_cell_fits_the_printed_lower_bound_best(rooms):
    """The room depths that the six printed metrics imply agree best per cell, worst per pixel."""
    printed = published.results().loc["lower bound", SIX].astype(float)
    implied = empty_rooms.implied_depths(rooms, printed)
    spans = implied.max() - implied.min()
    assert spans["cell"] < 0.75 * spans["image"] and spans["image"] < 0.75 * spans["pixel"]
    assert implied["cell"].between(2, 3).all()
    # Per pixel, the printed row contradicts itself.
    assert implied.loc["delta1", "pixel"] == pytest.approx(3.1, abs=0.05)
    assert implied.loc["rmse", "pixel"] == pytest.approx(4.5, abs=0.05)


def test_rooms_follow_the_algebra_of_noise(rooms):
    depths = rooms.loc["pixel"].index.to_numpy(float)
    pixel = np.sqrt(100 / 12 + (5 - depths) ** 2)
    np.testing.assert_allclose(rooms.loc["pixel", "rmse"], pixel, rtol=2e-3)
    cell = np.sqrt(100 / 12 * 4 / 9 + (5 - depths) ** 2)  # upsampling keeps 4/9 of the variance
    np.testing.assert_allclose(rooms.loc["cell", "rmse"], cell, rtol=0.05)
    image = rooms.loc["image", "rmse"]
    assert (image < rooms.loc["pixel", "rmse"]).all()  # a mean of roots, not the root of a mean
    # Which of the other two is smaller depends on the room.
    assert image[1.0] < rooms.loc[("cell", 1.0), "rmse"]
    assert image[5.0] > rooms.loc[("cell", 5.0), "rmse"]


def test_implied_depth_is_where_a_metric_meets_the_printed():
    index = pd.MultiIndex.from_product([["cell"], [1.0, 3.0]], names=["reading", "depth"])
    table = pd.DataFrame({m: [0.0, 1.0] for m in SIX}, index)
    printed = pd.Series(np.linspace(0, 1, 6), SIX)
    found = empty_rooms.implied_depths(table, printed)["cell"]
    np.testing.assert_allclose(found, 1 + 2 * printed, atol=0.005)
