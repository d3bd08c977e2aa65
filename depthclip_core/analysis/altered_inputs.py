"""Other inputs for the same network: changed photographs, and pixels normalised otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets import Dataset, Frame
from depthclip_core.datasets.base import Checksums
from depthclip_core.errors import DepthClipError

# What OpenAI trained CLIP with (its `clip.py`); the released code uses ImageNet's.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Altered(Dataset):
    """A data set whose photographs are changed one by one; depths, crop and names stay.

    name: says what `change` does, uint8 (H, W, 3) → the same; the store knows the change by it.
    """

    def __init__(self, whole: Dataset, name: str, change: Callable[[np.ndarray], np.ndarray]):
        self.whole, self.name, self.change = whole, name, change
        for fact in Dataset.__annotations__:
            setattr(self, fact, getattr(whole, fact))
        self.title = f"{whole.title}, {name}"

    def __len__(self) -> int:
        return len(self.whole)

    def read_frame(self, index: int) -> Frame:
        frame = self.whole[index]
        return replace(frame, rgb=self.change(frame.rgb))

    def read_rgb(self, index: int) -> np.ndarray:
        return self.change(self.whole.rgb(index))

    def read_raw_depth(self, index: int) -> np.ndarray | None:
        return self.whole.raw_depth(index)

    def ground_truth(self, position: int) -> np.ndarray:
        return self.whole.ground_truth(position)

    def each(self, fact: str) -> list:
        return self.whole.each(fact)

    def identity(self, checksums: Checksums) -> dict:
        return {"whole": self.whole.identity(checksums), "change": self.name}


@dataclass(eq=False, repr=False)
class Renormalised(Encoder):
    """An encoder that normalises pixels with other constants than the released ones."""

    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def __post_init__(self):
        super().__post_init__()
        self._mean, self._std = (torch.tensor(v, device=self.device) for v in (self.mean, self.std))

    @property
    def arithmetic(self) -> dict:
        return super().arithmetic | {"mean": self.mean, "std": self.std}


def renormalised(
    encoder: Encoder, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> Renormalised:
    """The same network, with pixels normalised to another mean and standard deviation of RGB.

    mean, std: of each channel, as shares of 255; by default those of OpenAI's CLIP.
    """
    if len(mean) != 3 or len(std) != 3 or not min(std) > 0:
        wanted = "a mean and a positive standard deviation for each of three channels"
        raise DepthClipError(f"pixels are normalised with {wanted}, got {mean} and {std}")
    own = {field.name: getattr(encoder, field.name) for field in fields(Encoder)}
    own["build"] = lambda: encoder.model  # the network is there already, or will be needed anyway
    return Renormalised(**own, mean=tuple(mean), std=tuple(std))


def through_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    """A photograph (H, W, 3), uint8, as JPEG of a quality (1 to 95) returns it; colour halved."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def scaled_size(shape: tuple[int, int], scale: float, stride: int) -> tuple[int, int]:
    """A window's rows and columns times a scale, rounded to whole cells of stride pixels."""
    rows, columns = (max(1, round(side * scale / stride)) * stride for side in shape)
    return rows, columns
