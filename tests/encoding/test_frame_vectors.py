import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.datasets import as_dataset
from depthclip_core.encoding.frame_vectors import FrameVectors
from depthclip_core.encoding.passes import encode
from depthclip_core.encoding.store import Store
from depthclip_core.method.pipeline import head_vectors

HEADS = ["released", "value"]


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample")


@pytest.fixture(scope="module")
def frames():
    return as_dataset([dc.open_dataset("sample")[position] for position in (3, 20)])


@pytest.fixture
def passes(encoder, monkeypatch):
    """Images that go through the network."""
    counted, features = [], encoder.features

    def counting(batch):
        counted.extend(batch)
        return features(batch)

    monkeypatch.setattr(encoder, "features", counting)
    return counted


def expected(frames, encoder, position):
    return head_vectors(frames.rgb(position)[None], encoder, HEADS, crop=frames.crop)


def test_frame_that_is_not_stored_goes_through_the_network_alone(frames, encoder, passes, tmp_path):
    vectors = FrameVectors(frames, encoder, HEADS, Store(tmp_path))
    found = vectors.of(1)
    assert len(passes) == 2  # the frame and its mirror image
    for head, of_head in expected(frames, encoder, 1).items():
        torch.testing.assert_close(found[head], of_head)
    n_passes = len(passes)
    vectors.of(1)
    assert len(passes) == n_passes  # remembered
    assert not list(tmp_path.glob("*/*.h5"))


def test_stored_frames_need_no_network(frames, encoder, passes, tmp_path, monkeypatch):
    store = Store(tmp_path)
    encode(frames, encoder, HEADS, store=store, progress=False)
    wanted = expected(frames, encoder, 0)
    passes.clear()
    found = FrameVectors(frames, encoder, HEADS, store).of(0)
    assert not passes
    for head in HEADS:
        torch.testing.assert_close(found[head], wanted[head], atol=1e-5, rtol=1e-4)


def test_frame_is_encoded_where_the_store_is_damaged_or_lacks_a_head(
    frames, encoder, passes, tmp_path
):
    store = Store(tmp_path)
    encode(frames, encoder, ["value"], store=store, progress=False)
    passes.clear()
    assert FrameVectors(frames, encoder, ["value"], store).of(0).keys() == {"value"}
    assert not passes
    assert FrameVectors(frames, encoder, HEADS, store).of(0).keys() == set(HEADS)
    assert len(passes) == 2
    (chunk,) = tmp_path.glob("*/*.h5")
    chunk.write_bytes(chunk.read_bytes()[:-200])
    FrameVectors(frames, encoder, ["value"], store).of(0)
    assert len(passes) == 4


def test_random_weights_read_no_store(frames, encoder, passes, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "weights", "random")
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path / "store"))
    FrameVectors(frames, encoder, HEADS).of(0)
    assert len(passes) == 2
    assert not (tmp_path / "store").exists()


def test_vectors_that_are_not_finite_are_refused(frames, encoder, tmp_path, monkeypatch):
    nothing = torch.full((2, 4, 2, 3), torch.nan)
    monkeypatch.setattr(encoder, "cell_vectors", lambda features, head: nothing)
    with pytest.raises(dc.DepthClipError, match="NaN or infinite"):
        FrameVectors(frames, encoder, HEADS, Store(tmp_path)).of_picture(
            np.zeros((64, 96, 3), np.uint8)
        )
