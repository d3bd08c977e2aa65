"""Signals that end a command: it cleans up first, and says so."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from depthclip_core.errors import DepthClipError

ENDING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
    if hasattr(signal, name)
]
CLEANING_UP = 10.0  # seconds in which further signals are not heard


class Interrupted(DepthClipError):
    """A signal has ended a command; the message says what is left of it."""


@contextmanager
def raised_signals() -> Iterator[list[int]]:
    """Let signals that end a process raise `KeyboardInterrupt`; yields those that came, in order.

    A signal that is ignored, as nohup and background jobs of a shell have it, stays ignored.
    """
    came: list[int] = []
    last = -CLEANING_UP

    def end(number: int, frame: object) -> None:
        nonlocal last
        if time.monotonic() - last >= CLEANING_UP:
            last = time.monotonic()
            came.append(number)
            raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, end)
    try:
        yield came
    finally:
        for number, handler in before.items():
            # About to end after a signal, the process keeps its exit status whatever else comes.
            # Python itself, as it ends, takes every handler but this one away.
            signal.signal(number, signal.SIG_IGN if came else handler)
