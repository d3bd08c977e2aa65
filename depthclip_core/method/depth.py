"""Bin weights → depth in metres: weighted sum, flip average, upsampling, placement in the frame."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.settings import Window


def weighted_depth(
    weights: Float[Tensor, "B K h w"], bins: Sequence[float] | Tensor
) -> Float[Tensor, "B h w"]:
    """Σ_k weight_k · bin_k, in metres, on the grid of cells.

    bins: K depths; as a tensor on the weights' device they cost a GPU no wait.
    """
    if (words := weights.shape[1]) != len(bins):
        raise DepthClipError(f"{len(bins)} bins for weights of {words} words: give one for each")
    depths = torch.as_tensor(bins, dtype=weights.dtype, device=weights.device)
    return torch.einsum("bkhw,k->bhw", weights, depths)


def flip_average(
    maps: Float[Tensor, "*batch h w"], maps_of_flipped: Float[Tensor, "*batch h w"]
) -> Float[Tensor, "*batch h w"]:
    """Mean of an image's maps and its mirror image's, mirrored back (left–right)."""
    return (maps + maps_of_flipped.flip(-1)) / 2


def upsample(
    maps: Float[Tensor, "*batch h w"], shape: tuple[int, int]
) -> Float[Tensor, "*batch H W"]:
    """Bilinear with align_corners=True, from cells to pixels."""
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    pixels = F.interpolate(flat, shape, mode="bilinear", align_corners=True)
    return pixels.reshape(*maps.shape[:-2], *shape)


def place(
    depth: Float[Tensor, "B H W"], frame_shape: tuple[int, int], window: Window
) -> Float[Tensor, "B I J"]:
    """Depth of a window into a canvas of the frame's shape that is zero elsewhere."""
    if (shape := tuple(depth.shape[-2:])) != window.shape:
        raise DepthClipError(f"depth of {shape} pixels does not fill a window of {window.shape}")
    canvas = depth.new_zeros(depth.shape[0], *frame_shape)
    rows, columns = window.slices
    canvas[:, rows, columns] = depth
    return canvas
