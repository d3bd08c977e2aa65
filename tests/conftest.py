"""For every test: shapes are checked, and random examples repeat."""

import os
import sys
from pathlib import Path
from types import ModuleType

import hypothesis
import nyu_files
import pytest
import tiny
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


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no process has to wait for one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def nyu_folder(tmp_path_factory) -> Path:
    """A folder in NYU's layout with a few of the sample's frames: a few seconds even for RN50."""
    return nyu_files.write_sample(tmp_path_factory.mktemp("nyu"))


@pytest.fixture(scope="session")
def rgbd():
    """Real RGB-D frames beside the checkout; they may not be redistributed."""
    folder = Path(
        os.environ.get("DEPTHCLIP_RGBD", "") or Path(__file__).parents[2] / "shared/data/rgbd"
    )
    if not folder.is_dir():
        pytest.skip("no real RGB-D frames beside the checkout")
    return folder


@pytest.fixture(scope="session")
def own_store(tmp_path_factory):
    """The tests' own store: `load_encoder` remembers weights files there, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHCLIP_STORE", str(tmp_path_factory.mktemp("store")))
        yield


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> list[str]:
    """Names of models of OpenAI's architectures in small: a ResNet and a ViT."""
    return tiny.add_models(tmp_path_factory.mktemp("models"))
