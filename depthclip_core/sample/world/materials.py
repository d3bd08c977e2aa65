"""Materials: a texture pattern, two colours, gloss, glow, and how badly a Kinect sees them."""

from dataclasses import dataclass, replace

import numpy as np

from depthclip_core.sample.world.textures import kind_index

Colour = tuple[int, int, int] | np.ndarray  # sRGB, 0..255
Words = tuple[str, ...]

# Colour words and their sRGB values; each use is jittered a little.
PALETTE: dict[str, tuple[int, int, int]] = {
    "white": (236, 234, 228),
    "cream": (232, 220, 192),
    "beige": (205, 186, 152),
    "yellow": (226, 192, 84),
    "orange": (214, 128, 52),
    "red": (176, 44, 42),
    "pink": (218, 150, 160),
    "purple": (112, 76, 134),
    "blue": (58, 94, 160),
    "light blue": (150, 186, 212),
    "teal": (52, 128, 128),
    "green": (84, 134, 76),
    "olive": (122, 120, 68),
    "brown": (112, 76, 48),
    "tan": (170, 130, 88),
    "grey": (140, 140, 140),
    "dark grey": (74, 76, 80),
    "black": (34, 34, 36),
}
# fmt: off
WALLS = (
    "white", "cream", "beige", "white", "light blue", "yellow", "green", "grey", "pink", "tan",
    "cream", "beige", "grey", "olive", "teal",
)
CLOTH = (
    "red", "blue", "green", "grey", "beige", "brown", "purple", "teal", "orange", "cream",
    "dark grey", "pink", "olive", "white", "light blue", "yellow",
)
BINDINGS = (
    "red", "blue", "green", "brown", "black", "white", "cream", "grey", "orange", "yellow", "teal",
    "purple", "dark grey", "tan", "light blue", "pink",
)
# fmt: on
WOODS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "tan": ((206, 168, 116), (168, 122, 74)),
    "brown": ((142, 92, 54), (96, 58, 32)),
    "dark brown": ((88, 56, 38), (54, 34, 24)),
    "orange": ((196, 128, 66), (150, 88, 40)),
    "cream": ((226, 204, 164), (196, 168, 124)),
    "white": ((232, 230, 224), (206, 202, 192)),
}


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


def linear(rgb: Colour) -> np.ndarray:
    """sRGB 0..255 to linear 0..1 (a plain 2.2 power)."""
    return (np.asarray(rgb, float).clip(0, 255) / 255) ** 2.2


def tint(rng: np.random.Generator, word: str) -> np.ndarray:
    """The palette's colour with a jitter, sRGB 0..255, (3,)."""
    base = np.array(PALETTE[word], float)
    return (base * rng.uniform(0.88, 1.08) + rng.normal(0, 5, 3)).clip(8, 250)


def make(
    kind: str, first: Colour, second: Colour, colour: str, word: str, **more: float
) -> Material:
    """A material from a pattern's name and two sRGB colours."""
    return Material(
        kind_index(kind), tuple(linear(first)), tuple(linear(second)), colour, word, **more
    )


def pick(rng: np.random.Generator, words: Words) -> str:
    """One of the words."""
    return words[int(rng.integers(len(words)))]


def plain(
    rng: np.random.Generator,
    kind: str,
    colours: Words,
    word: str,
    contrast: float = 0.75,
    **more: float,
) -> Material:
    """One of the colours, and the same darkened by ``contrast``."""
    name = pick(rng, colours)
    first = tint(rng, name)
    return make(kind, first, first * contrast, name, word, **more)


def two_tone(
    rng: np.random.Generator, kind: str, colours: Words, word: str, **more: float
) -> Material:
    """Two different colours of the list; the first names it."""
    name = pick(rng, colours)
    other = pick(rng, tuple(c for c in colours if c != name) or colours)
    return make(kind, tint(rng, name), tint(rng, other), name, word, **more)


def wall_paint(rng: np.random.Generator) -> Material:
    """Wall paint, paler than its colour word."""
    name = pick(rng, WALLS)
    first = tint(rng, name)
    first = first + rng.uniform(0.15, 0.6) * (np.array((226, 220, 206)) - first)
    return make("plaster", first, first * 0.86, name, "painted")


