import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import wish

from depthclip_core.widgets import bin_sliders
from depthclip_core.widgets.actions import Acting
from depthclip_core.widgets.bin_sliders import BinSliders


class Page(Acting):
    """Sliders, and how often they had something drawn."""

    def __init__(self, words, bins):
        self.drawn = 0
        self.sliders = BinSliders(words, bins, self._on, self._redraw)
        super().__init__([self.sliders])

    def draw(self):
        self.drawn += 1


@pytest.fixture
def page():
    return Page(["near", "middle", "far"], [1.0, 2.0, 3.0])


def test_moved_bin_pushes_others_which_return(page):
    wish((page.sliders.sliders[0], 2.98))
    assert page.sliders.bins == pytest.approx((2.98, 3.03, 3.08)) and page.drawn == 1
    wish((page.sliders.sliders[0], 0.5))
    assert page.sliders.bins == (0.5, 2.0, 3.0) and page.drawn == 2


def test_set_bins_are_not_moved_ones(page):
    wish((page.sliders.sliders[0], 5.0))
    page.sliders.bins = (1.0, 1.5, 2.5)
    assert page.drawn == 1
    wish((page.sliders.sliders[1], 2.0))
    assert page.sliders.bins == (1.0, 2.0, 2.5)


def test_other_words_have_other_sliders_in_the_same_queue(page):
    before = page.sliders.sliders
    page.sliders.show(["near", "middle", "far"], (1.0, 2.0, 4.0))
    assert page.sliders.sliders is before and page.sliders.bins == (1.0, 2.0, 4.0)
    page.sliders.show(["close", "<b>"], (0.05, 40.0))
    first, second = page.sliders.sliders
    assert (first.label, second.label) == ("close", "<b>")
    assert (first.low, second.high) == (0.05, 40.0)
    assert before[0].comm is None  # closed: a page shows it no more
    wish((second, 30.0))
    assert page.sliders.bins == (0.05, 30.0) and page.drawn == 1


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=9), st.data())
def test_ascending_keeps_order_and_limits(values, data):
    values = sorted(values)
    moved = data.draw(st.integers(0, len(values) - 1))
    values[moved] = data.draw(st.floats(0.1, 10))
    result = bin_sliders.ascending(values, moved)
    low, high = bin_sliders.NEAREST - 1e-6, bin_sliders.FARTHEST + 1e-6
    assert all(low <= metres <= high for metres in result)
    assert (np.diff(result) >= bin_sliders.STEP - 2e-6).all()
    again = bin_sliders.ascending(result, moved)
    assert again == pytest.approx(result, abs=1e-5)


def test_ascending_moves_only_bins_without_room():
    assert bin_sliders.ascending([1, 2, 3.5, 4], 2) == [1, 2, 3.5, 4]
    assert bin_sliders.ascending([1, 2, 0.5, 4], 2) == [0.4, 0.45, 0.5, 4]
    assert bin_sliders.ascending([1, 2, 10, 4], 2) == [1, 2, 9.95, 10]
