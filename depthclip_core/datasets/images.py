"""Images of any mode that Pillow opens → 8-bit RGB, scaled by the range of their values."""

import numpy as np
from PIL import Image

from depthclip_core.errors import DepthClipError

LARGEST_16, LARGEST_32 = 2**16 - 1, 2**31 - 1  # of Pillow's integer modes
OVERSHOOT = 0.1  # resampling filters overshoot the range


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
    levels = np.asarray(picture).astype(np.float64)
    white = _range(picture.mode, levels)
    grey = np.rint(255 * (levels / white).clip(0, 1)).astype(np.uint8)
    transparent = picture.info.get("transparency")  # one grey level, in PNG
    if isinstance(transparent, int):
        grey = np.where(levels == transparent, np.uint8(255), grey)
    return Image.fromarray(grey)


def _range(mode: str, levels: np.ndarray) -> float:
    """The level that means white."""
    if mode.startswith("I;16"):
        return LARGEST_16
    if not np.isfinite(levels).all():
        raise DepthClipError("it has grey levels that are not finite: save it with 8 or 16 bits")
    ranges = (1, 255, LARGEST_16) if mode == "F" else (LARGEST_16, LARGEST_32)
    largest = levels.max(initial=0)
    for white in ranges:
        if largest <= white * (1 + OVERSHOOT):
            return white
    raise DepthClipError(
        f"its grey levels reach {largest:g}, beyond any known range: save it with 8 or 16 bits"
    )
