"""Pictures of every mode that Pillow opens → RGB of 8 bits, each by the range of its values."""

import numpy as np
from PIL import Image

from depthclip_core.errors import DepthClipError

LARGEST_16, LARGEST_32 = 2**16 - 1, 2**31 - 1  # of what Pillow keeps as whole numbers
OVERSHOOT = 0.1  # by which filters leave the range of their picture


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode as RGB of 8 bits; what is transparent is seen on white, as on a page.

    Grey levels of 16 bits are divided by 257. Of 32 bits, whole numbers take the range of 16 bits
    if they fit into it (so Pillow keeps PGM) and else that of 31. Floats take 0 to 1, 255 or 65535,
    the first that holds all of them but for a tenth. Raises `DepthClipError` for floats that are
    beyond any of these, or not finite.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey(picture).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    if picture.mode == "La":  # Pillow converts premultiplied grey to nothing else
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
        raise DepthClipError("it has grey levels that are no numbers: save it with 8 or 16 bits")
    ranges = (1, 255, LARGEST_16) if mode == "F" else (LARGEST_16, LARGEST_32)
    largest = levels.max(initial=0)
    for white in ranges:
        if largest <= white * (1 + OVERSHOOT):
            return white
    raise DepthClipError(
        f"its grey levels reach {largest:g}, which no photograph has: save it with 8 or 16 bits"
    )
