"""Sliders for the bins of some words, which stay in ascending order."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from ipywidgets import VBox

from depthclip_core.text import printable
from depthclip_core.widgets.controls import Slider

NEAREST, FARTHEST, STEP = 0.1, 10.0, 0.05  # of the sliders, metres


class BinSliders(VBox):
    """A slider for the bin of each word.

    A moved bin pushes the bins in its way, and as it moves back they return, until another bin is
    moved. words: K words. bins: K metres, ascending. on: called with each slider and what to do
    when a person has moved it; draw: the last thing to do then.
    """

    def __init__(
        self,
        words: Sequence[str],
        bins: Sequence[float],
        on: Callable[[Slider, Callable[[], None]], None],
        draw: Callable[[], None],
    ):
        super().__init__()
        self._on, self._draw, self._held = on, draw, False
        self.words, self._limits = (), {}
        self.show(words, bins)

    @property
    def bins(self) -> tuple[float, ...]:
        """The sliders' values, metres."""
        return tuple(slider.value for slider in self.sliders)

    @bins.setter
    def bins(self, bins: Sequence[float]) -> None:
        self._pushed = None
        self._set(bins)

    def show(self, words: Sequence[str], bins: Sequence[float]) -> None:
        """Show words with their bins. Sliders of the same words and limits stay as they are."""
        limits = {"low": min(NEAREST, *bins), "high": max(FARTHEST, *bins)}
        if (tuple(words), limits) == (self.words, self._limits):
            self.bins = bins
            return
        self.words, self._limits, old = tuple(words), limits, self.children
        shared = limits | {"step": STEP, "unit": "m"}
        self.sliders = [
            Slider(value=metres, label=printable(word), **shared)
            for word, metres in zip(words, bins, strict=True)
        ]
        for place, slider in enumerate(self.sliders):
            self._on(slider, partial(self._push, place))
        self.children = self.sliders
        for slider in old:
            slider.close()
        self._pushed = None  # the bin moved last, and all bins before it moved
        self._before = self._settled = self.bins

    def _push(self, place: int) -> None:
        if self._held:
            return
        if place != self._pushed:
            self._pushed, self._before = place, self._settled
        wished = [*self._before]
        wished[place] = self.sliders[place].value
        limits = self.sliders[place].low, self.sliders[place].high
        self._set(ascending(wished, place, limits))
        self._draw()

    def _set(self, bins: Sequence[float]) -> None:
        self._held = True
        try:
            for slider, metres in zip(self.sliders, bins, strict=True):
                slider.value = metres
        finally:
            self._held = False
        self._settled = self.bins


def ascending(
    bins: Sequence[float], moved: int, limits: tuple[float, float] = (NEAREST, FARTHEST)
) -> list[float]:
    """Restore ascending order after one bin moved: it stays, and its neighbours give way.

    Bins stay at least one slider step apart, so that a bin stops where the others need room within
    the limits. Bins and limits are metres.
    """
    room = STEP * np.arange(len(bins))
    bins = np.clip(np.asarray(bins, float), limits[0] + room, limits[1] - room[::-1])
    for k in range(moved + 1, len(bins)):
        bins[k] = max(bins[k], bins[k - 1] + STEP)
    for k in reversed(range(moved)):
        bins[k] = min(bins[k], bins[k + 1] - STEP)
    return bins.round(6).tolist()
