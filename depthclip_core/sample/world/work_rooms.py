"""Layouts away from home: bookstore, classroom and office."""

import numpy as np

from depthclip_core.sample.world import decor, furnish, seats, shelves, tables, things
from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.rooms import ALL, Room


def bookstore(room: Room) -> None:
    """Shelves along every wall, islands of shelves, tables with piles of books."""
    s, rng = room.scene, room.rng
    carpeted = rng.random() < 0.6
    furnish.enclose(room, mt.draw(rng, "carpet") if carpeted else furnish.wooden_floor(rng))
    stock = shelves.book_stock(rng, 40)
    m = mt.wood(rng)
    h = rng.uniform(1.9, 2.5)
    decor.door(room, ("near", "left", "right"))
    for wall in ALL:
        wide = rng.uniform(0.95, 1.2)
        n = int(room.length(wall) / wide)
        for i in range(n):
            along = (i + 0.5) * room.length(wall) / n
            if rng.random() < 0.93 and (p := room.at_wall(wall, along, wide - 0.01, 0.33)):
                room.block(p, wide, h)
                shelves.bookshelf(s, p.at, p.yaw, (wide - 0.02, 0.32, h), m, stock, 0.96)
    low = rng.uniform(1.2, 1.6)
    rows = np.arange(1.9, room.l - 1.6, rng.uniform(1.7, 2.3))
    for y in rows:
        for x in np.arange(1.6, room.w - 1.3, rng.uniform(1.5, 2.2)):
            r = rng.random()
            if r < 0.42:
                turn = 0.0 if rng.random() < 0.5 else np.pi / 2
                if room.claim(x, y, *((1.1, 0.75) if turn == 0 else (0.75, 1.1))):
                    for yaw in (turn, turn + np.pi):
                        at = (x + 0.17 * np.sin(yaw), y - 0.17 * np.cos(yaw), 0)
                        shelves.bookshelf(s, at, yaw, (1.1, 0.32, low), m, stock, 0.9)
            elif r < 0.7 and room.claim(x, y, 1.1, 0.8):
                o = tables.table(s, (x, y, 0), rng.normal(0, 0.1), (1.1, 0.75, 0.72), m)
                for i in range(-1, 2):
                    for j in (-1, 1):
                        shelves.stack_of_books(s, o.spot(0.33 * i, 0.18 * j, 0.72), stock)
    for _ in range(3):
        if (at := room.middle(0.7, 0.7)) and rng.random() < 0.5:
            seats.stool(s, at, m, mt.cloth(rng), 0.45)


def classroom(room: Room) -> None:
    """Rows of desks and chairs, boards, low shelves, a teacher's desk."""
    s, rng = room.scene, room.rng
    floor = mt.draw(rng, "vinyl")
    furnish.enclose(room, furnish.wooden_floor(rng) if rng.random() < 0.25 else floor)
    decor.door(room, ALL)
    kind = "whiteboard" if rng.random() < 0.5 else "blackboard"
    w = min(room.w - 1.0, rng.uniform(2.4, 3.8))
    if spot := room.hang(w, 0.95, 2.15, ("far",), room.w / 2):
        decor.board(room, spot, 0.95, w, 1.2, kind)
    for _ in range(3):
        w = rng.uniform(1.2, 2.2)
        if spot := room.hang(w, 1.1, 2.1, ALL):
            decor.board(room, spot, 1.1, w, 1.0, "notice board")
    for _ in range(2):
        decor.window(room, 1.1, ("left",) if rng.random() < 0.7 else ("right",), 1.6)
    top = mt.wood(rng, ("tan", "cream", "orange", "white"))
    steel = mt.draw(rng, "dark metal")
    shell = mt.draw(rng, "school chair")
    if p := room.at_wall("far", room.w * rng.uniform(0.25, 0.75), 1.5, 0.8, gap=0.7):
        o = tables.desk(s, p.at, p.yaw + np.pi, 1.4, mt.wood(rng))
        furnish.on_top(room, o, (1.4, 0.7, 0.75), 3)
        if rng.random() < 0.5:
            things.globe(s, o.spot(0.5, 0.1, 0.75))
        seats.office_chair(s, o.spot(0, -0.55, 0), p.yaw, mt.cloth(rng))
    for _ in range(int(rng.integers(2, 5))):
        w = rng.uniform(1.2, 2.2)
        if p := room.against(w, 0.38, ALL):
            o = shelves.shelf(s, p.at, p.yaw, (w, 0.36, rng.uniform(0.75, 0.95)), mt.wood(rng))
            size = (w, 0.36, o.described().size[2])
            furnish.on_top(room, o, size, int(rng.integers(1, 4)))
    dx, dy = rng.uniform(1.15, 1.7), rng.uniform(1.25, 1.6)
    face = 0.0 if rng.random() < 0.75 else np.pi / 2
    for y in np.arange(1.2, room.l - 2.6, dy):
        for x in np.arange(1.1, room.w - 1.0, dx):
            if rng.random() < 0.9 and room.claim(x, y, 0.8, 1.0 if face == 0 else 0.9):
                yaw = face + rng.normal(0, 0.05)
                # Pupils look at the far wall; the desk's front (-y) faces them.
                o = tables.school_desk(s, (x, y + 0.2, 0), yaw, top, steel)
                if rng.random() < 0.9:
                    at = o.spot(rng.normal(0, 0.05), -0.38, 0)
                    seats.shell_chair(s, at, yaw + np.pi + rng.normal(0, 0.2), shell, steel)
                if rng.random() < 0.6:
                    things.clutter(s, o.spot(rng.uniform(-0.2, 0.2), 0, 0.74), True)
    decor.clock(room)


