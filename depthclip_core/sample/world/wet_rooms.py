"""Layouts with water: bathroom and kitchen."""

import numpy as np

from depthclip_core.sample.world import decor, fixtures, seats, tables, things
from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.furnish import (
    ALL,
    SIDES,
    enclose,
    on_top,
    pictures,
    rug,
    scatter,
    tiled_floor,
    wooden_floor,
)
from depthclip_core.sample.world.rooms import Room


def bathroom(room: Room) -> None:
    """Toilet, tub or shower, wash basin under a mirror, towels."""
    s, rng = room.scene, room.rng
    r = rng.random()
    enclose(room, tiled_floor(rng), tiled=r < 0.75, tiles_above=r < 0.3)
    glaze = mt.ceramic(rng)
    tiled = mt.plain(rng, "tile_small", ("white", "light blue", "beige", "green"), "tiled", 0.5)
    decor.door(room, ("near", "left", "right"))
    if rng.random() < 0.8:
        w = min(1.7, room.w - 0.1) if rng.random() < 0.5 else 1.6
        p = room.against(w, 0.75, SIDES)
        if p is not None:
            o = fixtures.bathtub(s, p.at, p.yaw, (w, 0.75, 0.55), glaze, tiled)
            room.block(p, w, 0.8)
            if rng.random() < 0.5:
                side = -1 if rng.random() < 0.5 else 1
                fixtures.shower_curtain(
                    s, o.spot(side * w * 0.22, -0.37, 0.3), p.yaw, w * 0.52, 1.75
                )
            for k in range(int(rng.integers(0, 4))):
                things.bottle(
                    s, o.spot(-w / 2 + 0.1 + 0.1 * k, 0.34, 0.55), rng.uniform(0.15, 0.25)
                )
    wide = rng.uniform(0.8, 1.3) if rng.random() < 0.6 else 0.6
    p = room.against(wide, 0.56, SIDES, front=0.1)
    if p is not None:
        o = fixtures.basin(s, p.at, p.yaw, wide, glaze, mt.wood(rng))
        along = p.at[0] if p.wall in ("far", "near") else p.at[1]
        high = rng.uniform(0.7, 0.95)
        decor.mirror(room, (p.wall, along), 1.12, max(0.5, wide - 0.1), high)
        room.block(p, wide, 1.12 + high)
        if wide > 0.65:
            for k in (-1, 1):
                at = o.spot(k * (wide / 2 - 0.12), 0.1, 0.835)
                (things.cup if rng.random() < 0.4 else things.bottle)(s, at)
    p = room.against(0.5, 0.72, SIDES, front=0.15)
    if p is not None:
        o = fixtures.toilet(s, p.at, p.yaw, glaze)
        room.block(p, 0.5, 0.85)
        if rng.random() < 0.6:
            roll = s.thing("toilet paper", mt.plastic(rng, ("white",)), o.spot(0.1, 0.26, 0.78))
            roll.put("cylinder", (0, 0, 0), (0.11, 0.11, 0.1))
    for _ in range(int(rng.integers(1, 4))):
        spot = room.hang(0.6, 0.7, 1.4)
        if spot is not None:
            at, yaw = room.on_wall(spot[0], spot[1], 1.3)
            fixtures.towel(s, at, yaw, rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.7))
    if rng.random() < 0.5:
        p = room.against(0.4, 0.32)
        if p is not None:
            o = tables.chest(s, p.at, p.yaw, (0.4, 0.32, 0.8), 2, 1, mt.wood(rng), "cabinet")
            on_top(room, o, (0.4, 0.32, 0.8), 2, True)
    if rng.random() < 0.7:
        at = room.middle(0.6, 0.4)
        if at is not None:
            rug(room, at[0], at[1], 0.7, 0.45)
            room.taken.pop()
    if rng.random() < 0.5:
        decor.window(room, SIDES, 0.7, True, 0.7)
    pictures(room, 0, 2)
    scatter(room, 0, 1)
    decor.ceiling_lights(room, "dome")


