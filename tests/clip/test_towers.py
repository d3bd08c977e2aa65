"""Folding, layout, packing and casting change nothing but rounding."""

import shutil
from copy import deepcopy

import pytest
import tiny
import torch

import depthclip_core as dc
from depthclip_core.clip import fused, heads, towers
from depthclip_core.clip.heads import HEADS, MAIN_HEADS, image_vectors
from depthclip_core.errors import DepthClipError


@pytest.fixture(scope="module")
def resnet(tiny_models):
    return tiny.create("tiny-RN").visual


@pytest.fixture(scope="module")
def vit(tiny_models):
    return tiny.create("tiny-ViT").visual


@pytest.fixture(scope="module")
def images():
    torch.manual_seed(1)
    return torch.randn(2, 3, 96, 160)


@pytest.fixture(scope="module")
def exact(resnet, images):
    """The definition without rounding: open_clip's own modules in fp64."""
    with torch.inference_mode():
        return towers.resnet_cells(deepcopy(resnet).double(), images.double()).cells


def error(cells, exact):
    return ((cells.double() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("packed", [True, False])
def test_tower_matches_open_clip(resnet, images, exact, packed, monkeypatch):
    if not packed:
        monkeypatch.setattr(towers, "can_pack", lambda precision: False)
    elif not towers.can_pack("fp32"):
        pytest.skip("this torch has no oneDNN")
    with torch.inference_mode():
        plain = error(towers.resnet_cells(resnet, images).cells, exact)
        fast = error(towers.make_tower(resnet, "fp32").features(images).cells, exact)
    assert 0 < plain < 1e-5 and fast < 3 * plain


@pytest.mark.parametrize(
    ("precision", "limit", "packed"),
    [("bf16", 0.02, True), ("bf16", 0.02, False), ("fp16", 0.003, False)],
)
def test_half_precision_only_rounds(resnet, images, exact, precision, limit, packed, monkeypatch):
    if not packed:
        monkeypatch.setattr(towers, "can_pack", lambda precision: False)
    elif not towers.can_pack(precision):
        pytest.skip(f"this processor does not pack {precision}")
    with torch.inference_mode():
        cells = towers.make_tower(resnet, precision).features(images).cells
    assert cells.dtype == torch.float32  # what heads take on a CPU
    assert 1e-4 < error(cells, exact) < limit


def test_cudnns_convolutions_make_the_same_network(resnet, images, exact, monkeypatch):
    """On the CPU, with cuDNN's two calls written out; tests/gpu has the calls themselves."""

    def with_relu(x, weight, bias, *geometry):
        return torch.conv2d(x, weight, bias, *geometry).relu()

    def with_residual(x, weight, residual, alpha, bias, *geometry):
        return (torch.conv2d(x, weight, bias, *geometry) + alpha * residual).relu()

    monkeypatch.setattr(torch, "cudnn_convolution_relu", with_relu)
    monkeypatch.setattr(torch, "cudnn_convolution_add_relu", with_residual)
    folded = towers.fold_batch_norms(resnet).to(memory_format=torch.channels_last)
    before = deepcopy(folded.state_dict())
    with torch.inference_mode():
        cells = fused.FusedResNet(folded, fused.CudnnConv)(images).cells
    assert error(cells, exact) < 1e-5
    assert all(torch.equal(before[name], now) for name, now in folded.state_dict().items())


@pytest.mark.parametrize("side", [(8, 10), (7, 9), (2, 2)])
def test_halving_is_the_mean_of_four(side):
    cells = torch.randn(2, 5, *side).to(memory_format=torch.channels_last)
    found = fused.means_of_four(cells)
    torch.testing.assert_close(found, torch.nn.functional.avg_pool2d(cells, 2))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_tower_has_no_state_and_leaves_its_model_unchanged(resnet, images):
    before = deepcopy(resnet.state_dict())
    tower = towers.make_tower(resnet, "fp32")
    with torch.inference_mode():
        first = tower.features(images).cells.clone()
        tower.features(torch.zeros(1, 3, 64, 64))  # another shape and batch between
        again = tower.features(images.clone()).cells
    assert torch.equal(first, again)
    assert all(
        torch.equal(a, b)
        for a, b in zip(before.values(), resnet.state_dict().values(), strict=True)
    )
    assert tower.visual is resnet


def test_folding_leaves_no_batch_norm(resnet):
    kinds = {type(module) for module in towers.fold_batch_norms(resnet).modules()}
    assert torch.nn.BatchNorm2d not in kinds and torch.nn.Conv2d in kinds


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-6), ("bf16", 1e-2)])
def test_vit_tower_and_last_block_match_open_clip(vit, precision, limit):
    """At its own size, where positions are not resized, the class token must come out the same."""
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(vit(images), dim=-1)
        got = image_vectors(towers.make_tower(vit, precision).features(images), vit)
    assert (got - expected).norm(dim=-1).max() < limit


def test_vit_cells_keep_their_place_on_any_grid(vit, images):
    with torch.inference_mode():
        features = towers.make_tower(vit, "fp32").features(images)
        changed = images.clone()
        changed[..., 32:48, 96:112] += 3
        difference = towers.make_tower(vit, "fp32").features(changed).cells - features.cells
    assert features.cells.shape == (2, 96, 6, 10) and features.token.shape == (2, 96)
    largest = difference.norm(dim=1).flatten(1).argmax(dim=1)
    assert largest.tolist() == [2 * 10 + 6] * 2


def test_exact_gpu_restores_the_users_settings():
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32, convolutions.enabled
    with towers.exact_gpu(torch.device("cuda")):
        assert not products.allow_tf32 and not convolutions.allow_tf32 and convolutions.enabled
    assert before == (products.allow_tf32, convolutions.allow_tf32, convolutions.enabled)


@pytest.mark.slow
def test_compiled_tower_matches_the_plain_one(images):
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler")
    plain = dc.load_encoder("sample", device="cpu", precision="fp32")
    compiled = dc.load_encoder("sample", device="cpu", precision="fp32", compiled=True)
    one, other = (e.features(images[:1]).cells for e in (plain, compiled))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_compiled_without_a_compiler_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(dc.DepthClipError, match="needs a compiler, and none .* compiled off"):
        dc.load_encoder("sample", device="cpu", compiled=True)


SIZES = {"RN101": (13, 17), "RN50x4": (13, 17), "ViT-B/16": (26, 34), "ViT-L/14": (29, 38)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_real_architectures_run_on_nyus_window(name):
    """Random weights; each head gives a unit vector of the text's dimension at every cell."""
    torch.manual_seed(0)
    encoder = dc.load_encoder(name, device="cpu")
    pixels = torch.randint(0, 255, (1, 416, 544, 3), dtype=torch.uint8)
    features = encoder.features(encoder.normalise(pixels))
    dimension = encoder.text_vectors(["far"]).shape[1]
    assert encoder.grid(416, 544) == SIZES[name]
    assert encoder.channels == heads.backbone(features, encoder.tower.visual).shape[1]
    for head in MAIN_HEADS:
        vectors = HEADS[head](features, encoder.tower.visual)
        assert vectors.shape == (1, dimension, *SIZES[name])
        assert vectors.isfinite().all()
        if head != "released":
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(1, *SIZES[name]))


def test_norms_that_fold_to_nan_are_an_error(resnet):
    broken = deepcopy(resnet)
    broken.layer1[0].bn1.running_var[0] = -1e-3
    with pytest.raises(DepthClipError, match=r"not finite once norms are folded.*layer1\.0\.conv1"):
        towers.make_tower(broken, "fp32")
