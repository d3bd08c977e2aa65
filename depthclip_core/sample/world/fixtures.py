"""Bathroom and kitchen fixtures: toilet, bathtub, basin, counters, stove, refrigerator."""

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import Scene, Size, Spot, Thing, left_right, turn_x
from depthclip_core.sample.world.tables import drawers


def toilet(s: Scene, at: Spot, yaw: float, glaze: Material) -> Thing:
    """A toilet, 0.7 m deep, with a cistern at the back."""
    o = s.thing("toilet", glaze, at, yaw).box((0, 0.26, 0.38), (0.44, 0.19, 0.36))
    o.put("slab", (0, 0.26, 0.73), (0.47, 0.22, 0.05))
    o.put("seat_bowl", (0, -0.1, 0), (0.38, 0.5, 0.4)).box((0, 0.14, 0.0), (0.2, 0.3, 0.38))
    lid = mt.toned(glaze, 0.92)
    if s.rng.random() < 0.6:
        o.put("slab", (0, -0.09, 0.4), (0.39, 0.49, 0.045), lid)
    else:
        o.put("slab", (0, 0.13, 0.42), (0.37, 0.05, 0.4), lid, turn_x(-0.08))
    return o.put("pole", (0.12, 0.15, 0.66), (0.05, 0.03, 0.02), "steel")


def bathtub(s: Scene, at: Spot, yaw: float, size: Size, glaze: Material, tiled: Material) -> Thing:
    """A free-standing oval bathtub or a built-in one with a tiled front."""
    w, d, h = size
    o, steel = s.thing("bathtub", glaze, at, yaw), mt.draw(s.rng, "steel")
    if s.rng.random() < 0.4:
        o.put("tub", (0, 0, 0), size)
        o.put("pole", (0, d / 2 - 0.02, 0), (0.035, 0.035, h + 0.18), steel)
        return o.box((0, d / 2 - 0.09, h + 0.15), (0.03, 0.16, 0.025), steel)
    rim = 0.07
    x, y = w / 2 - rim / 2, d / 2 - rim / 2
    o.frame(x, y, 0, (w, rim, h - 0.01), (rim, d - 2 * rim, h - 0.01), tiled)
    o.frame(x, y, h - 0.03, (w, rim + 0.02, 0.03), (rim + 0.02, d, 0.03))
    inside = (w - rim, 0.02, h - 0.12), (0.02, d - rim, h - 0.12)
    o.frame(w / 2 - rim, d / 2 - rim, 0.1, *inside)
    o.box((0, 0, 0.08), (w - rim, d - rim, 0.03))
    o.box((w / 2 - 0.12, 0, h + 0.08), (0.2, 0.035, 0.03), steel)
    return o.box([(w / 2 - 0.04, y, h + 0.05) for y in (-0.1, 0.1)], (0.06, 0.05, 0.05), steel)


def basin(s: Scene, at: Spot, yaw: float, width: float, glaze: Material, front: Material) -> Thing:
    """A washbasin: on a pedestal if narrow, otherwise set into the top of a cabinet."""
    o, steel = s.thing("sink", glaze, at, yaw), mt.draw(s.rng, "steel")
    if width < 0.65:
        o.put("vase", (0, 0.05, 0), (0.24, 0.24, 0.72))
        o.put("bowl", (0, 0, 0.68), (0.56, 0.46, 0.18)).box((0, 0.19, 0.76), (0.5, 0.1, 0.1))
    else:
        drawers(o, (0, 0.01, 0.08), (width, 0.48, 0.72), (max(2, int(width / 0.4)), 1), front)
        top = mt.draw(s.rng, "bathroom stone")
        o.box((0, 0, 0.8), (width + 0.03, 0.54, 0.035), top)
        o.put("bowl", (0, -0.02, 0.795), (0.46, 0.38, 0.09))
        o.box((0, 0.25, 0.835), (width + 0.03, 0.02, 0.1), top)
    o.put("pole", (0, 0.16, 0.83), (0.035, 0.035, 0.14), steel)
    o.box((0, 0.1, 0.95), (0.025, 0.14, 0.022), steel)
    return o.box(left_right(0.09, 0.17, 0.84), (0.045, 0.045, 0.05), steel)


