import numpy as np
import pytest

from depthclip_core.analysis import clouds, statistics
from depthclip_core.errors import DepthClipError


def test_gain_share_of_known_cases():
    rng, groups = np.random.default_rng(0), np.repeat(range(20), 3)
    blind = rng.random(60)
    own = blind + 0.4 + 0.01 * rng.standard_normal(60)
    half = np.array([blind + (own - blind) / 2] * 10)
    row = clouds.gain_share(half, own, blind, groups, "delta1")
    assert row.tolist() == pytest.approx([0.5, 0.5, 0.5])
    noisy = half + 0.1 * rng.standard_normal((10, 60))
    row = clouds.gain_share(noisy, own, blind, groups, "delta1")
    assert 0.45 < row["low"] < 0.5 < row["high"] < 0.55
    errors = clouds.gain_share(-half, -own, -blind, groups, "rmse")  # the less the better
    assert errors["share"] == pytest.approx(0.5)
    few = clouds.gain_share(half, own, blind, groups % (statistics.FEWEST_GROUPS - 1), "delta1")
    assert few["share"] == pytest.approx(0.5) and np.isnan(few["low"])
    none = clouds.gain_share(half, blind - 0.1, blind, groups, "delta1")
    assert none.isna().all()
    unclear = blind + rng.standard_normal(60)
    row = clouds.gain_share(half, unclear, blind, groups, "delta1")
    assert np.isnan(row["low"])


def test_gain_share_varies_with_the_lists():
    """Where images agree and lists do not, the interval is that of the mean of lists."""
    blind, own = np.zeros(24), np.ones(24)
    null = np.tile(np.random.default_rng(1).normal(0.5, 0.2, 25)[:, None], 24)
    row = clouds.gain_share(null, own, blind, range(24), "delta1")
    half_width = 1.96 * null[:, 0].std() / 5
    assert row["high"] - row["low"] == pytest.approx(2 * half_width, rel=0.1)


def test_clouds_say_where_own_stands():
    own, blind = np.full((8, 6), 0.5), np.full((8, 6), 0.1)
    cloud = np.repeat([[[0.2]], [[0.4]], [[0.6]], [[0.3]]], 8, axis=1).repeat(6, axis=2)
    found = clouds.Clouds(own, blind, {"null": cloud}, list(range(8)))
    table = found.table("delta1").loc["null"]
    assert table["draws"] == 4 and table["median"] == pytest.approx(0.35)
    assert (
        table["as good as own"] == 0.25
        and found.table("rmse").loc["null", "as good as own"] == 0.75
    )
    assert found.shares("delta1").loc["null", "share"] == pytest.approx((0.375 - 0.1) / 0.4)
    assert found.differences("delta1").loc["null", "mean"] == pytest.approx(0.125)
    assert found.differences("rmse").loc["null", "verdict"] == "worse"
    with pytest.raises(DepthClipError, match="'mae' is not one of delta1"):
        found.table("mae")
