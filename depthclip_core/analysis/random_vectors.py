"""Random lists of words, directions of the text space and choices of channels, from a seed."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from depthclip_core.errors import DepthClipError


def random_lists(n_words: int, pool: int, n_lists: int, seed: int = 0) -> np.ndarray:
    """n_lists × n_words indices below pool; no word occurs twice in a list."""
    if n_words > pool:
        raise DepthClipError(f"cannot draw {n_words} different words from {pool}")
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(pool, n_words, replace=False) for _ in range(n_lists)])


def random_directions(n: int, dimensions: int, seed: int = 0) -> Tensor:
    """n unit vectors in directions that are all equally likely: (n, dimensions) fp32."""
    drawn = np.random.default_rng(seed).standard_normal((n, dimensions))
    return F.normalize(torch.from_numpy(drawn).float(), dim=-1)


def directions_spread_like(text: Tensor, n_lists: int, seed: int = 0) -> Tensor:
    """Random directions around the mean of K text vectors (K, D), as far apart as these.

    Returns (n_lists · K, D) fp32. The mean squared distance of two of a list is that of two of the
    words, in expectation. The softmax sees only differences of similarities, so this null is as
    sharp as the words; unit vectors in any direction are much farther apart than words.
    """
    if len(text) < 2:
        raise DepthClipError("give two or more words: one has no spread")
    vectors = text.double().cpu()
    variance = (vectors - vectors.mean(0)).square().sum() / (len(vectors) - 1)
    shape = (n_lists * len(vectors), vectors.shape[1])
    drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))
    return (vectors.mean(0) + drawn * (variance / shape[1]).sqrt()).float()


def released_channels(channels: int, kept: int) -> np.ndarray:
    """The channels that the released head keeps, (kept,): 0, 2, 4 … where it keeps half."""
    return np.arange(kept) * channels // kept


def random_channels(channels: int, kept: int, n: int, seed: int = 0) -> np.ndarray:
    """n random choices of as many channels, each in ascending order, (n, kept)."""
    return np.sort(random_lists(kept, channels, n, seed), axis=1)


def permuted_channels(channels: int, kept: int, n: int, seed: int = 0) -> np.ndarray:
    """The released head's channels in n random orders, (n, kept)."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(released_channels(channels, kept)) for _ in range(n)])


def channel_directions(text: Tensor, kept: np.ndarray, channels: int) -> Tensor:
    """Text vectors (K, D) as directions in the space of C channels: (L · K, C) fp32.

    kept: (L, D), the channel that each dimension of the text is compared with. A cell's similarity
    with such a direction is that of the kept channels with the text.
    """
    out = torch.zeros(len(kept), len(text), channels)
    index = torch.from_numpy(kept)[:, None].expand(-1, len(text), -1)
    out.scatter_(2, index, text.float().cpu().expand(len(kept), -1, -1))
    return out.flatten(0, 1)
