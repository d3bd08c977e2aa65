"""Heads: cells → vectors to compare with text, as released or in CLIP's own space.

Every head takes a tower's `Features` and returns one fp32 vector per cell, (B, D, h, w), where D is
the length of the text vectors. All but `released` and `odd` return unit vectors.

Four heads replace CLIP's last attention, each as its paper does. q, k and v are the queries, keys
and values of all tokens, and d their length. In a ViT the last attention is that of the last block.
In a ModifiedResNet it is the attention pool, to whose input CLIP adds position embeddings; it has
neither residual nor MLP, so that there the four differ in the softmax weights alone.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from depthclip_core.errors import DepthClipError, unknown_name

NEIGHBOUR_SIGMA = 5.0  # NACLIP's, in cells

# Queries, keys and values (B, heads, 1 + h w, d) and the grid → what each token gets.
Mix = Callable[[Tensor, Tensor, Tensor, tuple[int, int]], Tensor]


class Features(NamedTuple):
    """The network's output for each image, before any head.

    cells: (B, C, h, w), also known as patch tokens: the output of a ModifiedResNet's `layer4`, or
    the input of a ViT's last block. token: (B, C), a ViT's class token there; None for a
    ModifiedResNet.
    """

    cells: Tensor
    token: Tensor | None = None


def is_vit(visual: torch.nn.Module) -> bool:
    """Whether an image tower is open_clip's VisionTransformer; else it is a ModifiedResNet."""
    from open_clip.transformer import VisionTransformer  # loaded already: `visual` is open_clip's

    return isinstance(visual, VisionTransformer)


def resize_channels(
    vectors: Float[Tensor, "B C h w"], channels: int, offset: int = 0
) -> Float[Tensor, "B D h w"]:
    """Nearest-neighbour resize of the channel axis, the released way from C to D.

    Where C = 2 D, as in RN50 (2048 → 1024), it keeps channels 0, 2, 4, … offset: how many channels
    further on each kept one is.
    """
    index = torch.arange(channels, device=vectors.device) * vectors.shape[1] // channels
    return vectors[:, (index + offset) % vectors.shape[1]]


def backbone(features: Features, visual: torch.nn.Module) -> Float[Tensor, "B C h w"]:
    """All C channels of each cell, L2-normalised: what `released` chooses from.

    The only head whose vectors are not of the text's length: see `passes.direction_similarities`.
    """
    cells = features.cells
    if is_vit(visual):
        cells = _on_grid(_vit_tokens(features, visual, attend=True), features)
    return F.normalize(cells.float(), dim=1)


def released(features: Features, visual: torch.nn.Module) -> Tensor:
    """L2-normalise each cell over its C channels, then keep D of them; no second normalisation."""
    return resize_channels(backbone(features, visual), visual.output_dim)


def odd(features: Features, visual: torch.nn.Module) -> Tensor:
    """As `released`, but the channel after each that it keeps: 1, 3, 5, … of RN50's."""
    return resize_channels(backbone(features, visual), visual.output_dim, offset=1)


def value(features: Features, visual: torch.nn.Module) -> Tensor:
    """Each cell through the pool's value path only: c_proj(v_proj(x)) (MaskCLIP, Zhou et al. 2022).

    A ViT's counterpart, also MaskCLIP's: in its last block each cell attends to itself only, and
    residual and MLP stay.
    """
    if is_vit(visual):
        tokens = _vit_tokens(features, visual, attend=False) @ visual.proj
    else:
        pool = visual.attnpool
        tokens = _tokens(features).to(pool.v_proj.weight.dtype)
        tokens = pool.c_proj(pool.v_proj(tokens))
    return F.normalize(_on_grid(tokens, features).float(), dim=1)


def attention(features: Features, visual: torch.nn.Module) -> Tensor:
    """The full attention pool with every cell as a query; its class token is dropped.

    The pool's position embedding is resized (bilinear) to the grid. A ViT's counterpart is its
    last block, unchanged.
    """
    if is_vit(visual):
        tokens = _vit_tokens(features, visual, attend=True) @ visual.proj
    else:
        tokens = _attention_pool(features, visual.attnpool)[:, 1:]
    return F.normalize(_on_grid(tokens, features).float(), dim=1)


