"""Calls that do what no call may do: the harness must see each of them."""

import os
import pickle
import signal
import socket
import subprocess
import time
import warnings
from contextlib import suppress
from pathlib import Path

from depthclip_core.errors import DepthClipError
from fuzz.cases import case

FAULTS: dict[str, str] = {}  # for each case, what its result must say


def fault(says: str, expect: str = "either", **options: bool):
    """Register a function that takes no arguments as a case that must be found faulty."""

    def register(call):
        def prepare(folder, random):
            return call

        prepare.__name__, prepare.__module__ = call.__name__, call.__module__
        case(expect, seconds=1, **options)(prepare)
        FAULTS[call.__name__] = says
        return call

    return register


@fault("IndexError")
def foreign_error():
    return [][0]


@fault("ended with")
def end_of_the_process():
    os._exit(3)


@fault("SIGSEGV")
def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


@fault("took more than")
def waiting():
    time.sleep(60)


@fault("ended with SIG|took more than")
def endless_loop():
    while True:
        pass


@fault("MemoryError")
def much_memory():
    return bytearray(2**31)


@fault("File too large|OSError|ended with SIGXFSZ")
def huge_file():
    Path("out").mkdir()
    with open("out/huge", "wb") as file:
        for _ in range(5):
            file.write(bytes(2**26))


@fault("printed")
def output():
    os.write(2, b"x")


@fault("warned")
def warning():
    warnings.warn("x", stacklevel=1)


@fault("subprocess.Popen")
def program():
    subprocess.run(["true"], check=True)


@fault("left a process|took more than")
def process_left():
    if os.fork() == 0:
        time.sleep(60)


@fault("socket.connect")
def network():
    socket.create_connection(("127.0.0.1", 9))


@fault("socket.connect", local_network=True)
def network_beyond_this_machine():
    with socket.socket() as opened, suppress(OSError):
        opened.setblocking(False)
        opened.connect(("192.0.2.1", 9))  # an address of nobody


@fault("pickle.find_class")
def unpickling():
    pickle.loads(b"cposix\ngetcwd\n.")


@fault("outside its folder")
def file_elsewhere():
    Path("/tmp/no-such-folder/x").touch()


@fault("changed new")
def file_beside_the_input():
    Path("new").touch()


@fault("temporary folder")
def temporary_file_left():
    (Path(os.environ["TMPDIR"]) / "x").touch()


@fault("internals")
def internals():
    raise DepthClipError("[Errno 2] no such file")


@fault("expected right, got error", expect="right")
def refused():
    raise DepthClipError("this is bad")


@fault("expected error, got right", expect="error")
def accepted():
    return 3
