"""Protocols as compositions of switches: what is scored, where, and how it is averaged."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from itertools import product
from types import MappingProxyType

from depthclip_core.crops import CROPS, crops_for
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import MAX_DEPTH, MIN_DEPTH

# The named options of each switch, and what they mean.
OPTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "truth": {
            "raw": "depth as measured",
            "filled": "depth with its holes filled",
            "millimetres": "measured depth, cut to whole millimetres",
        },
        "place": {
            "by size": "a map covers what its size says: the frame, or a crop of that size",
            **{name: f"a map covers the crop {name!r} of the frame" for name in CROPS},
        },
        "resize": {
            "map, corners aligned": "the map is resized to the truth, bilinear, corners aligned",
            "map, bilinear": "the map is resized to the truth, bilinear, pixel centres aligned",
            "map, nearest": "the map is resized to the truth, nearest pixel",
            "truth, bilinear": "the truth is resized to the map, bilinear, with its holes as zeros",
            "truth, nearest": "the truth is resized to the map, nearest pixel",
        },
        "crop": {name: f"pixels of the crop {name!r} count" for name in CROPS},
        "valid": {
            "between": "true depth between the limits counts",
            "measured": "all measured depth counts, clipped to the limits",
            "all": "holes count too, as if they were at the near limit",
        },
        "align": {
            "none": "depth as predicted",
            "median": "depth is scaled so that the medians agree",
            "least squares": "depth is scaled and shifted by least squares",
            "disparity": "inverse depth is scaled and shifted by least squares",
        },
        "over": {
            "image": "the alignment is each image's own",
            "set": "one alignment for all images",
        },
        "clamp": {
            "after": "predictions are clamped to the limits, after any alignment",
            "before": "predictions are clamped before the alignment alone",
            "none": "predictions are not clamped",
        },
        "average": {
            "image": "the mean of the images' scores",
            "nan-mean": "the mean of the images' scores that are numbers",
            "pixels": "the mean over the pixels of all images",
        },
        "flip": {
            "as saved": "the maps as saved",
            "averaged": "the mean of a map and that of the mirror image, turned back",
        },
    }
)
LIMITS = ("min_depth", "max_depth")


@dataclass(frozen=True)
class Composition:
    """How depth maps are scored, one field a switch; `OPTIONS` says what each option means.

    min_depth, max_depth: the limits, metres. A pixel without a prediction (0 or NaN) never counts,
    nor does one outside the part of the frame that a map covers. A prediction that an unclamped
    alignment makes negative counts, as in the code that does so: its logarithm is NaN. A single
    median for a set is the median over images of each image's ratio of medians, as in monodepth.
    """

    truth: str = "raw"
    place: str = "by size"
    resize: str = "map, corners aligned"
    crop: str = "none"
    valid: str = "between"
    min_depth: float = MIN_DEPTH
    max_depth: float = MAX_DEPTH
    align: str = "none"
    over: str = "image"
    clamp: str = "after"
    average: str = "image"
    flip: str = "as saved"

    def __post_init__(self) -> None:
        for switch, options in OPTIONS.items():
            if (option := getattr(self, switch)) not in options:
                raise unknown_name(f"option of the switch {switch!r}", option, options)
        near, far = self.min_depth, self.max_depth
        if not all(isinstance(limit, int | float) for limit in (near, far)) or not 0 < near < far:
            raise DepthClipError(
                f"limits of depth must be 0 < near < far metres, not {near}, {far}"
            )

    @property
    def canonical(self) -> "Composition":
        """The same composition with the options that cannot matter at their defaults."""
        if self.align != "none":
            return self
        return replace(self, over="image", clamp="after" if self.clamp == "before" else self.clamp)

    def changes(self, other: "Composition") -> dict[str, tuple]:
        """The switches that differ, each with its option here and there."""
        pairs = {s: (getattr(self, s), getattr(other, s)) for s in SWITCHES}
        return {switch: pair for switch, pair in pairs.items() if pair[0] != pair[1]}

    def fits(self, shape: tuple[int, int]) -> bool:
        """Whether its crops are in use for frames of this shape (H, W)."""
        return {self.crop, self.place} <= {"by size", *crops_for(shape)}


SWITCHES = tuple(field.name for field in fields(Composition))


@dataclass(frozen=True)
class Named:
    """A composition that somebody uses, with what it is called and where it is stated.

    data: "nyu", "kitti", or "any".
    """

    name: str
    title: str
    source: str
    data: str
    composition: Composition


def _named() -> dict[str, Named]:
    text = resources.files(__package__).joinpath("compositions.toml").read_text(encoding="utf-8")
    found = {}
    for name, entry in tomllib.loads(text).items():
        about = {key: entry.pop(key) for key in ("title", "source", "data")}
        base = found[entry.pop("like")].composition if "like" in entry else Composition()
        found[name] = Named(name, **about, composition=replace(base, **entry))
    return found


NAMED: Mapping[str, Named] = MappingProxyType(_named())


def resolve_composition(protocol: "str | Composition") -> Composition:
    """The composition of that name, or the given one; `DepthClipError` for an unknown name."""
    if isinstance(protocol, Composition):
        return protocol
    if not isinstance(protocol, str) or protocol not in NAMED:
        raise unknown_name("protocol", protocol, NAMED)
    return NAMED[protocol].composition


def named_for(shape: tuple[int, int], max_depth: float | None = None) -> dict[str, Composition]:
    """The named compositions that fit frames of a shape, by name.

    max_depth: of the data set; those with another far limit that is not "any" data's are left out,
    and "any" data's take it.
    """
    chosen = {}
    for name, entry in NAMED.items():
        composition = entry.composition
        if entry.data == "any" and max_depth:
            composition = replace(composition, max_depth=max_depth)
        of_data = max_depth is None or entry.data == "any" or composition.max_depth <= max_depth
        if of_data and composition.fits(shape):
            chosen[name] = composition
    return chosen


def nearest_name(composition: Composition, named: Mapping[str, Composition]) -> tuple[str, dict]:
    """The named composition with the fewest switches that differ, and those switches."""
    away = {name: other.canonical.changes(composition) for name, other in named.items()}
    name = min(away, key=lambda name: len(away[name]))
    return name, away[name]


def space(**switches: Sequence) -> Iterator[Composition]:
    """Every combination of the given options, each composition once; other switches at defaults.

    Raises `DepthClipError` for unknown switches and options.
    """
    if unknown := next((name for name in switches if name not in SWITCHES), None):
        raise unknown_name("switch", unknown, SWITCHES)
    made = (Composition(**dict(zip(switches, options, strict=True))).canonical
            for options in product(*switches.values()))  # fmt: skip
    yield from dict.fromkeys(made)


def as_text(composition: Composition) -> str:
    """Every switch and its option on one line: "truth raw; crop eigen-nyu; …"."""
    return "; ".join(f"{switch} {option}" for switch, option in asdict(composition).items())
