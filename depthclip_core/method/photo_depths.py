"""Depth of photographs of any size, one after another."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from depthclip_core import settings
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import resolve_head
from depthclip_core.datasets.incoming import open_file
from depthclip_core.datasets.known_files import changed
from depthclip_core.datasets.photos import LONG_SIDE, open_photo, shrink
from depthclip_core.datasets.prefetch import read_ahead
from depthclip_core.errors import DepthClipError
from depthclip_core.files import settled_state
from depthclip_core.method.batches import default_batch_size
from depthclip_core.method.depth import upsample
from depthclip_core.method.pipeline import predict_with_text
from depthclip_core.text import printable

Size = tuple[int, int]  # rows and columns of pixels
_Read = tuple[np.ndarray, Size, str]  # as the network sees it, its own size, its checksum


@dataclass(frozen=True)
class Setting:
    """The method's choices: K words, K bins in metres, one of `heads.HEADS`, the temperature.

    words_name, bins_name: the names under which they are published, or "given".
    """

    words: tuple[str, ...]
    words_name: str
    bins: tuple[float, ...]
    bins_name: str
    head: str
    temperature: float


@dataclass(frozen=True, eq=False)
class PhotoDepth:
    """A photograph and its depth.

    rgb: (H, W, 3) uint8, as the network saw it. size: of the photograph itself, upright. depth:
    float32 metres, of rgb's size or, for full size, the photograph's own. sha256: of its file.
    """

    rgb: np.ndarray
    size: Size
    depth: np.ndarray
    sha256: str


def resolve_setting(
    prompts: str | Sequence[str] = "original",
    bins: str | Sequence[float] = "original",
    head: str = "value",
    temperature: float = settings.TEMPERATURE,
) -> Setting:
    """The setting of these names or lists; `DepthClipError` for bad ones, see `predict_depth`."""
    words = settings.resolve_prompts(prompts)
    depths = settings.resolve_bins(bins, len(words))
    resolve_head(head)
    settings.logit_factor(temperature)
    words_name = settings.published_name(words, settings.PROMPTS)
    bins_name = settings.published_name(depths, settings.BINS)
    return Setting(words, words_name, depths, bins_name, head, float(temperature))


def predict_photos(
    photos: Sequence[Path | str],
    encoder: Encoder,
    setting: Setting,
    *,
    long_side: int | None = LONG_SIDE,
    full_size: bool = False,
    batch_size: int | None = None,
) -> Iterator[PhotoDepth | DepthClipError]:
    """Depth of each photograph in order, or the error that says why it has none.

    Depth is what `predict_depth` returns for the whole photograph. Photographs of one size that
    follow one another go through the network together.

    long_side: larger photographs are shrunk to this many pixels, because CLIP's cells have a fixed
        number of pixels; None keeps every size. full_size: upsample depth bilinearly from there to
        the photograph's own size.
    batch_size: photographs that go through the network together; None: `default_batch_size`.
    Raises `DepthClipError` for a network whose fp16 overflows and where memory is too small.
    """
    _check_count("long_side", long_side)
    _check_count("batch_size", batch_size)
    text = encoder.text_vectors(setting.words)

    def read(path: Path | str) -> _Read | DepthClipError:
        try:
            with open_file(Path(path), "photo") as file:
                before = settled_state(file.fileno())
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                photo = open_photo(Path(path), file)
            if settled_state(Path(path), wait=False) != before:
                raise changed(path)
            size = photo.height, photo.width
            rgb = np.array(shrink(photo, long_side))
            encoder.grid(*rgb.shape[:2], size)  # too small for a cell
            return rgb, size, sha256
        except OSError as error:
            return DepthClipError(f"cannot read {path}: {error.strerror or error}")
        except DepthClipError as error:
            message = str(error)
            return error if str(path) in message else DepthClipError(f"{path}: {message}")

    with closing(read_ahead(read, photos)) as pictures:
        for shape, group in itertools.groupby(pictures, key=_shape):
            if shape is None:
                yield from group
                continue
            n = batch_size or default_batch_size(shape, encoder)
            while batch := list(itertools.islice(group, n)):
                maps = predict_with_text(
                    np.stack([rgb for rgb, *_ in batch]),
                    encoder,
                    text,
                    setting.bins,
                    setting.head,
                    temperature=setting.temperature,
                    batch_size=n,
                )
                for (rgb, size, sha256), depth in zip(batch, maps, strict=True):
                    if full_size and size != shape:
                        depth = upsample(torch.from_numpy(depth)[None], size)[0].numpy()
                    yield PhotoDepth(rgb, size, depth, sha256)


def what_to_expect(encoder: Encoder, setting: Setting) -> str:
    """One line on what these depths can mean."""
    if encoder.weights == "own":
        known = "the sample's CLIP knows only the sample's rendered rooms"
        return f"{known}: for other photographs its metres mean nothing"
    if encoder.weights == "random":
        return f"{encoder.name} has random weights: its depths mean nothing"
    near, far = min(setting.bins), max(setting.bins)
    return f"all depths lie within the bins, {near:g} to {far:g} m, however deep the scene is"


def picture_notes(encoder: Encoder, setting: Setting) -> list[str]:
    """What a picture of depth must say by itself: its bins, and what they mean."""
    named = f"{setting.bins_name} bins" if setting.bins_name != "given" else "bins"
    depths = ", ".join(f"{depth:g}" for depth in setting.bins)
    return [f"{named}: {depths} m", what_to_expect(encoder, setting)]


def network_title(encoder: Encoder) -> str:
    """The network in a title: its name and its weights."""
    if encoder.weights == "own":
        return "the sample's own CLIP"
    weights = "random" if encoder.weights == "random" else Path(encoder.weights).name
    return printable(f"{encoder.name}, {weights} weights")


def setting_title(encoder: Encoder, setting: Setting) -> str:
    """Network, head and words in one line, for a figure's title."""
    named = setting.words_name != "given"
    words = f"{setting.words_name} words" if named else f"words: {', '.join(setting.words)}"
    return f"DepthCLIP, {network_title(encoder)}, {setting.head} head, {words}"


def _check_count(argument: str, value: object) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if value is not None and not (whole and value > 0):
        raise DepthClipError(f"{argument} must be a whole number from 1 or None, got {value!r}")


def _shape(read: _Read | DepthClipError) -> Size | None:
    return None if isinstance(read, DepthClipError) else read[0].shape[:2]
