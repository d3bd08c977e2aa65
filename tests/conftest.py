"""For every test: shapes are checked, random examples repeat, and the sample is there."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parent.parent

# Workers of pytest-xdist share the machine; torch reads this when it is first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Their annotations say shapes and dtypes; under test every call is held to them, and an int may
# stand for a float. The hook finds its checker by a module's name, and reaches only modules that
# are imported after it, hence here.
CHECKED_MODULES = ["heads", "responses", "depth", "metrics"]
checker = ModuleType("depthclip_checker")
checker.checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules[checker.__name__] = checker
install_import_hook(
    [f"depthclip_core.{name}" for name in CHECKED_MODULES], f"{checker.__name__}.checked"
)

hypothesis.settings.register_profile("workbook", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("workbook")


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """The folder of the sample data set, made first if it is missing."""
    made = subprocess.run(
        [sys.executable, "-m", "depthclip_core.sample"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, f"the sample was not made:\n{made.stdout}\n{made.stderr}"
    return Path(made.stdout.strip().splitlines()[-1])
