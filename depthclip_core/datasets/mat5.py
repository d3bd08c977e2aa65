"""Lists of numbers and of texts in MATLAB files of version 5.

SciPy's reader is not used: it believes the sizes that a file states, and ends the process at
damaged types. Here every size is compared with the bytes that are there, and compressed parts are
unpacked within a bound. The format: MathWorks, "MAT-File Level 5 File Format".
"""

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthclip_core.datasets.incoming import other_content, read_file, reason
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

MOST_BYTES = 2**24  # of a file; NYU's splits.mat has 2,626, SUN RGB-D's allsplit.mat about 10**6
MOST_UNPACKED = 2**26
HEADER = 128
MATRIX, COMPRESSED = 14, 15  # types of elements, beside those of numbers and of characters
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELLS, CHARACTERS, NUMBERS = 1, 4, range(6, 16)  # classes of arrays
COMPLEX, LOGICAL = 0x800, 0x200
DEEPEST = 3  # cells in cells


@dataclass(frozen=True)
class Variable:
    """An array: its name, class, flags and sizes, and the elements that follow these."""

    name: str
    kind: int
    flags: int
    shape: tuple[int, ...]
    parts: Iterator[tuple[int, memoryview]]


def read_numbers(path: Path, key: str, what: str) -> np.ndarray:
    """A variable that is a vector of real numbers; what: the file that is wanted, for errors.

    Raises `DepthClipError` for a file that is missing, damaged or too large, without the variable,
    or in which it is no such vector.
    """
    with _told(path):
        variable, order = _found(path, key, what)
        if variable.kind not in NUMBERS or variable.flags & COMPLEX:
            raise DepthClipError(f"{path}: {key} holds no whole numbers: it is not {what}")
        if variable.flags & LOGICAL:
            hint = "list the numbers of the frames, with find in MATLAB"
            raise DepthClipError(f"{path}: {key} is a mask, not a list of numbers: {hint}")
        if len(variable.shape) != 2 or 1 not in variable.shape or 0 in variable.shape:
            raise DepthClipError(f"{path}: {key} is of shape {variable.shape}, not a list")
        kind, part = next(variable.parts, (0, memoryview(b"")))
        if kind not in TYPES:
            raise ValueError(f"its numbers are of type {kind}")
        values = np.frombuffer(part, order + TYPES[kind])
        if values.size != math.prod(variable.shape):
            raise ValueError(f"it has {values.size} numbers for the size {variable.shape}")
        return values


def read_texts(path: Path, key: str, what: str) -> list[str]:
    """A variable of cells with a text each; errors as for `read_numbers`."""
    with _told(path):
        variable, order = _found(path, key, what)
        if variable.kind != CELLS:
            raise DepthClipError(f"{path}: {key} does not hold cells of text: it is not {what}")
        texts = [_text(part, order) for _, part in variable.parts]
        if len(texts) != math.prod(variable.shape):
            raise ValueError(f"it has {len(texts)} cells for the size {variable.shape}")
        return texts


def frame_indices(numbers: np.ndarray, n_frames: int, label: str) -> np.ndarray:
    """Numbers of frames counted from 1 → from 0, int64.

    Raises `DepthClipError` for what is no list of different whole numbers from 1 to n_frames.
    """
    if not (np.isfinite(numbers) & (numbers == np.floor(numbers))).all():
        raise DepthClipError(f"{label} does not hold whole numbers: it is no list of frames")
    if numbers.size == n_frames > 2 and np.isin(numbers, (0, 1)).all():
        hint = "list the numbers of the frames"
        raise DepthClipError(f"{label} is a mask of 0 and 1, not a list of numbers: {hint}")
    lowest, highest = numbers.min(), numbers.max()
    if lowest < 1:
        raise DepthClipError(f"{label} names frame {lowest:.0f}, but frames are counted from 1")
    if highest > n_frames:
        has = f"but the data set has {n_frames}"
        raise DepthClipError(f"{label} names frame {highest:.10g}, {has}")
    several, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        twice = f"{label} names frame {several[counts > 1][0]:.0f} more than once"
        raise DepthClipError(f"{twice}: list each frame once")
    return numbers.astype(np.int64) - 1


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise a `DepthClipError` for whatever a damaged file leads to."""
    try:
        yield
    except DepthClipError:
        raise
    except (ValueError, struct.error, zlib.error) as error:
        raise DepthClipError(f"cannot read {path}: it is damaged: {reason(error)}") from error


def _found(path: Path, key: str, what: str) -> tuple[Variable, str]:
    """The first variable of a name, and the file's byte order."""
    content = read_file(path, what, MOST_BYTES)
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
    if order is None:
        found = other_content(content[:HEADER])
        found = f", but {found}" if found else ""
        hint = "save it in MATLAB with -v7"
        raise DepthClipError(
            f"cannot read {path}: it is not a MATLAB file of version 5{found}: {hint}"
        )
    for array in _arrays(memoryview(content)[HEADER:], order):
        variable = _variable(array, order)
        if variable.name == key:
            return variable, order
    raise DepthClipError(f"{path} has no {key}: not {what}")


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element; ValueError where one ends beyond what there is."""
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        start = at + 8
        if kind >> 16:  # a small element: size and type in four bytes, content in the next four
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if start + size > len(content):
            raise ValueError(f"a part of {size} bytes has only {len(content) - start}")
        yield kind, content[start : start + size]
        at = start + size
        if kind != COMPRESSED:
            at += -at % 8


def _arrays(content: memoryview, order: str) -> Iterator[memoryview]:
    """The file's arrays, unpacked."""
    left = MOST_UNPACKED
    for kind, part in _elements(content, order):
        if kind == COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(part, left + 1)
            left -= len(unpacked)
            if left < 0:
                raise ValueError(f"it unpacks to more than {MOST_UNPACKED:,} bytes")
            if not unpacker.eof:
                raise ValueError("a compressed part is cut off")
            kind, part = next(_elements(memoryview(unpacked), order), (0, part))
        if kind == MATRIX:
            yield part


def _variable(array: memoryview, order: str) -> Variable:
    parts = _elements(array, order)
    head = [part for _, part in itertools.islice(parts, 3)]
    if len(head) < 3 or len(head[0]) != 8 or len(head[1]) % 4:
        raise ValueError("an array has no sizes")
    flags = struct.unpack(f"{order}I", head[0][:4])[0]
    shape = struct.unpack(f"{order}{len(head[1]) // 4}i", head[1])
    return Variable(str(head[2], "latin-1"), flags & 0xFF, flags, shape, parts)


def _text(array: memoryview, order: str, depth: int = 0) -> str:
    """The text of a cell, or of a cell in a cell."""
    variable = _variable(array, order)
    kind, part = next(variable.parts, (0, memoryview(b"")))
    if variable.kind == CELLS and kind == MATRIX and depth < DEEPEST:
        return _text(part, order, depth + 1)
    if variable.kind != CHARACTERS or kind not in ENCODINGS:
        raise ValueError("a cell holds no text")
    ends = {"<": "-le", ">": "-be"}[order] if ENCODINGS[kind] in ("utf-16", "utf-32") else ""
    return printable(str(part, ENCODINGS[kind] + ends))
