"""A case of the fuzz suite: it writes an input, and returns the call that has to cope with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Call = Callable[[], object]
Prepare = Callable[[Path, np.random.Generator], Call]
OUTCOMES = ("right", "error", "either")
CASES: dict[str, "Case"] = {}


@dataclass(frozen=True)
class Case:
    """What is tried, and which ends of it are good.

    name: MODULE.FUNCTION. prepare: writes the input into an empty folder, which is also the working
    folder, with random numbers that a seed repeats, and returns the call that is tried. expect:
    "right" (the call returns; it asserts its own result), "error" (a `DepthClipError` of one line)
    or "either". says: what an error must contain, a regular expression. warns: which warnings are
    meant, likewise. times: trials with different random numbers. seconds: of processor time
    that the call may take. starts_programs: whether the call may start other processes.
    local_network: whether it may serve and fetch on this machine.
    """

    name: str
    prepare: Prepare
    expect: str
    says: str
    warns: str
    times: int
    seconds: float
    starts_programs: bool
    local_network: bool


def case(
    expect: str = "either",
    *,
    says: str = "",
    warns: str = "",
    times: int = 1,
    seconds: float = 10.0,
    starts_programs: bool = False,
    local_network: bool = False,
) -> Callable[[Prepare], Prepare]:
    """Register a function as the `prepare` of a case."""
    assert expect in OUTCOMES, expect

    def register(prepare: Prepare) -> Prepare:
        name = f"{prepare.__module__.rpartition('.')[2]}.{prepare.__name__}"
        assert name not in CASES, name
        may = starts_programs, local_network
        CASES[name] = Case(name, prepare, expect, says, warns, times, seconds, *may)
        return prepare

    return register
