"""Encoders that several tests share, and a store of the tests' own."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_store(tmp_path_factory):
    """`load_encoder` remembers weights files in the store: not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHCLIP_STORE", str(tmp_path_factory.mktemp("store")))
        yield
