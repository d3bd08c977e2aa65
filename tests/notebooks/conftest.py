"""Where the notebooks are, and the comparison that nbval uses on them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def pytest_generate_tests(metafunc):
    """A test that asks for `notebook` runs once for each of them."""
    if "notebook" in metafunc.fixturenames:
        paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
        metafunc.parametrize("notebook", paths, ids=[path.stem for path in paths])


@pytest.fixture(scope="session")
def comparison() -> ModuleType:
    """`notebooks/conftest.py`, which lies there because nbval collects there."""
    spec = importlib.util.spec_from_file_location("comparison", NOTEBOOKS / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
