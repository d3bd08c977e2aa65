"""Layouts at home: bedroom, living room and dining room."""

import numpy as np

from depthclip_core.sample.world import decor, furnish, seats, tables, things
from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.rooms import ALL, Room


def bedroom(room: Room) -> None:
    """A bed with night stands, dresser, wardrobe, sometimes a desk."""
    s, rng = room.scene, room.rng
    furnish.enclose(room, furnish.soft_floor(rng))
    decor.door(room, ALL)
    decor.window(room, rng.uniform(0.3, 1.3))
    width = float(rng.choice([1.0, 1.4, 1.6]))
    p, m = room.against(width + 0.1, 2.1), mt.wood(rng)
    if p:
        seats.bed(s, p.at, p.yaw, width)
        room.block(p, width, 1.2)
        for side in (-1, 1):
            if q := room.at_wall(p.wall, p.along + side * (width / 2 + 0.4), 0.46, 0.42):
                t = tables.chest(s, "night stand", q.at, q.yaw, (0.44, 0.4, 0.55), (1, 2), m)
                things.table_lamp(s, t.spot(0, 0.05, 0.55))
                if rng.random() < 0.6:
                    things.clutter(s, t.spot(0.12, -0.12, 0.55), True)
    if (p := room.against(1.2, 0.6, ALL)) and rng.random() < 0.7:
        h = rng.uniform(1.8, min(2.2, room.h - 0.1))
        room.block(p, 1.2, h)
        tables.chest(s, "wardrobe", p.at, p.yaw, (1.2, 0.6, h), (2, 1), m)
    if rng.random() < 0.8:
        size = (rng.uniform(0.9, 1.4), 0.48, rng.uniform(0.75, 1.1))
        if p := room.against(size[0], size[1], ALL):
            o = tables.chest(s, "dresser", p.at, p.yaw, size, (2, 3), m)
            room.block(p, size[0], size[2])
            furnish.on_top(room, o, size, int(rng.integers(1, 4)))
    if rng.random() < 0.5 and (p := room.against(1.1, 0.7, ALL, front=0.4)):
        o = tables.desk(s, p.at, p.yaw, 1.1, mt.wood(rng))
        things.laptop(s, o.spot(0, -0.05, 0.75), p.yaw)
        furnish.on_top(room, o, (1.1, 0.5, 0.75), 2, True)
        yaw = p.yaw + np.pi + rng.normal(0, 0.3)
        furnish.wooden_chair(room, o.spot(0, -0.5, 0), yaw, mt.wood(rng))
    if rng.random() < 0.5 and (at := room.middle(1.0, 0.8)):
        furnish.rug(room, at[0], at[1], rng.uniform(1.2, 1.7), rng.uniform(0.9, 1.2))
        room.taken.pop()
    furnish.cases(room, 0, 1)


def living_room(room: Room) -> None:
    """Sofas around a coffee table, a television, bookshelves, lamps, plants."""
    s, rng = room.scene, room.rng
    furnish.enclose(room, furnish.soft_floor(rng))
    decor.door(room, ALL)
    for _ in range(int(rng.integers(1, 3))):
        decor.window(room, rng.uniform(0.3, 1.2))
    cover = mt.draw(rng, "leather") if rng.random() < 0.3 else mt.cloth(rng)
    m = mt.wood(rng)
    pillows = [mt.cloth(rng) for _ in range(int(rng.integers(0, 4)))]
    width = rng.uniform(1.6, 2.3)
    if p := room.against(width, 0.92, gap=0.05, front=0.2):
        o = seats.sofa(s, p.at, p.yaw, width, cover, pillows)
        room.block(p, width, 0.9)
        c = o.spot(0, -1.15, 0)
        size = (rng.uniform(0.9, 1.2), 0.6, 0.42)
        foot = size[:2] if abs(np.cos(p.yaw)) > 0.5 else size[1::-1]
        if room.claim(c[0], c[1], *foot):
            t = tables.table(s, c, p.yaw, size, m, "coffee table")
            furnish.on_top(room, t, size, 3, True)
            if rng.random() < 0.6:
                furnish.rug(room, c[0], c[1], 2.0, 1.5)
    for _ in range(int(rng.integers(1, 3))):
        if p := room.against(0.92, 0.9, ALL, gap=0.08):
            own = cover if rng.random() < 0.5 else mt.cloth(rng)
            yaw = p.yaw + rng.normal(0, 0.12)
            seats.sofa(s, p.at, yaw, 0.88, own, [mt.cloth(rng)] if rng.random() < 0.5 else [])
            room.block(p, 0.9, 0.9)
    size = (rng.uniform(1.0, 1.5), 0.45, rng.uniform(0.45, 0.6))
    if p := room.against(size[0], 0.5, ALL):
        k = tables.chest(s, "tv stand", p.at, p.yaw, size, (3, 1), m)
        things.television(s, k.spot(0, 0, size[2]), p.yaw, rng.uniform(0.65, 1.05))
        room.block(p, size[0], 1.3)
    furnish.cases(room, 1, 3)
    if rng.random() < 0.6 and (p := room.against(0.5, 0.5, ALL)):
        things.floor_lamp(s, p.at)
    if (p := room.against(0.5, 0.5, ALL)) and rng.random() < 0.6:
        t = tables.round_table(s, p.at, (0.45, 0.55), m)
        things.table_lamp(s, t.spot(0, 0, 0.55))
    furnish.plants(room, 0, 3)


