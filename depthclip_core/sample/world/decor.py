"""What hangs in a room: doors, windows and curtains, pictures, boards, clocks, ceiling lights."""

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.rooms import SIDES, Light, Room, Walls
from depthclip_core.sample.world.scene import left_right, turn_x


def door(room: Room, walls: tuple[str, ...]) -> None:
    """A closed panel door in its frame; the floor before it stays free."""
    rng = room.rng
    spot = room.hang(1.0, 0, 2.15, walls)
    if spot is None or room.at_wall(*spot, 0.95, 0.45) is None:
        return
    leaf = mt.wood(rng) if rng.random() < 0.6 else mt.draw(rng, "door")
    o = room.thing_at("door", leaf, spot, 0)
    trim = mt.toned(leaf, rng.uniform(0.8, 1.15))
    o.box((0, -0.012, 0.005), (0.84, 0.024, 2.03))
    o.box(left_right(0.46, -0.02), (0.08, 0.04, 2.1), trim)
    o.box((0, -0.02, 2.05), (1.0, 0.04, 0.09), trim)
    two, three = ((0.2, 0.62), (1.05, 0.8)), ((0.15, 0.4), (0.7, 0.4), (1.3, 0.6))
    for z, height in two if rng.random() < 0.6 else three:
        o.box(left_right(0.19, -0.028, z), (0.28, 0.012, height), mt.toned(leaf, 0.82))
    o.put("ball", (0.35, -0.06, 0.98), (0.06, 0.07, 0.06), "steel")


def window(
    room: Room, daylight: float, walls: Walls = SIDES, width: float = 0, cloth: bool = True
) -> None:
    """A window with panes, frame and sill, often curtains or blinds, and its light.

    width: metres, by default random.
    """
    rng = room.rng
    w = width or rng.uniform(0.9, 1.7)
    low, high = rng.uniform(0.8, 1.05), min(room.h - 0.2, rng.uniform(1.95, 2.3))
    spot = room.hang(w + 0.5, low, high, walls)
    if spot is None:
        return
    h = high - low
    o = room.thing_at("window", "window frame", spot, low)
    o.box((0, -0.008, 0), (w, 0.016, h), mt.outdoors(rng, daylight * rng.uniform(0.7, 1.6)))
    n = max(1, round(w / 0.6))
    o.box([(x, -0.025, 0) for x in np.linspace(-w / 2, w / 2, n + 1)], (0.06, 0.05, h))
    bars = [(0, -0.025, z - 0.03) for z in (0, h * rng.uniform(0.4, 0.6), h)]
    o.box(bars, (w + 0.06, 0.05, 0.06))
    o.box((0, -0.08, -0.05), (w + 0.2, 0.16, 0.03))
    r = rng.random()
    if cloth and r < 0.5:
        m = mt.cloth(rng)
        to_floor = room.h < 2.2 or rng.random() < 0.5
        top, drop = high + 0.1, high + 0.12 - (0.1 if to_floor else low - 0.15)
        for side in (-1, 1):
            c = room.thing_at("curtain", m, spot, 0)
            base = (side * (w / 2 + 0.02), -0.11, high + 0.12 - drop)
            c.put("curtain", base, (w * 0.38, 0.09, drop))
        c.put("pole", (0, -0.11, top), (0.03, 0.03, 0.02), "metal")
        c.box((0, -0.11, top), (w + 0.5, 0.025, 0.025), mt.wood(rng))
    elif cloth and r < 0.75:
        blinds = room.thing_at("blinds", "blinds", spot, low)
        n = int(h * rng.uniform(0.3, 1.0) / 0.045)
        blinds.box([(0, -0.07, h - 0.045 * (i + 1)) for i in range(n)], (w, 0.012, 0.034))
    at, yaw = room.on_wall(*spot, low + h / 2)
    inward = np.array([np.sin(yaw), -np.cos(yaw), 0]) * 0.35
    cool = np.array([0.86, 0.95, 1.12]) * daylight * rng.uniform(0.5, 1.3) * w * h
    room.lights.append(Light(tuple(np.array(at) + inward), tuple(cool), 0.45))


def picture(room: Room, walls: tuple[str, ...]) -> None:
    """A framed picture or a plain poster."""
    rng = room.rng
    w, h = rng.uniform(0.25, 0.95), rng.uniform(0.28, 0.8)
    z = rng.uniform(1.25, 1.6)
    spot = room.hang(w, z, z + h, walls)
    if spot is None or z + h > room.h - 0.1:
        return
    o = room.thing_at("picture", "picture", spot, z)
    if rng.random() >= 0.75:
        o.box((0, -0.003, 0), (w, 0.006, h))
        return
    edge = mt.wood(rng) if rng.random() < 0.6 else mt.draw(rng, "picture frame")
    k = rng.uniform(0.025, 0.06)
    o.box([(0, -0.015, 0), (0, -0.015, h - k)], (w, 0.03, k), edge)
    o.box(left_right(w / 2 - k / 2, -0.015), (k, 0.03, h), edge)
    mount = k + rng.uniform(0.0, 0.07)
    o.box((0, -0.005, k), (w - 2 * k, 0.01, h - 2 * k), "card")
    o.box((0, -0.006, mount), (w - 2 * mount, 0.012, h - 2 * mount))


