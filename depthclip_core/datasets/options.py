"""Options of data sets, checked: they come from .toml files as well as from Python."""

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

from depthclip_core.errors import DepthClipError
from depthclip_core.settings import FACTOR_LIMITS


def text_options(options: Mapping[str, object]) -> None:
    """Raise `DepthClipError` for the first option that is neither text nor None."""
    for name, value in options.items():
        if not isinstance(value, str | None):
            raise DepthClipError(f"{name} is text, not {value!r}")


def number_option(name: str, value: object, wanted: str) -> float:
    """A positive, finite number that float32 can carry; `wanted` says in an error what it is."""
    low, high = FACTOR_LIMITS
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not good or not low <= value <= high:
        raise DepthClipError(f"{name} is {wanted}, not {value!r}")
    return float(value)


def numbers_option(name: str, values: object, wanted: str) -> list[float]:
    """A list of numbers."""
    good = isinstance(values, Sequence | set | np.ndarray) and not isinstance(values, str)
    if not good or any(isinstance(v, str | bool | Sequence | Mapping) for v in values):
        raise DepthClipError(f"{name} is {wanted}, not {values!r}")
    return list(values)


def whole_option(name: str, value: object, allowed: range) -> int:
    """A whole number of a range."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        wanted = f"a whole number from {allowed.start} to {allowed.stop - 1}"
        raise DepthClipError(f"{name} is {wanted}, not {value!r}")
    return value


def shape_option(shape: object) -> tuple[int, int] | None:
    """Height and width in pixels, or None."""
    if shape is None:
        return None
    sides = numbers_option("shape", shape, "height and width in pixels, such as [480, 640]")
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise DepthClipError(
            f"shape is height and width in pixels, such as [480, 640], not {shape}"
        )
    return tuple(sides)