def wood(rng: np.random.Generator, colours: Words = tuple(WOODS)) -> Material:
    """Wood grain along each part's length."""
    name = pick(rng, colours)
    first, second = np.array(WOODS[name]) * rng.uniform(0.9, 1.08)
    return make("wood", first, second, name, "wooden", gloss=0.12, grain=True)


def painted_wood(rng: np.random.Generator, colours: Words, contrast: float = 0.85) -> Material:
    """Painted wood without visible grain."""
    return plain(rng, "smooth", colours, "wooden", contrast)


def cloth(rng: np.random.Generator) -> Material:
    """Upholstery or bedding: woven, plaid, striped or dotted."""
    kind = pick(rng, ("weave", "weave", "weave", "plaid", "stripes", "dots", "rug"))
    if kind == "weave":
        return plain(rng, kind, CLOTH, "fabric", 0.72)
    return two_tone(rng, kind, CLOTH, "fabric")


def leather(rng: np.random.Generator) -> Material:
    """Leather, dark and a bit shiny."""
    colours = ("black", "brown", "tan", "dark grey", "red", "cream")
    return plain(rng, "leather", colours, "leather", 0.7, gloss=0.25, blind=0.06)


def plastic(rng: np.random.Generator, colours: Words = CLOTH) -> Material:
    """Moulded plastic."""
    return plain(rng, "smooth", colours, "plastic", 0.85, gloss=0.25, blind=0.02)


def metal(rng: np.random.Generator, colours: Words = ("grey", "dark grey")) -> Material:
    """Brushed or painted metal."""
    return plain(rng, "metal", colours, "metal", 0.65, gloss=0.55, blind=0.3)


def steel(rng: np.random.Generator) -> Material:
    """Grey metal, for taps, handles and rails."""
    return metal(rng, ("grey",))


def enamel(
    rng: np.random.Generator, colours: Words, contrast: float, gloss: float, blind: float
) -> Material:
    """Enamelled sheet metal, for appliances."""
    return plain(rng, "smooth", colours, "metal", contrast, gloss=gloss, blind=blind)


def ceramic(
    rng: np.random.Generator, colours: Words = ("white", "white", "cream", "pink", "light blue")
) -> Material:
    """Glazed ceramic."""
    return plain(rng, "smooth", colours, "ceramic", 0.9, gloss=0.5, blind=0.05)


def stone(rng: np.random.Generator, kinds: Words, colours: Words, contrast: float) -> Material:
    """A polished worktop."""
    return plain(rng, pick(rng, kinds), colours, "stone", contrast, gloss=0.35)


def screen() -> Material:
    """A dark screen."""
    return make(
        "smooth", (20, 21, 24), (32, 34, 40), "black", "glass", gloss=0.6, blind=0.65, mirror=0.12
    )


def lit_screen(first: Colour, second: Colour, glow: float) -> Material:
    """A screen that shows text."""
    return make("print", first, second, "blue", "glass", glow=glow, blind=0.4)


def paper(rng: np.random.Generator) -> Material:
    """Printed paper."""
    sheet = tint(rng, pick(rng, ("white", "cream", "yellow", "pink", "light blue")))
    ink = tint(rng, pick(rng, ("black", "blue", "red", "dark grey")))
    return make("print", sheet, ink, "white", "paper")


def picture(rng: np.random.Generator) -> Material:
    """A painting or photograph."""
    return two_tone(rng, "picture", CLOTH, "paper", gloss=0.15)


def mirror() -> Material:
    """A mirror."""
    return make(
        "smooth", (70, 74, 76), (80, 84, 86), "grey", "glass", gloss=0.3, blind=0.85, mirror=0.85
    )


def lit(glow: float) -> Material:
    """A glowing lampshade or tube."""
    return make("smooth", (250, 240, 220), (245, 228, 200), "white", "glass", glow=glow, blind=0.3)


def outdoors(rng: np.random.Generator, glow: float) -> Material:
    """The view through a window: bright sky and leaves."""
    sky = np.array((215, 228, 245)) if rng.random() < 0.7 else np.array((240, 240, 236))
    leaves = sky * rng.uniform(0.55, 0.95)
    return make("picture", sky, leaves, "light blue", "glass", glow=glow, blind=0.7)


def toned(material: Material, factor: float) -> Material:
    """The same material, darker or brighter: both colours scaled in linear light."""
    return replace(
        material,
        first=tuple(c * factor for c in material.first),
        second=tuple(c * factor for c in material.second),
    )
