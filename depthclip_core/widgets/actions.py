"""What a person's actions bring about: one after another, with their errors on the page."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import cached_property

from ipywidgets import HTML, Box, VBox

from depthclip_core.errors import DepthClipError
from depthclip_core.text import as_markup
from depthclip_core.widgets.controls import Button, Control
from depthclip_core.widgets.wishes import ONE_WISH, Wishes


class Acting(VBox):
    """A box of controls whose actions end one by one, with a line `message` for their errors."""

    _held = _stale = False
    _fault = ""  # of what is typed: it stays until it is mended

    @cached_property
    def wishes(self) -> Wishes:
        """The queue of what a person wishes of the controls."""
        queue = Wishes()
        queue.settle = self._settle
        return queue

    @cached_property
    def message(self) -> HTML:
        """The line that shows what went wrong."""
        return HTML()

    def __repr__(self) -> str:
        return f"{type(self).__name__}: run this cell to use it."  # shown where no kernel runs

    def draw(self) -> None:
        """Show what the current values of the controls mean."""
        raise NotImplementedError

    def _redraw(self) -> None:
        """Draw now, or, while wishes that came together are taken, once after the last."""
        self._stale = True
        if not self.wishes.taking:
            self._stale = False
            self.draw()

    def _settle(self) -> None:
        if self._stale:
            self._safely(self._redraw, else_keep=True)

    def _on(self, control: Control, action: Callable[[], None], trait: str = "value") -> None:
        """Run an action when a button is clicked, or when another control's value changes."""
        self.wishes.adopt(control)
        if isinstance(control, Button):
            control.on_click(lambda _: self._safely(action))
        else:
            control.observe(lambda _: None if self._held else self._safely(action), trait)

    def _safely(self, action: Callable[[], None], else_keep: bool = False) -> None:
        """Run an action and show its error in the line of messages.

        else_keep: if there is none, keep what is shown there.
        """
        with ONE_WISH:
            shown = ""
            try:
                action()
            except Exception as error:  # the kernel would swallow it
                shown = fault_of(error)
            if shown or not else_keep:
                self._say(shown or self._fault)

    def _say(self, text: str) -> None:
        self.message.value = as_alert(text)

    @contextmanager
    def _held_back(self):
        """Setting controls in this block runs no actions."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    @contextmanager
    def _at_once(self):
        """Setting controls in this block draws once, at its end."""
        with self._held_back():
            yield
        self._redraw()

    def _row(self, actions: Mapping[str, Callable[[], None]]) -> Box:
        """Buttons by what they say, in a row that breaks where the page is narrow."""
        buttons = [Button(description=name) for name in actions]
        for button, action in zip(buttons, actions.values(), strict=True):
            self._on(button, action)
        box = Box(buttons)
        box.add_class("depthclip-buttons")
        return box


def as_alert(text: str) -> str:
    """The text as HTML on one line, escaped, which is read out; empty if there is none."""
    line = as_markup(" ".join(text.split()))
    return line and f'<div class="depthclip-error" role="alert">{line}</div>'


def fault_of(error: Exception) -> str:
    """What went wrong, in words for a user."""
    return str(error) if isinstance(error, DepthClipError) else f"{type(error).__name__}: {error}"
