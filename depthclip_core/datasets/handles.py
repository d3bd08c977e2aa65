"""Open files that are no part of a data set's state, so that data sets can be copied and sent."""

import os
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Opened = TypeVar("Opened")


class Handle(Generic[Opened]):
    """A file that each process opens for itself when it first needs it.

    opener: a function of a module, called with the arguments; what it raises is raised by `get`.
    Copies and pickles hold these alone, and open the file again.
    """

    def __init__(self, opener: Callable[..., Opened], *arguments: object):
        self.__setstate__((opener, arguments))

    def get(self) -> Opened:
        """The open file of this process; threads share it."""
        with self._lock:
            if self._process != os.getpid():  # a forked process would share the file's position
                self._opened, self._process = self._opener(*self._arguments), os.getpid()
            return self._opened

    def close(self) -> None:
        """Close this process's file, if it is open and can be closed."""
        with self._lock:
            if self._process == os.getpid() and hasattr(self._opened, "close"):
                self._opened.close()
            self._opened = self._process = None

    def __getstate__(self) -> tuple:
        return self._opener, self._arguments

    def __setstate__(self, state: tuple) -> None:
        self._opener, self._arguments = state
        self._lock, self._opened, self._process = Lock(), None, None
