import argparse
import hashlib
import io
import os
import re
import tarfile
from collections import OrderedDict
from copy import deepcopy
from pathlib import Path

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from safetensors.torch import save, save_file

import depthclip_core as dc
from depthclip_core.clip import encoders
from depthclip_core.clip import weights as weight_files
from depthclip_core.clip.weights import openai_checksums, read_state_dict

RN50_SHA256 = "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"


@pytest.fixture(scope="module")
def rn50():
    """OpenAI's architecture with weights of this test's own."""
    torch.manual_seed(0)
    return open_clip.create_model("RN50", force_quick_gelu=True)


@pytest.fixture(scope="module")
def weights(rn50, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "rn50.safetensors"
    save_file(rn50.state_dict(), path)
    return path


def same(model, other):
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_weights_load_from_safetensors_and_from_pt(rn50, weights, tmp_path):
    assert same(dc.load_encoder("RN50", weights, device="cpu").model, rn50)
    wrapped = {"state_dict": {f"module.{k}": v.half() for k, v in rn50.state_dict().items()}}
    torch.save(wrapped, tmp_path / "rn50.pt")
    halved = dc.load_encoder("RN50", str(tmp_path / "rn50.pt"), device="cpu")
    weight = halved.visual.conv1.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, rn50.visual.conv1.weight.half().float())


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
def test_openais_torchscript_archive_loads(tmp_path, monkeypatch):
    path = archived(Archive(), tmp_path / "archive.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(weight_files, "openai_checksums", lambda: {"RN50": digest})
    loaded, load = [], torch.jit.load
    monkeypatch.setattr(
        torch.jit, "load", lambda file, **options: loaded.append(file) or load(file, **options)
    )
    state, from_openai = read_state_dict(path)
    assert set(state) == {"conv1.weight", "conv1.bias"} and from_openai
    # Not the path, behind which another file may lie by then.
    assert hashlib.sha256(loaded[0].getvalue()).hexdigest() == digest


@TORCHSCRIPT
def test_any_other_torchscript_archive_is_not_run(tmp_path):
    trace = tmp_path / "trace"
    path = archived(Hostile(str(trace)), tmp_path / "hostile.pt")
    with pytest.raises(dc.DepthClipError, match="TorchScript archive, which runs code") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value) and not trace.exists()
    torch.jit.load(path)
    assert trace.exists()  # it would have been


@TORCHSCRIPT
def test_an_archive_is_converted_as_its_error_says(tmp_path):
    path = archived(Archive(), tmp_path / "trusted.pt")
    with pytest.raises(dc.DepthClipError) as caught:
        read_state_dict(path)
    says = re.search(r"if you trust it, (safetensors\..*) converts it$", str(caught.value))[1]
    eval(says, {"safetensors": safetensors, "torch": torch})
    state, from_openai = read_state_dict(path.with_suffix(".safetensors"))
    assert set(state) == {"conv1.weight", "conv1.bias"} and not from_openai


