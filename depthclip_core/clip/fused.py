"""A folded ModifiedResNet in one library call per convolution, with bias, residual and ReLU in it.

The activations then cross memory once per convolution instead of once per operation. oneDNN does
this on a CPU, cuDNN on a GPU; torch.compile emits the same operators for a CPU.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from depthclip_core.clip.heads import Features

# conv(x), then bias and, if wanted, the residual and a ReLU.
Conv = Callable[..., Tensor]


class FusedResNet:
    """A folded, channels-last ModifiedResNet. make_conv: `OneDnnConv` or `CudnnConv`."""

    def __init__(self, visual: nn.Module, make_conv: Callable[[nn.Conv2d, bool], Conv]):
        stem = [make_conv(getattr(visual, f"conv{i}"), True) for i in "123"]
        layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        blocks = [FusedBlock(block, make_conv) for layer in layers for block in layer]
        self.steps = [*stem, visual.avgpool, *blocks]

    def __call__(self, images: Tensor) -> Features:
        cells = images
        for step in self.steps:
            cells = step(cells)
        return Features(cells)


class FusedBlock:
    """A bottleneck block. It may overwrite its input where the input is the residual."""

    def __init__(self, block: nn.Module, make_conv: Callable[[nn.Conv2d, bool], Conv]):
        convs = (block.conv1, block.conv2, block.conv3)
        self.conv1, self.conv2, self.conv3 = (make_conv(conv, True) for conv in convs)
        self.pool, self.shortcut = block.avgpool, []
        if block.downsample is not None:
            self.shortcut = [block.downsample[0], make_conv(block.downsample[1], False)]

    def __call__(self, cells: Tensor) -> Tensor:
        new = self.pool(self.conv2(self.conv1(cells)))
        for step in self.shortcut:
            cells = step(cells)
        return self.conv3(new, cells)


class OneDnnConv:
    """A convolution on the CPU, its weight in oneDNN's layout for an input's shape.

    The weight is packed again when the shape changes: packed for any shape it is half as fast.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool):
        self.geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.plain, self.bias = conv.weight.detach(), conv.bias.detach()
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
        self.weight, self.bias, self.relu = conv.weight.detach(), conv.bias.detach(), relu

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """activation(conv(x)), or activation(residual + conv(x))."""
        if residual is not None:
            return torch.cudnn_convolution_add_relu(
                x, self.weight, residual, 1.0, self.bias, *self.geometry
            )
        if self.relu:
            return torch.cudnn_convolution_relu(x, self.weight, self.bias, *self.geometry)
        return torch.conv2d(x, self.weight, self.bias, *self.geometry)
