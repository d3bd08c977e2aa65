"""Small things: lamps, plants, crockery, electronics, clutter."""

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.scene import Scene, Spot, Thing, corners, turn_x
from depthclip_core.sample.world.shelves import book_stock, clutter_box, stack_of_books


def table_lamp(s: Scene, at: Spot) -> Thing:
    """A lamp with a lathed foot and a glowing shade, 0.5 m high."""
    rng = s.rng
    o = s.thing("lamp", "bright ceramic" if rng.random() < 0.6 else mt.wood(rng), at)
    o.put(mt.pick(rng, ("vase", "bottle", "stool")), (0, 0, 0), (0.15, 0.15, 0.3))
    o.put("pole", (0, 0, 0.28), (0.02, 0.02, 0.1))
    light = mt.draw(rng, "lamp", glow=rng.uniform(0.25, 1.0))
    return o.put("shade", (0, 0, 0.3), (0.32, 0.32, 0.22), light)


def floor_lamp(s: Scene, at: Spot) -> Thing:
    """A standing lamp, 1.6 m high."""
    o = s.thing("lamp", "dark metal", at)
    o.put("cylinder", (0, 0, 0), (0.3, 0.3, 0.03)).put("pole", (0, 0, 0), (0.03, 0.03, 1.45))
    light = mt.draw(s.rng, "lamp", glow=s.rng.uniform(0.25, 1.0))
    return o.put("shade", (0, 0, 1.36), (0.42, 0.42, 0.28), light)


def plant(s: Scene, at: Spot, height: float | None = None) -> Thing:
    """A plant in a pot, by default a small one for a table or sill."""
    rng, height = s.rng, height or s.rng.uniform(0.22, 0.45)
    green = mt.draw(rng, "foliage")
    o = s.thing("plant", green, at, rng.uniform(0, 6))
    clay = mt.draw(rng, "bright ceramic" if rng.random() < 0.5 else "clay")
    k = height * 0.36
    o.put("pot", (0, 0, 0), (k, k, k * 0.85), clay)
    o.put("cylinder", (0, 0, k * 0.7), (k * 0.8, k * 0.8, 0.01), mt.toned(green, 0.15))
    o.put("leaves", (0, 0, k * 0.7), (height * 0.85, height * 0.85, height - k * 0.7))
    return o.put("leaves", (0, 0, k * 0.9), (height * 0.6, height * 0.55, (height - k) * 0.9))


def vase(s: Scene, at: Spot) -> Thing:
    """A vase, sometimes with a bunch of flowers."""
    rng = s.rng
    o = s.thing("vase", mt.draw(rng, "bright ceramic"), at, rng.uniform(0, 6))
    h = rng.uniform(0.16, 0.32)
    o.put("vase", (0, 0, 0), (h * 0.55, h * 0.55, h))
    if rng.random() < 0.6:
        green = mt.draw(rng, "foliage", colours=["green"])
        o.put("leaves", (0, 0, h * 0.85), (0.26, 0.26, 0.22), green)
        bloom, normal = mt.draw(rng, "blossom"), rng.normal
        heads = [(normal(0, 0.07), normal(0, 0.07), h + rng.uniform(0.04, 0.2)) for _ in range(8)]
        o.put("bead", heads, (0.05, 0.05, 0.045), bloom)
    return o


def cup(s: Scene, at: Spot) -> Thing:
    """A mug."""
    o = s.thing("cup", mt.draw(s.rng, "bright ceramic"), at, s.rng.uniform(0, 6))
    return o.put("cup", (0, 0, 0), (0.09, 0.09, 0.1)).box((0.05, 0, 0.03), (0.03, 0.012, 0.05))


def bottle(s: Scene, at: Spot, height: float | None = None) -> Thing:
    """A bottle with a label."""
    h = height or s.rng.uniform(0.16, 0.32)
    o = s.thing("bottle", "bottle", at).put("bottle", (0, 0, 0), (h * 0.32, h * 0.32, h))
    return o.put("cylinder", (0, 0, h * 0.18), (h * 0.33, h * 0.33, h * 0.28), mt.paper(s.rng))