def value_value(features: Features, visual: torch.nn.Module) -> Tensor:
    """softmax(v·vᵀ / √d) v: cells attend to cells of like values (CLIP Surgery, Li et al. 2023).

    A ViT keeps the residual and leaves out the MLP. The paper changes the last six blocks; this is
    the last alone.
    """
    return _attended(features, visual, _value_value, residual=True)


def self_self(features: Features, visual: torch.nn.Module) -> Tensor:
    """(softmax(q·qᵀ / √d) + softmax(k·kᵀ / √d)) v (SCLIP, Wang et al. 2024).

    A ViT keeps the residual and the MLP.
    """
    return _attended(features, visual, _self_self, residual=True, mlp=True)


def neighbours(features: Features, visual: torch.nn.Module) -> Tensor:
    """softmax(k·kᵀ / √d + ω) v, with ω of `neighbour_window` (NACLIP, Hajimiri et al. 2025).

    A ViT leaves out the residual and the MLP.
    """
    return _attended(features, visual, _neighbours)


def no_residual(features: Features, visual: torch.nn.Module) -> Tensor:
    """softmax(q·qᵀ / √d) v (ClearCLIP, Lan et al. 2024).

    A ViT leaves out the residual and the MLP, which is the paper's point.
    """
    return _attended(features, visual, _query_query)


HEADS = MappingProxyType(
    {
        "released": released,
        "odd": odd,
        "value": value,
        "attention": attention,
        "value-value": value_value,
        "self-self": self_self,
        "neighbours": neighbours,
        "no-residual": no_residual,
    }
)
MAIN_HEADS = ("released", "value", "attention")  # those that all notebooks offer


def resolve_head(
    head: object, *, compared: bool = True
) -> Callable[[Features, torch.nn.Module], Tensor]:
    """The head of that name; `DepthClipError` for others.

    compared: whether its vectors are to be compared with text. If not, "backbone" is a head too.
    """
    if head == "backbone":
        if compared:
            fault = "the backbone's channels cannot be compared with words"
            raise DepthClipError(f"{fault}: choose one of the heads {', '.join(HEADS)}")
        return backbone
    if not isinstance(head, str) or head not in HEADS:
        raise unknown_name("head", head, HEADS)
    return HEADS[head]


def image_vectors(features: Features, visual: torch.nn.Module) -> Float[Tensor, "B D"]:
    """One fp32 unit vector per image, as CLIP itself compares images with text."""
    if is_vit(visual):
        tokens = visual.transformer.resblocks[-1](_join(features))
        pooled = visual.ln_post(tokens)[:, 0] @ visual.proj
    else:
        pooled = _attention_pool(features, visual.attnpool)[:, 0]
    return F.normalize(pooled.float(), dim=-1)


def resize_positions(
    embedding: Float[Tensor, "own C"], grid: tuple[int, int], mode: str = "bilinear"
) -> Float[Tensor, "tokens C"]:
    """The position embedding of a square grid, class token first, resized to another grid."""
    side = round((embedding.shape[0] - 1) ** 0.5)
    if grid == (side, side):
        return embedding
    square = embedding[1:].float().T.reshape(1, -1, side, side)
    cells = F.interpolate(square, grid, mode=mode, align_corners=False)
    return torch.cat([embedding[:1], cells.flatten(2)[0].T.to(embedding.dtype)])


def neighbour_window(
    grid: tuple[int, int],
    sigma: float = NEIGHBOUR_SIGMA,
    device: torch.device | None = None,
) -> Float[Tensor, "tokens tokens"]:
    """ω of NACLIP: exp(−distance² / 2σ²) of two cells, and 0 where one is the class token.

    Returns fp32 (1 + h w, 1 + h w). sigma: in cells; 5 in the paper, whatever the grid.
    """
    places = (torch.arange(n, device=device) for n in grid)
    steps = (place[:, None] - place for place in places)
    rows, columns = (torch.exp(-(step**2) / (2 * sigma**2)) for step in steps)
    return F.pad(torch.kron(rows, columns), (1, 0, 1, 0))


