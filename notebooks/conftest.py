"""How nbval compares a notebook's saved output with a new one: numbers nearly, words exactly.

Pictures, which nbval leaves out, are compared by the words in them and by their colours.
"""

import math
import os
import re
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

if "PYTEST_XDIST_WORKER" in os.environ:  # kernels inherit this: two workers, two threads
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Kernels draw there: comparing notebooks leaves the project's own figures alone.
drawn = TemporaryDirectory(prefix="depthclip-figures-")
os.environ["DEPTHCLIP_FIGURES"] = drawn.name

# Processors differ in a float's last digits, so two numbers agree if they are no further apart than
# the larger of these: a share of them, or so many units of the last digit that is printed, which
# are no more than ABSOLUTE. Whole numbers, which count things, must be the same.
RELATIVE = 2e-3
LAST_DIGIT = 2
ABSOLUTE = 2e-3

NUMBER = re.compile(
    r"""(?<![\w.])[-+\u2212]?      # a sign, but not the hyphen of 3-5
        (?:(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?(?!\.?\d) | (?:nan|inf)\b)""",
    re.VERBOSE | re.IGNORECASE,
)
WHOLE = re.compile(r"[-+\u2212]?\d+")
# What differs between two runs and means nothing: addresses, and the ids of styled tables.
CHANCE = [(re.compile(r"\b0x[0-9a-fA-F]+"), "0x"), (re.compile(r"\bT_[0-9a-f]{5}"), "T_")]
# Pictures are compared as means of blocks, in pixels. On another processor an edge may be drawn a
# pixel further, which changes the mean of a block by up to an eighth of 255; and a saved picture
# has 256 colours, which moves a mean by up to 13. Sizes in pixels may differ by as much as SIZE.
BLOCK = 8
LEVELS = 255 / BLOCK + 13
SIZE = 2


def same_number(left: str, right: str) -> bool:
    """Whether two numbers, as printed, agree; nan agrees with nan."""
    a, b = (float(text.replace("\u2212", "-")) for text in (left, right))
    if WHOLE.fullmatch(left) and WHOLE.fullmatch(right):
        return a == b
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    absolute = min(ABSOLUTE, LAST_DIGIT * max(last_digit(left), last_digit(right)))
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=absolute)


def last_digit(number: str) -> float:
    """What one unit of a printed number's last digit is: 0.01 of 1.25, 1 of 12, 1e-5 of 1.2e-4."""
    mantissa, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def same_output(left: str, right: str) -> bool:
    """Whether two outputs (plain text or HTML) have the same words and nearly the same numbers.

    How much white space there is, and how long a printed rule is, does not count: a table's columns
    grow with their digits.
    """
    for pattern, replacement in CHANCE:
        left, right = pattern.sub(replacement, left), pattern.sub(replacement, right)
    numbers = [NUMBER.findall(text) for text in (left, right)]
    words = [
        [" ".join(re.sub(r"([-=─])\1{2,}", r"\1\1\1", part).split()) for part in NUMBER.split(text)]
        for text in (left, right)
    ]
    return words[0] == words[1] and all(map(same_number, *numbers))


def picture_fault(saved: Sequence, new: Sequence) -> str:
    """How the pictures among the outputs of a cell differ from the saved ones; empty if nearly not.

    Their words are in their metadata: what they show, and every text that was drawn.
    """
    shown = [[o for o in outputs if "image/png" in o.get("data", {})] for outputs in (saved, new)]
    if len(shown[0]) != len(shown[1]):
        return f"{len(shown[1])} pictures instead of {len(shown[0])}"
    for left, right in zip(*shown, strict=True):
        words = [repr(output.get("metadata", {}).get("image/png", {})) for output in (left, right)]
        if not same_output(*words):
            return f"a picture's words, saved and new:\n{words[0]}\n{words[1]}"
        pixels = [_pixels(output["data"]["image/png"]) for output in (left, right)]
        sizes = [picture.shape[:2] for picture in pixels]
        if np.abs(np.subtract(*sizes)).max() > SIZE:
            return f"a picture has {sizes[1]} rows and columns instead of {sizes[0]}"
        means = [_means(picture, np.min(sizes, axis=0)) for picture in pixels]
        far = np.abs(np.subtract(*means)).max(-1)
        if far.max() > LEVELS:
            at = np.multiply(np.unravel_index(far.argmax(), far.shape), BLOCK)
            return f"a picture has other colours, most at row {at[0]} and column {at[1]}"
    return ""


def _pixels(png: str) -> np.ndarray:
    """A PNG file in base64 as colours on white (H, W, 3)."""
    picture = Image.open(BytesIO(b64decode(png))).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"), dtype=float)


def _means(pixels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The mean colours (h, w, 3) of the blocks of the upper left part of that size."""
    rows, columns = (int(length) // BLOCK for length in size)
    part = pixels[: rows * BLOCK, : columns * BLOCK]
    return part.reshape(rows, BLOCK, columns, BLOCK, 3).mean((1, 3))


class Output(str):
    """A text that equals another by `same_output`; nbval asks only whether two texts differ."""

    def __eq__(self, other: object) -> bool:
        return same_output(self, other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_collection_modifyitems(items):
    """Let nbval compare pictures, and texts of this kind: its `sanitize` sees each one first."""
    from nbval.plugin import IPyNbCell

    def sanitize(self, text, exact=IPyNbCell.sanitize):
        text = exact(self, text)
        return Output(text) if isinstance(text, str) else text

    def compare_outputs(self, new, saved, skip_compare=None, exact=IPyNbCell.compare_outputs):
        same = exact(self, new, saved, skip_compare)
        if same and (fault := picture_fault(saved, new)):
            self.comparison_traceback.append(f"{fault}\n`make refresh` draws it again")
            return False
        return same

    for cell in items:
        if isinstance(cell, IPyNbCell):
            cell.sanitize = sanitize.__get__(cell)
            cell.compare_outputs = compare_outputs.__get__(cell)
            cell.add_marker("notebook")