def plate(s: Scene, at: Spot) -> Thing:
    """A dinner plate."""
    return s.thing("plate", "ceramic", at).put("plate", (0, 0, 0), (0.26, 0.26, 0.025))


def fruit_bowl(s: Scene, at: Spot) -> Thing:
    """A bowl with fruit."""
    o = s.thing("bowl", "bright ceramic", at).put("bowl", (0, 0, 0), (0.3, 0.3, 0.1))
    ring = [(0.07 * np.cos(a), 0.07 * np.sin(a), 0) for a in range(6)]
    fruit = s.thing("fruit", "fruit", o.spot(0, 0, 0.05))
    fruit.put("bead", [*ring, (0, 0, 0.05)], (0.08, 0.08, 0.08))
    return o


def sheet_of_paper(s: Scene, at: Spot) -> Thing:
    """A sheet of A4."""
    o = s.thing("paper", mt.paper(s.rng), at, s.rng.uniform(0, 3))
    return o.box((0, 0, 0), (0.21, 0.297, 0.004))


def monitor(s: Scene, at: Spot, yaw: float) -> Thing:
    """A flat or an old deep monitor on a foot."""
    rng = s.rng
    o, face = s.thing("monitor", "monitor", at, yaw), mt.draw(rng, "screen")
    if rng.random() < 0.4:
        paper = mt.tint(rng, mt.pick(rng, ("light blue", "blue", "white")))
        face = mt.lit_screen(paper, mt.tint(rng, "dark grey"), 0.5)
    w, h = rng.uniform(0.42, 0.56), rng.uniform(0.3, 0.36)
    if rng.random() < 0.75:
        o.box((0, 0.05, 0), (0.24, 0.18, 0.02)).box((0, 0.08, 0.02), (0.06, 0.03, 0.16))
        o.box((0, 0.04, 0.12), (w, 0.05, h))
        return o.box((0, 0.013, 0.135), (w - 0.035, 0.004, h - 0.035), face)
    o.box((0, 0.02, 0), (0.24, 0.22, 0.04))
    o.box((0, 0.0, 0.05), (w, 0.1, h + 0.06)).box((0, 0.16, 0.08), (w * 0.75, 0.26, h - 0.06))
    return o.box((0, -0.051, 0.08), (w - 0.07, 0.004, h - 0.01), face)


def keyboard(s: Scene, at: Spot, yaw: float) -> Thing:
    """A keyboard and a mouse."""
    o = s.thing("keyboard", "keyboard", at, yaw).box((0, 0, 0), (0.44, 0.15, 0.018))
    rows = [(0, -0.045 + 0.03 * i, 0.018) for i in range(4)]
    o.box(rows, (0.41, 0.021, 0.008), mt.toned(o.material, 1.8))
    return o.put("cushion", (0.3, 0, 0), (0.06, 0.1, 0.035))


def laptop(s: Scene, at: Spot, yaw: float) -> Thing:
    """An open laptop."""
    o = s.thing("laptop", "laptop", at, yaw).box((0, 0, 0), (0.34, 0.24, 0.02))
    o.box((0, 0.01, 0.02), (0.3, 0.12, 0.003), mt.toned(o.material, 0.3))
    o.box((0, 0.12, 0.02), (0.34, 0.012, 0.23), turn=turn_x(-0.3))
    face = mt.lit_screen(mt.tint(s.rng, "light blue"), mt.tint(s.rng, "blue"), 0.4)
    return o.box((0, 0.112, 0.035), (0.31, 0.008, 0.2), face, turn_x(-0.3))


def television(s: Scene, at: Spot, yaw: float, width: float) -> Thing:
    """A television, flat or with a tube."""
    o, h = s.thing("television", "television", at, yaw), width * 0.6
    o.box((0, 0, 0), (width * 0.4, 0.24, 0.03)).box((0, 0, 0.03), (0.1, 0.05, 0.06))
    o.box((0, 0, 0.08), (width, 0.08, h))
    o.box((0, -0.042, 0.11), (width - 0.07, 0.004, h - 0.06), "screen")
    if s.rng.random() < 0.4:
        o.box((0, 0.2, 0.12), (width * 0.8, 0.36, h * 0.8))
    return o


