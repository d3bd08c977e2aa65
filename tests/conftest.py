"""For every test: shapes are checked, and random examples repeat."""

import os
import sys
from pathlib import Path
from types import ModuleType

import hypothesis
import nyu_files
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Workers of pytest-xdist share the machine; torch reads this when it is first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Their annotations say shapes and dtypes; under test every call is held to them, and an int may
# stand for a float. The hook finds its checker by a module's name, and reaches only modules that
# are imported after it, hence here.
CHECKED_MODULES = ["clip.heads", "method.similarities", "method.depth", "evaluation.metrics"]
checker = ModuleType("depthclip_checker")
checker.checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules[checker.__name__] = checker
install_import_hook(
    [f"depthclip_core.{name}" for name in CHECKED_MODULES], f"{checker.__name__}.checked"
)

hypothesis.settings.register_profile("workbook", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("workbook")


@pytest.fixture(scope="session")
def nyu_folder(tmp_path_factory) -> Path:
    """A folder in NYU's layout with a few of the sample's frames: a few seconds even for RN50."""
    return nyu_files.write_sample(tmp_path_factory.mktemp("nyu"))
