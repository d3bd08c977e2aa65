"""How nbval compares a notebook's saved output with a new one: numbers nearly, the rest exactly."""

import math
import os
import re
from tempfile import TemporaryDirectory

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


class Output(str):
    """A text that equals another by `same_output`; nbval asks only whether two texts differ."""

    def __eq__(self, other: object) -> bool:
        return same_output(self, other) if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def pytest_collection_modifyitems(items):
    """Let nbval compare texts of this kind; its `sanitize` sees each one before that."""
    from nbval.plugin import IPyNbCell

    def sanitize(self, text, exact=IPyNbCell.sanitize):
        text = exact(self, text)
        return Output(text) if isinstance(text, str) else text

    for cell in items:
        if isinstance(cell, IPyNbCell):
            cell.sanitize = sanitize.__get__(cell)
            cell.add_marker("notebook")