def telephone(s: Scene, at: Spot) -> Thing:
    """A desk telephone."""
    m = mt.draw(s.rng, "telephone")
    o = s.thing("telephone", m, at, s.rng.uniform(-0.6, 0.6)).box((0, 0, 0), (0.17, 0.2, 0.04))
    o.box((0.03, -0.02, 0.04), (0.08, 0.1, 0.01), mt.toned(m, 2))
    return o.put("cushion", (-0.055, 0, 0.04), (0.05, 0.21, 0.05))


def few_books(s: Scene, at: Spot) -> Thing:
    """A pile of books from a small stock of its own."""
    return stack_of_books(s, at, book_stock(s.rng, 6))


def small_box(s: Scene, at: Spot) -> Thing:
    """A box, bin or basket for a surface."""
    return clutter_box(s, at, s.rng.uniform(-0.5, 0.5), tuple(s.rng.uniform(0.09, 0.22, 3)))


CLUTTER = (cup, bottle, vase, few_books, fruit_bowl, sheet_of_paper, small_box)
LARGE_CLUTTER = (table_lamp, plant, telephone)


def clutter(s: Scene, at: Spot, small: bool = False) -> Thing:
    """One small thing on a surface."""
    return mt.pick(s.rng, CLUTTER if small else CLUTTER + LARGE_CLUTTER)(s, at)


def floor_clutter(s: Scene, at: Spot) -> Thing:
    """Something on the floor."""
    rng = s.rng
    kind = mt.pick(rng, ("bag", "ball", "bin", "books", "cushion", "box", "box"))
    yaw = rng.uniform(0, 6)
    match kind:
        case "bag":
            o = s.thing(kind, mt.cloth(rng), at, yaw).put("cushion", (0, 0, 0), (0.36, 0.22, 0.4))
            return o.put("cushion", (0, -0.1, 0.04), (0.26, 0.12, 0.2), mt.toned(o.material, 0.7))
        case "ball":
            o, k = s.thing(kind, "ball", at, yaw), rng.uniform(0.14, 0.3)
            return o.put("ball", (0, 0, 0), (k, k, k))
        case "bin":
            return s.thing(kind, "plastic", at, yaw).put("cup", (0, 0, 0), (0.27, 0.27, 0.34))
        case "books":
            return few_books(s, at)
        case "cushion":
            return s.thing(kind, mt.cloth(rng), at, yaw).put(kind, (0, 0, 0), (0.5, 0.46, 0.16))
    size = rng.uniform(0.28, 0.5), rng.uniform(0.25, 0.42), rng.uniform(0.18, 0.42)
    return clutter_box(s, at, yaw, size)


def globe(s: Scene, at: Spot) -> Thing:
    """A globe on a foot."""
    m = mt.make("picture", mt.tint(s.rng, "blue"), mt.tint(s.rng, "green"), "blue", "plastic")
    o = s.thing("globe", m, at).put("stool", (0, 0, 0), (0.2, 0.2, 0.12), mt.wood(s.rng))
    return o.put("ball", (0, 0, 0.09), (0.3, 0.3, 0.3))


def computer(s: Scene, at: Spot, yaw: float) -> Thing:
    """A tower case."""
    o = s.thing("computer", "computer", at, yaw).box((0, 0, 0.01), (0.19, 0.45, 0.43))
    slots = [(0, -0.226, 0.3), (0, -0.226, 0.36)]
    o.box(slots, (0.15, 0.006, 0.04), mt.toned(o.material, 0.5))
    return o.box(corners(0.07, 0.18), (0.03, 0.03, 0.01))


def printer(s: Scene, at: Spot, yaw: float) -> Thing:
    """A desk printer with a sheet of paper in it."""
    o = s.thing("printer", "printer", at, yaw).box((0, 0, 0), (0.44, 0.36, 0.2))
    o.box((0, -0.12, 0.2), (0.3, 0.1, 0.01), mt.toned(o.material, 0.4))
    return o.box((0, 0.15, 0.19), (0.21, 0.004, 0.16), mt.paper(s.rng), turn_x(-0.3))
