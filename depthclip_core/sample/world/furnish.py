"""What every layout uses: shells, floors, and the things that fill any room."""

import numpy as np

from depthclip_core.sample.world import decor, shelves, things
from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.rooms import Room
from depthclip_core.sample.world.scene import Thing

SIDES = ("far", "left", "right")
ALL = ("far", "left", "right", "near")


def enclose(room: Room, floor: mt.Material, tiled: bool = False, tiles_above: bool = False) -> None:
    """Walls in paint, paper or brick, a ceiling in white, and the floor given."""
    rng = room.rng
    r = rng.random()
    if r < 0.55:
        wall = mt.plain(rng, "plaster", mt.WALLS, "painted", 0.86)
    elif r < 0.72:
        wall = mt.two_tone(
            rng, "stripes_wall", ("cream", "beige", "white", "light blue", "pink"), "papered"
        )
    elif r < 0.9:
        wall = mt.two_tone(
            rng,
            "motif_wall",
            ("cream", "beige", "white", "light blue", "green", "yellow", "tan"),
            "papered",
        )
    else:
        name = mt.pick(rng, ("red", "brown", "tan", "white"))
        wall = mt.make(
            "brick",
            0.6 * mt.tint(rng, name) + 0.4 * mt.tint(rng, "tan"),
            mt.tint(rng, "grey"),
            name,
            "brick",
        )
    accent = None
    if rng.random() < 0.2:
        accent = mt.plain(
            rng, "plaster", ("red", "teal", "blue", "olive", "orange", "purple"), "painted", 0.86
        )
    ceiling = mt.plain(rng, "plaster", ("white", "white", "cream"), "painted", 0.9)
    dado = None
    if tiled:
        dado = mt.plain(
            rng,
            mt.pick(rng, ("tile_small", "tile_large")),
            ("white", "light blue", "beige", "green", "pink", "grey"),
            "tiled",
            0.6,
            gloss=0.3,
        )
        if tiles_above:
            wall, dado, accent = dado, None, None
    skirt = mt.wood(rng) if rng.random() < 0.5 else mt.plain(rng, "smooth", ("white",), "wooden")
    room.shell(wall, floor, ceiling, accent, dado, skirt)


def wooden_floor(rng: np.random.Generator) -> mt.Material:
    """Planks or parquet."""
    first, second = mt.WOODS[mt.pick(rng, ("tan", "brown", "orange", "dark brown"))]
    return mt.make(
        mt.pick(rng, ("planks", "parquet")),
        np.array(first),
        np.array(second),
        "brown",
        "wooden",
        gloss=0.2,
    )


def tiled_floor(rng: np.random.Generator) -> mt.Material:
    """Large tiles, plain or checkered."""
    if rng.random() < 0.35:
        return mt.two_tone(
            rng,
            "checker",
            ("white", "black", "grey", "red", "beige", "dark grey"),
            "tiled",
            gloss=0.3,
        )
    return mt.plain(
        rng,
        mt.pick(rng, ("tile_large", "tile_small", "tile_large")),
        ("beige", "grey", "white", "tan", "brown"),
        "tiled",
        0.5,
        gloss=0.3,
    )


def carpet(rng: np.random.Generator) -> mt.Material:
    """Fitted carpet."""
    return mt.plain(
        rng, "carpet", ("beige", "grey", "tan", "brown", "blue", "green", "red"), "carpet", 0.7
    )


def soft_floor(rng: np.random.Generator) -> mt.Material:
    """Carpet or wood."""
    return carpet(rng) if rng.random() < 0.5 else wooden_floor(rng)


def rug(room: Room, x: float, y: float, w: float, d: float) -> None:
    """A flat rug about (x, y), lying a bit askew."""
    m = mt.two_tone(
        room.rng,
        mt.pick(room.rng, ("rug", "rug", "stripes", "carpet", "plaid")),
        mt.CLOTH,
        "fabric",
    )
    o = room.scene.thing("rug", m, (x, y, 0), room.rng.normal(0, 0.08))
    o.box((0, 0, 0), (w, d, 0.012)).box((0, 0, 0), (w + 0.12, d + 0.12, 0.008), mt.darker(m, 0.5))


def on_top(
    room: Room, thing: Thing, size: tuple[float, float, float], n: int, small: bool = False
) -> None:
    """Put up to n small things on a top of (w, d) metres at height size[2]."""
    w, d, h = size
    xs = (np.arange(n) + 0.5) / max(n, 1) - 0.5
    for x in xs:
        at = thing.spot(
            x * (w - 0.2) + room.rng.normal(0, 0.02), room.rng.uniform(-0.25, 0.25) * d, h
        )
        things.clutter(room.scene, at, small)


def pictures(room: Room, low: int, high: int) -> None:
    """Between low and high pictures on the walls."""
    for _ in range(int(room.rng.integers(low, high + 1))):
        decor.picture(room, ALL)


def scatter(room: Room, low: int, high: int) -> None:
    """Things on the floor, here and there."""
    for _ in range(int(room.rng.integers(low, high + 1))):
        at = room.middle(0.5, 0.5)
        if at is not None:
            things.floor_clutter(room.scene, at)


def cases(room: Room, n: int, walls: tuple[str, ...] = SIDES) -> None:
    """Bookshelves against the walls."""
    s, rng = room.scene, room.rng
    stock, m = shelves.book_stock(rng), mt.wood(rng)
    for _ in range(n):
        w, h = rng.uniform(0.7, 1.1), rng.uniform(1.2, min(2.2, room.h - 0.15))
        p = room.against(w, 0.3, walls)
        if p is not None:
            room.block(p, w, h)
            o = shelves.bookshelf(s, p.at, p.yaw, (w, 0.3, h), m, stock, 0.8)
            if h < 1.9:
                on_top(room, o, (w, 0.3, h), int(rng.integers(0, 3)), True)


def plants(room: Room, low: int, high: int) -> None:
    """Between low and high potted plants along the walls."""
    for _ in range(int(room.rng.integers(low, high + 1))):
        p = room.against(0.5, 0.5, ALL)
        if p is not None:
            things.plant(room.scene, p.at, room.rng.uniform(0.7, 1.5))
