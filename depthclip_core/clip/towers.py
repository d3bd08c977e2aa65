"""CLIP's image towers, ready to run: batch norms folded, layout, packing and precision chosen.

`resnet_cells` and `vit_cells` define what a tower computes, to rounding; the rest is speed.
"""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from depthclip_core.clip.fused import CudnnConv, FusedResNet, OneDnnConv
from depthclip_core.clip.heads import Features, is_vit, resize_positions
from depthclip_core.devices import exact_gpu
from depthclip_core.errors import DepthClipError

# Raised when towers or heads compute something else than before: stored vectors then expire.
COMPUTATION_VERSION = 2
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Tower(NamedTuple):
    """An image tower, ready to run.

    features: normalised images (B, 3, H, W) fp32 → `Features`. visual: the module whose last layers
    the heads use. Both are in the heads' precision, see `heads_dtype`.
    """

    features: Callable[[Tensor], Features]
    visual: nn.Module


def make_tower(visual: nn.Module, precision: str, compiled: bool = False) -> Tower:
    """The fastest form of an fp32 tower on its device, in "fp32", "bf16" or "fp16".

    ResNets get their batch norms folded and run channels-last, with one call of oneDNN or cuDNN
    for each convolution where there is one. compiled: let torch.compile do it instead, which on a
    CPU needs a C++ compiler and half a minute; `DepthClipError` without one.
    """
    device, dtype = next(visual.parameters()).device, PRECISIONS[precision]
    if is_vit(visual):
        own, network = visual if precision == "fp32" else deepcopy(visual).to(dtype), vit_cells
    else:
        own = fold_batch_norms(visual).to(dtype=dtype, memory_format=torch.channels_last)
        network = resnet_cells
        if not compiled and (make_conv := fused_convolution(precision, device)):
            own, network = FusedResNet(own, make_conv), FusedResNet.__call__
    if compiled:
        check_compiler(device)
        network = torch.compile(network, dynamic=False)
    of_heads = heads_dtype(precision, device)

    def features(images: Tensor) -> Features:
        images = images.to(dtype, memory_format=torch.channels_last)
        with exact_gpu(device) if precision == "fp32" else nullcontext():
            cells, token = network(own, images)
        return Features(cells.to(of_heads), token if token is None else token.to(of_heads))

    if of_heads == torch.float32:
        return Tower(features, visual)
    return Tower(features, own if is_vit(visual) else deepcopy(visual).to(of_heads))


def heads_dtype(precision: str, device: torch.device) -> torch.dtype:
    """What heads compute in: fp32 on a CPU, where they cost little, else the tower's precision."""
    return torch.float32 if device.type == "cpu" else PRECISIONS[precision]


def resnet_cells(visual: nn.Module, images: Tensor) -> Features:
    """A ModifiedResNet up to and including layer4: (B, 3, H, W) → (B, C, H // 32, W // 32)."""
    cells = visual.stem(images)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        cells = layer(cells)
    return Features(cells)


def vit_cells(visual: nn.Module, images: Tensor) -> Features:
    """A ViT up to its last block: (B, 3, H, W) → cells (B, C, H // p, W // p) and token (B, C)."""
    patches = visual.conv1(images)  # (B, C, h, w)
    grid = tuple(patches.shape[-2:])
    token = visual.class_embedding.to(patches.dtype).expand(len(images), 1, -1)
    positions = resize_positions(visual.positional_embedding, grid, mode="bicubic")
    tokens = torch.cat([token, patches.flatten(2).transpose(1, 2)], dim=1)  # (B, 1 + h w, C)
    tokens = visual.ln_pre(tokens + positions.to(patches.dtype))
    for block in visual.transformer.resblocks[:-1]:
        tokens = block(tokens)
    return Features(tokens[:, 1:].transpose(1, 2).unflatten(-1, grid), tokens[:, 0])


def fold_batch_norms(visual: nn.Module) -> nn.Module:
    """A copy of a ModifiedResNet whose convolutions hold the batch norms that follow them."""
    from open_clip.modified_resnet import Bottleneck, ModifiedResNet  # loaded: visual is one

    folded = deepcopy(visual).double()  # so that folding itself does not round
    for block in folded.modules():
        if isinstance(block, ModifiedResNet | Bottleneck):
            for i in "123":
                _fold(block, f"conv{i}", f"bn{i}")
        if isinstance(block, Bottleneck) and block.downsample is not None:
            _fold(block.downsample, "0", "1")
    # From a negative variance, say. The fused ReLU would turn the NaN into 0.
    if bad := [name for name, weight in folded.named_parameters() if not weight.isfinite().all()]:
        raise DepthClipError(f"the weights are not finite once norms are folded, first in {bad[0]}")
    return folded.to(next(visual.parameters()).dtype)


def fused_convolution(precision: str, device: torch.device) -> type | None:
    """The class of convolutions that are one library call on this device, if it has one."""
    if device.type == "cpu" and can_pack(precision):
        return OneDnnConv
    if device.type == "cuda" and torch.version.cuda and torch.backends.cudnn.is_available():
        return CudnnConv
    return None


def can_pack(precision: str = "fp32") -> bool:
    """Whether this processor's oneDNN packs convolutions of that precision.

    fp16 never: it can overflow, and the fused ReLU would turn NaN into a plausible 0.
    """
    if precision == "fp16" or not torch.backends.mkldnn.is_available():
        return False
    return precision == "fp32" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def has_compiler(device: torch.device) -> bool:
    """Whether torch.compile finds what it needs: a C++ compiler on a CPU, a C compiler on a GPU."""
    wanted = ("g++", "clang++", "cl") if device.type == "cpu" else ("cc", "gcc", "clang")
    return any(map(shutil.which, wanted))


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())


def check_compiler(device: torch.device) -> None:
    """Raise `DepthClipError` where torch.compile lacks its compiler."""
    if not has_compiler(device):
        advice = f"install {'g++' if device.type == 'cpu' else 'gcc'}, or leave compiled off"
        raise DepthClipError(f"compiled=True needs a compiler, and none is on the path: {advice}")
