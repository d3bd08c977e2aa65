"""End kernels, and whatever they have started."""

import os
import signal
from contextlib import suppress

import psutil
from nbclient import NotebookClient


def process_of(client: NotebookClient | None) -> int | None:
    """The process of a client's kernel; None before it has started and after it has ended."""
    return getattr(getattr(getattr(client, "km", None), "provisioner", None), "pid", None)


def kill(kernel: int | None) -> None:
    """Kill a kernel and the processes below it."""
    if kernel is None:
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(kernel)
        for below in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                below.kill()
    kill_group(kernel)


def kill_group(kernel: int | None) -> None:
    """Kill what a kernel has started, also after it has ended itself.

    A kernel leads a group of its own, whose number is not given away while anybody is in it.
    """
    if kernel is not None and hasattr(os, "killpg") and kernel != os.getpgrp():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(kernel, signal.SIGKILL)