def towel(s: Scene, at: Spot, yaw: float, width: float, drop: float) -> Thing:
    """A towel over a rail on a wall; ``at`` is the rail's middle on the wall."""
    steel = mt.draw(s.rng, "steel")
    o = s.thing("towel", mt.cloth(s.rng), at, yaw)
    o.box((0, -0.06, 0), (width + 0.14, 0.015, 0.015), steel)
    o.box(left_right(width / 2 + 0.06, -0.03), (0.02, 0.06, 0.02), steel)
    o.put("curtain", (0, -0.075, 0.015 - drop), (width, 0.03, drop))
    o.put("curtain", (0, -0.045, 0.015 - drop * 0.8), (width, 0.02, drop * 0.8))
    return o.put("slab", (0, -0.06, 0.0), (width, 0.055, 0.03))


def shower_curtain(s: Scene, at: Spot, yaw: float, width: float, height: float) -> Thing:
    """A curtain that hangs almost to the floor."""
    o = s.thing("shower curtain", mt.cloth(s.rng), at, yaw)
    return o.put("curtain", (0, 0, 0.12), (width, 0.1, height - 0.12))


def counter(
    s: Scene, at: Spot, yaw: float, width: float, front: Material, top: Material, sink: bool
) -> Thing:
    """A kitchen base unit, 0.6 m deep and 0.9 m high: doors, drawers, optionally a sink."""
    o, n = s.thing("counter", front, at, yaw), max(1, round(width / 0.5))
    o.box((0, 0.03, 0), (width, 0.52, 0.1), mt.toned(front, 0.3))
    handle = mt.draw(s.rng, "metal")
    drawers(o, (0, 0.015, 0.1), (width, 0.56, 0.56), (n, 1), front, handle)
    drawers(o, (0, 0.015, 0.66), (width, 0.56, 0.2), (n, 1), front, handle)
    o.box([(0, 0, 0.86), (0, 0.295, 0.9)], [(width, 0.62, 0.04), (width, 0.02, 0.08)], top)
    if sink:
        k = s.thing("sink", "steel", o.spot(0, -0.02, 0.9), yaw)
        k.frame(0.3, 0.2, 0, (0.6, 0.03, 0.012), (0.03, 0.42, 0.012))
        k.box((0.02, 0, 0), (0.03, 0.42, 0.012))
        k.box((0, 0, 0.0005), (0.58, 0.38, 0.002), mt.toned(k.material, 0.45))
        k.put("pole", (0, 0.23, 0), (0.035, 0.035, 0.26)).box((0, 0.15, 0.25), (0.025, 0.18, 0.025))
    return o


def wall_cabinet(s: Scene, at: Spot, yaw: float, width: float, front: Material) -> Thing:
    """A wall cupboard, 0.35 m deep; ``at`` is the middle of its bottom edge on the wall."""
    o = s.thing("cabinet", front, at, yaw)
    drawers(o, (0, -0.175, 0), (width, 0.35, 0.7), (max(1, round(width / 0.45)), 1), front)
    return o


