import argparse
import hashlib
import io
import os
import re
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import open_clip
import pytest
import safetensors.torch
import tiny
import torch
from safetensors.torch import save, save_file

import depthclip_core as dc
from depthclip_core.clip import encoders, weight_paths
from depthclip_core.clip import weights as weight_files
from depthclip_core.clip.configurations import openai_checksums, read_configuration
from depthclip_core.clip.library import load_open_clip
from depthclip_core.clip.weights import read_state_dict

RN50_SHA256 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"


pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture(scope="module")
def model(tiny_models):
    return tiny.create("tiny-RN")


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture
def tags(monkeypatch, weights):
    """Weights of open_clip for the tiny model: a list of the downloads that were made."""
    downloads = []

    def download(entry):
        downloads.append(entry)
        return weights

    known = {"openai": {"quick_gelu": True}, "plain": {}}
    monkeypatch.setattr(encoders, "pretrained_tags", lambda name: known)
    monkeypatch.setattr(weight_paths, "download_weights", download)
    return downloads


def same(model, other):
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_weights_load_from_safetensors_and_from_pt(model, weights, tmp_path):
    assert same(dc.load_encoder("tiny-RN", weights, device="cpu").model, model)
    wrapped = {"state_dict": {f"module.{k}": v.half() for k, v in model.state_dict().items()}}
    torch.save(wrapped, tmp_path / "half.pt")
    halved = dc.load_encoder("tiny-RN", str(tmp_path / "half.pt"), device="cpu")
    weight = halved.visual.conv1.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, model.visual.conv1.weight.half().float())


