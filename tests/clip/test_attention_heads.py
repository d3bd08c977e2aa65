"""Each head against its paper's equation, written out plainly in fp64."""

import math
from copy import deepcopy

import numpy as np
import pytest
import tiny
import torch

from depthclip_core.clip import heads
from depthclip_core.errors import DepthClipError

GRID = (2, 3)
NEW = ("value-value", "self-self", "neighbours", "no-residual")


@pytest.fixture(scope="module", params=["tiny-RN", "tiny-ViT"])
def visual(request, tiny_models):
    return tiny.create(request.param).visual


def features(visual, grid=GRID, seed=1):
    generator = torch.Generator().manual_seed(seed)
    is_vit = heads.is_vit(visual)
    width = visual.ln_post.normalized_shape[0] if is_vit else visual.attnpool.v_proj.in_features
    cells = torch.randn(2, width, *grid, generator=generator)
    return heads.Features(cells, torch.randn(2, width, generator=generator) if is_vit else None)


def softmax(logits):
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def places(grid):
    """Row and column of each token; None for the class token."""
    return [None, *((i, j) for i in range(grid[0]) for j in range(grid[1]))]


def weights_of(head, n, q, k, v, grid):
    """How token n weighs all tokens. q, k, v: (tokens, d) of one of the attention's heads."""
    scale = 1 / math.sqrt(q.shape[1])
    if head == "attention":
        return softmax(q[n] @ k.T * scale)
    if head == "value-value":
        return softmax(v[n] @ v.T * scale)
    if head == "self-self":
        return softmax(q[n] @ q.T * scale) + softmax(k[n] @ k.T * scale)
    if head == "no-residual":
        return softmax(q[n] @ q.T * scale)
    window = np.zeros(len(q))
    for m, (here, there) in enumerate(zip([places(grid)[n]] * len(q), places(grid), strict=True)):
        if here and there:
            squared = (here[0] - there[0]) ** 2 + (here[1] - there[1]) ** 2
            window[m] = math.exp(-squared / (2 * 5.0**2))
    return softmax(k[n] @ k.T * scale + window)


def mixed(head, q, k, v, n_heads, grid):
    size, out = q.shape[1] // n_heads, np.zeros_like(v)
    for h in range(n_heads):
        part = slice(h * size, (h + 1) * size)
        for n in range(len(q)):
            of_head = (x[:, part] for x in (q, k, v))
            out[n, part] = weights_of(head, n, *of_head, grid) @ v[:, part]
    return out


def linear(module, x):
    return x @ module.weight.double().numpy().T + module.bias.double().numpy()


def of_pool(head, visual, given):
    pool = visual.attnpool
    cells = given.cells[0].double().flatten(1).T.numpy()
    positions = heads.resize_positions(pool.positional_embedding, GRID).double().numpy()
    tokens = np.concatenate([cells.mean(0, keepdims=True), cells]) + positions
    q, k, v = (linear(p, tokens) for p in (pool.q_proj, pool.k_proj, pool.v_proj))
    return linear(pool.c_proj, mixed(head, q, k, v, pool.num_heads, GRID))[1:]


def of_block(head, visual, given):
    visual = deepcopy(visual).double()
    block = visual.transformer.resblocks[-1]
    cells = given.cells[0].double().flatten(1).T
    tokens = torch.cat([given.token[:1].double(), cells])
    normed = block.ln_1(tokens).numpy()
    weight, bias = block.attn.in_proj_weight.numpy(), block.attn.in_proj_bias.numpy()
    q, k, v = np.split(normed @ weight.T + bias, 3, axis=1)
    new = mixed(head, q, k, v, block.attn.num_heads, GRID)
    new = torch.from_numpy(linear(block.attn.out_proj, new))
    if head in ("attention", "value-value", "self-self"):
        new = tokens + new
    if head in ("attention", "self-self"):
        new = new + block.mlp(block.ln_2(new))
    return (visual.ln_post(new)[1:] @ visual.proj).numpy()


