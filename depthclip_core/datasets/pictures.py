"""The one place that opens pictures: a few formats alone, and no picture too large to decode."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from depthclip_core.errors import DepthClipError

# Pillow tells a format by a file's content, and reads some, such as EPS, by starting a program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")  # of photographs in folders
HEIC = (".heic", ".heif")
MOST_PIXELS = 150_000_000  # half a gigabyte of RGB


@contextmanager
def opened_picture(path: Path, source: Path | BinaryIO | None = None) -> Iterator[Image.Image]:
    """A picture of an allowed format, not yet decoded; source: where it is read from, if not path.

    Raises `DepthClipError` in one line for what is missing, damaged, too large, or no such picture,
    also while the caller decodes it.
    """
    Image.init()  # all formats are known from then on; without it some are an error to name
    try:
        with Image.open(source or path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                most = f"at most {MOST_PIXELS // 10**6} million are read"
                size = f"{image.height} x {image.width} pixels"
                raise DepthClipError(f"{path} has {size}, and {most}: save it smaller")
            yield image
    except (DepthClipError, FileNotFoundError):
        raise
    except Exception as error:  # Pillow raises many kinds on a damaged file
        if path.suffix.lower() in HEIC:
            raise DepthClipError(f"{path} is HEIC, which is not read: save it as JPEG") from None
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DepthClipError(f"cannot read {path} as an image: {detail}") from error


def is_photo(path: Path) -> bool:
    """Whether a file in a folder counts as a photograph: by its suffix, and not hidden."""
    usual = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return usual and path.is_file()
