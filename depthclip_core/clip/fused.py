"""A folded ModifiedResNet in one library call per convolution, with bias, residual and ReLU in it.

The activations then cross memory once per convolution instead of once per operation. oneDNN does
this on a CPU, cuDNN on a GPU; torch.compile emits the same operators for a CPU.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from depthclip_core.clip.heads import Features


class FusedResNet:
    """A folded, channels-last ModifiedResNet, on the device whose convolutions it is given."""

    def __init__(self, visual: nn.Module, make_conv: type["OneDnnConv"] | type["CudnnConv"]):
        stem = [make_conv(getattr(visual, f"conv{i}"), True) for i in "123"]
        layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        blocks = [FusedBlock(block, make_conv) for layer in layers for block in layer]
        self.steps = [*stem, halve, *blocks]

    def __call__(self, images: Tensor) -> Features:
        cells = images
        for step in self.steps:
            cells = step(cells)
        return Features(cells)


class FusedBlock:
    """A bottleneck block. It may overwrite its input where the input is the residual."""

    def __init__(self, block: nn.Module, make_conv: type["OneDnnConv"] | type["CudnnConv"]):
        last, shortcut = block.conv3, None
        if block.downsample is not None:
            shortcut = block.downsample[1]
            if make_conv is CudnnConv:
                last, shortcut = _with_bias_of(last, shortcut)
        self.conv1, self.conv2 = make_conv(block.conv1, True), make_conv(block.conv2, True)
        self.conv3 = make_conv(last, True)
        self.shortcut = shortcut and make_conv(shortcut, False)
        self.halves = block.stride > 1

    def __call__(self, cells: Tensor) -> Tensor:
        new = self.conv2(self.conv1(cells))
        if self.halves:
            new, cells = halve(new), halve(cells)
        return self.conv3(new, self.shortcut(cells) if self.shortcut else cells)


def halve(cells: Tensor) -> Tensor:
    """Means over 2 x 2 cells: (B, C, H, W) → (B, C, H // 2, W // 2)."""
    return means_of_four(cells) if cells.device.type == "cuda" else F.avg_pool2d(cells, 2)


def means_of_four(cells: Tensor) -> Tensor:
    """`avg_pool2d(cells, 2)` for channels-last cells: its CUDA kernel takes three times as long."""
    rows, columns = (side // 2 for side in cells.shape[-2:])
    last = cells.permute(0, 2, 3, 1)[:, : 2 * rows, : 2 * columns]
    return last.unflatten(1, (rows, 2)).unflatten(3, (columns, 2)).mean((2, 4)).permute(0, 3, 1, 2)


class OneDnnConv:
    """A convolution on the CPU, its weight in oneDNN's layout for an input's shape.

    The weight is packed again when the shape changes: packed for any shape it is half as fast.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool):
        self.geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.plain, self.bias = conv.weight.detach(), _detached(conv.bias)
        self.shape, self.weight = None, self.plain
        self.activation = ("relu" if relu else "none", [], "")

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """activation(conv(x)), or activation(residual + conv(x)) written over the residual."""
        onednn = torch.ops.mkldnn
        if x.shape != self.shape:
            self.weight = onednn._reorder_convolution_weight(self.plain, *self.geometry, [*x.shape])
            self.shape = x.shape
        convolution = (self.weight, self.bias, *self.geometry)
        if residual is None:
            return onednn._convolution_pointwise(x, *convolution, *self.activation)
        return onednn._convolution_pointwise_.binary(
            residual, x, *convolution, "add", 1.0, *self.activation
        )


class CudnnConv:
    """A convolution on a GPU."""

    def __init__(self, conv: nn.Conv2d, relu: bool):
        self.geometry = (list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups)
        self.weight, self.bias, self.relu = conv.weight.detach(), _detached(conv.bias), relu

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """activation(conv(x)), or activation(residual + conv(x))."""
        if residual is not None:
            return torch.cudnn_convolution_add_relu(
                x, self.weight, residual, 1.0, self.bias, *self.geometry
            )
        if self.relu:
            return torch.cudnn_convolution_relu(x, self.weight, self.bias, *self.geometry)
        return torch.conv2d(x, self.weight, self.bias, *self.geometry)


@torch.no_grad()
def _with_bias_of(last: nn.Conv2d, shortcut: nn.Conv2d) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The two convolutions whose outputs are added, all of the bias in the first one.

    Without a ReLU cuDNN would add a bias in a pass of its own.
    """
    last, shortcut = deepcopy(last), deepcopy(shortcut)
    last.bias += shortcut.bias
    shortcut.bias = None
    return last, shortcut


def _detached(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach()
