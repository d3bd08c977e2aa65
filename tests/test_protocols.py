import numpy as np
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.protocols import PROTOCOLS, resolve_protocol


def test_the_released_region_is_415_by_541_pixels():
    canvas = np.zeros((480, 640))
    canvas[56:472, 60:604] = 1
    mask = PROTOCOLS["released"].valid(np.ones((480, 640)), canvas)
    assert mask.sum() == 415 * 541
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (56, 470, 60, 600)


def test_limits_are_open():
    truth = np.full((480, 640), 10.0)
    ones = np.ones((480, 640))
    assert not PROTOCOLS["released"].valid(truth, ones).any()
    assert not PROTOCOLS["released"].valid(truth * 3, ones).any()
    assert not PROTOCOLS["released"].valid(ones * 1e-3, ones).any()
    assert not PROTOCOLS["released"].valid(ones, ones * 1e-3).any()


def test_unknown_names_are_refused():
    with pytest.raises(DepthClipError, match="known: released"):
        resolve_protocol("eigen")
