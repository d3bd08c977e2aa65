import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

import depthclip_core as dc
from depthclip_core import encoders


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


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_openais_torchscript_archive_loads(tmp_path):
    """The original RN50.pt is TorchScript, with three buffers that are no weights."""

    class Archive(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(3, 4, 1)
            self.register_buffer("input_resolution", torch.tensor(224))
            self.register_buffer("context_length", torch.tensor(77))
            self.register_buffer("vocab_size", torch.tensor(49408))

        def forward(self, x):
            return self.conv1(x)

    torch.jit.save(torch.jit.script(Archive()), tmp_path / "archive.pt")
    state = encoders.read_state_dict(tmp_path / "archive.pt")
    assert set(state) == {"conv1.weight", "conv1.bias"}


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


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda w, t: dc.load_encoder("RN5O"), "did you mean 'RN50"),
        (lambda w, t: dc.load_encoder("RN50", "opanai"), "did you mean 'openai'"),
        (lambda w, t: dc.load_encoder("RN50", t / "no.pt"), "no weights file"),
        (lambda w, t: dc.load_encoder("RN101", w), "do not fit RN101: .* missing"),
        (lambda w, t: dc.load_encoder("sample", w), "do not fit sample"),
        (lambda w, t: dc.load_encoder("RN50", w, precision="fp8"), "did you mean 'fp"),
        (lambda w, t: dc.load_encoder("RN50", w, device="gpu"), "cannot be used"),
        (
            lambda w, t: dc.load_encoder("RN50", write(t / "a.safetensors", w.read_bytes()[:9999])),
            "cannot read weights",
        ),
        (
            lambda w, t: dc.load_encoder("RN50", write(t / "a.pt", b"not a zip")),
            "cannot read weights",
        ),
        (lambda w, t: dc.load_encoder("RN50", write(t / "b.pt", b"")), "cannot read weights"),
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


def test_pickled_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(dc.DepthClipError, match="cannot read weights"):
        encoders.read_state_dict(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


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
