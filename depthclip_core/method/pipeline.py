"""DepthCLIP in one call: every stage in order, from photograph to depth map."""

from collections.abc import Sequence
from contextlib import closing

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import resolve_head
from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.datasets.prefetch import read_ahead
from depthclip_core.errors import DepthClipError
from depthclip_core.method.batches import default_batch_size, through_network
from depthclip_core.method.depth import flip_average, upsample, weighted_depth
from depthclip_core.method.similarities import bin_weights, text_similarities
from depthclip_core.settings import (
    BIN_LIMITS,
    LOGIT_SCALE,
    TEMPERATURE,
    Window,
    logit_factor,
    network_window,
    resolve_bins,
    resolve_prompts,
)


def predict_depth(
    frames: np.ndarray | Frame | Sequence[Frame],
    encoder: Encoder,
    prompts: str | Sequence[str] = "original",
    bins: str | Sequence[float] = "original",
    head: str = "released",
    flip: bool = True,
    *,
    temperature: float = TEMPERATURE,
    logit_scale: float = LOGIT_SCALE,
    crop: Window | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Depth of photographs, in metres, without training (Zhang et al., 2022).

    frames: a data set's `Frame`, several of one size, or uint8 RGB (B, H, W, 3). The network sees a
        `Frame` through the crop of its data set: rows 56:472 and columns 60:604 of NYU's and the
        sample's, as released. It sees arrays whole unless `crop` is given.
    prompts: K distance words, or a published name. bins: K depths in metres, or a published name.
    head: "released", "value" or "attention". flip: average with the mirror image.
    temperature, logit_scale: the softmax is over logit_scale · s / temperature.
    crop: the part of each frame that the network sees, such as `settings.RELEASED_WINDOW`.
    batch_size: frames that go through the network together; None: `default_batch_size`.
    Returns float32 (B, H', W') of the part that the network sees: (B, 416, 544) for NYU's frames.
    Raises `DepthClipError` for arguments of another type, shape or range, unknown names, lists of
    different lengths, and a network whose fp16 overflows.
    """
    if not isinstance(encoder, Encoder):
        raise DepthClipError(f"encoder must be what load_encoder returns, got {encoder!r}")
    words = resolve_prompts(prompts)
    depths = resolve_bins(bins, len(words))
    resolve_head(head)
    logit_factor(temperature, logit_scale)
    if crop is not None and not isinstance(crop, Window):
        raise DepthClipError(f"crop must be a settings.Window, got {crop!r}")
    whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if batch_size is not None and not (whole and batch_size > 0):
        raise DepthClipError(f"batch_size must be a whole number from 1, got {batch_size!r}")
    pixels, crop, own_size = _pixels(frames, crop)
    encoder.grid(*network_window(pixels.shape[1:3], crop).shape, own_size)
    return predict_with_text(
        pixels,
        encoder,
        encoder.text_vectors(words),
        depths,
        head,
        flip,
        temperature=temperature,
        logit_scale=logit_scale,
        crop=crop,
        batch_size=batch_size,
    )


def predict_with_text(
    frames: np.ndarray | Tensor,
    encoder: Encoder,
    text: Tensor,
    bins: Sequence[float],
    head: str = "released",
    flip: bool = True,
    *,
    temperature: float = TEMPERATURE,
    logit_scale: float = LOGIT_SCALE,
    crop: Window | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """`predict_depth` for uint8 frames (B, H, W, 3) and K text vectors (K, D) that are known."""
    shape = network_window(frames.shape[1:3], crop).shape
    encoder.grid(*shape)  # too small for a cell
    batch_size = batch_size or default_batch_size(shape, encoder)
    metres = _checked_bins(bins, encoder.device)

    def compute(batch: Tensor) -> tuple[Tensor, Tensor]:
        similarities = respond(batch, encoder, text, [head], flip, crop=crop)[head]
        depth = _depth(similarities, metres, shape, temperature, logit_scale)
        return depth, depth.sum()[None]

    starts = range(0, len(frames), batch_size)
    parts = read_ahead(lambda start: _staged(frames[start : start + batch_size], encoder), starts)
    maps = np.empty((len(frames), *shape), dtype=np.float32)
    with closing(parts):
        made = through_network(parts, encoder, batch_size, compute)
        for start, (depth, sums) in zip(starts, made, strict=True):
            if not np.isfinite(sums).all():
                raise not_finite(encoder, "depth")
            maps[start : start + len(depth)] = depth
    return maps


def not_finite(encoder: Encoder, what: str) -> DepthClipError:
    """The error for a network pass that yields NaN or infinite values."""
    fault = f"{encoder.name} in {encoder.precision} gives {what} that is NaN or infinite"
    if encoder.precision == "fp16":
        fault += ": its fp16 overflows; load it with precision fp32 or bf16"
    return DepthClipError(fault)


def respond(
    frames: np.ndarray | Tensor,
    encoder: Encoder,
    text: Tensor,
    heads: Sequence[str],
    flip: bool = True,
    crop: Window | None = None,
) -> dict[str, Tensor]:
    """Similarities of a batch of frames with K text vectors (K, D), one pass for all heads.

    Returns for each head (B, V, K, h, w) fp32 on the encoder's device. The other arguments are
    those of `head_vectors`.
    """
    vectors = head_vectors(frames, encoder, heads, flip, crop=crop)
    return {head: project(of_head, text) for head, of_head in vectors.items()}


def project(vectors: Tensor, text: Tensor) -> Tensor:
    """Head vectors (B, V, D, h, w) and text vectors (K, D) → similarities (B, V, K, h, w) fp32."""
    return text_similarities(vectors.flatten(0, 1), text).unflatten(0, vectors.shape[:2])


def head_vectors(
    frames: np.ndarray | Tensor,
    encoder: Encoder,
    heads: Sequence[str],
    flip: bool = True,
    size: tuple[int, int] | None = None,
    crop: Window | None = None,
) -> dict[str, Tensor]:
    """The network pass over a batch of frames, the step that costs time.

    frames: uint8 (B, H, W, 3). crop: the part that the network sees; None: all. size: rows and
    columns of the network's input; None: the crop's own. Returns for each head (B, V, D, h, w) fp32
    on the encoder's device. The V views are the frame and, with flip, its mirror image.
    """
    frames = _checked(frames)
    rows, columns = network_window(frames.shape[1:3], crop).slices
    if isinstance(frames, np.ndarray):
        frames = torch.from_numpy(np.require(frames, requirements="CW"))
    # Whole frames are sent, as bytes; the rest happens on the device.
    pixels = frames.to(encoder.device, non_blocking=True)[:, rows, columns]
    if size is not None and size != tuple(pixels.shape[1:3]):
        channels = pixels.permute(0, 3, 1, 2).float()
        channels = F.interpolate(channels, size, mode="bilinear", antialias=True)
        pixels = channels.permute(0, 2, 3, 1)
    views = torch.stack([pixels, pixels.flip(2)] if flip else [pixels], dim=1)  # (B, V, H, W, 3)
    features = encoder.features(encoder.normalise(views.flatten(0, 1)))
    return {
        head: encoder.cell_vectors(features, head).unflatten(0, views.shape[:2]) for head in heads
    }


def depth_maps(
    similarities: Tensor,
    bins: Sequence[float],
    shape: tuple[int, int],
    temperature: float = TEMPERATURE,
    logit_scale: float = LOGIT_SCALE,
) -> np.ndarray:
    """A head's similarities (B, V, K, h, w) → depth in metres, float32 (B, *shape).

    Depth is NaN around cells whose similarities are not finite. Raises `DepthClipError` for bins
    that are not finite.
    """
    metres = _checked_bins(bins, similarities.device)
    return _depth(similarities, metres, shape, temperature, logit_scale).cpu().numpy()


def _checked_bins(bins: Sequence[float], device: torch.device) -> Tensor:
    """Bins (K,) fp32 on the device; made once, since a copy makes a GPU wait."""
    if not (np.abs(np.asarray(bins, dtype=np.float64)) <= BIN_LIMITS[1]).all():  # nor NaN
        limit = f"finite metres, at most {BIN_LIMITS[1]:g}"
        raise DepthClipError(f"bins must be {limit}, got {tuple(bins)}")
    return torch.tensor(bins, dtype=torch.float32, device=device)


def _depth(
    similarities: Tensor,
    bins: Tensor,
    shape: tuple[int, int],
    temperature: float,
    logit_scale: float,
) -> Tensor:
    weights = (bin_weights(view, temperature, logit_scale) for view in similarities.unbind(1))
    cells = [weighted_depth(weight, bins) for weight in weights]
    depth = flip_average(*cells) if len(cells) == 2 else cells[0]
    return upsample(depth, shape)


def _pixels(
    frames: np.ndarray | Frame | Sequence[Frame], crop: Window | None
) -> tuple[np.ndarray | Tensor, Window | None, tuple[int, int] | None]:
    """Frames as one array, the crop, and the size that the first frame was shrunk from.

    The crop is the given one, else that of their data set.
    """
    several = [frames] if isinstance(frames, Frame) else frames
    if isinstance(several, Sequence):
        if not len(several):
            raise DepthClipError("there are no frames to predict depth for")
        if not isinstance(several[0], Frame):
            return _checked(frames), crop, None
        dataset = as_dataset(several)
        pixels = dataset.rgb_batch(range(len(dataset)))
        return pixels, crop or dataset.crop, dataset.own_size(0)
    return _checked(frames), crop, None


def _staged(frames: np.ndarray | Tensor, encoder: Encoder) -> Tensor:
    """A batch as a tensor; for a GPU in pinned memory, from which it is copied without waiting."""
    if isinstance(frames, np.ndarray):
        frames = torch.from_numpy(np.require(frames, requirements="CW"))
    on_cpu = frames.device.type == "cpu"
    return frames.pin_memory() if encoder.device.type == "cuda" and on_cpu else frames


def _checked(frames: np.ndarray | Tensor) -> np.ndarray | Tensor:
    if not isinstance(frames, Tensor):
        try:
            frames = np.asarray(frames)
        except ValueError:
            raise DepthClipError("frames of several sizes cannot be used together") from None
        if frames.dtype.kind == "f":
            how = "convert 0 to 1 by (255 * frames).round().astype('uint8')"
            raise DepthClipError(f"frames must be uint8, 0 to 255, got {frames.dtype}: {how}")
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype not in (np.uint8, torch.uint8):
        raise DepthClipError(
            f"frames must be uint8 of shape (B, H, W, 3), got {frames.dtype} {tuple(frames.shape)}"
        )
    return frames
