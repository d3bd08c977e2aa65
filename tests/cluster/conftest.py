"""Worker processes on this machine, and a folder of small photographs for them."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("distributed", reason="dask.distributed is not installed")

from depthclip_core.cluster.clients import connected
from depthclip_core.cluster.work import Work

N_PHOTOS = 150  # ten chunks


@pytest.fixture(scope="session")
def client():
    """A client of two worker processes."""
    with connected("local:2", announce=False) as found:
        yield found


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of photographs that differ, of 2 x 3 cells each."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(N_PHOTOS):
        pixels = random.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def work(photos, tmp_path):
    """A pass over the photographs into a store of its own."""
    store = str(tmp_path / "store")
    return Work("photos", data=str(photos), heads=("value",), store=store, device="cpu")
