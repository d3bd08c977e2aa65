"""What every room layout uses: shells, floors, and the things that fill any room."""

import numpy as np

from depthclip_core.sample.world import decor, seats, shelves, things
from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.rooms import ALL, WALL_YAW, Room
from depthclip_core.sample.world.scene import Size, Spot, Thing


def enclose(room: Room, floor: mt.Material, tiled: bool = False, tiles_above: bool = False) -> None:
    """Build walls of paint, paper or brick, a white ceiling, and the floor given.

    The far wall may take an accent colour. ``tiled`` covers the lower walls with tiles, which
    replace the skirting, ``tiles_above`` the rest of them too.
    """
    s, rng, w, deep, h, t = room.scene, room.rng, room.w, room.l, room.h, 0.1
    r = rng.random()
    if r < 0.55:
        wall = mt.wall_paint(rng)
    elif r < 0.9:
        wall = mt.draw(rng, "striped paper" if r < 0.72 else "flowered paper")
    else:
        name = mt.pick(rng, ("red", "brown", "tan", "white"))
        brick = 0.6 * mt.tint(rng, name) + 0.4 * mt.tint(rng, "tan")
        wall = mt.make("brick", brick, mt.tint(rng, "grey"), name, "brick")
    far = mt.draw(rng, "accent") if rng.random() < 0.2 else wall
    ceiling = mt.draw(rng, "ceiling")
    dado = mt.draw(rng, "wall tiles") if tiled else None
    if dado and tiles_above:
        wall = far = dado
        dado = None
    skirting = mt.wood(rng) if rng.random() < 0.5 else mt.draw(rng, "skirting")
    for name in WALL_YAW:
        length = room.length(name)
        at, yaw = room.on_wall(name, length / 2, 0)
        o = s.thing("wall", far if name == "far" else wall, at, yaw, loose=False)
        o.box((0, t / 2, -t), (length + 2 * t, t, h + 2 * t))
        if dado:
            o.box((0, -0.006, 0), (length, 0.012, 1.25), dado)
            o.box((0, -0.011, 1.25), (length, 0.022, 0.05), mt.toned(dado, 0.7))
        else:
            o.box((0, -0.009, 0), (length, 0.018, 0.1), skirting)
    for name, z, m in (("floor", -t, floor), ("ceiling", h, ceiling)):
        o = s.thing(name, m, (w / 2, deep / 2, z), loose=False)
        o.box((0, 0, 0), (w + 2 * t, deep + 2 * t, t))


def wooden_floor(rng: np.random.Generator) -> mt.Material:
    """Planks or parquet."""
    first, second = mt.WOODS[mt.pick(rng, ("tan", "brown", "orange", "dark brown"))]
    kind = mt.pick(rng, ("planks", "parquet"))
    return mt.make(kind, first, second, "brown", "wooden", gloss=0.2)


def tiled_floor(rng: np.random.Generator) -> mt.Material:
    """Large tiles, plain or checkered."""
    return mt.draw(rng, "checker" if rng.random() < 0.35 else "floor tiles")


def soft_floor(rng: np.random.Generator) -> mt.Material:
    """Carpet or wood."""
    return mt.draw(rng, "carpet") if rng.random() < 0.5 else wooden_floor(rng)


def rug(room: Room, x: float, y: float, w: float, d: float) -> None:
    """A flat rug around (x, y), slightly askew."""
    m = mt.draw(room.rng, "rug")
    o = room.scene.thing("rug", m, (x, y, 0), room.rng.normal(0, 0.08))
    o.box((0, 0, 0), (w, d, 0.012)).box((0, 0, 0), (w + 0.12, d + 0.12, 0.008), mt.toned(m, 0.5))


def on_top(room: Room, thing: Thing, size: Size, n: int, small: bool = False) -> None:
    """Put n small things on a thing of that size."""
    w, d, h = size
    for i in range(n):
        x = ((i + 0.5) / n - 0.5) * (w - 0.2) + room.rng.normal(0, 0.02)
        at = thing.spot(x, room.rng.uniform(-0.25, 0.25) * d, h)
        things.clutter(room.scene, at, small)


def wooden_chair(room: Room, at: Spot, yaw: float, frame: mt.Material) -> None:
    """A chair with a cloth seat, in any of the styles."""
    rng = room.rng
    seats.chair(room.scene, at, yaw, frame, mt.cloth(rng), int(rng.integers(3)))


def pictures(room: Room, low: int, high: int) -> None:
    """Between low and high pictures on the walls."""
    for _ in range(int(room.rng.integers(low, high + 1))):
        decor.picture(room, ALL)


def scatter(room: Room, low: int, high: int) -> None:
    """Between low and high things on the floor, where there is space."""
    for _ in range(int(room.rng.integers(low, high + 1))):
        if at := room.middle(0.5, 0.5):
            things.floor_clutter(room.scene, at)


def cases(room: Room, low: int, high: int) -> None:
    """Between low and high bookshelves against the walls."""
    s, rng = room.scene, room.rng
    n = int(rng.integers(low, high + 1))
    stock, m = shelves.book_stock(rng), mt.wood(rng)
    for _ in range(n):
        w, h = rng.uniform(0.7, 1.1), rng.uniform(1.2, min(2.2, room.h - 0.15))
        if p := room.against(w, 0.3, ALL):
            room.block(p, w, h)
            o = shelves.bookshelf(s, p.at, p.yaw, (w, 0.3, h), m, stock, 0.8)
            if h < 1.9:
                on_top(room, o, (w, 0.3, h), int(rng.integers(0, 3)), True)


def plants(room: Room, low: int, high: int) -> None:
    """Between low and high potted plants along the walls."""
    for _ in range(int(room.rng.integers(low, high + 1))):
        if p := room.against(0.5, 0.5, ALL):
            things.plant(room.scene, p.at, room.rng.uniform(0.7, 1.5))