def dining_room(room: Room) -> None:
    """A laid table with chairs under a lamp, a sideboard, a cabinet."""
    s, rng = room.scene, room.rng
    floor = furnish.wooden_floor(rng) if rng.random() < 0.6 else furnish.soft_floor(rng)
    furnish.enclose(room, floor)
    decor.door(room, ALL)
    decor.window(room, rng.uniform(0.4, 1.3))
    m, chairs_m, cover = mt.wood(rng), mt.wood(rng), mt.cloth(rng)
    style, n = int(rng.integers(3)), int(rng.integers(2, 4))
    w, d = 0.62 * n + 0.2, 0.95
    x, y = room.w / 2 + rng.normal(0, 0.15), room.l / 2 + rng.uniform(-0.1, 0.5)
    turn = 0.0 if rng.random() < 0.5 and w + 1.0 < room.w else np.pi / 2
    across = rng.uniform(1.05, 1.3)
    if rng.random() < 0.3:
        room.claim(x, y, across + 0.9, across + 0.9)
        o = tables.round_table(s, (x, y, 0), (across, 0.75), m)
        angles = np.arange(5) * 2 * np.pi / 5
        out = across / 2 + 0.12
        spots = [(np.cos(a) * out, np.sin(a) * out, a - np.pi / 2) for a in angles]
        laid = [(np.cos(a) * across * 0.33, np.sin(a) * across * 0.33) for a in angles]
    else:
        room.claim(x, y, *((w + 0.9, d + 0.9) if turn == 0 else (d + 0.9, w + 0.9)))
        o = tables.table(s, (x, y, 0), turn, (w, d, 0.75), m)
        xs = (np.arange(n) - (n - 1) / 2) * 0.62
        spots = [(i, -d / 2 - 0.1, np.pi) for i in xs] + [(i, d / 2 + 0.1, 0.0) for i in xs]
        spots += [(-w / 2 - 0.12, 0, np.pi / 2), (w / 2 + 0.12, 0, -np.pi / 2)]
        laid = [(i, k * 0.28) for i in xs for k in (-1, 1)]
    if rng.random() < 0.5:
        furnish.rug(room, x, y, 2.4, 2.0)
    for px, py, yaw in spots:
        if rng.random() < 0.92:
            pulled_out = rng.uniform(-0.02, 0.22)
            away = np.array((px, py)) / np.hypot(px, py)
            at = o.spot(px + away[0] * pulled_out, py + away[1] * pulled_out, 0)
            # A chair's front (-y) faces the table.
            seats.chair(s, at, o.yaw + yaw + rng.normal(0, 0.1), chairs_m, cover, style)
    if rng.random() < 0.7:
        for px, py in laid:
            things.plate(s, o.spot(px, py, 0.75))
            things.cup(s, o.spot(px + 0.2, py * 0.7, 0.75))
    (things.vase if rng.random() < 0.5 else things.fruit_bowl)(s, o.spot(0, 0, 0.75))
    size = (rng.uniform(1.2, 1.8), 0.45, rng.uniform(0.8, 0.95))
    if p := room.against(size[0], size[1]):
        k = tables.chest(s, "sideboard", p.at, p.yaw, size, (3, 2), m)
        room.block(p, size[0], size[2])
        furnish.on_top(room, k, size, 4)
    if (p := room.against(1.0, 0.45, ALL)) and rng.random() < 0.6:
        room.block(p, 1.0, 2.0)
        tables.chest(s, "cabinet", p.at, p.yaw, (1.0, 0.45, 2.0), (2, 2), m)
    furnish.cases(room, 0, 1)
    furnish.plants(room, 0, 2)
