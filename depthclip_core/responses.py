"""Vectors → how strongly each word answers at each cell: similarities, then bin weights."""

import torch
from jaxtyping import Float
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.settings import LOGIT_SCALE, TEMPERATURE
from depthclip_core.towers import exact_gpu


def similarities(
    vectors: Float[Tensor, "B D h w"], text: Float[Tensor, "K D"]
) -> Float[Tensor, "B K h w"]:
    """s = f·t of every cell with every word, in fp32.

    fp32 matters: the softmax multiplies s by 1000, so half precision would move a logit by 0.06.
    """
    with exact_gpu(vectors.device):
        return torch.einsum("bdhw,kd->bkhw", vectors.float(), text.float())


def bin_weights(
    similarity: Float[Tensor, "B K h w"],
    temperature: float = TEMPERATURE,
    logit_scale: float = LOGIT_SCALE,
) -> Float[Tensor, "B K h w"]:
    """Softmax over the K words of logit_scale · s / temperature: non-negative, sums to one."""
    if not (temperature > 0 and logit_scale > 0):
        raise DepthClipError(
            f"temperature and logit scale must be positive, got {temperature} and {logit_scale}"
        )
    return torch.softmax(similarity.float() * (logit_scale / temperature), dim=1)
