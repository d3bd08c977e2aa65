"""Materials: a pattern, two colours, a gloss, a glow, and how badly a Kinect sees it."""

from dataclasses import dataclass, replace

import numpy as np

from depthclip_core.sample.world.textures import kind_index

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
WALLS = (
    "white",
    "cream",
    "beige",
    "white",
    "light blue",
    "yellow",
    "green",
    "grey",
    "pink",
    "tan",
    "cream",
    "beige",
    "grey",
    "olive",
    "teal",
)
CLOTH = (
    "red",
    "blue",
    "green",
    "grey",
    "beige",
    "brown",
    "purple",
    "teal",
    "orange",
    "cream",
    "dark grey",
    "pink",
    "olive",
    "white",
    "light blue",
    "yellow",
)
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

    kind: int
    first: tuple[float, float, float]
    second: tuple[float, float, float]
    colour: str
    word: str
    gloss: float = 0.0
    glow: float = 0.0
    blind: float = 0.0  # share of its pixels that a Kinect loses
    mirror: float = 0.0  # share of the light that it reflects as a mirror
    grain: bool = False  # the pattern's long direction follows a part's longest side


def linear(rgb: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """sRGB 0..255 to linear 0..1 (a plain 2.2 power)."""
    return (np.asarray(rgb, float).clip(0, 255) / 255) ** 2.2


def tint(rng: np.random.Generator, word: str) -> np.ndarray:
    """The palette's colour with a jitter, sRGB 0..255, (3,)."""
    base = np.array(PALETTE[word], float)
    return (base * rng.uniform(0.88, 1.08) + rng.normal(0, 5, 3)).clip(8, 250)


def make(
    kind: str, first: np.ndarray, second: np.ndarray, colour: str, word: str, **more: float
) -> Material:
    """A material from a pattern's name and two sRGB colours."""
    return Material(
        kind_index(kind), tuple(linear(first)), tuple(linear(second)), colour, word, **more
    )


def pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    """One of the words."""
    return words[int(rng.integers(len(words)))]


def plain(
    rng: np.random.Generator,
    kind: str,
    colours: tuple[str, ...],
    word: str,
    contrast: float = 0.75,
    **more: float,
) -> Material:
    """One colour and a darker or lighter version of itself; wall paint is paler than its word."""
    name = pick(rng, colours)
    first = tint(rng, name)
    if colours is WALLS:
        first = first + rng.uniform(0.15, 0.6) * (np.array((226, 220, 206)) - first)
    second = first * contrast if contrast <= 1 else 255 - (255 - first) / contrast
    return make(kind, first, second, name, word, **more)


def two_tone(
    rng: np.random.Generator, kind: str, colours: tuple[str, ...], word: str, **more: float
) -> Material:
    """Two different colours of the list; the first names it."""
    name = pick(rng, colours)
    other = pick(rng, tuple(c for c in colours if c != name) or colours)
    return make(kind, tint(rng, name), tint(rng, other), name, word, **more)


def wood(rng: np.random.Generator, colours: tuple[str, ...] = tuple(WOODS)) -> Material:
    """Wood grain along each part's length."""
    name = pick(rng, colours)
    first, second = WOODS[name]
    jitter = rng.uniform(0.9, 1.08)
    return make(
        "wood",
        np.array(first) * jitter,
        np.array(second) * jitter,
        name,
        "wooden",
        gloss=0.12,
        grain=True,
    )


def cloth(rng: np.random.Generator, colours: tuple[str, ...] = CLOTH) -> Material:
    """Upholstery or bedding: woven, plaid, striped or dotted."""
    kind = pick(rng, ("weave", "weave", "weave", "plaid", "stripes", "dots", "rug"))
    if kind == "weave":
        return plain(rng, kind, colours, "fabric", 0.72)
    return two_tone(rng, kind, colours, "fabric")


def leather(rng: np.random.Generator) -> Material:
    """Leather, dark and a bit shiny."""
    return plain(
        rng,
        "leather",
        ("black", "brown", "tan", "dark grey", "red", "cream"),
        "leather",
        0.7,
        gloss=0.25,
        blind=0.06,
    )


def plastic(rng: np.random.Generator, colours: tuple[str, ...] = CLOTH) -> Material:
    """Moulded plastic."""
    return plain(rng, "smooth", colours, "plastic", 0.85, gloss=0.25, blind=0.02)


def metal(rng: np.random.Generator, colours: tuple[str, ...] = ("grey", "dark grey")) -> Material:
    """Brushed or painted metal."""
    return plain(rng, "metal", colours, "metal", 0.65, gloss=0.55, blind=0.3)


def ceramic(
    rng: np.random.Generator,
    colours: tuple[str, ...] = ("white", "white", "cream", "pink", "light blue"),
) -> Material:
    """Glazed ceramic."""
    return plain(rng, "smooth", colours, "ceramic", 0.9, gloss=0.5, blind=0.05)


def screen(rng: np.random.Generator) -> Material:
    """A dark screen."""
    return make(
        "smooth",
        np.array((20, 21, 24)),
        np.array((32, 34, 40)),
        "black",
        "glass",
        gloss=0.6,
        blind=0.65,
        mirror=0.12,
    )


def paper(rng: np.random.Generator) -> Material:
    """Printed paper."""
    return make(
        "print",
        tint(rng, pick(rng, ("white", "cream", "yellow", "pink", "light blue"))),
        tint(rng, pick(rng, ("black", "blue", "red", "dark grey"))),
        "white",
        "paper",
    )


def picture(rng: np.random.Generator) -> Material:
    """A painting or photograph."""
    return two_tone(rng, "picture", CLOTH, "paper", gloss=0.15)


def mirror() -> Material:
    """A looking glass."""
    return make(
        "smooth",
        np.array((70, 74, 76)),
        np.array((80, 84, 86)),
        "grey",
        "glass",
        gloss=0.3,
        blind=0.85,
        mirror=0.85,
    )


def lit(rng: np.random.Generator, strength: float = 2.2) -> Material:
    """A lamp's shade or tube, glowing."""
    return make(
        "smooth",
        np.array((250, 240, 220)),
        np.array((245, 228, 200)),
        "white",
        "glass",
        glow=strength,
        blind=0.3,
    )


def outdoors(rng: np.random.Generator, strength: float) -> Material:
    """What is seen through a pane: bright sky and leaves."""
    sky = np.array((215, 228, 245)) if rng.random() < 0.7 else np.array((240, 240, 236))
    return make(
        "picture",
        sky,
        sky * rng.uniform(0.55, 0.95),
        "light blue",
        "glass",
        glow=strength,
        blind=0.7,
    )


def darker(material: Material, factor: float) -> Material:
    """The same material with both colours scaled in linear light."""
    return replace(
        material,
        first=tuple(c * factor for c in material.first),
        second=tuple(c * factor for c in material.second),
    )
