"""The one place that opens pictures: a few formats alone, and no picture too large to decode."""

import ctypes
import io
import itertools
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import PIL
from PIL import ExifTags, Image

from depthclip_core.datasets.incoming import open_file, other_content, reason
from depthclip_core.errors import DepthClipError

# Pillow tells a format by a file's content, and reads some, such as EPS, by starting a program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
SUFFIXES = (  # of photographs in folders
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"),
)
HEIC, HEIC_PLUGIN = (".heic", ".heif"), "pillow_heif"
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MOST_PIXELS = 150_000_000  # half a gigabyte of RGB
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_NOTES = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # texts and colour profiles, which are not used
TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextmanager
def opened_picture(
    path: Path, source: BinaryIO | None = None, what: str = "photo"
) -> Iterator[Image.Image]:
    """A picture of an allowed format, not yet decoded; of several in a file, the first.

    source: an open file that it is read from, if not from path, which then names it. what: its
    kind, for errors. Raises `DepthClipError` in one line for what is missing, damaged, too large,
    or no such picture, also while the caller decodes it.
    """
    with open_file(path, what) if source is None else source as file, _without_warnings():
        head = file.read(32)
        file.seek(0)
        try:
            with Image.open(_without_notes(file, head), formats=_formats(head)) as image:
                _check_size(image, path)
                yield image
        except DepthClipError:
            raise
        except Exception as error:  # Pillow raises many kinds on a damaged file
            fault = _fault(error, head)
            raise DepthClipError(f"cannot read {path} as an image: {fault}") from error


def upright(image: Image.Image) -> Image.Image:
    """The picture, decoded and turned as EXIF's orientation says, if that can be read."""
    image.load()  # Pillow turns TIFF while it decodes
    turn = TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def upright_shape(image: Image.Image) -> tuple[int, int]:
    """(H, W) of what `upright` returns, from the header alone."""
    swapped = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
    return (image.width, image.height) if swapped else (image.height, image.width)


def is_photo(path: Path) -> bool:
    """Whether a file in a folder counts as a photograph: by its suffix, and not hidden."""
    suffix = path.suffix.lower()
    usual = suffix in SUFFIXES or (suffix in HEIC and find_spec(HEIC_PLUGIN) is not None)
    return usual and not path.name.startswith(".") and os.path.isfile(path)


def photos_in(folder: Path) -> list[Path]:
    """The photographs in a folder, in order of their names; `DepthClipError` if there are none."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        fault = error.strerror or error
        raise DepthClipError(f"cannot read the folder {folder}: {fault}") from None
    if photos := [file for file in files if is_photo(file)]:
        return photos
    n_heic = sum(file.suffix.lower() in HEIC and file.name[0] != "." for file in files)
    if n_heic:
        raise DepthClipError(f"no photos in {folder} but {n_heic} of HEIC: {_heic_advice()}")
    kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
    raise DepthClipError(f"no photos in {folder}: put files there of {kinds}")


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # damaged notes do not make a picture unreadable
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    return 1


def _check_size(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MOST_PIXELS:
        most = f"at most {MOST_PIXELS // 10**6} million are read"
        size = f"{image.height} x {image.width} pixels"
        raise DepthClipError(f"{path} has {size}, and {most}: save it smaller")


def _formats(head: bytes) -> tuple[str, ...]:
    """Names of the formats that may be opened; HEIC where its plugin is installed."""
    Image.init()  # all formats are known from then on; without it some are an error to name
    if head[:4] in (b"II*\0", b"MM\0*"):
        _silence_libtiff()
    if _is_heic(head) and find_spec(HEIC_PLUGIN):
        import_module(HEIC_PLUGIN).register_heif_opener()
        return *FORMATS, "HEIF"
    return FORMATS


def _is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS


def _heic_advice() -> str:
    return "save it as JPEG, or install its plugin: pip install pillow-heif"


def _fault(error: Exception, head: bytes) -> str:
    if _is_heic(head) and not find_spec(HEIC_PLUGIN):
        return f"it is HEIC: {_heic_advice()}"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MOST_PIXELS // 10**6} million pixels: save it smaller"
    if isinstance(error, PIL.UnidentifiedImageError):
        found = other_content(head)
        known = ", ".join(FORMATS)
        return f"it is {found}" if found else f"it is damaged, or none of {known}"
    return f"it is damaged: {reason(error)}"


def _without_notes(file: BinaryIO, head: bytes) -> BinaryIO:
    """A PNG without its texts and colour profile, which Pillow refuses where they are large."""
    if not head.startswith(PNG_SIGNATURE):
        return file
    content = memoryview(file.read())
    at, kept = len(PNG_SIGNATURE), [content[: len(PNG_SIGNATURE)]]
    while at + 12 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if kind not in PNG_NOTES:
            kept.append(content[at : at + 12 + size])
        at += 12 + size
    return io.BytesIO(b"".join([*kept, content[at:]]))


class _Quiet:
    """No warnings of Pillow while any thread has a picture open.

    They speak of notes that are not used, or come before an error. Filters belong to the whole
    process, so that the first thread in sets them, and the last one out puts them back.
    """

    def __init__(self) -> None:
        self._lock, self._open = Lock(), 0

    def enter(self) -> None:
        with self._lock:
            if not self._open:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
            self._open += 1

    def leave(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self._filters.__exit__(None, None, None)


_quiet = _Quiet()


@contextmanager
def _without_warnings() -> Iterator[None]:
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing to the terminal; Pillow raises an error of its own."""
    package = Path(PIL.__file__).parent
    bundled = package.parent.glob("pillow.libs/libtiff*"), package.glob(".dylibs/libtiff*")
    for library in itertools.chain(*bundled):
        with suppress(OSError, AttributeError):
            loaded = ctypes.CDLL(str(library))
            loaded.TIFFSetErrorHandler(None)
            loaded.TIFFSetWarningHandler(None)
