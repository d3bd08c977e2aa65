"""One queue for what a person wishes of an explorer's controls.

JupyterLab and ipykernel may handle the messages of two widgets in two threads, at once or in
another order than a person acted. So controls send none of their own: all go through one queue,
whose messages name each other's order. A page sends the next message after it has the answer to the
last, and leaves out what is stale by then.
"""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from threading import RLock

from ipywidgets import Widget

# What one explorer does, it ends before another begins: matplotlib's settings are shared.
ONE_WISH = RLock()


class Wishes(Widget):
    """The queue. It takes a page's wishes in order, and answers when all have been taken.

    settle: called once after the wishes of a message, for what need not be done after each.
    """

    def __init__(self):
        super().__init__()
        self._controls = []
        self.settle: Callable[[], None] = lambda: None
        self.taking = False  # whether a message's wishes are being taken
        self.on_msg(self._take)

    def adopt(self, control) -> None:
        """Take this control's wishes, in place of the queue that it was made with."""
        if control.wishes is self:
            return
        if control.wishes:
            control.wishes.close()
        self._controls.append(control)
        control.wishes, control.place = self, len(self._controls) - 1

    def _take(self, _, message: dict, __) -> None:
        with ONE_WISH:
            try:
                with self._held():
                    self._take_all(message["wishes"])
            finally:
                self.send({"page": message["page"], "answered": message["number"]})

    def _take_all(self, wishes: list) -> None:
        self.taking = True
        try:
            for place, wish in wishes:
                self._controls[place].take(wish)
        finally:
            self.taking = False
            self.settle()

    @contextmanager
    def _held(self):
        """Send what changes of the controls at the end, a message for each.

        The page would handle earlier ones while the kernel draws, and both would take longer.
        """
        with ExitStack() as held:
            for control in self._controls:
                held.enter_context(control.hold_sync())
            yield