def stove(s: Scene, at: Spot, yaw: float) -> Thing:
    """A cooker with four rings, knobs and an oven door."""
    rng = s.rng
    o = s.thing("stove", "metal" if rng.random() < 0.5 else "stove", at, yaw)
    dark = mt.draw(rng, "screen")
    o.box((0, 0, 0), (0.6, 0.6, 0.9)).box((0, 0, 0.9), (0.58, 0.56, 0.012), dark)
    rings = [(x, y, 0.91) for x in (-0.14, 0.14) for y in (-0.13, 0.13)]
    o.put("cylinder", rings, (0.19, 0.19, 0.012), mt.toned(dark, 2.5))
    o.box((0, -0.305, 0.2), (0.46, 0.012, 0.36), dark)
    o.box((0, -0.33, 0.64), (0.48, 0.025, 0.025), "steel")
    knobs = [(x, -0.31, 0.76) for x in np.linspace(-0.22, 0.22, 5)]
    o.put("cylinder", knobs, (0.045, 0.045, 0.045), dark)
    if rng.random() < 0.6:
        o.box((0, 0.27, 0.9), (0.6, 0.06, 0.18))
        o.box((0, 0.238, 0.97), (0.2, 0.005, 0.07), dark)
    if rng.random() < 0.7:
        pot(s, o.spot(-0.14, 0.13, 0.922))
    return o


def pot(s: Scene, at: Spot) -> Thing:
    """A cooking pot with a lid."""
    o = s.thing("pot", mt.draw(s.rng, "metal"), at, s.rng.uniform(0, 3))
    r = s.rng.uniform(0.18, 0.26)
    o.put("cylinder", (0, 0, 0), (r, r, 0.13)).put("dome", (0, 0, 0.13), (r, r, 0.03))
    o.put("ball", (0, 0, 0.155), (0.035, 0.035, 0.03))
    return o.box(left_right(r / 2 + 0.02, 0, 0.09), (0.06, 0.05, 0.015))


def refrigerator(s: Scene, at: Spot, yaw: float) -> Thing:
    """A fridge with two doors, handles, and papers held by magnets."""
    rng = s.rng
    o = s.thing("refrigerator", "steel" if rng.random() < 0.4 else "refrigerator", at, yaw)
    w, d, h, split = 0.72, 0.68, rng.uniform(1.6, 1.85), rng.uniform(0.55, 1.2)
    o.box((0, 0.03, 0.03), (w, d - 0.06, h - 0.03))
    o.box((0, -d / 2 + 0.03, 0.06), (w, 0.06, split - 0.07))
    o.box((0, -d / 2 + 0.03, split + 0.01), (w, 0.06, h - split - 0.01))
    handles = [(-w / 2 + 0.06, -d / 2 - 0.025, z) for z in (split - 0.32, split + 0.06)]
    o.box(handles, (0.03, 0.03, 0.26), mt.toned(o.material, 0.5))
    for _ in range(int(rng.integers(0, 5))):
        sheet = mt.paper(rng) if rng.random() < 0.6 else mt.draw(rng, "picture")
        spot = o.spot(rng.uniform(-0.2, 0.25), -d / 2 - 0.001, rng.uniform(0.9, h - 0.3))
        size = (rng.uniform(0.08, 0.21), 0.002, rng.uniform(0.08, 0.28))
        s.thing("paper", sheet, spot, yaw).box((0, 0, 0), size)
    return o


def range_hood(s: Scene, at: Spot, yaw: float, ceiling: float) -> Thing:
    """An extractor hood over a stove, with its duct."""
    o = s.thing("range hood", "steel", at, yaw)
    o.box((0, -0.24, 0), (0.6, 0.48, 0.07)).box((0, -0.2, 0.07), (0.42, 0.36, 0.1))
    return o.box((0, -0.14, 0.17), (0.24, 0.26, max(0.1, ceiling - at[2] - 0.17)))


def microwave(s: Scene, at: Spot, yaw: float) -> Thing:
    """A microwave oven."""
    o = s.thing("microwave", "microwave", at, yaw).box((0, 0, 0.01), (0.48, 0.36, 0.28))
    o.box((-0.06, -0.181, 0.04), (0.32, 0.006, 0.22), "screen")
    buttons = [(0.17, -0.181, 0.05 + 0.045 * i) for i in range(5)]
    return o.box(buttons, (0.07, 0.008, 0.03), mt.toned(o.material, 0.7))