def _tokens(features: Features) -> Tensor:
    """The cells as a sequence, (B, h w, C)."""
    return features.cells.flatten(2).transpose(1, 2)


def _on_grid(tokens: Tensor, features: Features) -> Tensor:
    """One token per cell, (B, h w, D), back on the grid: (B, D, h, w)."""
    return tokens.transpose(1, 2).unflatten(-1, features.cells.shape[-2:])


def _query_key(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    """CLIP's own attention; all tensors (B, heads, 1 + h w, d)."""
    return F.scaled_dot_product_attention(q, k, v)


def _query_query(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return F.scaled_dot_product_attention(q, q, v)


def _value_value(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return F.scaled_dot_product_attention(v, v, v)


def _self_self(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return F.scaled_dot_product_attention(q, q, v) + F.scaled_dot_product_attention(k, k, v)


def _neighbours(q: Tensor, k: Tensor, v: Tensor, grid: tuple[int, int]) -> Tensor:
    return F.scaled_dot_product_attention(
        k, k, v, attn_mask=neighbour_window(grid, device=k.device).to(k.dtype)
    )


def _mixed(
    q: Tensor, k: Tensor, v: Tensor, n_heads: int, mix: Mix, grid: tuple[int, int]
) -> Tensor:
    """What each token gets from the others' values: (B, n, C), from (B, n, C) each."""
    # (B, n, C) → (B, heads, n, C / heads)
    split = (x.unflatten(-1, (n_heads, -1)).transpose(1, 2) for x in (q, k, v))
    return mix(*split, grid).transpose(1, 2).flatten(2)


def _attended(
    features: Features, visual: torch.nn.Module, mix: Mix, residual=False, mlp=False
) -> Tensor:
    """Unit vectors of cells with `mix` in place of CLIP's last attention.

    residual, mlp: what a ViT's last block keeps of what follows its attention.
    """
    if is_vit(visual):
        block, tokens = visual.transformer.resblocks[-1], _join(features)
        attn, normed = block.attn, block.ln_1(tokens)
        projected = F.linear(normed, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
        mixed = _mixed(*projected, attn.num_heads, mix, tuple(features.cells.shape[-2:]))
        new = block.ls_1(attn.out_proj(mixed))
        tokens = tokens + new if residual else new
        if mlp:
            tokens = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
        tokens = visual.ln_post(tokens)[:, 1:] @ visual.proj
    else:
        tokens = _attention_pool(features, visual.attnpool, mix)[:, 1:]
    return F.normalize(_on_grid(tokens, features).float(), dim=1)


def _attention_pool(features: Features, pool: torch.nn.Module, mix: Mix = _query_key) -> Tensor:
    """CLIP's attention pool with every token a query: (B, 1 + h w, D)."""
    tokens = _tokens(features).to(pool.v_proj.weight.dtype)
    tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
    grid = tuple(features.cells.shape[-2:])
    positions = resize_positions(pool.positional_embedding, grid)
    tokens = tokens + positions.to(tokens.dtype)
    projected = (pool.q_proj(tokens), pool.k_proj(tokens), pool.v_proj(tokens))
    return pool.c_proj(_mixed(*projected, pool.num_heads, mix, grid))


def _vit_tokens(features: Features, visual: torch.nn.Module, attend: bool) -> Tensor:
    """The last block and final norm of a ViT: its cells, (B, h w, C), before the projection."""
    block, tokens = visual.transformer.resblocks[-1], _join(features)
    if attend:
        tokens = block(tokens)
    else:  # attention replaced by the identity: every token keeps its own value
        attn = block.attn
        values = F.linear(
            block.ln_1(tokens), attn.in_proj_weight.chunk(3)[2], attn.in_proj_bias.chunk(3)[2]
        )
        tokens = tokens + block.ls_1(attn.out_proj(values))
        tokens = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
    return visual.ln_post(tokens)[:, 1:]


def _join(features: Features) -> Tensor:
    """Class token and cells as the input of a ViT's block: (B, 1 + h w, C)."""
    return torch.cat([features.token[:, None], _tokens(features)], dim=1)
