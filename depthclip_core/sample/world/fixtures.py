"""Bathroom and kitchen fixtures: toilet, tub, basin, counters, stove, refrigerator."""

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import Scene, Thing, turn_x
from depthclip_core.sample.world.seats import Spot
from depthclip_core.sample.world.tables import drawers


def toilet(s: Scene, at: Spot, yaw: float, glaze: Material) -> Thing:
    """A toilet, 0.7 m deep, cistern at the back."""
    o = s.thing("toilet", glaze, at, yaw)
    o.box((0, 0.26, 0.38), (0.44, 0.19, 0.36))
    o.put("slab", (0, 0.26, 0.73), (0.47, 0.22, 0.05))
    o.put("seat_bowl", (0, -0.1, 0), (0.38, 0.5, 0.4))
    o.box((0, 0.14, 0.0), (0.2, 0.3, 0.38))
    lid = mt.darker(glaze, 0.92)
    if s.rng.random() < 0.6:
        o.put("slab", (0, -0.09, 0.4), (0.39, 0.49, 0.045), lid)
    else:
        o.put("slab", (0, 0.13, 0.42), (0.37, 0.05, 0.4), lid, turn_x(-0.08))
    o.put("pole", (0.12, 0.15, 0.66), (0.05, 0.03, 0.02), mt.metal(s.rng, ("grey",)))
    return o


def bathtub(
    s: Scene,
    at: Spot,
    yaw: float,
    size: tuple[float, float, float],
    glaze: Material,
    tiled: Material,
) -> Thing:
    """A free-standing oval tub or a built-in one with a tiled front."""
    w, d, h = size
    o = s.thing("bathtub", glaze, at, yaw)
    steel = mt.metal(s.rng, ("grey",))
    if s.rng.random() < 0.4:
        o.put("tub", (0, 0, 0), (w, d, h))
        o.put("pole", (0, d / 2 - 0.02, 0), (0.035, 0.035, h + 0.18), steel)
        o.box((0, d / 2 - 0.09, h + 0.15), (0.03, 0.16, 0.025), steel)
        return o
    rim = 0.07
    o.boxes([(0, -d / 2 + rim / 2, 0), (0, d / 2 - rim / 2, 0)], (w, rim, h - 0.01), tiled)
    o.boxes(
        [(-w / 2 + rim / 2, 0, 0), (w / 2 - rim / 2, 0, 0)], (rim, d - 2 * rim, h - 0.01), tiled
    )
    o.boxes(
        [(0, -d / 2 + rim / 2, h - 0.03), (0, d / 2 - rim / 2, h - 0.03)], (w, rim + 0.02, 0.03)
    )
    o.boxes(
        [(-w / 2 + rim / 2, 0, h - 0.03), (w / 2 - rim / 2, 0, h - 0.03)], (rim + 0.02, d, 0.03)
    )
    o.boxes([(0, -d / 2 + rim, 0.1), (0, d / 2 - rim, 0.1)], (w - rim, 0.02, h - 0.12))
    o.boxes([(-w / 2 + rim, 0, 0.1), (w / 2 - rim, 0, 0.1)], (0.02, d - rim, h - 0.12))
    o.box((0, 0, 0.08), (w - rim, d - rim, 0.03))
    o.box((w / 2 - 0.12, 0, h + 0.08), (0.2, 0.035, 0.03), steel)
    o.boxes([(w / 2 - 0.04, y, h + 0.05) for y in (-0.1, 0.1)], (0.06, 0.05, 0.05), steel)
    return o


def basin(s: Scene, at: Spot, yaw: float, width: float, glaze: Material, front: Material) -> Thing:
    """A wash basin: on a pedestal when narrow, else sunk into a cabinet's top."""
    o = s.thing("sink", glaze, at, yaw)
    steel = mt.metal(s.rng, ("grey",))
    if width < 0.65:
        o.put("vase", (0, 0.05, 0), (0.24, 0.24, 0.72))
        o.put("bowl", (0, 0, 0.68), (0.56, 0.46, 0.18))
        o.box((0, 0.19, 0.76), (0.5, 0.1, 0.1))
    else:
        drawers(o, (0, 0.01, 0.08), (width, 0.48, 0.72), 1, front, max(2, int(width / 0.4)))
        top = mt.plain(
            s.rng,
            mt.pick(s.rng, ("marble", "granite", "smooth")),
            ("white", "cream", "beige", "grey", "black"),
            "stone",
            0.6,
            gloss=0.35,
        )
        o.box((0, 0, 0.8), (width + 0.03, 0.54, 0.035), top)
        o.put("bowl", (0, -0.02, 0.795), (0.46, 0.38, 0.09))
        o.box((0, 0.25, 0.835), (width + 0.03, 0.02, 0.1), top)
    o.put("pole", (0, 0.16, 0.83), (0.035, 0.035, 0.14), steel)
    o.box((0, 0.1, 0.95), (0.025, 0.14, 0.022), steel)
    o.boxes([(x, 0.17, 0.84) for x in (-0.09, 0.09)], (0.045, 0.045, 0.05), steel)
    return o