def test_open_clip_knows_openais_files_by_their_checksums():
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
    ],
)
def test_a_checkpoint_is_read_however_it_wraps_its_state_dict(checkpoint, tmp_path):
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    state, from_openai = read_state_dict(tmp_path / "checkpoint.pt")
    assert not from_openai and set(state) == set(STATE)
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_a_file_is_what_it_holds_and_not_what_it_is_called(tmp_path):
    save_file(STATE, tmp_path / "misnamed.pt")
    torch.save(STATE, tmp_path / "misnamed.safetensors")
    torch.save(STATE, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        assert torch.equal(read_state_dict(path)[0]["a.weight"], STATE["a.weight"])


def test_openais_towers_use_quick_gelu(weights):
    encoder = dc.load_encoder("RN50", weights, device="cpu")
    activations = {type(m).__name__ for m in encoder.model.transformer.modules()}
    assert "QuickGELU" in activations and "GELU" not in activations


def test_the_openai_tag_asks_open_clip_for_quick_gelu(monkeypatch, rn50):
    """Up to the network's edge: what would be downloaded, and how it would be built."""
    asked = {}

    def create_model(name, **options):
        asked.update(options, name=name)
        return rn50

    monkeypatch.setattr(open_clip, "create_model", create_model)
    encoder = dc.load_encoder("RN50", "openai", device="cpu")
    assert (asked["name"], asked["pretrained"], asked["force_quick_gelu"]) == (
        "RN50",
        "openai",
        True,
    )
    assert encoder.weights == "openai"
    dc.load_encoder("RN50", "yfcc15m", device="cpu")
    wanted = open_clip.get_pretrained_cfg("RN50", "yfcc15m").get("quick_gelu", False)
    assert asked["force_quick_gelu"] == wanted


def test_a_failed_download_says_what_to_do(monkeypatch):
    def offline(*args, **options):
        raise RuntimeError("no network\nand a long trace")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(
        dc.DepthClipError, match=r"cannot download .* \(no network\).*path"
    ) as caught:
        dc.load_encoder("RN50", "openai", device="cpu")
    assert "\n" not in str(caught.value)


def test_random_weights_are_said(monkeypatch, rn50):
    monkeypatch.setattr(encoders, "_create", lambda *args, **options: rn50)
    with pytest.warns(UserWarning, match="random weights"):
        encoder = dc.load_encoder("RN50", device="cpu")
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
        (lambda w, t: dc.load_encoder("RN50", t / "no.pt"), "no weights file"),
        (lambda w, t: dc.load_encoder("RN50", str(t / "no")), "no weights file"),
        (lambda w, t: dc.load_encoder("RN50", t), "is a folder"),
        (lambda w, t: dc.load_encoder("RN50", str(t)), "is a folder"),
        (lambda w, t: dc.load_encoder("RN50", "~nobody-at-all/a.pt"), "no weights file"),
        (lambda w, t: dc.load_encoder("RN50", b"openai"), "a name or a path, not b'openai'"),
        (lambda w, t: dc.load_encoder("RN50", 50), "a name or a path, not 50"),
        (lambda w, t: dc.load_encoder("RN101", w), "do not fit RN101: .* missing"),
        (lambda w, t: dc.load_encoder("RN50", whole_numbers(w, t)), "of whole numbers, such as"),
        (lambda w, t: dc.load_encoder("sample", w), "do not fit sample"),
        (lambda w, t: dc.load_encoder("RN50", w, precision="fp8"), "did you mean 'fp"),
        (lambda w, t: dc.load_encoder("RN50", w, device="gpu"), "cannot be used"),
        (
            lambda w, t: dc.load_encoder("RN50", write(t / "a.safetensors", w.read_bytes()[:9999])),
            "cannot read weights",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, says, weights, tmp_path):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call(weights, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_a_tower_without_dense_heads_is_refused():
    with pytest.raises(dc.DepthClipError, match="TimmModel of a kind without dense heads"):
        dc.load_encoder("convnext_base", device="cpu")


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_a_model_that_needs_what_is_not_installed_is_one_clear_line(monkeypatch):
    def missing(*args, **options):
        raise ModuleNotFoundError("No module named 'transformers'")

    monkeypatch.setattr(open_clip, "get_tokenizer", missing)
    with pytest.raises(dc.DepthClipError, match="no tokenizer for ViT-B-32: No module named"):
        dc.load_encoder("ViT-B-32", device="cpu")
    monkeypatch.setattr(open_clip, "create_model", missing)
    with pytest.raises(dc.DepthClipError, match="cannot build ViT-B-32: No module named"):
        dc.load_encoder("ViT-B-32", device="cpu")


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


def test_open_clip_unpickles_nothing_else_for_a_tag(monkeypatch, rn50):
    """open_clip's second attempt names no weights_only, which this variable would turn off."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    during = {}

    def create_model(name, **options):
        during.update(os.environ)
        return rn50

    monkeypatch.setattr(open_clip, "create_model", create_model)
    dc.load_encoder("RN50", "openai", device="cpu")
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
def test_a_file_that_is_no_state_dict_is_one_clear_line(name, content, says, tmp_path):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        read_state_dict(write(tmp_path / name, content))
    assert "\n" not in str(caught.value) and "torch.load" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_one_clear_line(tmp_path, monkeypatch):
    path = write(tmp_path / "a.pt", b"")

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(dc.DepthClipError, match=r"cannot read .*a\.pt: Permission denied$"):
        read_state_dict(path)


def test_a_tag_is_not_a_file_that_is_called_like_it(rn50, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "openai", weights.read_bytes())
    monkeypatch.setattr(open_clip, "create_model", lambda name, **options: rn50)
    with pytest.warns(UserWarning, match="not the file of that name: write './openai'"):
        tag = dc.load_encoder("RN50", "openai", device="cpu")
    assert tag.weights == "openai" and tag.from_openai
    for file in ("./openai", Path("openai")):
        encoder = dc.load_encoder("RN50", file, device="cpu")
        assert encoder.weights == "./openai" and not encoder.from_openai


def test_a_home_folder_is_found(rn50, weights, monkeypatch):
    monkeypatch.setenv("HOME", str(weights.parent))
    assert same(dc.load_encoder("RN50", "~/rn50.safetensors", device="cpu").model, rn50)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused(value, rn50, tmp_path, monkeypatch):
    state = {name: tensor.clone() for name, tensor in rn50.state_dict().items()}
    state["visual.layer2.0.conv1.weight"].view(-1)[7] = value
    save_file(state, tmp_path / "bad.safetensors")
    says = r"are not finite: visual\.layer2\.0\.conv1\.weight"
    with pytest.raises(dc.DepthClipError, match=rf"bad\.safetensors {says}"):
        dc.load_encoder("RN50", tmp_path / "bad.safetensors", device="cpu")
    broken = deepcopy(rn50)
    broken.load_state_dict(state)
    monkeypatch.setattr(open_clip, "create_model", lambda name, **options: broken)
    with pytest.raises(dc.DepthClipError, match=f"'openai' weights of RN50 {says}"):
        dc.load_encoder("RN50", "openai", device="cpu")


def test_large_weights_are_finite():
    model = torch.nn.Linear(4, 4)
    torch.nn.init.constant_(model.weight, 3e38)  # their sum is infinite
    encoders._check_finite(model, "weights")


def test_text_vectors_are_the_template_encoded(rn50, weights):
    encoder = dc.load_encoder("RN50", weights, device="cpu")
    got = encoder.text_vectors(["giant", "a bit remote"])
    tokens = open_clip.get_tokenizer("RN50")(
        ["This object is giant", "This object is a bit remote"]
    )
    expected = rn50.eval().encode_text(tokens)
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(got, expected.detach(), atol=1e-6, rtol=0)
    both = encoder.text_vectors(["giant"], ["This {object} is {distance}", "{distance}"], "chair")
    two = encoder.encode_text(["This chair is giant", "giant"]).mean(0)
    torch.testing.assert_close(both[0], two / two.norm(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "grid"), [("sample", (13, 17)), ("RN50", (13, 17)), ("ViT-B/16", (26, 34))]
)
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_each_tower_has_its_own_grid(name, grid):
    encoder = dc.load_encoder(name, device="cpu")
    assert encoder.grid(416, 544) == grid
    image = encoder.normalise(np.zeros((1, 96, 64, 3), np.uint8))
    assert tuple(encoder.features(image).cells.shape[-2:]) == encoder.grid(96, 64)
    with pytest.raises(dc.DepthClipError, match="smaller than one cell"):
        encoder.features(image[:, :, :8])


@pytest.mark.filterwarnings("ignore:.*random weights")
def test_a_vit_at_its_own_size_is_open_clips():
    encoder = dc.load_encoder("ViT-B-32", device="cpu")
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = encoder.model.encode_image(image, normalize=True)
    got = encoder.image_vectors(encoder.features(image))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_normalise_is_imagenets(rn50, weights):
    encoder = dc.load_encoder("RN50", weights, device="cpu")
    image = np.full((1, 40, 50, 3), 128, np.uint8)
    got = encoder.normalise(image)
    assert got.shape == (1, 3, 40, 50)
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (128 / 255 - mean) / std
        assert got[0, channel].numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["sample", "ViT-B-32"])
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_half_precision_runs_and_answers_in_fp32(name):
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


@pytest.mark.parametrize("head", ["released", "value", "attention"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("channel", [0, 1])
def test_a_cell_that_overflows_is_nan_whatever_a_head_drops(head, value, channel):
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
