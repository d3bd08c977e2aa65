"""What the paper fixes: words, bins, windows and constants, and their names for users."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from depthclip_core.errors import DepthClipError, unknown_name

PUBLISHED = tomllib.loads(
    resources.files("depthclip_core").joinpath("published.toml").read_text(encoding="utf-8")
)
PROMPTS = MappingProxyType({name: tuple(words) for name, words in PUBLISHED["prompts"].items()})
BINS = MappingProxyType({name: tuple(bins) for name, bins in PUBLISHED["bins"].items()})
TEMPLATES: tuple[str, ...] = tuple(PUBLISHED["templates"])
OBJECT: str = PUBLISHED["object"]
PUBLISHED_METRICS: tuple[str, ...] = tuple(PUBLISHED["results"]["metrics"])
LOGIT_SCALE = 100.0
TEMPERATURE = 0.1
MAX_DEPTH = 10.0  # metres: NYU's far limit
MIN_DEPTH = 1e-3


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
    try:
        words = tuple(map(str.strip, prompts.split(",")) if isinstance(prompts, str) else prompts)
    except TypeError:
        fault = f"prompts must be a name or a list of words, got {prompts!r}"
        raise DepthClipError(fault) from None
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise DepthClipError(f"prompts must be one or more non-empty words, got {words!r}")
    return words


def resolve_bins(bins: str | Sequence[float], n_words: int) -> tuple[float, ...]:
    """The K bin depths in metres, one for each word.

    bins: a published name ("original", "class-dependent-1" …), a list of numbers, or text with
    commas ("1, 1.5, 2").
    """
    label = "the bins"
    if isinstance(bins, str) and "," not in bins:
        if bins not in BINS:
            raise unknown_name("bins", bins, BINS)
        depths, label = BINS[bins], f"bins {bins!r}"
    else:
        try:
            depths = tuple(map(float, bins.split(",") if isinstance(bins, str) else bins))
        except (TypeError, ValueError):
            fault = f"bins must be a name or numbers in metres, got {bins!r}"
            raise DepthClipError(fault) from None
    if not all(0 < depth < float("inf") for depth in depths):
        raise DepthClipError(f"bins must be positive, finite metres, got {depths}")
    if len(depths) != n_words:
        fault = f"{label} have {len(depths)} depths but there are {n_words} words"
        raise DepthClipError(f"{fault}: give one bin for each word")
    return depths


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
    return Path(chosen).expanduser() if chosen else None
