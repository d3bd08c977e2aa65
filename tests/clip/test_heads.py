import math

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

from depthclip_core.clip import heads
from depthclip_core.errors import DepthClipError

RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
VIT = {"image_size": 64, "layers": 2, "width": 48, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 100, "width": 16, "heads": 2, "layers": 1}


def tower(vision, embed_dim, seed=0):
    torch.manual_seed(seed)
    model = open_clip.CLIP(embed_dim, dict(vision), dict(TEXT), quick_gelu=True)
    return model.visual.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def resnet():
    return tower(RESNET, 128)


@pytest.fixture(scope="module")
def vit():
    return tower(VIT, 32)


def features(visual, grid=(2, 3), seed=1):
    generator = torch.Generator().manual_seed(seed)
    width = 256 if visual.__class__.__name__ == "ModifiedResNet" else 48
    cells = torch.randn(2, width, *grid, generator=generator)
    token = None if width == 256 else torch.randn(2, width, generator=generator)
    return heads.Features(cells, token)


def test_released_head_keeps_every_second_channel_after_normalising(resnet):
    given = features(resnet)
    got = heads.released(given, resnet)
    assert got.shape == (2, 128, 2, 3)
    for b, i, j in np.ndindex(2, 2, 3):
        cell = given.cells[b, :, i, j].double().numpy()
        cell = cell / math.sqrt(sum(c * c for c in cell))
        np.testing.assert_allclose(got[b, :, i, j].numpy(), cell[0::2], atol=1e-6)
    assert (got.norm(dim=1) < 0.999).all()  # not normalised a second time


@pytest.mark.parametrize(
    ("channels", "wanted"), [(2048, 1024), (2048, 512), (2560, 640), (768, 512)]
)
def test_resize_channels_matches_torchs_nearest_neighbour(channels, wanted):
    vectors = torch.randn(1, channels, 1, 2)
    expected = F.interpolate(vectors[:, :, 0].transpose(1, 2), wanted, mode="nearest")
    got = heads.resize_channels(vectors, wanted)
    assert torch.equal(got[:, :, 0], expected.transpose(1, 2))


def test_value_head_projects_each_cell_twice(resnet):
    given = features(resnet)
    got = heads.value(given, resnet)
    pool = resnet.attnpool
    v, c = pool.v_proj, pool.c_proj
    for b, i, j in np.ndindex(2, 2, 3):
        x = given.cells[b, :, i, j].double()
        x = c.weight.double() @ (v.weight.double() @ x + v.bias.double()) + c.bias.double()
        np.testing.assert_allclose(got[b, :, i, j].numpy(), (x / x.norm()).numpy(), atol=1e-5)


def test_attention_head_matches_plain_loops(resnet):
    """At each cell: its query against all tokens, head by head, in plain loops."""
    given = features(resnet, grid=(2, 2))
    got = heads.attention(given, resnet)
    pool = resnet.attnpool
    q, k, v, c = (
        (p.weight.double().numpy(), p.bias.double().numpy())
        for p in (pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj)
    )
    size = 256 // pool.num_heads
    cells = [given.cells[0, :, i, j].double().numpy() for i in range(2) for j in range(2)]
    tokens = [sum(cells) / 4, *cells]
    positions = pool.positional_embedding.double().numpy()
    tokens = [t + p for t, p in zip(tokens, positions, strict=True)]
    for n in range(4):
        attended = np.zeros(256)
        for h in range(pool.num_heads):
            part = slice(h * size, (h + 1) * size)
            query = (q[0] @ tokens[n + 1] + q[1])[part]
            odds = [math.exp(query @ (k[0] @ t + k[1])[part] / math.sqrt(size)) for t in tokens]
            values = [(v[0] @ t + v[1])[part] for t in tokens]
            attended[part] = sum(o * x for o, x in zip(odds, values, strict=True)) / sum(odds)
        vector = c[0] @ attended + c[1]
        vector /= np.linalg.norm(vector)
        np.testing.assert_allclose(got[0, :, n // 2, n % 2].numpy(), vector, atol=1e-5)


def test_image_vectors_match_open_clip(resnet):
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    x = resnet.layer4(resnet.layer3(resnet.layer2(resnet.layer1(resnet.stem(image)))))
    got = heads.image_vectors(heads.Features(x), resnet)
    torch.testing.assert_close(got, F.normalize(resnet(image), dim=-1), atol=1e-5, rtol=1e-4)


def test_vit_attention_head_mixes_cells_and_value_head_does_not(vit):
    given = features(vit, grid=(2, 3))
    tokens = torch.cat([given.token[:, None], given.cells.flatten(2).transpose(1, 2)], 1)
    whole = vit.ln_post(vit.transformer.resblocks[-1](tokens))[:, 1:] @ vit.proj
    got = heads.attention(given, vit).flatten(2).transpose(1, 2)
    torch.testing.assert_close(got, F.normalize(whole, dim=-1), atol=1e-5, rtol=1e-4)
    moved = heads.Features(given.cells.clone(), given.token)
    moved.cells[:, ::2, 0, 0] += 1  # LayerNorm forgets what all channels share
    change = (heads.value(moved, vit) - heads.value(given, vit)).abs().amax((0, 1))
    assert change[0, 0] > 1e-3
    assert change.flatten()[1:].max() < 1e-6
    spread = (heads.attention(moved, vit) - heads.attention(given, vit)).abs().amax((0, 1))
    assert spread.min() > 1e-6


@pytest.mark.parametrize("head", heads.MAIN_HEADS)
@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (3, 5)])
def test_heads_take_any_grid_of_either_tower(resnet, vit, head, grid):
    for visual, dim in ((resnet, 128), (vit, 32)):
        vectors = heads.resolve_head(head)(features(visual, grid), visual)
        assert vectors.shape == (2, dim, *grid)
        assert vectors.dtype == torch.float32
        assert vectors.isfinite().all()
        if head != "released":
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2, *grid))


def test_resized_positions_keep_class_token_and_order():
    embedding = torch.arange(10.0)[:, None].expand(10, 2).clone()
    assert heads.resize_positions(embedding, (3, 3)) is embedding
    larger = heads.resize_positions(embedding, (6, 4))
    assert larger.shape == (25, 2)
    assert torch.equal(larger[0], embedding[0])
    assert larger[1:].min() >= 1 and larger[1:].max() <= 9
    plane = larger[1:, 0].reshape(6, 4)
    assert (plane.diff(dim=0) >= 0).all() and (plane.diff(dim=1) >= 0).all()


def test_unknown_head_is_one_clear_line(resnet):
    with pytest.raises(DepthClipError, match="did you mean 'value'"):
        heads.resolve_head("values")
