"""Bookshelves and low shelves, with the books, boxes and baskets that fill them."""

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import Scene, Thing
from depthclip_core.sample.world.seats import Spot


def book_row(
    s: Scene,
    o: Thing,
    start: Spot,
    length: float,
    height: float,
    depth: float,
    stock: list[Material],
    full: float = 0.9,
) -> None:
    """Books standing side by side from ``start`` along local x of ``o``, spines towards -y."""
    rng = s.rng
    n = int(length * full / 0.031)
    if n < 2:
        return
    thick = rng.uniform(0.016, 0.046, n)
    x = np.cumsum(thick) - thick / 2
    keep = x + thick / 2 < length
    # Gaps here and there, as on used shelves.
    keep &= ~((rng.random(n) < 0.04) | (np.convolve(rng.random(n) < 0.02, np.ones(4), "same") > 0))
    run = np.clip(rng.normal(0.8, 0.09, n), 0.55, 0.96) * height
    deep = rng.uniform(0.62, 0.92, n) * depth
    which = rng.integers(len(stock), size=n)
    set_of = rng.random(n) < 0.3
    for i in range(1, n):
        if set_of[i]:
            which[i], run[i], deep[i] = which[i - 1], run[i - 1], deep[i - 1]
    books = s.thing("books", stock[which[0]], o.spot(*start), o.yaw)
    books.loose = False
    i = np.flatnonzero(keep)
    if len(i) == 0:
        return
    bases = np.stack([x[i], depth / 2 - deep[i] / 2 - 0.005, np.zeros(len(i))], -1)
    sizes = np.stack([thick[i] - 0.001, deep[i], run[i]], -1)
    books.boxes(bases, sizes, [stock[k] for k in which[i]])


def book_stock(rng: np.random.Generator, n: int = 24) -> list[Material]:
    """Bindings: pairs of colours with bands and lettering."""
    words = (
        "red",
        "blue",
        "green",
        "brown",
        "black",
        "white",
        "cream",
        "grey",
        "orange",
        "yellow",
        "teal",
        "purple",
        "dark grey",
        "tan",
        "light blue",
        "pink",
    )
    return [mt.two_tone(rng, "spine", words, "paper", gloss=0.08) for _ in range(n)]


def bookshelf(
    s: Scene,
    at: Spot,
    yaw: float,
    size: tuple[float, float, float],
    material: Material,
    stock: list[Material],
    fill: float = 0.9,
    open_back: bool = False,
) -> Thing:
    """A bookshelf with rows of books and some other things."""
    w, d, h = size
    rng = s.rng
    o = s.thing("bookshelf", material, at, yaw)
    t = 0.025
    o.boxes([(-w / 2 + t / 2, 0, 0), (w / 2 - t / 2, 0, 0)], (t, d, h))
    if not open_back:
        o.box((0, d / 2 - 0.008, 0), (w - 0.02, 0.012, h), mt.darker(material, 0.75))
    rows = max(2, round((h - 0.1) / 0.34))
    step = (h - 0.1 - t) / rows
    o.boxes([(0, 0, 0.08 + i * step) for i in range(rows + 1)], (w - 2 * t, d - 0.01, t))
    o.box((0, -d / 2 + 0.02, 0), (w - 2 * t, 0.015, 0.08))
    for i in range(rows):
        z = 0.08 + i * step + t
        if rng.random() < fill:
            book_row(
                s,
                o,
                (-w / 2 + t + 0.005, 0, z),
                w - 2 * t - 0.02,
                step - t,
                d,
                stock,
                rng.uniform(0.55, 1.05),
            )
        elif rng.random() < 0.7:
            clutter_box(
                s,
                o.spot(rng.uniform(-w / 5, w / 5), 0, z),
                yaw,
                (min(w * 0.4, 0.34), d * 0.8, (step - t) * rng.uniform(0.5, 0.85)),
            )
    return o


def shelf(
    s: Scene, at: Spot, yaw: float, size: tuple[float, float, float], material: Material
) -> Thing:
    """A low open shelf with compartments, as in a class room, bins and books inside."""
    w, d, h = size
    rng = s.rng
    o = s.thing("shelf", material, at, yaw)
    n = max(2, round(w / 0.42))
    t = 0.022
    xs = np.linspace(-w / 2 + t / 2, w / 2 - t / 2, n + 1)
    o.boxes([(x, 0, 0.04) for x in xs], (t, d, h - 0.04))
    levels = (0.04, h / 2, h - t)
    o.boxes([(0, 0, z) for z in levels], (w, d, t))
    o.box((0, d / 2 - 0.006, 0.04), (w, 0.01, h - 0.04), mt.darker(material, 0.8))
    stock = book_stock(rng, 12)
    for i in range(n):
        for z in levels[:2]:
            room = h / 2 - 0.05
            x = (xs[i] + xs[i + 1]) / 2
            r = rng.random()
            if r < 0.4:
                book_row(
                    s, o, (xs[i] + t, 0, z + t), xs[i + 1] - xs[i] - 2 * t, room, d, stock, 0.9
                )
            elif r < 0.8:
                clutter_box(s, o.spot(x, -0.02, z + t), yaw, (0.3, d * 0.8, room * 0.7))
    return o


def clutter_box(
    s: Scene, at: Spot, yaw: float, size: tuple[float, float, float], name: str | None = None
) -> Thing:
    """A cardboard box, a plastic tub or a basket."""
    rng = s.rng
    r = rng.random()
    if name == "box" or (name is None and r < 0.55):
        m = mt.plain(rng, "smooth", ("tan", "brown", "white", "beige"), "cardboard", 0.8)
        o = s.thing("box", m, at, yaw).box((0, 0, 0), size)
        tape = mt.darker(m, 1.25)
        o.box((0, 0, size[2]), (size[0] * 0.16, size[1], 0.002), tape)
        label = mt.paper(rng)
        o.box(
            (size[0] * 0.2, -size[1] / 2 - 0.001, size[2] * 0.3),
            (size[0] * 0.35, 0.002, size[2] * 0.35),
            label,
        )
        return o
    if r < 0.8:
        m = mt.plastic(rng)
        name, lid = "bin", mt.plastic(rng)
    else:
        m = mt.plain(rng, "weave", ("tan", "brown", "beige"), "wicker", 0.6)
        name, lid = "basket", mt.darker(m, 0.4)
    w, d, h = size
    o = s.thing(name, m, at, yaw)
    o.box((0, 0, 0), (w * 0.94, d * 0.94, h * 0.96))
    o.boxes([(-w / 2 + 0.01, 0, h * 0.85), (w / 2 - 0.01, 0, h * 0.85)], (0.02, d, h * 0.15))
    o.boxes([(0, -d / 2 + 0.01, h * 0.85), (0, d / 2 - 0.01, h * 0.85)], (w, 0.02, h * 0.15))
    o.box((0, 0, h * 0.96), (w * 0.9, d * 0.9, 0.004), mt.darker(lid, 0.5))
    return o


def stack_of_books(s: Scene, at: Spot, stock: list[Material]) -> Thing:
    """A pile of lying books."""
    rng = s.rng
    o = s.thing("books", stock[0], at, rng.uniform(0, 3))
    z = 0.0
    for _ in range(int(rng.integers(2, 7))):
        w, d, h = rng.uniform(0.15, 0.21), rng.uniform(0.2, 0.29), rng.uniform(0.015, 0.045)
        o.box(
            (rng.normal(0, 0.012), rng.normal(0, 0.012), z),
            (w, d, h),
            stock[int(rng.integers(len(stock)))],
        )
        z += h
    return o
