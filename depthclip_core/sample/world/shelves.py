"""Bookshelves and low shelves, with the books, boxes and baskets that fill them."""

from itertools import pairwise

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import Scene, Size, Spot, Thing, front_back, left_right


def book_row(o: Thing, start: Spot, size: Size, stock: list[Material], full: float) -> None:
    """Books standing side by side from ``start`` along local x of ``o``, spines towards -y."""
    rng, (length, depth, height) = o.scene.rng, size
    if (n := int(length * full / 0.031)) < 2:
        return
    thick = rng.uniform(0.016, 0.046, n)
    x = np.cumsum(thick) - thick / 2
    keep = x + thick / 2 < length
    # Gaps here and there, as on used shelves.
    keep &= ~((rng.random(n) < 0.04) | (np.convolve(rng.random(n) < 0.02, np.ones(4), "same") > 0))
    tall = np.clip(rng.normal(0.8, 0.09, n), 0.55, 0.96) * height
    deep = rng.uniform(0.62, 0.92, n) * depth
    which = rng.integers(len(stock), size=n)
    same_series = rng.random(n) < 0.3
    for i in range(1, n):
        if same_series[i]:
            which[i], tall[i], deep[i] = which[i - 1], tall[i - 1], deep[i - 1]
    books = o.scene.thing("books", stock[which[0]], o.spot(*start), o.yaw, loose=False)
    i = np.flatnonzero(keep)
    bases = np.stack([x[i], depth / 2 - deep[i] / 2 - 0.005, np.zeros(len(i))], -1)
    sizes = np.stack([thick[i] - 0.001, deep[i], tall[i]], -1)
    books.box(bases, sizes, [stock[k] for k in which[i]])


def book_stock(rng: np.random.Generator, n: int = 24) -> list[Material]:
    """Bindings: pairs of colours with bands and lettering."""
    return [mt.draw(rng, "spine") for _ in range(n)]


def bookshelf(
    s: Scene, at: Spot, yaw: float, size: Size, wood: Material, stock: list[Material], fill: float
) -> Thing:
    """A bookshelf with rows of books and some other things."""
    rng, (w, d, h), t = s.rng, size, 0.025
    o = s.thing("bookshelf", wood, at, yaw)
    o.box(left_right(w / 2 - t / 2), (t, d, h))
    o.box((0, d / 2 - 0.008, 0), (w - 0.02, 0.012, h), mt.toned(wood, 0.75))
    rows = max(2, round((h - 0.1) / 0.34))
    step = (h - 0.1 - t) / rows
    o.box([(0, 0, 0.08 + i * step) for i in range(rows + 1)], (w - 2 * t, d - 0.01, t))
    o.box((0, -d / 2 + 0.02, 0), (w - 2 * t, 0.015, 0.08))
    for i in range(rows):
        z, room = 0.08 + i * step + t, step - t
        if rng.random() < fill:
            row = (w - 2 * t - 0.02, d, room)
            book_row(o, (-w / 2 + t + 0.005, 0, z), row, stock, rng.uniform(0.55, 1.05))
        elif rng.random() < 0.7:
            spot = o.spot(rng.uniform(-w / 5, w / 5), 0, z)
            box = (min(w * 0.4, 0.34), d * 0.8, room * rng.uniform(0.5, 0.85))
            clutter_box(s, spot, yaw, box)
    return o


def shelf(s: Scene, at: Spot, yaw: float, size: Size, material: Material) -> Thing:
    """A low open classroom shelf, with bins and books in its compartments."""
    rng, (w, d, h), t = s.rng, size, 0.022
    o = s.thing("shelf", material, at, yaw)
    n = max(2, round(w / 0.42))
    xs = np.linspace(-w / 2 + t / 2, w / 2 - t / 2, n + 1)
    o.box([(x, 0, 0.04) for x in xs], (t, d, h - 0.04))
    levels = (0.04, h / 2, h - t)
    o.box([(0, 0, z) for z in levels], (w, d, t))
    o.box((0, d / 2 - 0.006, 0.04), (w, 0.01, h - 0.04), mt.toned(material, 0.8))
    stock, room = book_stock(rng, 12), h / 2 - 0.05
    for a, b in pairwise(xs):
        for z in levels[:2]:
            r = rng.random()
            if r < 0.4:
                book_row(o, (a + t, 0, z + t), (b - a - 2 * t, d, room), stock, 0.9)
            elif r < 0.8:
                spot = o.spot((a + b) / 2, -0.02, z + t)
                clutter_box(s, spot, yaw, (0.3, d * 0.8, room * 0.7))
    return o


def clutter_box(s: Scene, at: Spot, yaw: float, size: Size) -> Thing:
    """A cardboard box, a plastic bin or a basket."""
    rng, (w, d, h) = s.rng, size
    r = rng.random()
    if r < 0.55:
        o = s.thing("box", "cardboard", at, yaw).box((0, 0, 0), size)
        o.box((0, 0, h), (w * 0.16, d, 0.002), mt.toned(o.material, 1.25))
        label = (w * 0.35, 0.002, h * 0.35)
        return o.box((w * 0.2, -d / 2 - 0.001, h * 0.3), label, mt.paper(rng))
    if r < 0.8:
        o = s.thing("bin", "plastic", at, yaw)
        lid = mt.draw(rng, "plastic")
    else:
        o = s.thing("basket", "wicker", at, yaw)
        lid = mt.toned(o.material, 0.4)
    o.box((0, 0, 0), (w * 0.94, d * 0.94, h * 0.96))
    o.box(left_right(w / 2 - 0.01, 0, h * 0.85), (0.02, d, h * 0.15))
    o.box(front_back(d / 2 - 0.01, h * 0.85), (w, 0.02, h * 0.15))
    return o.box((0, 0, h * 0.96), (w * 0.9, d * 0.9, 0.004), mt.toned(lid, 0.5))


def stack_of_books(s: Scene, at: Spot, stock: list[Material]) -> Thing:
    """A pile of books lying flat."""
    rng = s.rng
    o, z = s.thing("books", stock[0], at, rng.uniform(0, 3)), 0.0
    for _ in range(int(rng.integers(2, 7))):
        size = rng.uniform(0.15, 0.21), rng.uniform(0.2, 0.29), rng.uniform(0.015, 0.045)
        base = rng.normal(0, 0.012), rng.normal(0, 0.012), z
        o.box(base, size, mt.pick(rng, stock))
        z += size[2]
    return o
