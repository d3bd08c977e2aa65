"""Ordinary photographs, without depth: a folder of them, or some files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place
from depthclip_core.datasets.pictures import opened_picture, photos_in, upright, upright_shape
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.settings import data_folder

LARGEST_16, LARGEST_32 = 2**16 - 1, 2**31 - 1  # of Pillow's integer modes
OVERSHOOT = 0.1  # resampling filters overshoot the range


class PhotoFrames(Dataset):
    """Photographs of any size and mode (grey, 16 bit, palette, CMYK, EXIF orientation ...).

    photos: a folder, a file, or a list of files. long_side: larger photos are shrunk to this many
    pixels, because CLIP's cells have a fixed number of pixels; None keeps every size. The network
    sees each photo whole.
    """

    title = "photos"
    licence = "yours"

    def __init__(self, photos: Path | str | Sequence[Path | str], long_side: int | None = 640):
        if isinstance(photos, str | Path):
            folder = Path(photos).expanduser()
            if not os.path.lexists(folder):
                raise DepthClipError(f"no photo or folder of photos at {folder}")
            self.files = photos_in(folder) if os.path.isdir(folder) else [folder]
        else:
            self.files = [Path(photo).expanduser() for photo in photos]
        self.long_side = long_side

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        return cls(data or data_folder() / "photos", **options)

    @classmethod
    def recognise(cls, data: Place, **options) -> str:
        if fault := super().recognise(data, **options):
            return fault
        try:
            open_photo(cls.open("all", data, False, **options).files[0])
        except DepthClipError as error:
            return first_line(error)
        return ""

    def __len__(self) -> int:
        return len(self.files)

    def read_frame(self, index: int) -> Frame:
        path = self.files[index]
        return Frame(name=path.name, rgb=np.array(shrink(open_photo(path), self.long_side)))

    def each(self, fact: str) -> list[str | None]:
        return [path.name if fact == "name" else None for path in self.files]

    def identity(self, checksums: Checksums) -> dict:
        files = checksums(self.files)
        return {"title": self.title, "files": files, "long_side": self.long_side}


def open_photo(path: Path) -> Image.Image:
    """A photograph as RGB, upright; `DepthClipError` for what is missing, damaged or no image."""
    with opened_picture(path) as image:
        try:
            return to_rgb(upright(image))
        except DepthClipError as error:
            raise DepthClipError(f"{path}: {error}") from None


def shrink(photo: Image.Image, long_side: int | None) -> Image.Image:
    """The photograph with at most long_side pixels (None: any number) on its longer side."""
    if long_side and max(photo.size) > long_side:
        photo.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    return photo


def photo_shape(path: Path) -> tuple[int, int]:
    """(H, W) of a photograph as `open_photo` returns it, without decoding it."""
    with opened_picture(path) as image:
        return upright_shape(image)


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB; transparent pixels are composited on white.

    16-bit grey levels are divided by 257. 32-bit integers have the range of 16 bits if they fit
    into it (Pillow reads PGM so), otherwise of 31. Floats have the range 0 to 1, 255 or 65535,
    whichever is the first that holds them with a tolerance of a tenth. Raises `DepthClipError` for
    floats beyond these ranges or not finite.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey(picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    if picture.mode == "La":  # the only mode that Pillow converts premultiplied grey to
        picture = picture.convert("LA")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _grey(picture: Image.Image) -> Image.Image:
    """Grey levels of 16 or 32 bits → L."""
    levels, save_again = np.asarray(picture).astype(np.float64), "save it with 8 or 16 bits"
    if not np.isfinite(levels).all():
        raise DepthClipError(f"it has grey levels that are not finite: {save_again}")
    ranges = (1, 255, LARGEST_16) if picture.mode == "F" else (LARGEST_16, LARGEST_32)
    largest = levels.max(initial=0)
    white = next((white for white in ranges if largest <= white * (1 + OVERSHOOT)), None)
    if white is None:
        reached = f"its grey levels reach {largest:g}, beyond any known range"
        raise DepthClipError(f"{reached}: {save_again}")
    grey = np.rint(255 * (levels / white).clip(0, 1)).astype(np.uint8)
    transparent = picture.info.get("transparency")  # one grey level, in PNG
    if isinstance(transparent, int):
        grey = np.where(levels == transparent, np.uint8(255), grey)
    return Image.fromarray(grey)