def towel(s: Scene, at: Spot, yaw: float, width: float, drop: float) -> Thing:
    """A towel over a rail on a wall; ``at`` is the rail's middle on the wall."""
    steel = mt.metal(s.rng, ("grey",))
    m = mt.cloth(s.rng)
    o = s.thing("towel", m, at, yaw)
    o.box((0, -0.06, 0), (width + 0.14, 0.015, 0.015), steel)
    o.boxes(
        [(x, -0.03, 0) for x in (-width / 2 - 0.06, width / 2 + 0.06)], (0.02, 0.06, 0.02), steel
    )
    o.put("curtain", (0, -0.075, 0.015 - drop), (width, 0.03, drop))
    o.put("curtain", (0, -0.045, 0.015 - drop * 0.8), (width, 0.02, drop * 0.8))
    o.put("slab", (0, -0.06, 0.0), (width, 0.055, 0.03))
    return o


def shower_curtain(s: Scene, at: Spot, yaw: float, width: float, height: float) -> Thing:
    """A curtain on a pole, hanging to the floor nearly."""
    m = mt.cloth(s.rng)
    o = s.thing("shower curtain", m, at, yaw)
    o.put("curtain", (0, 0, 0.12), (width, 0.1, height - 0.12))
    return o


def counter(
    s: Scene, at: Spot, yaw: float, width: float, front: Material, top: Material, sink: bool = False
) -> Thing:
    """A kitchen base unit, 0.6 m deep and 0.9 m high, with doors and drawers, maybe a sink."""
    rng = s.rng
    o = s.thing("counter", front, at, yaw)
    n = max(1, round(width / 0.5))
    o.box((0, 0.03, 0), (width, 0.52, 0.1), mt.darker(front, 0.3))
    knob = mt.metal(rng)
    drawers(o, (0, 0.015, 0.1), (width, 0.56, 0.56), 1, front, n, knob)
    drawers(o, (0, 0.015, 0.66), (width, 0.56, 0.2), 1, front, n, knob)
    o.box((0, 0, 0.86), (width, 0.62, 0.04), top)
    o.box((0, 0.295, 0.9), (width, 0.02, 0.08), top)
    if sink:
        steel = mt.metal(rng, ("grey",))
        k = s.thing("sink", steel, o.spot(0, -0.02, 0.9), yaw)
        k.boxes([(0, -0.2, 0), (0, 0.2, 0)], (0.6, 0.03, 0.012))
        k.boxes([(-0.3, 0, 0), (0.3, 0, 0), (0.02, 0, 0)], (0.03, 0.42, 0.012))
        k.box((0, 0, 0.0005), (0.58, 0.38, 0.002), mt.darker(steel, 0.45))
        k.put("pole", (0, 0.23, 0), (0.035, 0.035, 0.26))
        k.box((0, 0.15, 0.25), (0.025, 0.18, 0.025))
    return o


def wall_cabinet(s: Scene, at: Spot, yaw: float, width: float, front: Material) -> Thing:
    """A hanging cupboard, 0.35 m deep; ``at`` is on the wall at its bottom's middle."""
    o = s.thing("cabinet", front, at, yaw)
    drawers(o, (0, -0.175, 0), (width, 0.35, 0.7), 1, front, max(1, round(width / 0.45)))
    return o


