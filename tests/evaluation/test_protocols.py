import numpy as np
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.protocols import (
    PROTOCOLS,
    Protocol,
    resolve_protocol,
    scale_and_shift,
)
from depthclip_core.settings import Window


def test_released_region_is_415_by_541():
    canvas = np.zeros((480, 640))
    canvas[56:472, 60:604] = 1
    mask = PROTOCOLS["released"].valid_mask(np.ones((480, 640)), canvas)
    assert mask.sum() == 415 * 541
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (56, 470, 60, 600)


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "released"])
def test_other_protocols_use_bts_region(name):
    """45:471, 41:601 of a whole frame's prediction; DepthCLIP's window leaves 415 × 541 of it."""
    ones = np.ones((480, 640))
    rows, columns = np.nonzero(PROTOCOLS[name].valid_mask(ones, ones))
    assert len(rows) == 426 * 560
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (45, 470, 41, 600)
    assert PROTOCOLS[name].overlap == PROTOCOLS["released"].overlap == Window(56, 471, 60, 601)


def test_protocol_of_saved_maps_is_said_to_be_known_elsewhere():
    with pytest.raises(DepthClipError, match="`depthclip score`.* know the protocol 'densedepth'"):
        resolve_protocol("densedepth")
    with pytest.raises(DepthClipError, match="unknown protocol 'dense': "):
        resolve_protocol("dense")


def test_protocols_differ_in_alignment_and_flip():
    assert {name: (p.align, p.flip) for name, p in PROTOCOLS.items()} == {
        "released": (None, True),
        "bts": (None, False),
        "adabins": (None, True),
        "marigold": ("least-squares", False),
        "median-scaled": ("median", False),
    }


def test_overlap_is_intersection_of_region_and_window():
    apart = Protocol((9, 9), Window(0, 3, 0, 9), Window(5, 9, 2, 4), 0.1, 10)
    assert apart.overlap.shape[0] == 0
    inside = Protocol((9, 9), Window(0, 9, 0, 9), Window(5, 9, 2, 4), 0.1, 10)
    assert inside.overlap == inside.region


def test_least_squares_alignment_matches_lstsq():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, g = rng.uniform(0.5, 5, (2, 50))
        design = np.column_stack([p, np.ones(50)])
        expected = np.linalg.lstsq(design, g, rcond=None)[0]
        assert scale_and_shift(p, g, "least-squares") == pytest.approx(expected, abs=1e-10)


def test_median_alignment_equalises_medians():
    p, g = np.random.default_rng(1).uniform(0.5, 5, (2, 51))
    scale, shift = scale_and_shift(p, g, "median")
    assert shift == 0
    assert sorted(scale * p)[25] == pytest.approx(sorted(g)[25], abs=1e-12)


def test_flat_prediction_aligns_to_mean():
    g = np.array([1.0, 2.0, 6.0])
    for p in (np.full(3, 2.5), 2.5 + np.array([0, 1e-7, -1e-7])):
        assert scale_and_shift(p, g, "least-squares") == (0, 3)


def test_depth_limits_are_exclusive():
    truth = np.full((480, 640), 10.0)
    ones = np.ones((480, 640))
    assert not PROTOCOLS["released"].valid_mask(truth, ones).any()
    assert not PROTOCOLS["released"].valid_mask(truth * 3, ones).any()
    assert not PROTOCOLS["released"].valid_mask(ones * 1e-3, ones).any()
    assert not PROTOCOLS["released"].valid_mask(ones, ones * 1e-3).any()


def test_unknown_name_raises():
    with pytest.raises(DepthClipError, match="known: released"):
        resolve_protocol("eigen")
    with pytest.raises(DepthClipError, match="did you mean 'median'"):
        Protocol((9, 9), Window(0, 9, 0, 9), Window(0, 9, 0, 9), 0.1, 10, align="medain")
