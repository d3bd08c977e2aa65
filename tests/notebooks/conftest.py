"""The notebooks, and the comparison that nbval uses on them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def pytest_generate_tests(metafunc):
    """Run a test that asks for `notebook` once for each of them."""
    if "notebook" in metafunc.fixturenames:
        paths = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
        metafunc.parametrize("notebook", paths, ids=[path.stem for path in paths])


@pytest.fixture(scope="session")
def comparison() -> ModuleType:
    """`notebooks/conftest.py`, which is there because nbval collects there."""
    spec = importlib.util.spec_from_file_location("comparison", NOTEBOOKS / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def rn50_weights(tmp_path_factory) -> Path:
    """A file with the same random weights of RN50 every time, so that runs share network passes."""
    import open_clip  # seconds, which the other tests here need not wait for
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "rn50.safetensors"
    save_file(open_clip.create_model("RN50", force_quick_gelu=True).state_dict(), path)
    return path