class Archive(torch.nn.Module):
    """As OpenAI's RN50.pt: TorchScript, with three buffers that are no weights."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 4, 1)
        self.register_buffer("input_resolution", torch.tensor(224))
        self.register_buffer("context_length", torch.tensor(77))
        self.register_buffer("vocab_size", torch.tensor(49408))

    def forward(self, x):
        return self.conv1(x)


class Hostile(torch.nn.Module):
    """Writes a file when it is loaded."""

    def __init__(self, trace: str):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.trace = trace
        self.training = False

    def forward(self, x):
        return x

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.trace, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        self.weight = state[0]
        self.trace = state[1]
        self.training = state[2]
        torch.save(torch.ones(1), state[1])


def archived(module, path):
    torch.jit.save(torch.jit.script(module), path)
    return path


TORCHSCRIPT = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


@TORCHSCRIPT
def test_openais_torchscript_archive_is_loaded(tmp_path, monkeypatch):
    path = archived(Archive(), tmp_path / "archive.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(weight_files, "openai_checksums", lambda: {"RN50": digest})
    loaded, load = [], torch.jit.load
    monkeypatch.setattr(
        torch.jit, "load", lambda file, **options: loaded.append(file) or load(file, **options)
    )
    state = read_state_dict(path)
    assert set(state) == {"conv1.weight", "conv1.bias"}
    # Not the path, behind which another file may lie by then.
    assert hashlib.sha256(loaded[0].getvalue()).hexdigest() == digest


@TORCHSCRIPT
def test_other_torchscript_archives_are_not_run(tmp_path):
    trace = tmp_path / "trace"
    path = archived(Hostile(str(trace)), tmp_path / "hostile.pt")
    with pytest.raises(dc.DepthClipError, match="TorchScript archive, which runs code") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value) and not trace.exists()
    torch.jit.load(path)
    assert trace.exists()  # it would have been


@TORCHSCRIPT
def test_archive_is_converted_as_its_error_says(tmp_path):
    path = archived(Archive(), tmp_path / "trusted.pt")
    with pytest.raises(dc.DepthClipError) as caught:
        read_state_dict(path)
    says = re.search(r"if you trust it, (safetensors\..*) converts it$", str(caught.value))[1]
    eval(says, {"safetensors": safetensors, "torch": torch})
    state = read_state_dict(path.with_suffix(".safetensors"))
    assert set(state) == {"conv1.weight", "conv1.bias"}


def test_openai_checksums_cover_openais_models():
    known = openai_checksums()
    resnets, vits = ("", "101", "x4", "x16", "x64"), ("B-32", "B-16", "L-14", "L-14-336")
    names = {"RN50", *(f"RN50{n}" for n in resnets[2:]), "RN101", *(f"ViT-{n}" for n in vits)}
    assert names <= set(known) and len(set(known.values())) == 9
    assert known["RN50"] == RN50_SHA256
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in known.values())


STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}


def prefixed(prefix):
    return {prefix + name: tensor for name, tensor in STATE.items()}


@pytest.mark.parametrize(
    "checkpoint",
    [
        STATE,
        OrderedDict(STATE),
        {name: torch.nn.Parameter(tensor) for name, tensor in STATE.items()},
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE},
        {"model_state_dict": STATE, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
        {"model": {"state_dict": STATE}},
        {"state_dict": prefixed("module.")},
        {"state_dict": prefixed("_orig_mod.")},
        {"state_dict": prefixed("module._orig_mod.")},
        {"state_dict": prefixed("_orig_mod.module.")},
        {"a._orig_mod.weight": STATE["a.weight"], "a._orig_mod.bias": STATE["a.bias"]},
        {"state_dict": STATE, "args": argparse.Namespace(lr=1, out=Path("runs"))},
        {"state_dict": STATE, "best": np.float64(0.3), "curve": np.arange(3), "step": np.int64(1)},
        {"net": STATE, "epoch": 3},
        {"model": {"network": {"state_dict": prefixed("model.")}}},
        {"model": STATE, "model_ema": {name: 0 * tensor for name, tensor in STATE.items()}},
        {"optimizer": {"state": {0: {"step": torch.ones(())}}}, "weights": STATE, 3: "odd"},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_state_dict_is_found_in_any_wrapper(checkpoint, zipped, tmp_path):
    options = {"_use_new_zipfile_serialization": zipped}
    torch.save(checkpoint, tmp_path / "checkpoint.pt", **options)
    state = read_state_dict(tmp_path / "checkpoint.pt")
    assert set(state) == set(STATE)
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_text_that_claims_a_terabyte_is_one_clear_line(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"\x80\x02\x8d" + (2**40).to_bytes(8, "little") + b"x")
    with pytest.raises(dc.DepthClipError, match="cannot read weights from .*: it is damaged"):
        read_state_dict(tmp_path / "a.pt")


def test_several_state_dicts_are_named(tmp_path):
    torch.save({"student": STATE, "teacher": STATE}, tmp_path / "two.pt")
    with pytest.raises(dc.DepthClipError, match=r"2 state dicts \(student, teacher\): save one"):
        read_state_dict(tmp_path / "two.pt")


def test_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(10**6))
    with pytest.raises(dc.DepthClipError, match="its parts unpack to 1,000,000 bytes"):
        read_state_dict(tmp_path / "bomb.pt")


def test_content_decides_the_format_of_a_file(tmp_path):
    save_file(STATE, tmp_path / "misnamed.pt")
    torch.save(STATE, tmp_path / "misnamed.safetensors")
    torch.save(STATE, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        assert torch.equal(read_state_dict(path)["a.weight"], STATE["a.weight"])


def activations(encoder):
    return {type(m).__name__ for m in encoder.model.transformer.modules()} & {"GELU", "QuickGELU"}


def test_tags_and_files_get_the_activation_they_were_trained_with(tags, weights):
    """A file is taken to be as OpenAI's where open_clip has OpenAI's weights of that model."""
    for given, expected in [("openai", "QuickGELU"), ("plain", "GELU"), (weights, "QuickGELU")]:
        encoder = dc.load_encoder("tiny-RN", given, device="cpu")
        assert activations(encoder) == {expected} and encoder.weights == str(given)


def test_failed_download_says_what_to_do(tags, monkeypatch):
    def offline(entry):
        raise RuntimeError("no network\nand a long trace")

    monkeypatch.setattr(weight_paths, "download_weights", offline)
    with pytest.raises(
        dc.DepthClipError, match=r"cannot download .* \(no network\).*path"
    ) as caught:
        dc.load_encoder("tiny-ViT", "openai", device="cpu")
    assert "\n" not in str(caught.value)


def test_random_weights_are_announced(tiny_models):
    with pytest.warns(UserWarning, match="random weights"):
        encoder = dc.load_encoder("tiny-RN", device="cpu")
    assert encoder.weights == "random"


def write(path, content):
    path.write_bytes(content)
    return path


def whole_numbers(weights, folder):
    state = safetensors.torch.load_file(weights)
    save_file({k: t.to(torch.int8) for k, t in state.items()}, folder / "int8.safetensors")
    return folder / "int8.safetensors"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda w, t: dc.load_encoder("RN5O"), "did you mean 'RN50"),
        (lambda w, t: dc.load_encoder("RN50", "opanai"), "did you mean 'openai'"),
        (lambda w, t: dc.load_encoder("tiny-RN", t / "no.pt"), "no weights file"),
        (lambda w, t: dc.load_encoder("RN50", str(t / "no")), "no weights file"),
        (lambda w, t: dc.load_encoder("RN50", t), "is a folder"),
        (lambda w, t: dc.load_encoder("RN50", str(t)), "is a folder"),
        (lambda w, t: dc.load_encoder("RN50", "~nobody-at-all/a.pt"), "no weights file"),
        (lambda w, t: dc.load_encoder("RN50", b"openai"), "a name or a path, not b'openai'"),
        (lambda w, t: dc.load_encoder("RN50", 50), "a name or a path, not 50"),
        (lambda w, t: dc.load_encoder("tiny-ViT", w), "do not fit tiny-ViT: .* missing"),
        (lambda w, t: dc.load_encoder("tiny-RN", whole_numbers(w, t)), "of whole numbers, such as"),
        (lambda w, t: dc.load_encoder("sample", w), "do not fit sample"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, precision="fp8"), "did you mean 'fp"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, precision=["fp32"]), "unknown precision"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, precision=None), "unknown precision"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, device="gpu"), "cannot be used"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, device="meta"), "cannot be used"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, device=None), "cannot be used"),
        (lambda w, t: dc.load_encoder("tiny-RN", w, device=["cpu"]), "cannot be used"),
        (lambda w, t: dc.load_encoder(["RN50"]), "unknown encoder"),
        (lambda w, t: dc.load_encoder(None), "unknown encoder"),
        (lambda w, t: dc.load_encoder("hf-hub:a/b"), "unknown encoder"),
        (
            lambda w, t: dc.load_encoder(
                "tiny-RN", write(t / "a.safetensors", w.read_bytes()[:9999])
            ),
            "cannot read weights",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, says, weights, tmp_path):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call(weights, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["convnext_base", "ViT-B-16-SigLIP", "coca_ViT-B-32"])
def test_tower_without_dense_heads_is_refused(name):
    with pytest.raises(dc.DepthClipError, match=f"{name} has an image tower without dense heads"):
        dc.load_encoder(name, device="cpu")


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_missing_package_of_a_model_is_one_clear_line(tiny_models, monkeypatch):
    def missing(*args, **options):
        raise ModuleNotFoundError("No module named 'transformers'")

    monkeypatch.setattr(open_clip, "get_tokenizer", missing)
    with pytest.raises(dc.DepthClipError, match="no tokenizer for tiny-ViT: No module named"):
        dc.load_encoder("tiny-ViT", device="cpu")
    monkeypatch.setattr(open_clip, "create_model", missing)
    with pytest.raises(dc.DepthClipError, match="cannot build tiny-ViT: No module named"):
        dc.load_encoder("tiny-ViT", device="cpu")


@pytest.mark.parametrize("function", [open, os.mkdir, eval])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_not_run(function, zipped, tmp_path):
    trace = tmp_path / "trace"
    arguments = {
        open: (str(trace), "w"),
        os.mkdir: (str(trace),),
        eval: (f"__import__('os').mkdir({str(trace)!r})",),
    }[function]

    class Evil:
        def __reduce__(self):
            return function, arguments

    torch.save({"state_dict": Evil()}, tmp_path / "e.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(dc.DepthClipError, match="cannot read weights|no state dict") as caught:
        read_state_dict(tmp_path / "e.pt")
    assert "\n" not in str(caught.value) and not trace.exists()


def test_tag_is_unpickled_as_tensors_only(tags, monkeypatch, model):
    """open_clip's second attempt names no weights_only, which this variable would turn off."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    during = {}

    def create_model(name, **options):
        during.update(os.environ)
        return model

    monkeypatch.setattr(open_clip, "create_model", create_model)
    assert dc.load_encoder("tiny-RN", "openai", device="cpu").model is model
    assert during["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in during
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def tarred():
    """The beginning of what torch.save wrote before version 0.1.10."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return content.getvalue()


def checkpoint(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"\xef\xbb\xbf\n <html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"not a zip", "cannot read weights"),
        (b"PK\x03\x04 and no more", "cannot read weights"),
        (tarred(), "cannot read weights"),
        (checkpoint(STATE)[:-200], "cannot read weights"),
        (checkpoint(STATE, _use_new_zipfile_serialization=False)[:-4], "cannot read weights"),
        (checkpoint(STATE, pickle_protocol=4), "cannot read weights"),
        (save(STATE)[:-4], "cannot read weights"),
        (checkpoint({}), "holds no state dict"),
        (checkpoint([torch.ones(2)]), "holds no state dict"),
        (checkpoint(torch.ones(2)), "holds no state dict"),
        (checkpoint(torch.nn.Linear(2, 2)), "holds no state dict"),
        (checkpoint({"state_dict": {"a": 1.0}}), "holds no state dict"),
        (checkpoint({"a": torch.ones(2, device="meta")}), "holds no state dict"),
        (checkpoint({"a": torch.eye(2).to_sparse()}), "holds no state dict"),
        (checkpoint({"a": torch.ones(2), "module.a": torch.ones(2)}), "tensors twice"),
    ],
)
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_file_without_state_dict_is_one_clear_line(name, content, says, tmp_path):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        read_state_dict(write(tmp_path / name, content))
    assert "\n" not in str(caught.value) and "torch.load" not in str(caught.value)


def test_unreadable_file_is_one_clear_line(tmp_path, monkeypatch):
    path = write(tmp_path / "a.pt", b"")

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(dc.DepthClipError, match=r"cannot read .*a\.pt: Permission denied$"):
        read_state_dict(path)


def test_tag_wins_over_a_file_of_its_name(tags, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "openai", weights.read_bytes())
    with pytest.warns(UserWarning, match="not the file of that name: write './openai'"):
        tag = dc.load_encoder("tiny-RN", "openai", device="cpu")
    assert tag.weights == "openai" and tag.from_openai
    for file in ("./openai", Path("openai")):
        encoder = dc.load_encoder("tiny-RN", file, device="cpu")
        assert encoder.weights == "./openai" and not encoder.from_openai


def test_openais_file_is_recognised_by_its_checksum(weights, monkeypatch):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setattr(encoders, "openai_checksums", lambda: {"tiny-RN": digest})
    assert dc.load_encoder("tiny-RN", weights, device="cpu").from_openai


def test_home_folder_is_found(model, weights, monkeypatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    assert same(dc.load_encoder("tiny-RN", "~/tiny.safetensors", device="cpu").model, model)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused(value, model, tags, tmp_path, monkeypatch):
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["visual.layer2.0.conv1.weight"].view(-1)[7] = value
    save_file(state, bad := tmp_path / "bad.safetensors")
    monkeypatch.setattr(weight_paths, "download_weights", lambda entry: bad)
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path))
    says = r"are not finite: visual\.layer2\.0\.conv1\.weight"
    for _ in range(2):  # a failure is not remembered as a success
        with pytest.raises(dc.DepthClipError, match=rf"bad\.safetensors {says}"):
            dc.load_encoder("tiny-RN", bad, device="cpu")
        with pytest.raises(dc.DepthClipError, match=f"'plain' weights of tiny-RN {says}"):
            dc.load_encoder("tiny-RN", "plain", device="cpu", precision="fp32")


def test_large_weights_are_finite():
    model = torch.nn.Linear(4, 4)
    torch.nn.init.constant_(model.weight, 3e38)  # their sum is infinite
    weight_files.check_finite(model, "weights")


def test_text_vectors_are_the_template_encoded(model, weights):
    encoder = dc.load_encoder("tiny-RN", weights, device="cpu")
    got = encoder.text_vectors(["giant", "a bit remote"])
    tokens = open_clip.get_tokenizer("tiny-RN")(
        ["This object is giant", "This object is a bit remote"]
    )
    expected = model.encode_text(tokens)
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(got, expected.detach(), atol=1e-6, rtol=0)
    both = encoder.text_vectors(["giant"], ["This {object} is {distance}", "{distance}"], "chair")
    two = encoder.encode_text(["This chair is giant", "giant"]).mean(0)
    torch.testing.assert_close(both[0], two / two.norm(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "side"), [("sample", 32), ("tiny-RN", 32), ("tiny-ViT", 16)])
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_grid_is_that_of_the_features(tiny_models, name, side):
    encoder = dc.load_encoder(name, device="cpu")
    assert encoder.stride == side
    assert encoder.grid(416, 544) == (416 // side, 544 // side)
    image = encoder.normalise(np.zeros((1, 96, 64, 3), np.uint8))
    assert tuple(encoder.features(image).cells.shape[-2:]) == encoder.grid(96, 64)
    with pytest.raises(dc.DepthClipError, match="smaller than one cell"):
        encoder.features(image[:, :, :8])


@pytest.mark.parametrize("name", ["RN50", "RN50x4", "ViT-B-32", "ViT-L-14-336", "sample"])
def test_configuration_describes_the_model_of_open_clip(name):
    configuration = read_configuration(name)
    with torch.device("meta"):
        visual = load_open_clip().create_model(name, device="meta").visual
    patch, size = getattr(visual, "patch_size", (32,)), visual.image_size
    assert (configuration.stride, configuration.width) == (patch[0], visual.output_dim)
    assert configuration.image_side == (size if isinstance(size, int) else size[0])


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_image_vectors_of_a_vit_match_open_clip(tiny_models):
    encoder = dc.load_encoder("tiny-ViT", device="cpu")
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = encoder.model.encode_image(image, normalize=True)
    got = encoder.image_vectors(encoder.features(image))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_normalise_uses_imagenets_constants():
    encoder = dc.load_encoder("sample", device="cpu")
    image = np.full((1, 40, 50, 3), 128, np.uint8)
    got = encoder.normalise(image)
    assert got.shape == (1, 3, 40, 50)
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (128 / 255 - mean) / std
        assert got[0, channel].numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["sample", "tiny-ViT"])
@pytest.mark.filterwarnings("ignore:.*(random weights|bf16)")
def test_half_precision_answers_in_fp32(tiny_models, name):
    """A tower in half precision rounds a little; vectors and text are fp32."""
    torch.manual_seed(0)
    full = dc.load_encoder(name, device="cpu", precision="fp32")
    torch.manual_seed(0)
    half = dc.load_encoder(name, device="cpu", precision="bf16")
    pixels = np.random.default_rng(0).integers(0, 255, (2, 96, 128, 3), dtype=np.uint8)
    for head in ("released", "value", "attention"):
        one, other = (e.cell_vectors(e.features(e.normalise(pixels)), head) for e in (full, half))
        assert other.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(one, other, dim=1)
        assert cosine.min() > 0.97
    assert half.text_vectors(["far"]).dtype == torch.float32


def test_bf16_on_a_processor_without_it_is_announced(monkeypatch):
    monkeypatch.setattr(encoders, "has_bf16", lambda: False)
    with pytest.warns(UserWarning, match="no bf16 instructions: .* slower here than fp32") as told:
        dc.load_encoder("sample", device="cpu", precision="bf16")
    assert len(told) == 1 and told[0].filename == __file__
    monkeypatch.setattr(encoders, "has_bf16", lambda: True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dc.load_encoder("sample", device="cpu", precision="bf16")


@pytest.mark.parametrize("head", ["released", "value", "attention"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channel", [0, 1])
def test_cell_that_overflows_is_nan_with_every_head(head, value, channel):
    """The released head keeps every second channel: one that is dropped may have overflowed."""
    encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
    pixels = np.random.default_rng(0).integers(0, 255, (2, 96, 128, 3), dtype=np.uint8)
    features = encoder.features(encoder.normalise(pixels))
    sound = encoder.cell_vectors(features, head)
    assert sound.isfinite().all()
    with torch.inference_mode():
        features.cells[1, channel, 2, 3] = value
    vectors = encoder.cell_vectors(features, head)
    assert vectors[1, :, 2, 3].isnan().all()
    assert torch.equal(vectors[0], sound[0])
