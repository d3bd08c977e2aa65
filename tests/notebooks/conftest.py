"""Where the notebooks are, and the comparison that nbval uses on them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

import depthclip_core as dc
from depthclip_core.frames import MAT_NAME, SPLITS_NAME

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


@pytest.fixture(scope="session")
def small_nyu(sample_folder, tmp_path_factory) -> Path:
    """NYU's layout with few frames, seconds for RN50: of each scene type one test, two train."""
    folder = tmp_path_factory.mktemp("nyu")
    chosen = {}
    for split, n in (("test", 1), ("train", 2)):
        frames = dc.open_dataset("sample", split, data=sample_folder)
        left = dict.fromkeys(frames.scenes, n)
        chosen[split] = []
        for index, scene in zip(frames.indices, frames.scenes, strict=True):
            if left[scene]:
                chosen[split].append(index)
                left[scene] -= 1
    indices = sorted(chosen["test"] + chosen["train"])
    with (
        h5py.File(sample_folder / MAT_NAME) as sample,
        h5py.File(folder / MAT_NAME, "w") as small,
    ):
        for key in ("images", "depths", "rawDepths"):
            small[key] = np.stack([sample[key][index] for index in indices])
        references = np.empty((1, len(indices)), dtype=h5py.ref_dtype)
        for position, index in enumerate(indices):
            small[f"#refs#/{position}"] = sample[sample["sceneTypes"][0, index]][:]
            references[0, position] = small[f"#refs#/{position}"].ref
        small.create_dataset("sceneTypes", data=references, dtype=h5py.ref_dtype)
    places = {
        f"{split}Ndxs": np.array([[indices.index(i) + 1] for i in those], np.uint16)
        for split, those in chosen.items()
    }
    savemat(folder / SPLITS_NAME, places)
    return folder


@pytest.fixture(scope="session")
def rn50_weights(tmp_path_factory) -> Path:
    """Random weights of RN50 in a file, always the same, so that runs share their network pass."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "rn50.safetensors"
    save_file(open_clip.create_model("RN50", force_quick_gelu=True).state_dict(), path)
    return path
