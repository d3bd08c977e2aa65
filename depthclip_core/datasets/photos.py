"""Ordinary photographs, without depth: a folder of them, or some files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place
from depthclip_core.datasets.images import to_rgb
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import data_folder

SUFFIXES = (".jpg", ".jpeg", ".png")


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
            if not folder.exists():
                raise DepthClipError(f"no photo or folder of photos at {folder}")
            files = sorted(folder.iterdir()) if folder.is_dir() else [folder]
            self.files = [f for f in files if f.suffix.lower() in SUFFIXES or f == folder]
            if not self.files:
                raise DepthClipError(f"no photos in {folder}: put JPEG or PNG files there")
        else:
            self.files = [Path(photo).expanduser() for photo in photos]
        self.long_side = long_side

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        return cls(data or data_folder() / "photos", **options)

    def __len__(self) -> int:
        return len(self.files)

    def read_frame(self, index: int) -> Frame:
        path = self.files[index]
        try:
            with Image.open(path) as image:
                photo = to_rgb(ImageOps.exif_transpose(image))
        except FileNotFoundError:
            raise DepthClipError(f"no photo at {path}") from None
        except DepthClipError as error:
            raise DepthClipError(f"{path}: {error}") from None
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise DepthClipError(f"cannot read {path} as an image: {error}") from error
        if self.long_side and max(photo.size) > self.long_side:
            photo.thumbnail((self.long_side, self.long_side), Image.Resampling.LANCZOS)
        return Frame(name=path.name, rgb=np.array(photo))

    def each(self, fact: str) -> list[str | None]:
        return [path.name if fact == "name" else None for path in self.files]

    def identity(self, checksums: Checksums) -> dict:
        files = checksums(self.files)
        return {"title": self.title, "files": files, "long_side": self.long_side}
