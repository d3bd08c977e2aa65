"""Watches one trial from inside its process: limits, warnings, and what it does to the machine."""

import math
import os
import re
import resource
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

from depthclip_core.errors import DepthClipError
from fuzz.cases import Case

MEMORY = 2**30  # bytes that a call may take beyond what the process had
LARGEST_FILE = 2**28  # bytes
LONGEST_MESSAGE = 810  # characters
LONGEST_REPORT = 4000
MAY_CHANGE = ("out", "store")  # folders in a trial's own, for results and for the store
# What an error of ours must not show: how other libraries, and Python, are made.
INTERNALS = re.compile(
    r"Traceback|weights_only|[Uu]npickl|_pickle|allow_pickle|0x[0-9a-f]{6}|<class|<function|"
    r"<built-in|object at|\[Errno|torch\.(?!save|jit\.load)|safetensors_rust|Header\w*Error"
)
# Audit events of Python, see its documentation; each would be a way out of the folder.
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"}
NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request"}
HERE = "127.0.0.1"
CODE = {"pickle.find_class"}
CHANGES = {
    "os.mkdir": 1,
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.link": 2,
    "os.truncate": 1,
    "os.chmod": 1,
}  # and how many of their first arguments are paths
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Python's audit hook: lists what a call did that it must not do."""

    def __init__(self, folder: Path, starts_programs: bool, local_network: bool):
        self.roots = (str(folder), "/dev/", "/proc/self/")
        self.forbidden = NETWORK | CODE | (set() if starts_programs else PROGRAMS)
        self.local_network = local_network
        self.faults: list[str] = []
        self.active = False

    def __call__(self, event: str, arguments: tuple) -> None:
        if not self.active:
            return
        if self.local_network and event in NETWORK and _is_here(event, arguments):
            return
        if event in self.forbidden:
            self.faults.append(f"{event} {arguments[:2]!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] & WRITING:
            self._changed(event, arguments[:1])
        elif event in CHANGES:
            self._changed(event, arguments[: CHANGES[event]])

    def _changed(self, event: str, paths: tuple) -> None:
        for path in paths:
            if isinstance(path, int):
                continue
            path = os.path.abspath(os.fsdecode(path))
            if not path.startswith(self.roots):
                self.faults.append(f"{event} of {path}, outside its folder")


def _is_here(event: str, arguments: tuple) -> bool:
    """Whether an event of the network stays on this machine."""
    if event in ("socket.connect", "socket.bind"):
        # A name of a file is that of a local socket.
        return isinstance(arguments[1], str | bytes) or arguments[1][0] == HERE
    return event == "socket.getaddrinfo" and arguments[0] == HERE


def limit(seconds: float) -> None:
    """Bound the memory, files and processor time of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))


def attempt(case: Case, number: int, seed: int, base: Path) -> dict[str, str]:
    """One trial of a case in this process, whose outcome is "right", "error" or "fault".

    base: an empty folder; the trial works in base/in, and home and temporary files are beside it.
    """
    folder, temporary = base / "in", base / "tmp"
    for made in (folder, temporary, base / "home"):
        made.mkdir()
    os.chdir(folder)
    os.environ |= {"HOME": str(base / "home"), "TMPDIR": str(temporary)}
    os.environ |= {"DEPTHCLIP_STORE": str(folder / "store"), "DEPTHCLIP_DATA": str(folder / "data")}
    random = np.random.default_rng([seed, number, *case.name.encode()])
    try:
        call = case.prepare(folder, random)
    except Exception:
        return {"outcome": "fault", "message": f"cannot be prepared: {traceback.format_exc()}"}
    watch, before = Watch(base, case.starts_programs, case.local_network), _listing(folder)
    limit(case.seconds)
    sys.addaudithook(watch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watch.active = True
        outcome, message = _end_of(call)
        watch.active = False
    faults = [*watch.faults, *_changes(before, _listing(folder))]
    faults += [f"left {path.name} in the temporary folder" for path in temporary.iterdir()]
    said = [f"{type(w.message).__name__}: {w.message}" for w in caught]
    faults += [
        f"warned: {text}" for text in said if not (case.warns and re.search(case.warns, text))
    ]
    if outcome == "error":
        faults += faults_of_message(message, case.says)
    if outcome != "fault" and case.expect not in (outcome, "either"):
        faults.append(f"expected {case.expect}, got {outcome}")
    if faults:
        return {"outcome": "fault", "message": "; ".join([*faults, message])[-LONGEST_REPORT:]}
    return {"outcome": outcome, "message": message}


def faults_of_message(message: str, says: str = "") -> list[str]:
    """What is wrong with an error of ours: more than a line, internals, or not what it must say."""
    faults = []
    if not message.strip() or not message.isprintable():
        faults.append(f"the error is not one printable line: {message!r}")
    if len(message) > LONGEST_MESSAGE:
        faults.append(f"the error has {len(message)} characters")
    if found := INTERNALS.search(message):
        faults.append(f"the error shows internals, {found[0]!r}")
    if says and not re.search(says, message):
        faults.append(f"the error does not say {says!r}")
    return faults


def _end_of(call) -> tuple[str, str]:
    try:
        call()
    except DepthClipError as error:
        return "error", str(error)
    except BaseException:  # also SystemExit and MemoryError
        lines = traceback.format_exc().splitlines()
        return "fault", "\n".join(lines[-12:])
    return "right", ""


def _listing(folder: Path) -> dict[str, tuple]:
    """Size, time and inode of every file that a call must leave alone."""
    listed = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in MAY_CHANGE:
            about = path.lstat()
            size = about.st_size if path.is_file() else 0
            listed[str(name)] = (size, about.st_mtime_ns * path.is_file(), about.st_ino)
    return listed


def _changes(before: dict, after: dict) -> list[str]:
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return [f"changed {name}" for name in sorted(changed)]