def kitchen(room: Room) -> None:
    """Counters with sink and stove, hanging cupboards, a fridge, sometimes a table."""
    s, rng = room.scene, room.rng
    enclose(
        room, tiled_floor(rng) if rng.random() < 0.7 else wooden_floor(rng), rng.random() < 0.35
    )
    front = (
        mt.wood(rng)
        if rng.random() < 0.6
        else mt.plain(
            rng, "smooth", ("white", "cream", "blue", "green", "red", "grey"), "wooden", 0.9
        )
    )
    top = mt.plain(
        rng,
        mt.pick(rng, ("granite", "marble", "granite")),
        ("grey", "black", "beige", "white", "green"),
        "stone",
        0.5,
        gloss=0.35,
    )
    p = room.against(0.8, 0.72, SIDES)
    if p is not None:
        fixtures.refrigerator(s, p.at, p.yaw)
        room.block(p, 0.8, 1.9)
    decor.door(room, ("near", "left", "right"))
    splash = mt.plain(rng, "tile_small", ("white", "beige", "light blue", "yellow"), "tiled", 0.5)
    for j, wall in enumerate(rng.permutation(np.array(SIDES))[:2]):
        wall = str(wall)
        edge = 0.0
        sink_at, stove_at = rng.integers(1, 3), rng.integers(2, 4)
        k = 0
        while edge < room.length(wall) - 0.6:
            wide = 0.62 if (k == stove_at and j == 0) else float(rng.choice([0.8, 1.0, 1.2]))
            p = room.at_wall(wall, edge + wide / 2 + 0.01, wide, 0.64)
            if p is None:
                edge += 0.2
                continue
            if k == stove_at and j == 0:
                fixtures.stove(s, p.at, p.yaw)
                back = room.on_wall(wall, edge + wide / 2, 1.6)[0]
                fixtures.range_hood(s, back, p.yaw, room.h)
            else:
                o = fixtures.counter(s, p.at, p.yaw, wide, front, top, j == 0 and k == sink_at)
                if not (j == 0 and k == sink_at):
                    if rng.random() < 0.25:
                        fixtures.microwave(s, o.spot(0, 0.08, 0.9), p.yaw)
                    else:
                        on_top(room, o, (wide, 0.6, 0.9), int(rng.integers(0, 4)), True)
                if rng.random() < 0.75:
                    back = room.on_wall(wall, edge + wide / 2, 1.45)[0]
                    fixtures.wall_cabinet(s, back, p.yaw, wide, front)
                    room.block(p, wide, 2.2)
            tile = room.thing_at("wall", splash, (wall, edge + wide / 2), 0.9)
            tile.loose = False
            tile.box((0, -0.004, 0), (wide + 0.02, 0.008, 0.55))
            edge += wide + 0.005
            k += 1
    if rng.random() < 0.6:
        at = room.middle(1.3, 1.3)
        if at is not None:
            m = mt.wood(rng)
            o = (
                tables.round_table(s, at, (0.85, 0.75), m)
                if rng.random() < 0.5
                else tables.table(s, at, 0.0, (1.0, 0.75, 0.75), m)
            )
            on_top(room, o, (0.8, 0.5, 0.75), 2, True)
            for yaw in (0.0, np.pi):
                if rng.random() < 0.85:
                    seats.chair(
                        s,
                        (at[0], at[1] + (0.45 if yaw == 0 else -0.45), 0),
                        yaw + rng.normal(0, 0.15),
                        m,
                        mt.cloth(rng),
                        int(rng.integers(3)),
                    )
    decor.window(room, ALL, None, rng.random() < 0.6, rng.uniform(0.5, 1.2))
    decor.clock(room, ALL)
    pictures(room, 0, 2)
    scatter(room, 0, 2)
    decor.ceiling_lights(room, mt.pick(rng, ("dome", "tubes", "pendant")))
