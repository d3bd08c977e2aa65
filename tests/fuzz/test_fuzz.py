"""Every case of the fuzz suite ends well: `make fuzz`, or `make fuzz ROUNDS=20 SEED=1` for more."""

import importlib
import re
from pathlib import Path

import pytest

from fuzz.cases import CASES
from fuzz.faults import FAULTS

PARTS = {"__init__", "cases", "conftest", "faults", "guard", "harness", "test_fuzz"}
for kind in sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - PARTS):
    importlib.import_module(f"fuzz.{kind}")


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("faults.")])
def test_case_ends_well(name, harness, request, record_property):
    rounds = request.config.getoption("--rounds", 1)
    seed = request.config.getoption("--seed", 0)
    results = [harness.run(name, n, seed) for n in range(CASES[name].times * rounds)]
    for outcome in ("right", "error", "fault"):
        record_property(outcome, sum(result.outcome == outcome for result in results))
    faults = [f"trial {r.number}: {r.message}" for r in results if r.outcome == "fault"]
    assert not faults, f"{len(faults)} of {len(results)} trials, seed {seed}:\n" + "\n".join(faults)


@pytest.mark.parametrize("name", FAULTS)
def test_harness_sees_the_fault(name, harness):
    result = harness.run(f"faults.{name}")
    assert result.outcome == "fault"
    assert re.search(FAULTS[name], result.message), result.message
