"""Smaller pictures in saved notebooks: 256 colours are enough, in a third of the bytes."""

from base64 import b64decode, b64encode
from io import BytesIO

from nbconvert.preprocessors import Preprocessor
from PIL import Image

COLOURS = 256


class SmallPictures(Preprocessor):
    """For nbconvert: give every PNG output a palette of its own."""

    def preprocess_cell(self, cell, resources, index):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = b64encode(small(b64decode(data["image/png"]))).decode()
        return cell, resources


def small(png: bytes) -> bytes:
    """The same picture on white with 256 colours; the given bytes if they are fewer.

    The colours are spread over all that occur, not chosen by how often they do: a colour bar is a
    small part of a picture, and must keep its own.
    """
    picture = Image.open(BytesIO(png)).convert("RGBA")
    opaque = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    file = BytesIO()
    spread = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
    opaque.quantize(COLOURS, **spread).save(file, "PNG", optimize=True)
    return min(png, file.getvalue(), key=len)
