"""`weights="openai"` uses the file that `depthclip fetch clip` has put in its place."""

import hashlib

import pytest
import tiny
import torch

import depthclip_core as dc
from depthclip_core.clip import configurations, encoders, weight_paths
from depthclip_core.clip import weights as weight_files
from depthclip_core.clip.configurations import fetched_weights, openai_addresses, openai_checksums

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where OpenAI's file of the tiny model would be fetched to; no weights can be downloaded."""

    def offline(entry):
        raise OSError("no network")

    address = f"https://127.0.0.1/{'0' * 64}/tiny.pt"
    monkeypatch.setattr(configurations, "openai_addresses", lambda: {"tiny-RN": address})
    monkeypatch.setattr(encoders, "pretrained_tags", lambda name: {"openai": {"quick_gelu": True}})
    monkeypatch.setattr(weight_paths, "download_weights", offline)
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path / "store"))
    (tmp_path / "data" / "clip").mkdir(parents=True)
    return tmp_path / "data" / "clip" / "tiny.pt"


def known_as_openais(path, monkeypatch):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for module in (encoders, weight_files, weight_paths):
        monkeypatch.setattr(module, "openai_checksums", lambda: {"tiny-RN": digest})


def test_the_fetched_file_is_used_without_a_network(place, monkeypatch):
    model = tiny.create("tiny-RN")
    torch.save(model.state_dict(), place)
    known_as_openais(place, monkeypatch)
    for _ in range(2):  # the second time the store knows that the weights fit
        encoder = dc.load_encoder("tiny-RN", "openai", device="cpu")
        assert encoder.weights == "openai" and encoder.from_openai
        assert torch.equal(encoder.visual.conv1.weight, model.visual.conv1.weight)


def test_a_file_there_that_is_not_openais_is_not_used(place):
    torch.save(tiny.create("tiny-RN").state_dict(), place)
    with pytest.raises(dc.DepthClipError, match="cannot download"):
        dc.load_encoder("tiny-RN", "openai", device="cpu")


def test_a_failed_download_names_the_command_that_fetches(place):
    with pytest.raises(dc.DepthClipError, match="`depthclip fetch clip --model tiny-RN`"):
        dc.load_encoder("tiny-RN", "openai", device="cpu")


def test_places_of_openais_files(monkeypatch, tmp_path):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path))
    assert fetched_weights("RN50") == tmp_path / "clip" / "RN50.pt"
    assert fetched_weights("sample") is None
    assert all(openai_checksums()[name] in url for name, url in openai_addresses().items())
