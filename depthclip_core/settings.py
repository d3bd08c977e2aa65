"""What the paper fixes: words, bins, windows and constants, and their names for users."""

import math
import os
import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from importlib import resources
from numbers import Real
from pathlib import Path
from types import MappingProxyType

from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.paths import user_path

PUBLISHED = tomllib.loads(
    resources.files("depthclip_core").joinpath("published.toml").read_text(encoding="utf-8")
)
PROMPTS = MappingProxyType({name: tuple(words) for name, words in PUBLISHED["prompts"].items()})
BINS = MappingProxyType({name: tuple(bins) for name, bins in PUBLISHED["bins"].items()})
TEMPLATES: tuple[str, ...] = tuple(PUBLISHED["templates"])
OBJECT: str = PUBLISHED["object"]
PUBLISHED_METRICS: tuple[str, ...] = tuple(PUBLISHED["results"]["metrics"])
WEIGHT_FILES = frozenset({".safetensors", ".pt", ".pth", ".bin"})  # endings of their names
LOGIT_SCALE = 100.0
TEMPERATURE = 0.1
MAX_DEPTH = 10.0  # metres: NYU's far limit
MIN_DEPTH = 1e-3
DEEPEST = 100.0  # metres: half of a frame is never farther; KITTI's ground truth ends at 80
UNITS = "floating-point depths are metres; divide by 1000 if these are millimetres"
# Far from where float32 ends, also squared and summed.
BIN_LIMITS = (1e-6, 1e6)  # metres
FACTOR_LIMITS = (1e-30, 1e30)  # of what similarities or stored values are multiplied by


@dataclass(frozen=True)
class Window:
    """A rectangle of an image in pixels: rows top:bottom, columns left:right."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


RELEASED_WINDOW = Window(56, 472, 60, 604)  # what the network sees of NYU's frames: 416 x 544


def network_window(shape: tuple[int, int], crop: Window | None = None) -> Window:
    """What the network sees of an image of (H, W) pixels: the crop of its data set, else all.

    Raises `DepthClipError` for a crop that does not fit into the image.
    """
    if crop is None:
        return Window(0, shape[0], 0, shape[1])
    if not (0 <= crop.top < crop.bottom <= shape[0] and 0 <= crop.left < crop.right <= shape[1]):
        raise DepthClipError(f"{crop} does not lie in an image of {shape[0]} x {shape[1]} pixels")
    return crop


def resolve_prompts(prompts: str | Sequence[str]) -> tuple[str, ...]:
    """The K distance words.

    prompts: a published name ("original", "prompt-1" …), a list of words, or text with commas
    ("near, far").
    """
    if isinstance(prompts, str) and "," not in prompts:
        if prompts not in PROMPTS:
            raise unknown_name("prompts", prompts, PROMPTS)
        return PROMPTS[prompts]
    words = prompts.split(",") if isinstance(prompts, str) else prompts
    return check_words(tuple(map(str.strip, words)) if isinstance(prompts, str) else words)


def check_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words, if they are one or more texts that are not empty, in an order."""
    words = _in_order(words, "prompts must be a name or a list of words")
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise DepthClipError(f"prompts must be one or more non-empty words, got {words!r}")
    if odd := next((word for word in words if not _is_unicode(word)), None):
        raise DepthClipError(f"the word {odd!r} holds what is no character: write it again")
    return words


def resolve_bins(bins: str | Sequence[float], n_words: int) -> tuple[float, ...]:
    """The K bin depths in metres, one for each word.

    bins: a published name ("original", "class-dependent-1" …), a list of numbers, or text with
    commas ("1, 1.5, 2").
    """
    label, given = "the bins", bins
    if isinstance(bins, str) and "," not in bins:
        if bins not in BINS:
            raise unknown_name("bins", bins, BINS)
        label, given = f"bins {bins!r}", BINS[bins]
    elif isinstance(bins, str):
        try:
            given = tuple(map(float, bins.split(",")))
        except ValueError:
            fault = f"bins must be a name or numbers in metres, got {bins!r}"
            raise DepthClipError(fault) from None
    depths = check_bins(given)
    if len(depths) != n_words:
        fault = f"{label} have {len(depths)} depths but there are {n_words} words"
        raise DepthClipError(f"{fault}: give one bin for each word")
    return depths


