"""Layouts with running water: bathroom and kitchen."""

import numpy as np

from depthclip_core.sample.world import decor, fixtures, furnish, tables, things
from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.rooms import ALL, SIDES, Room


def bathroom(room: Room) -> None:
    """Toilet, bathtub or shower, washbasin under a mirror, towels."""
    s, rng = room.scene, room.rng
    r = rng.random()
    furnish.enclose(room, furnish.tiled_floor(rng), tiled=r < 0.75, tiles_above=r < 0.3)
    glaze, tiled = mt.draw(rng, "ceramic"), mt.draw(rng, "bath tiles")
    decor.door(room, ("near", "left", "right"))
    if rng.random() < 0.8:
        w = min(1.7, room.w - 0.1) if rng.random() < 0.5 else 1.6
        if p := room.against(w, 0.75):
            o = fixtures.bathtub(s, p.at, p.yaw, (w, 0.75, 0.55), glaze, tiled)
            room.block(p, w, 0.8)
            if rng.random() < 0.5:
                at = o.spot((-1 if rng.random() < 0.5 else 1) * w * 0.22, -0.37, 0.3)
                fixtures.shower_curtain(s, at, p.yaw, w * 0.52, 1.75)
            for k in range(int(rng.integers(0, 4))):
                at = o.spot(-w / 2 + 0.1 + 0.1 * k, 0.34, 0.55)
                things.bottle(s, at, rng.uniform(0.15, 0.25))
    wide = rng.uniform(0.8, 1.3) if rng.random() < 0.6 else 0.6
    if p := room.against(wide, 0.56, front=0.1):
        o = fixtures.basin(s, p.at, p.yaw, wide, glaze, mt.wood(rng))
        high = rng.uniform(0.7, 0.95)
        decor.mirror(room, (p.wall, p.along), 1.12, max(0.5, wide - 0.1), high)
        room.block(p, wide, 1.12 + high)
        if wide > 0.65:
            for x in (0.12 - wide / 2, wide / 2 - 0.12):
                at = o.spot(x, 0.1, 0.835)
                (things.cup if rng.random() < 0.4 else things.bottle)(s, at)
    if p := room.against(0.5, 0.72, front=0.15):
        o = fixtures.toilet(s, p.at, p.yaw, glaze)
        room.block(p, 0.5, 0.85)
        if rng.random() < 0.6:
            roll = s.thing("toilet paper", "white plastic", o.spot(0.1, 0.26, 0.78))
            roll.put("cylinder", (0, 0, 0), (0.11, 0.11, 0.1))
    for _ in range(int(rng.integers(1, 4))):
        if spot := room.hang(0.6, 0.7, 1.4):
            at, yaw = room.on_wall(*spot, 1.3)
            fixtures.towel(s, at, yaw, rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.7))
    if rng.random() < 0.5 and (p := room.against(0.4, 0.32)):
        size = (0.4, 0.32, 0.8)
        o = tables.chest(s, "cabinet", p.at, p.yaw, size, (1, 2), mt.wood(rng))
        furnish.on_top(room, o, size, 2, True)
    if rng.random() < 0.7 and (at := room.middle(0.6, 0.4)):
        furnish.rug(room, at[0], at[1], 0.7, 0.45)
        room.taken.pop()
    if rng.random() < 0.5:
        decor.window(room, 0.7, width=0.7)


def kitchen(room: Room) -> None:
    """Counters with sink and stove, wall cupboards, a fridge, sometimes a table."""
    s, rng = room.scene, room.rng
    floor = furnish.tiled_floor(rng) if rng.random() < 0.7 else furnish.wooden_floor(rng)
    furnish.enclose(room, floor, tiled=rng.random() < 0.35)
    front = mt.wood(rng) if rng.random() < 0.6 else mt.draw(rng, "kitchen front")
    top = mt.draw(rng, "kitchen stone")
    if p := room.against(0.8, 0.72):
        fixtures.refrigerator(s, p.at, p.yaw)
        room.block(p, 0.8, 1.9)
    decor.door(room, ("near", "left", "right"))
    splash = mt.draw(rng, "kitchen tiles")
    for j, wall in enumerate(rng.permutation(np.array(SIDES))[:2].tolist()):
        sink_at, stove_at = rng.integers(1, 3), rng.integers(2, 4)
        edge, k = 0.0, 0
        while edge < room.length(wall) - 0.6:
            has_stove, has_sink = j == 0 and k == stove_at, j == 0 and k == sink_at
            wide = 0.62 if has_stove else float(rng.choice([0.8, 1.0, 1.2]))
            p = room.at_wall(wall, edge + wide / 2 + 0.01, wide, 0.64)
            if p is None:
                edge += 0.2
                continue
            if has_stove:
                fixtures.stove(s, p.at, p.yaw)
                back = room.on_wall(wall, edge + wide / 2, 1.6)[0]
                fixtures.range_hood(s, back, p.yaw, room.h)
            else:
                o = fixtures.counter(s, p.at, p.yaw, wide, front, top, has_sink)
                if not has_sink and rng.random() < 0.25:
                    fixtures.microwave(s, o.spot(0, 0.08, 0.9), p.yaw)
                elif not has_sink:
                    furnish.on_top(room, o, (wide, 0.6, 0.9), int(rng.integers(0, 4)), True)
                if rng.random() < 0.75:
                    back = room.on_wall(wall, edge + wide / 2, 1.45)[0]
                    fixtures.wall_cabinet(s, back, p.yaw, wide, front)
                    room.block(p, wide, 2.2)
            tile = room.thing_at("wall", splash, (wall, edge + wide / 2), 0.9, loose=False)
            tile.box((0, -0.004, 0), (wide + 0.02, 0.008, 0.55))
            edge += wide + 0.005
            k += 1
    if rng.random() < 0.6 and (at := room.middle(1.3, 1.3)):
        m = mt.wood(rng)
        if rng.random() < 0.5:
            o = tables.round_table(s, at, (0.85, 0.75), m)
        else:
            o = tables.table(s, at, 0.0, (1.0, 0.75, 0.75), m)
        furnish.on_top(room, o, (0.8, 0.5, 0.75), 2, True)
        for y, yaw in ((0.45, 0.0), (-0.45, np.pi)):
            if rng.random() < 0.85:
                turned = yaw + rng.normal(0, 0.15)
                furnish.wooden_chair(room, (at[0], at[1] + y, 0), turned, m)
    cloth = rng.random() < 0.6
    decor.window(room, rng.uniform(0.5, 1.2), ALL, cloth=cloth)
    decor.clock(room, ALL)
