"""Heads: cells → vectors to compare with text, as released or in CLIP's own space.

Every head takes a tower's `Features` and returns one fp32 vector per cell, (B, D, h, w), where D is
the length of the text vectors. All but `released` return unit vectors.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from depthclip_core.errors import unknown_name


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


def resize_channels(vectors: Float[Tensor, "B C h w"], channels: int) -> Float[Tensor, "B D h w"]:
    """Nearest-neighbour resize of the channel axis, the released way from C to D.

    Where C = 2 D, as in RN50 (2048 → 1024), it keeps channels 0, 2, 4, …
    """
    index = torch.arange(channels, device=vectors.device) * vectors.shape[1] // channels
    return vectors[:, index]


def released(features: Features, visual: torch.nn.Module) -> Tensor:
    """L2-normalise each cell over its C channels, then keep D of them; no second normalisation."""
    cells = features.cells
    if is_vit(visual):
        cells = _on_grid(_vit_tokens(features, visual, attend=True), features)
    return resize_channels(F.normalize(cells.float(), dim=1), visual.output_dim)


def value(features: Features, visual: torch.nn.Module) -> Tensor:
    """Each cell through the pool's value path only: c_proj(v_proj(x)) (MaskCLIP, Zhou et al. 2022).

    A ViT's counterpart: in its last block each cell attends to itself only.
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


HEADS = MappingProxyType({"released": released, "value": value, "attention": attention})


def resolve_head(head: object) -> Callable[[Features, torch.nn.Module], Tensor]:
    """The head of that name; `DepthClipError` for an unknown one."""
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


def _tokens(features: Features) -> Tensor:
    """The cells as a sequence, (B, h w, C)."""
    return features.cells.flatten(2).transpose(1, 2)


def _on_grid(tokens: Tensor, features: Features) -> Tensor:
    """One token per cell, (B, h w, D), back on the grid: (B, D, h, w)."""
    return tokens.transpose(1, 2).unflatten(-1, features.cells.shape[-2:])


def _attention_pool(features: Features, pool: torch.nn.Module) -> Tensor:
    """CLIP's attention pool with every token a query: (B, 1 + h w, D)."""
    tokens = _tokens(features).to(pool.v_proj.weight.dtype)
    tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
    positions = resize_positions(pool.positional_embedding, features.cells.shape[-2:])
    tokens = tokens + positions.to(tokens.dtype)

    def split(x: Tensor) -> Tensor:  # (B, n, C) → (B, heads, n, C / heads)
        return x.unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)

    attended = F.scaled_dot_product_attention(
        split(pool.q_proj(tokens)), split(pool.k_proj(tokens)), split(pool.v_proj(tokens))
    )
    return pool.c_proj(attended.transpose(1, 2).flatten(2))


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