def check_bins(bins: Sequence[float], partition: object = None) -> tuple[float, ...]:
    """The bins as floats, if they are metres within `BIN_LIMITS`.

    partition: the name of theirs, where there are several.
    """
    values = _in_order(bins, "bins must be a name or numbers in metres")
    got = f", got {values}" if partition is None else f": partition {partition!r} is {values}"
    if not all(isinstance(value, Real) and not isinstance(value, bool) for value in values):
        raise DepthClipError(f"bins must be a name or numbers in metres{got}")
    low, high = BIN_LIMITS
    if not all(0 < value < math.inf for value in values):
        raise DepthClipError(f"bins must be positive, finite metres{got}")
    if not all(low <= value <= high for value in values):
        raise DepthClipError(f"bins must be metres from {low:g} to {high:g}{got}")
    if 2 * sum(value > DEEPEST for value in values) > len(values):
        raise DepthClipError(f"more than half of the bins lie beyond {DEEPEST:g} m{got}: {UNITS}")
    return tuple(map(float, values))


def logit_factor(temperature: float, logit_scale: float = LOGIT_SCALE) -> float:
    """What similarities are multiplied by, logit_scale / temperature.

    Raises `DepthClipError` unless both are positive, finite numbers, and it is in `FACTOR_LIMITS`.
    """
    given = {"temperature": temperature, "logit_scale": logit_scale}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise DepthClipError(f"{name} must be a number, got {value!r}")
        if not 0 < value < math.inf:
            raise DepthClipError(f"{name} must be positive and finite, got {value}")
    try:
        factor = float(logit_scale) / float(temperature)
    except OverflowError:  # a whole number beyond all floats
        factor = math.inf
    low, high = FACTOR_LIMITS
    if not low <= factor <= high:
        limits = f"logit_scale / temperature lies between {low:g} and {high:g}"
        got = f"{temperature} with logit_scale {logit_scale}"
        raise DepthClipError(f"temperature must be positive and finite, got {got}: {limits}")
    return factor


def _in_order(values: Sequence, wanted: str) -> tuple:
    """Some values as a tuple; `DepthClipError` for what has no order, or is one value."""
    values = values.tolist() if hasattr(values, "tolist") else values  # of NumPy or torch
    if isinstance(values, str | bytes | Set | Mapping):
        raise DepthClipError(f"{wanted}, got {values!r}")
    try:
        return tuple(values)
    except TypeError:
        raise DepthClipError(f"{wanted}, got {values!r}") from None


def _is_unicode(text: str) -> bool:
    """Whether a text can be encoded: bytes that do not decode become half characters in Python."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def published_name(values: Sequence, published: Mapping[str, Sequence]) -> str:
    """The name under which words or bins are published; "given" for any others."""
    return next((name for name, own in published.items() if tuple(own) == tuple(values)), "given")


def data_folder() -> Path:
    """Where data sets lie: $DEPTHCLIP_DATA, else data/ of this checkout, else ./data."""
    return _folder("DEPTHCLIP_DATA") or (checkout_folder() or Path.cwd()) / "data"


def checkout_folder() -> Path | None:
    """The workbook's folder, where the package is used from a checkout of it."""
    folder = Path(__file__).resolve().parents[1]
    return folder if (folder / "pyproject.toml").is_file() else None


def store_folder() -> Path:
    """Where what networks left is kept: $DEPTHCLIP_STORE, else store/ in the data folder."""
    return _folder("DEPTHCLIP_STORE") or data_folder() / "store"


def figures_folder() -> Path:
    """Where figures are saved: $DEPTHCLIP_FIGURES, else results/figures of the checkout or here."""
    return _folder("DEPTHCLIP_FIGURES") or (checkout_folder() or Path.cwd()) / "results/figures"


def _folder(variable: str) -> Path | None:
    chosen = os.environ.get(variable)
    return user_path(chosen) if chosen else None
