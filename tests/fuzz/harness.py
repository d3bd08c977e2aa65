"""Runs trials of the fuzz suite: a process that imports once, and a child of it for each trial.

A trial is bounded in time, memory and file size. It must end with the right result or with one
line of ours; a foreign error, a warning, any output, a signal, a process that is left, and a
change outside its own folders are faults.
"""

import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TESTS = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}

WAITING = 6  # times as long as its processor time may a trial take: others use the machine too


@dataclass(frozen=True)
class Result:
    """How a trial ended.

    outcome: "right", "error" or "fault". message: the error, or what is wrong.
    """

    name: str
    number: int
    outcome: str
    message: str
    seconds: float


class Harness:
    """Runs trials one after another; use it in a `with` block.

    folder: for the trials' own folders, which are removed after each unless `keep`.
    """

    def __init__(self, folder: Path, keep: bool = False):
        self.folder, self.keep = folder, keep

    def __enter__(self) -> Self:
        paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", "fuzz.harness"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def run(self, name: str, number: int = 0, seed: int = 0) -> Result:
        """One trial of the case MODULE.FUNCTION."""
        base = tempfile.mkdtemp(prefix=f"{name}-{number}-", dir=self.folder)
        self.process.stdin.write(json.dumps([name, number, seed, base]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that starts the trials has ended: see its error above")
        if not self.keep:
            shutil.rmtree(base, ignore_errors=True)
        return Result(name, number, **json.loads(answer))


def main() -> None:
    """Answer requests, a line each, until there are no more. Results are the only output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    from tqdm import tqdm

    from fuzz.cases import CASES

    tqdm.monitor_interval = 0  # its thread could not be forked
    for line in sys.stdin:
        name, number, seed, base = json.loads(line)
        importlib.import_module(f"fuzz.{name.partition('.')[0]}")
        threads = os.listdir("/proc/self/task")
        assert len(threads) == 1, "a module started a thread: its trials could not be forked"
        answers.write(json.dumps(_trial(CASES[name], number, seed, Path(base))) + "\n")
        answers.flush()


def _trial(case, number: int, seed: int, base: Path) -> dict:
    """Fork, run one trial in the child, and wait for it no longer than it may take."""
    started = time.monotonic()
    ours, theirs = os.pipe()
    output = base / "output"
    child = os.fork()
    if child == 0:
        _run_and_exit(case, number, seed, base, theirs, output)
    os.close(theirs)
    content, in_time = _read(ours, started + WAITING * case.seconds)
    os.close(ours)
    left = _kill_others(child, in_time)
    status = os.waitpid(child, 0)[1]
    result = json.loads(content) if content and in_time else {"outcome": "fault", "message": ""}
    faults = []
    if not in_time:
        faults.append(f"took more than {WAITING * case.seconds:g} s")
    elif status:
        faults.append(f"ended with {signal.Signals(status & 127).name if status & 127 else status}")
    if left:
        faults.append("left a process")
    if printed := output.read_text(errors="replace").strip() if output.exists() else "":
        faults.append(f"printed {printed[-300:]!r}")
    if faults:
        result = {"outcome": "fault", "message": "; ".join([*faults, result["message"]])}
    return result | {"seconds": round(time.monotonic() - started, 3)}


def _run_and_exit(case, number: int, seed: int, base: Path, answer: int, output: Path) -> None:
    try:
        os.setsid()
        printed = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from fuzz.guard import attempt

        result = json.dumps(attempt(case, number, seed, base)).encode()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(answer, result[:60000])
    finally:
        os._exit(0)


def _read(pipe: int, deadline: float) -> tuple[bytes, bool]:
    """What is written to a pipe until its end, and whether that came before the deadline."""
    content = b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            part = os.read(pipe, 65536)
            content += part
            if not part:
                return content, True
    return content, False


def _kill_others(child: int, in_time: bool) -> bool:
    """Kill the processes of a trial; whether there were others than the child once it had ended."""
    if not in_time:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        return False
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    with suppress(ProcessLookupError, PermissionError):
        others = [p for p in _group(child) if p != child]
        if others:
            os.killpg(child, signal.SIGKILL)
            return True
    return False


def _group(group: int) -> list[int]:
    """The processes of a group, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) and int(after_name[2]) == group:
                found.append(int(entry.name))
    return found


if __name__ == "__main__":
    main()