def office(room: Room) -> None:
    """Desks with computers, swivel chairs, filing cabinets, shelves, boards."""
    s, rng = room.scene, room.rng
    carpeted = rng.random() < 0.65
    furnish.enclose(room, mt.draw(rng, "carpet") if carpeted else furnish.soft_floor(rng))
    decor.door(room, ALL)
    decor.window(room, rng.uniform(0.4, 1.2))
    m = mt.wood(rng)
    for _ in range(int(rng.integers(1, 4))):
        width = rng.uniform(1.2, 1.7)
        if not (p := room.against(width, 0.72, front=0.75)):
            continue
        o = tables.desk(s, p.at, p.yaw, width, m)
        room.block(p, width, 0.8)
        x = rng.uniform(-0.25, 0.25)
        if rng.random() < 0.8:
            things.monitor(s, o.spot(x, 0.12, 0.75), p.yaw + rng.normal(0, 0.12))
            things.keyboard(s, o.spot(x, -0.17, 0.75), p.yaw + rng.normal(0, 0.06))
        else:
            things.laptop(s, o.spot(x, 0, 0.75), p.yaw)
        for side in (-1, 1):
            if rng.random() < 0.85:
                at = o.spot(side * (width / 2 - 0.2), rng.uniform(-0.15, 0.15), 0.75)
                (things.printer(s, at, p.yaw) if rng.random() < 0.2 else things.clutter(s, at))
        things.computer(s, o.spot(0.05, 0.05, 0), p.yaw)
        at = o.spot(x + rng.normal(0, 0.1), -0.6, 0)
        yaw = p.yaw + np.pi + rng.normal(0, 0.6)
        cover = mt.cloth(rng) if rng.random() < 0.6 else mt.draw(rng, "leather")
        seats.office_chair(s, at, yaw, cover)
    for _ in range(int(rng.integers(1, 3))):
        if p := room.against(0.47, 0.6, ALL):
            size = (0.46, 0.6, rng.uniform(0.7, 1.35))
            grey, grid = mt.draw(rng, "filing cabinet"), (1, int(size[2] / 0.33))
            o = tables.chest(s, "filing cabinet", p.at, p.yaw, size, grid, grey)
            room.block(p, 0.47, size[2])
            furnish.on_top(room, o, size, 1)
    if rng.random() < 0.7:
        kind = mt.pick(rng, ("whiteboard", "notice board"))
        w = rng.uniform(0.9, 1.8)
        if spot := room.hang(w, 1.1, 2.0):
            decor.board(room, spot, 1.1, w, 0.9, kind)
    furnish.cases(room, 1, 3)
    furnish.plants(room, 0, 2)
    if rng.random() < 0.5:
        decor.clock(room)
