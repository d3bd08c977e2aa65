"""Materials: a texture pattern, two colours, gloss, glow, and how badly a Kinect sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from depthclip_core.sample.world import DATA
from depthclip_core.sample.world.textures import kind_index

T = TypeVar("T")
Colour = Sequence[int] | np.ndarray  # sRGB, 0..255

PALETTE, WOODS, MATERIALS = DATA["palette"], DATA["woods"], DATA["materials"]
CLOTH, WALLS = DATA["colours"]["cloth"], DATA["colours"]["walls"]


@dataclass(frozen=True)
class Material:
    """What a surface is made of; colours are linear RGB, 0..1."""

    kind: int  # of texture pattern
    first: tuple[float, float, float]
    second: tuple[float, float, float]
    colour: str
    word: str
    gloss: float = 0.0
    glow: float = 0.0
    blind: float = 0.0  # fraction of its pixels that a Kinect loses
    mirror: float = 0.0  # fraction of the light that it reflects as a mirror
    grain: bool = False  # the pattern's long direction follows a part's longest side


def tint(rng: np.random.Generator, word: str) -> np.ndarray:
    """The palette's colour with a jitter, sRGB 0..255, (3,)."""
    base = np.array(PALETTE[word], float)
    return (base * rng.uniform(0.88, 1.08) + rng.normal(0, 5, 3)).clip(8, 250)


def make(
    kind: str, first: Colour, second: Colour, colour: str, word: str, **more: float
) -> Material:
    """A material from a pattern's name and two sRGB colours."""
    # sRGB to linear: a plain 2.2 power.
    one, two = (tuple((np.asarray(c, float).clip(0, 255) / 255) ** 2.2) for c in (first, second))
    return Material(kind_index(kind), one, two, colour, word, **more)


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of the choices; with a single choice, no random number is drawn."""
    return choices[int(rng.integers(len(choices)))]


def draw(rng: np.random.Generator, name: str, **changes: object) -> Material:
    """A material of a kind in `world.toml`, with changes, drawn as explained there."""
    row = {"colours": CLOTH, "contrast": None} | MATERIALS[name] | changes
    kind, contrast, colours = pick(rng, row.pop("pattern")), row.pop("contrast"), row.pop("colours")
    if "first" in row:
        return make(kind, **row)
    colour = pick(rng, colours)
    if contrast:
        first = tint(rng, colour)
        return make(kind, first, first * contrast, colour, **row)
    other = pick(rng, [c for c in colours if c != colour])
    return make(kind, tint(rng, colour), tint(rng, other), colour, **row)


def wall_paint(rng: np.random.Generator) -> Material:
    """Wall paint, paler than its colour word."""
    name = pick(rng, WALLS)
    first = tint(rng, name)
    first = first + rng.uniform(0.15, 0.6) * (np.array((226, 220, 206)) - first)
    return make("plaster", first, first * 0.86, name, "painted")


def wood(rng: np.random.Generator, colours: Sequence[str] = tuple(WOODS)) -> Material:
    """Wood grain along each part's length."""
    name = pick(rng, colours)
    first, second = np.array(WOODS[name]) * rng.uniform(0.9, 1.08)
    return make("wood", first, second, name, "wooden", gloss=0.12, grain=True)


def cloth(rng: np.random.Generator) -> Material:
    """Upholstery or bedding: woven, plaid, striped or dotted."""
    kind = pick(rng, ("weave", "weave", "weave", "plaid", "stripes", "dots", "rug"))
    if kind == "weave":
        return draw(rng, "cloth")
    return draw(rng, "cloth", pattern=[kind], contrast=None)


def lit_screen(first: Colour, second: Colour, glow: float) -> Material:
    """A screen that shows text."""
    return make("print", first, second, "blue", "glass", glow=glow, blind=0.4)


def paper(rng: np.random.Generator) -> Material:
    """Printed paper."""
    sheet = tint(rng, pick(rng, ("white", "cream", "yellow", "pink", "light blue")))
    ink = tint(rng, pick(rng, ("black", "blue", "red", "dark grey")))
    return make("print", sheet, ink, "white", "paper")


def outdoors(rng: np.random.Generator, glow: float) -> Material:
    """The view through a window: bright sky and leaves."""
    sky = np.array((215, 228, 245)) if rng.random() < 0.7 else np.array((240, 240, 236))
    leaves = sky * rng.uniform(0.55, 0.95)
    return make("picture", sky, leaves, "light blue", "glass", glow=glow, blind=0.7)


def toned(material: Material, factor: float) -> Material:
    """The same material, darker or brighter: both colours scaled in linear light."""
    one, two = (tuple(c * factor for c in x) for x in (material.first, material.second))
    return replace(material, first=one, second=two)
