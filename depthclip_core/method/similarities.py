"""Vectors → similarities of each cell with each word → bin weights."""

import torch
from jaxtyping import Float
from torch import Tensor

from depthclip_core.devices import exact_gpu
from depthclip_core.settings import LOGIT_SCALE, TEMPERATURE, logit_factor


def text_similarities(
    vectors: Float[Tensor, "B D h w"], text: Float[Tensor, "K D"]
) -> Float[Tensor, "B K h w"]:
    """s = f·t of every cell with every word, in fp32.

    The softmax multiplies s by 1000, so that half precision would move a logit by 0.06.
    """
    with exact_gpu(vectors.device):
        return torch.einsum("bdhw,kd->bkhw", vectors.float(), text.float())


def bin_weights(
    similarities: Float[Tensor, "B K h w"],
    temperature: float = TEMPERATURE,
    logit_scale: float = LOGIT_SCALE,
) -> Float[Tensor, "B K h w"]:
    """Softmax over the K words of the logits, logit_scale · s / temperature.

    Weights are non-negative and sum to one; NaN at a cell where a similarity is NaN or infinite.
    """
    logits = similarities.float() * logit_factor(temperature, logit_scale)
    # The softmax would give a word at minus infinity the weight 0.
    return torch.softmax(logits.nan_to_num_(torch.nan, torch.nan, torch.nan), dim=1)