@pytest.mark.parametrize("head", ["attention", *NEW])
def test_head_matches_its_papers_equation(visual, head):
    given = features(visual)
    expected = (of_block if heads.is_vit(visual) else of_pool)(head, visual, given)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    got = heads.resolve_head(head)(given, visual)[0].flatten(1).T.numpy()
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_value_head_is_maskclips_identity_attention(visual):
    """With weights that are the identity, a block's or pool's attention gives the value path."""
    given = features(visual)

    def itself(q, k, v, grid):
        return v

    got = heads._attended(given, visual, itself, residual=True, mlp=True)
    if heads.is_vit(visual):
        torch.testing.assert_close(got, heads.value(given, visual), atol=1e-5, rtol=1e-4)
    else:  # the pool's tokens have a position, which MaskCLIP leaves out
        bare = deepcopy(visual)
        bare.attnpool.positional_embedding.zero_()
        got = heads._attended(given, bare, itself)
        torch.testing.assert_close(got, heads.value(given, visual), atol=1e-5, rtol=1e-4)


def test_even_and_odd_channels_are_chosen_from_the_backbone(visual):
    given = features(visual)
    every, width = heads.backbone(given, visual), visual.output_dim
    torch.testing.assert_close(every.norm(dim=1), torch.ones(2, *GRID))
    for head, offset in ((heads.released, 0), (heads.odd, 1)):
        kept = [i * every.shape[1] // width + offset for i in range(width)]
        assert torch.equal(head(given, visual), every[:, kept])
    if every.shape[1] == 2 * width:
        assert torch.equal(heads.released(given, visual), every[:, 0::2])
        assert torch.equal(heads.odd(given, visual), every[:, 1::2])


def test_resize_channels_keeps_an_offset_within_the_channels():
    vectors = torch.arange(6.0).reshape(1, 6, 1, 1)
    for width, kept in ((6, [1, 2, 3, 4, 5, 0]), (4, [1, 2, 4, 5]), (2, [1, 4])):
        assert heads.resize_channels(vectors, width, offset=1).flatten().tolist() == kept


@pytest.mark.parametrize("grid", [(1, 1), (3, 5)])
@pytest.mark.parametrize("head", list(heads.HEADS))
def test_every_head_takes_any_grid(visual, head, grid):
    vectors = heads.resolve_head(head)(features(visual, grid), visual)
    assert vectors.shape == (2, visual.output_dim, *grid)
    assert vectors.dtype == torch.float32 and vectors.isfinite().all()
    if head not in ("released", "odd"):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2, *grid))


def test_neighbour_window_is_a_gaussian_of_distance():
    window = heads.neighbour_window((3, 4), sigma=2.0)
    assert window.shape == (13, 13)
    assert not window[0].any() and not window[:, 0].any()
    for n, here in enumerate(places((3, 4))[1:], start=1):
        for m, there in enumerate(places((3, 4))[1:], start=1):
            assert window[n, m] == pytest.approx(math.exp(-(math.dist(here, there) ** 2) / 8))


def test_self_attention_ignores_where_a_cell_is_but_neighbours_do_not(visual):
    """Two grids of the same cells in another order: only positions can tell them apart."""
    given = features(visual)
    if not heads.is_vit(visual):
        visual = deepcopy(visual)
        visual.attnpool.positional_embedding.zero_()
    moved = heads.Features(given.cells.flip(-1), given.token)
    for head in NEW:
        make = heads.resolve_head(head)
        gap = (make(moved, visual).flip(-1) - make(given, visual)).abs().max()
        assert gap < 1e-5  # a mirror image keeps all distances
    rolled = heads.Features(given.cells.roll(1, -1), given.token)
    for head in NEW:
        make = heads.resolve_head(head)
        gap = (make(rolled, visual).roll(-1, -1) - make(given, visual)).abs().max()
        assert (gap > 1e-6) == (head == "neighbours")


def test_heads_of_the_registry_keep_their_names():
    assert set(heads.MAIN_HEADS) <= set(heads.HEADS)
    assert all(heads.resolve_head(name) is head for name, head in heads.HEADS.items())
    with pytest.raises(DepthClipError, match="did you mean 'self-self'"):
        heads.resolve_head("self-selv")


def test_backbone_is_a_head_only_where_nothing_is_compared_with_text():
    assert heads.resolve_head("backbone", compared=False) is heads.backbone
    with pytest.raises(DepthClipError, match="compared with words: choose one of the heads"):
        heads.resolve_head("backbone")


def test_scaled_dot_products_of_zero_tokens_do_not_divide_by_zero(visual):
    given = features(visual)
    flat = heads.Features(torch.zeros_like(given.cells), given.token)
    for head in heads.HEADS:
        assert heads.resolve_head(head)(flat, visual).isfinite().all()
