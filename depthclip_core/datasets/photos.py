"""Ordinary photographs, without depth: a folder of them, or some files."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from math import atan, degrees, hypot
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from PIL import ExifTags, Image

from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place
from depthclip_core.datasets.pictures import opened_picture, photos_in, upright, upright_shape
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.settings import data_folder

LARGEST_16, LARGEST_32 = 2**16 - 1, 2**31 - 1  # of Pillow's integer modes
OVERSHOOT = 0.1  # resampling filters overshoot the range
FILM_DIAGONAL = hypot(36, 24)  # millimetres: of 35 mm film, to which cameras convert focal lengths
LONG_SIDE = 640  # pixels: of NYU's frames, for which the method is made


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as the network sees it, and what is known of its file.

    frame: without depth; the network sees it whole. size: (H, W) of the photograph itself, upright.
    field_of_view: degrees across its width; None where the file does not tell it. source: the
    file, or its content; None for a frame of a data set.
    """

    frame: Frame
    size: tuple[int, int]
    field_of_view: float | None = None
    source: Path | bytes | None = None

    @classmethod
    def read(
        cls, path: Path, content: bytes | None = None, long_side: int | None = LONG_SIDE
    ) -> Self:
        """The photograph in a file; content: what is in it, where path is no more than its name.

        Raises `DepthClipError`, as `open_photo`.
        """
        whole, field_of_view = _opened(path, content)
        size = whole.height, whole.width
        frame = Frame(name=path.name, rgb=np.array(shrink(whole, long_side)))
        return cls(frame, size, field_of_view, path if content is None else content)

    @classmethod
    def of_frame(cls, frame: Frame) -> Self:
        """What the network sees of a data set's frame, as if it were a photograph."""
        rgb = np.ascontiguousarray(frame.rgb[frame.window.slices])
        return cls(Frame(name=frame.name, rgb=rgb, scene=frame.scene), rgb.shape[:2])

    def full_rgb(self) -> np.ndarray:
        """The photograph at its own size, (*size, 3) uint8, from its file.

        Raises `DepthClipError` where the file is gone, or is another one by now.
        """
        if self.source is None or self.frame.rgb.shape[:2] == self.size:
            return self.frame.rgb
        content = self.source if isinstance(self.source, bytes) else None
        path = Path(self.frame.name) if content else self.source
        rgb = np.array(open_photo(path, content))
        if rgb.shape[:2] != self.size:
            raise DepthClipError(f"{path} has changed since it was opened: open it again")
        return rgb


class PhotoFrames(Dataset):
    """Photographs of any size and mode (grey, 16 bit, palette, CMYK, EXIF orientation ...).

    photos: a folder, a file, or a list of files. long_side: larger photos are shrunk to this many
    pixels, because CLIP's cells have a fixed number of pixels; None keeps every size. The network
    sees each photo whole.
    """

    title = "photos"
    licence = "yours"

    def __init__(
        self, photos: Path | str | Sequence[Path | str], long_side: int | None = LONG_SIDE
    ):
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
        return self.photo(index).frame

    def photo(self, index: int) -> Photo:
        """The photograph at an index from 0 to len − 1, with what is known of its file."""
        return Photo.read(self.files[index], long_side=self.long_side)

    def own_size(self, position: int) -> tuple[int, int] | None:
        height, width = photo_shape(self.files[self._index(position)])
        shrunk = self.long_side and max(height, width) > self.long_side
        return (height, width) if shrunk else None

    def each(self, fact: str) -> list[str | None]:
        return [path.name if fact == "name" else None for path in self.files]

    def rgb_files(self, index: int) -> Sequence[Path]:
        return [self.files[index]]

    def identity(self, checksums: Checksums) -> dict:
        files = self.file_checksums(self.files, checksums)
        return {"title": self.title, "files": files, "long_side": self.long_side}


def open_photo(path: Path, content: bytes | BinaryIO | None = None) -> Image.Image:
    """A photograph as RGB, upright; `DepthClipError` for what is missing, damaged or no image.

    content: what is in the file, or the file itself, open; then path is no more than its name.
    """
    return _opened(path, content)[0]


def _opened(path: Path, content: bytes | BinaryIO | None) -> tuple[Image.Image, float | None]:
    """A photograph as `open_photo` returns it, and the degrees that it sees across its width."""
    source = BytesIO(content) if isinstance(content, bytes) else content
    with opened_picture(path, source) as image:
        try:
            turned = upright(image)
            return to_rgb(turned), _field_of_view(image, turned.size)
        except DepthClipError as error:
            raise DepthClipError(f"{path}: {error}") from None


def _field_of_view(image: Image.Image, size: tuple[int, int]) -> float | None:
    """Degrees across the width of a photograph of that width and height, from its EXIF notes.

    They may hold the focal length that would see the same, from corner to corner, on 35 mm film.
    """
    with suppress(Exception):  # damaged notes do not make a photograph unreadable
        notes = image.getexif().get_ifd(ExifTags.IFD.Exif)
        focal_length = float(notes[ExifTags.Base.FocalLengthIn35mmFilm])
        if focal_length > 0:
            width = FILM_DIAGONAL * size[0] / hypot(*size)
            return degrees(2 * atan(width / (2 * focal_length)))
    return None


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