def stove(s: Scene, at: Spot, yaw: float) -> Thing:
    """A cooker with four rings, knobs and an oven door."""
    rng = s.rng
    body = (
        mt.metal(rng)
        if rng.random() < 0.5
        else mt.plain(rng, "smooth", ("white", "black"), "metal", 0.85, gloss=0.5, blind=0.1)
    )
    dark = mt.screen(rng)
    o = s.thing("stove", body, at, yaw)
    o.box((0, 0, 0), (0.6, 0.6, 0.9))
    o.box((0, 0, 0.9), (0.58, 0.56, 0.012), dark)
    ring = mt.darker(dark, 2.5)
    o.many(
        "cylinder",
        [(x, y, 0.91) for x in (-0.14, 0.14) for y in (-0.13, 0.13)],
        (0.19, 0.19, 0.012),
        ring,
    )
    o.box((0, -0.305, 0.2), (0.46, 0.012, 0.36), dark)
    o.box((0, -0.33, 0.64), (0.48, 0.025, 0.025), mt.metal(rng, ("grey",)))
    o.many(
        "cylinder",
        [(x, -0.31, 0.76) for x in np.linspace(-0.22, 0.22, 5)],
        (0.045, 0.045, 0.045),
        dark,
    )
    if rng.random() < 0.6:
        o.box((0, 0.27, 0.9), (0.6, 0.06, 0.18))
        o.box((0, 0.238, 0.97), (0.2, 0.005, 0.07), dark)
    if rng.random() < 0.7:
        pot(s, o.spot(-0.14, 0.13, 0.922), mt.metal(rng))
    return o


def pot(s: Scene, at: Spot, m: Material) -> Thing:
    """A cooking pot with a lid."""
    o = s.thing("pot", m, at, s.rng.uniform(0, 3))
    r = s.rng.uniform(0.18, 0.26)
    o.put("cylinder", (0, 0, 0), (r, r, 0.13))
    o.put("dome", (0, 0, 0.13), (r, r, 0.03))
    o.put("ball", (0, 0, 0.155), (0.035, 0.035, 0.03))
    o.boxes([(-r / 2 - 0.02, 0, 0.09), (r / 2 + 0.02, 0, 0.09)], (0.06, 0.05, 0.015))
    return o


def refrigerator(s: Scene, at: Spot, yaw: float) -> Thing:
    """A fridge with two doors, handles, and papers held by magnets."""
    rng = s.rng
    m = (
        mt.metal(rng, ("grey",))
        if rng.random() < 0.4
        else mt.plain(
            rng,
            "smooth",
            ("white", "cream", "black", "white"),
            "metal",
            0.9,
            gloss=0.35,
            blind=0.06,
        )
    )
    o = s.thing("refrigerator", m, at, yaw)
    w, d, h, split = 0.72, 0.68, rng.uniform(1.6, 1.85), rng.uniform(0.55, 1.2)
    o.box((0, 0.03, 0.03), (w, d - 0.06, h - 0.03))
    o.box((0, -d / 2 + 0.03, 0.06), (w, 0.06, split - 0.07))
    o.box((0, -d / 2 + 0.03, split + 0.01), (w, 0.06, h - split - 0.01))
    grip = mt.darker(m, 0.5)
    o.boxes(
        [
            (-w / 2 + 0.06, -d / 2 - 0.025, split - 0.32),
            (-w / 2 + 0.06, -d / 2 - 0.025, split + 0.06),
        ],
        (0.03, 0.03, 0.26),
        grip,
    )
    for _ in range(int(rng.integers(0, 5))):
        p = mt.paper(rng) if rng.random() < 0.6 else mt.picture(rng)
        t = s.thing(
            "paper",
            p,
            o.spot(rng.uniform(-0.2, 0.25), -d / 2 - 0.001, rng.uniform(0.9, h - 0.3)),
            yaw,
        )
        t.box((0, 0, 0), (rng.uniform(0.08, 0.21), 0.002, rng.uniform(0.08, 0.28)))
    return o


def range_hood(s: Scene, at: Spot, yaw: float, ceiling: float) -> Thing:
    """An extractor over a stove with its duct."""
    m = mt.metal(s.rng, ("grey",))
    o = s.thing("range hood", m, at, yaw)
    o.box((0, -0.24, 0), (0.6, 0.48, 0.07))
    o.box((0, -0.2, 0.07), (0.42, 0.36, 0.1))
    o.box((0, -0.14, 0.17), (0.24, 0.26, max(0.1, ceiling - at[2] - 0.17)))
    return o


def microwave(s: Scene, at: Spot, yaw: float) -> Thing:
    """A microwave oven."""
    m = mt.plain(s.rng, "smooth", ("white", "black", "grey"), "metal", 0.85, gloss=0.3, blind=0.06)
    o = s.thing("microwave", m, at, yaw)
    o.box((0, 0, 0.01), (0.48, 0.36, 0.28))
    o.box((-0.06, -0.181, 0.04), (0.32, 0.006, 0.22), mt.screen(s.rng))
    o.boxes(
        [(0.17, -0.181, 0.05 + 0.045 * i) for i in range(5)], (0.07, 0.008, 0.03), mt.darker(m, 0.7)
    )
    return o
