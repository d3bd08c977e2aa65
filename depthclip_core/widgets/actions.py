"""What a person's actions bring about: one after another, with their errors on the page."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager

from ipywidgets import Box, Button, VBox, Widget

from depthclip_core.widgets.messages import as_alert, fault_of
from depthclip_core.widgets.wishes import ONE_WISH


class Acting(VBox):
    """A box of controls whose actions end one by one, with a line `message` for their errors.

    fault: what is wrong with what is typed; it is shown until it is mended.
    """

    _held, _fault = False, ""

    def _on(self, control: Widget, action: Callable[[], None], trait: str = "value") -> None:
        """Run an action when a button is clicked, or when another control's value changes."""
        if isinstance(control, Button):
            control.on_click(lambda _: self._safely(action))
        else:
            control.observe(lambda _: None if self._held else self._safely(action), trait)

    def _safely(self, action: Callable[[], None]) -> None:
        """Run an action and show its error, if any, in the line of messages."""
        with ONE_WISH:
            shown = ""
            try:
                action()
            except Exception as error:  # the kernel would swallow it
                shown = fault_of(error)
            self.message.value = as_alert(shown or self._fault)

    @contextmanager
    def _held_back(self):
        """Setting controls in this block runs no actions."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    def _buttons(self, actions: Mapping[str, Callable[[], None]]) -> Box:
        """A row of buttons by what they say, which breaks where the page is narrow."""
        buttons = [Button(description=name) for name in actions]
        for button, action in zip(buttons, actions.values(), strict=True):
            self._on(button, action)
        box = Box(buttons)
        box.add_class("depthclip-buttons")
        return box