def mirror(room: Room, spot: tuple[str, float], z: float, w: float, h: float) -> None:
    """A framed mirror at a spot on a wall."""
    edge = mt.wood(room.rng) if room.rng.random() < 0.5 else "metal"
    o = room.thing_at("mirror", edge, spot, z).box((0, -0.009, 0), (w, 0.018, h))
    o.box((0, -0.012, 0.04), (w - 0.08, 0.024, h - 0.08), "mirror")


def board(room: Room, spot: tuple[str, float], z: float, w: float, h: float, kind: str) -> None:
    """A whiteboard, blackboard or notice board, with rail, writing or pinned papers."""
    rng = room.rng
    o = room.thing_at(kind, "cork" if kind == "notice board" else kind, spot, z)
    edge = mt.draw(rng, "steel") if kind == "whiteboard" else mt.wood(rng)
    o.box((0, -0.01, 0), (w, 0.02, h), edge)
    o.box((0, -0.013, 0.04), (w - 0.08, 0.026, h - 0.08))
    if kind != "notice board":
        o.box((0, -0.05, -0.02), (w, 0.09, 0.02), edge)
        board_colour = np.array(o.material.first) ** (1 / 2.2) * 255
        ink = mt.tint(rng, "white" if kind == "blackboard" else "blue")
        writing = mt.make("print", board_colour, ink, "white", "chalk")
        blocks = [(rng.uniform(-w / 3, w / 3), -0.014, h * 0.3) for _ in range(2)]
        o.box(blocks, (w * 0.25, 0.0262, h * 0.5), writing)
        return
    for _ in range(int(w * h * 5)):
        m = mt.paper(rng) if rng.random() < 0.5 else mt.draw(rng, "picture")
        a, b = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.35)
        if a < w - 0.2 and b < h - 0.2:
            x = rng.uniform(-(w - a) / 2 + 0.06, (w - a) / 2 - 0.06)
            base = (x, -0.013 - 0.0005 * rng.random(), rng.uniform(0.06, h - b - 0.06))
            o.box(base, (a, 0.029, b), m)


def clock(room: Room, walls: tuple[str, ...] = SIDES) -> None:
    """A round wall clock."""
    rng = room.rng
    z = min(rng.uniform(1.9, 2.2), room.h - 0.4)
    if spot := room.hang(0.32, z, z + 0.3, walls):
        o, upright = room.thing_at("clock", "clock", spot, z + 0.15), turn_x(np.pi / 2)
        o.put("cylinder", (0, 0, 0), (0.3, 0.3, 0.04), turn=upright)
        o.put("cylinder", (0, 0, 0), (0.26, 0.26, 0.043), "white plastic", upright)
        hands = [(0, -0.045, 0), (0.03, -0.045, 0)], [(0.012, 0.004, 0.1), (0.07, 0.004, 0.014)]
        o.box(*hands, "black plastic")


def ceiling_lights(room: Room, kind: str, power: float = 1.0) -> None:
    """A glass dome, a pendant or rows of tubes, and their light."""
    rng, s = room.rng, room.scene
    warm = np.array([1.0, rng.uniform(0.8, 0.98), rng.uniform(0.58, 0.95)])
    w, deep, h = room.w, room.l, room.h
    if kind == "tubes":
        nx, ny = max(1, int(w / 3)), max(1, int(deep / 3))
        spots = [(w * (i + 0.5) / nx, deep * (j + 0.5) / ny) for i in range(nx) for j in range(ny)]
        for x, y in spots:
            o = s.thing("ceiling light", "lamp", (x, y, h - 0.08))
            o.box((0, 0, 0.01), (0.3, 1.2, 0.07), "white plastic")
            o.box((0, 0, 0), (0.24, 1.14, 0.012))
        rows = min(ny, 3)
        for j in range(rows):
            at = (w * rng.uniform(0.35, 0.65), deep * (j + 0.5) / rows, h - 0.25)
            room.lights.append(Light(at, tuple(warm**0.5 * power * 1.6), 0.7))
        return
    x, y = w * rng.uniform(0.4, 0.6), deep * rng.uniform(0.4, 0.6)
    o = s.thing("ceiling light", "lamp", (x, y, h))
    if kind == "pendant":
        drop = max(0.4, h - 2.0)
        shade = mt.draw(rng, "plastic")
        o.put("pole", (0, 0, -drop + 0.2), (0.015, 0.015, drop - 0.2), shade)
        o.put("shade", (0, 0, -drop), (0.42, 0.42, 0.24), shade)
        o.put("ball", (0, 0, -drop + 0.02), (0.13, 0.13, 0.13))
        room.lights.append(Light((x, y, h - drop - 0.1), tuple(warm * power * 1.5), 0.18))
        return
    o.put("ball", (0, 0, -0.11), (0.36, 0.36, 0.18))
    room.lights.append(Light((x, y, h - 0.3), tuple(warm * power * 1.6), 0.25))
