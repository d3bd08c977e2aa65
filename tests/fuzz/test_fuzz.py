"""Every case of the fuzz suite ends well: `make fuzz`, or `make fuzz ROUNDS=20 SEED=1` for more."""

import importlib
from pathlib import Path

import pytest

from fuzz.cases import CASES

PARTS = {"__init__", "cases", "conftest", "guard", "harness", "test_fuzz"}
for kind in sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - PARTS):
    importlib.import_module(f"fuzz.{kind}")


@pytest.mark.fuzz
@pytest.mark.parametrize("name", CASES)
def test_case_ends_well(name, harness, request):
    rounds = request.config.getoption("--rounds", 1)
    seed = request.config.getoption("--seed", 0)
    results = [harness.run(name, n, seed) for n in range(CASES[name].times * rounds)]
    faults = [f"trial {r.number}: {r.message}" for r in results if r.outcome == "fault"]
    assert not faults, f"{len(faults)} of {len(results)} trials, seed {seed}:\n" + "\n".join(faults)
