"""A network is built when it is needed, once; for weights that are new to the store, at once."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import ModuleType

import pytest
import tiny
from safetensors.torch import save_file

import depthclip_core as dc
from depthclip_core.clip import encoders, weight_paths
from depthclip_core.clip.library import light_imports

pytestmark = pytest.mark.slow  # most tests here start processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def weights(tiny_models, tmp_path):
    save_file(tiny.create("tiny-RN").state_dict(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def built(monkeypatch):
    """The models that were built: a list of names."""
    names, create = [], encoders.create_model

    def counted(configuration, *arguments):
        names.append(configuration.name)
        return create(configuration, *arguments)

    monkeypatch.setattr(encoders, "create_model", counted)
    return names


def load(weights, name="tiny-RN"):
    return dc.load_encoder(name, weights, device="cpu", precision="fp32")


def test_sample_is_not_built_for_what_its_configuration_says(store, built):
    encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
    assert repr(encoder) == "Encoder(sample, weights=own, cpu, fp32)"
    assert encoder.grid(416, 544) == (13, 17)
    assert (encoder.stride, encoder.image_side, encoder.width) == (32, 160, 256)
    assert encoder.identity["weights"].isalnum() and encoder.arithmetic["precision"] == "fp32"
    assert built == []
    assert encoder.text_vectors(["far"]).shape == (1, 256) and built == ["sample"]


def test_weights_are_checked_once_per_store(store, weights, built):
    first = load(weights)
    assert built == ["tiny-RN"]
    second = load(weights)
    assert built == ["tiny-RN"] and second.identity == first.identity
    assert encoders.tensor_checksum(second.model) == encoders.tensor_checksum(first.model)
    assert built == ["tiny-RN"] * 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}'])
def test_damaged_notes_only_cost_time(store, weights, built, content):
    load(weights)
    for notes in store.glob("*.json"):
        notes.write_bytes(content)
    load(weights)
    load(weights)
    assert built == ["tiny-RN"] * 2


def test_store_that_cannot_be_written_only_costs_time(store, weights, built):
    store.write_text("no folder")
    load(weights)
    load(weights)
    assert built == ["tiny-RN"] * 2 and store.read_text() == "no folder"


def test_weights_of_another_model_are_refused_each_time(store, weights):
    load(weights)
    for _ in range(2):
        with pytest.raises(dc.DepthClipError, match="do not fit tiny-ViT"):
            load(weights, "tiny-ViT")


def test_file_that_changed_before_its_network_was_built_is_an_error(store, weights, built):
    load(weights)
    encoder = load(weights)
    save_file(tiny.create("tiny-RN", seed=1).state_dict(), weights)
    with pytest.raises(dc.DepthClipError, match="has changed since its encoder was loaded"):
        encoder.text_vectors(["far"])
    again = load(weights)
    assert again.identity != encoder.identity and again.text_vectors(["far"]).isfinite().all()


def test_relative_path_outlives_a_change_of_folder(store, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load(weights)
    encoder = load(weights.name)
    monkeypatch.chdir(tmp_path.parent)
    assert encoder.text_vectors(["far"]).shape == (1, 256)


def test_tag_is_downloaded_once(store, weights, built, monkeypatch):
    downloads = []
    monkeypatch.setattr(encoders, "pretrained_tags", lambda name: {"openai": {"quick_gelu": True}})
    monkeypatch.setattr(
        weight_paths, "download_weights", lambda entry: downloads.append(entry) or weights
    )
    first, second = load("openai"), load("openai")
    assert len(downloads) == 1 and built == ["tiny-RN"]
    assert second.from_openai and second.identity == first.identity
    assert second.text_vectors(["far"]).equal(first.text_vectors(["far"]))
    moved = weights.rename(weights.with_name("moved.safetensors"))
    monkeypatch.setattr(
        weight_paths, "download_weights", lambda entry: downloads.append(entry) or moved
    )
    load("openai")
    assert len(downloads) == 2 and built == ["tiny-RN"] * 2


def test_threads_build_one_network(store, built):
    encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
    barrier, vectors = threading.Barrier(4), []

    def ask():
        barrier.wait()
        vectors.append(encoder.text_vectors(["far"]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == ["sample"] and len(vectors) == 4


def python(code):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_open_clip_is_imported_without_torchs_compiler_and_timm():
    code = """
    import sys
    from depthclip_core.clip.library import load_open_clip
    package = load_open_clip()
    print(*{"torch._dynamo", "timm"} & {*sys.modules})
    package.create_model("RN50", device="meta")
    import torch._dynamo.utils
    assert torch._dynamo.utils.is_compile_supported("cpu") in (True, False)
    assert torch._dynamo.utils.__file__
    from torchvision.ops import roi_align
    boxes = torch.tensor([[0.0, 0, 0, 4, 4]])
    assert roi_align(torch.ones(1, 1, 8, 8), boxes, 2).shape == (1, 1, 2, 2)
    from open_clip.timm_model import TimmModel
    trunk = TimmModel("resnet10t", 8, image_size=32).trunk
    assert type(trunk).__module__ == "timm.models.resnet"
    """
    assert python(code) == []


def test_stand_in_gives_way_to_whoever_asks_for_more():
    code = """
    import sys
    from depthclip_core.clip.library import light_imports
    with light_imports():
        assert "torch._dynamo.utils" in sys.modules
        from torch._dynamo.utils import counters
        import torch._dynamo
        assert torch._dynamo.utils.counters is counters
    print(sys.modules["torch._dynamo.utils"] is torch._dynamo.utils)
    """
    assert python(code) == ["True"]


def test_packages_that_look_for_timm_find_it():
    """open_clip imports transformers where it is installed, and that asks for timm's spec."""
    code = """
    from importlib.util import find_spec
    from depthclip_core.clip.library import STAND_INS, light_imports
    with light_imports():
        print(*(find_spec(name).name == name for name in STAND_INS))
    """
    assert python(code) == ["True"] * 3


def test_modules_that_are_loaded_already_are_left_alone(monkeypatch):
    names = ("timm", "timm.layers", "torch._dynamo", "torch._dynamo.utils")
    modules = {name: ModuleType(name) for name in names}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    with light_imports():
        assert all(sys.modules[name] is module for name, module in modules.items())
    assert all(sys.modules[name] is module for name, module in modules.items())
