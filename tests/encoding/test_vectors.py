"""Text and whole-image vectors from the store, and what a warm run imports."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import depthclip_core as dc
from depthclip_core.analysis.scene_classifier import classify_scenes
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import image_vectors, sentence_vectors, text_vectors

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("near", "far")


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample", device="cpu", precision="fp32")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def refuse(*_):
    raise AssertionError("the network is asked")


def test_text_vectors_match_the_encoder_and_are_kept(encoder, store, monkeypatch):
    expected = encoder.text_vectors(WORDS)
    assert torch.equal(text_vectors(encoder, WORDS, store), expected)
    monkeypatch.setattr(encoder, "encode_text", refuse)
    assert torch.equal(text_vectors(encoder, WORDS, store), expected)
    with pytest.raises(AssertionError, match="is asked"):
        text_vectors(encoder, WORDS[::-1], store)


def test_image_vectors_are_kept_for_a_data_set(encoder, store, monkeypatch):
    frames = dc.open_dataset("sample", "test")
    scenes = sorted(set(frames.scenes))
    vectors = image_vectors(frames, encoder, store)
    scores = classify_scenes(frames, encoder, scenes, store=store)
    assert vectors.shape == (len(frames), encoder.width)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(frames)))
    some = image_vectors([frames[0], frames[5]], encoder, store)
    assert torch.equal(some, vectors[[0, 5]])
    monkeypatch.setattr(encoder, "encode_text", refuse)
    monkeypatch.setattr(encoder, "features", refuse)
    assert torch.equal(image_vectors(frames, encoder, store), vectors)
    np.testing.assert_array_equal(classify_scenes(frames, encoder, scenes, store=store), scores)


@pytest.mark.parametrize("damage", [b"", None])
def test_damaged_or_missing_vectors_are_computed_again(encoder, store, damage):
    expected = sentence_vectors(encoder, WORDS, store)
    (array,) = store.arrays()
    array.path(0).unlink() if damage is None else array.path(0).write_bytes(damage)
    assert torch.equal(sentence_vectors(encoder, WORDS, store), expected)
    assert array.read(0).shape == (2, encoder.width)


def test_vectors_need_no_place_to_be_kept(encoder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    vectors = sentence_vectors(encoder, WORDS, Store(tmp_path / "file" / "store"))
    assert torch.equal(vectors, encoder.encode_text(WORDS))


WARM = """
import sys
import depthclip_core as dc
from depthclip_core.analysis.scene_classifier import classify_scenes
from depthclip_core.bench import plain
from depthclip_core.clip import configurations, encoders, heads, library, towers, weights
from depthclip_core.encoding.passes import collect_responses
loaded = {"open_clip", "torchvision", "timm", "torch._dynamo", "matplotlib", "scipy.stats"}
assert not loaded & {*sys.modules}, loaded & {*sys.modules}
from depthclip_core.encoding.vectors import text_vectors

encoder = dc.load_encoder("sample", sys.argv[1], device="cpu", precision="fp32")
assert text_vectors(encoder, ("near", "far")).shape == (2, 256)
encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
frames = dc.open_dataset("sample", "test")
for words in (("near", "far"), ("close", "remote")):
    similarities = collect_responses(frames, encoder, words, ["value"], progress=False)["value"]
    assert similarities.shape == (len(frames), 2, 2, 13, 17)
assert classify_scenes(frames, encoder, ["kitchen", "bedroom"]).shape == (len(frames), 2)
assert not loaded & {*sys.modules}, loaded & {*sys.modules}
"""


@pytest.mark.slow
def test_warm_run_imports_no_network(encoder, store, monkeypatch, tmp_path):
    """Vectors and text of other words are there: their similarities need no network either."""
    monkeypatch.setenv("DEPTHCLIP_STORE", str(store.folder))
    frames = dc.open_dataset("sample", "test")
    collect_responses(frames, encoder, WORDS, ["value"], progress=False)
    text_vectors(encoder, ("close", "remote"))
    classify_scenes(frames, encoder, ["kitchen", "bedroom"])
    save_file(encoder.model.state_dict(), path := tmp_path / "weights.safetensors")
    text_vectors(dc.load_encoder("sample", path, device="cpu", precision="fp32"), WORDS)
    command = [sys.executable, "-c", WARM, str(path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
