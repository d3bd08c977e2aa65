"""Furniture to sit or lie on: chairs, stools, sofas, armchairs and beds."""

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import (
    Scene,
    Spot,
    Thing,
    corners,
    left_right,
    turn_x,
    turn_z,
)


def chair(s: Scene, at: Spot, yaw: float, frame: Material, seat: Material, style: int) -> Thing:
    """A straight chair with four legs; ``style`` 0 has slats, 1 a solid back, 2 a ladder back."""
    o = s.thing("chair", frame, at, yaw)
    w, d, h, top, leg = 0.43, 0.43, 0.45, 0.92, 0.038
    x, y = w / 2 - leg / 2, d / 2 - leg / 2
    o.box(left_right(x, -y), (leg, leg, h - 0.03))
    o.box(left_right(x, y), (leg, leg, top))
    o.box((0, 0, h - 0.07), (w - 0.03, d - 0.03, 0.04))
    if style == 1:
        o.put("panel", (0, -0.01, h - 0.03), (w + 0.02, d + 0.02, 0.055), seat)
        o.put("panel", (0, y, h + 0.13), (w - 0.02, 0.045, top - h - 0.12), seat)
    else:
        o.box((0, 0, h - 0.03), (w + 0.02, d + 0.01, 0.03), seat)
        o.box((0, y, top - 0.09), (w - leg, 0.028, 0.085))
        o.box((0, y, h + 0.12), (w - leg, 0.024, 0.04))
        if style == 0:
            slats = np.linspace(-w / 2 + 0.09, w / 2 - 0.09, 4)
            o.box([(i, y, h + 0.15) for i in slats], (0.03, 0.018, top - h - 0.22))
        else:
            o.box([(0, y, h + z) for z in (0.2, 0.29)], (w - leg, 0.02, 0.035))
    return o.box(left_right(x, 0, 0.17), (0.02, d - leg, 0.025))


def shell_chair(s: Scene, at: Spot, yaw: float, shell: Material, steel: Material) -> Thing:
    """A school chair: a plastic seat and back on steel tube legs."""
    o = s.thing("chair", shell, at, yaw).put("panel", (0, 0, 0.42), (0.4, 0.4, 0.03))
    o.put("panel", (0, 0.19, 0.57), (0.4, 0.03, 0.27), turn=turn_x(-0.12))
    o.put("pole", corners(0.17, 0.16), (0.024, 0.024, 0.42), steel)
    return o.put("pole", left_right(0.15, 0.185, 0.42), (0.022, 0.022, 0.22), steel)


def office_chair(s: Scene, at: Spot, yaw: float, cover: Material) -> Thing:
    """A swivel chair with five feet and armrests."""
    o, dark = s.thing("office chair", cover, at, yaw), mt.draw(s.rng, "dark plastic")
    for i in range(5):
        a = 2 * np.pi * i / 5
        o.box((0.15 * np.cos(a), 0.15 * np.sin(a), 0.06), (0.3, 0.045, 0.035), dark, turn_z(a))
        o.put("ball", (0.28 * np.cos(a), 0.28 * np.sin(a), 0), (0.06, 0.06, 0.06), dark)
    o.put("pole", (0, 0, 0.08), (0.06, 0.06, 0.36), dark)
    o.put("cushion", (0, 0, 0.42), (0.5, 0.5, 0.1))
    o.put("cushion", (0, 0.24, 0.58), (0.46, 0.1, 0.52), turn=turn_x(-0.12))
    o.box((0, 0.22, 0.42), (0.08, 0.04, 0.3), dark)
    o.box(left_right(0.27, 0.02, 0.64), (0.05, 0.26, 0.03), dark)
    return o.box(left_right(0.27, 0.04, 0.45), (0.03, 0.05, 0.2), dark)


def stool(s: Scene, at: Spot, frame: Material, seat: Material, height: float) -> Thing:
    """A round stool on four legs."""
    o = s.thing("stool", seat, at, s.rng.uniform(0, 1))
    o.put("cylinder", (0, 0, height - 0.05), (0.34, 0.34, 0.05))
    o.put("pole", corners(0.11, 0.11), (0.032, 0.032, height - 0.05), frame)
    return o.box([(0, -0.11, 0.18), (0, 0.11, 0.18)], (0.22, 0.02, 0.02), frame)


def sofa(
    s: Scene, at: Spot, yaw: float, width: float, cover: Material, pillows: list[Material]
) -> Thing:
    """A sofa, or an armchair if narrower than 1.2 m: arms, back, seat and back cushions."""
    one = width < 1.2
    o = s.thing("armchair" if one else "sofa", cover, at, yaw)
    d, arm, seat, back = 0.88, s.rng.uniform(0.14, 0.24), 0.42, s.rng.uniform(0.76, 0.92)
    arm_top = s.rng.uniform(0.54, 0.66)
    foot = mt.wood(s.rng, ("dark brown", "brown"))
    o.box(corners(width / 2 - 0.08, d / 2 - 0.08), (0.06, 0.06, 0.1), foot)
    o.box((0, 0, 0.08), (width - 0.04, d - 0.04, 0.2))
    o.put("slab", (0, d / 2 - 0.12, 0.1), (width, 0.26, back - 0.1))
    o.put("slab", left_right((width - arm) / 2, -0.02, 0.09), (arm, d - 0.04, arm_top - 0.09))
    n = 1 if one else (2 if width < 1.85 else 3)
    span = (width - 2 * arm) / n
    for i in range(n):
        x = (i - (n - 1) / 2) * span
        o.put("cushion", (x, -0.1, 0.25), (span - 0.01, d - 0.3, seat - 0.23))
        back_cushion = (span - 0.02, 0.17, 0.44)
        o.put("cushion", (x, d / 2 - 0.3, seat - 0.04), back_cushion, turn=turn_x(-0.2))
    for i, m in enumerate(pillows):
        x = (-1 if i % 2 else 1) * ((width - 2 * arm) / 2 - 0.2) * (1 if i < 2 else 0.2)
        p = s.thing("cushion", m, o.spot(x, 0.02, seat - 0.01), yaw + s.rng.normal(0, 0.25))
        p.put("cushion", (0, 0, 0), (0.42, 0.14, 0.4), turn=turn_x(-0.35))
    return o


def bed(s: Scene, at: Spot, yaw: float, width: float) -> Thing:
    """A bed, 2 m long, head towards +y: frame, mattress, duvet, pillows and a headboard."""
    rng = s.rng
    frame, length = mt.wood(rng), 2.05
    sheet, cover = mt.draw(rng, "bedding"), mt.cloth(rng)
    o = s.thing("bed", cover, at, yaw)
    low, head, end = rng.uniform(0.2, 0.32), rng.uniform(0.85, 1.2), length / 2 - 0.03
    o.box(corners(width / 2 - 0.05, length / 2 - 0.05), (0.08, 0.08, low), frame)
    o.box((0, 0, low - 0.12), (width, length, 0.14), frame)
    if rng.random() < 0.5:
        o.box((0, end, 0.1), (width + 0.06, 0.06, head - 0.1), frame)
    else:
        o.box(left_right(width / 2, end), (0.07, 0.07, head + 0.06), frame)
        o.box([(0, end, z) for z in (head - 0.08, low + 0.15)], (width, 0.045, 0.08), frame)
        bars = np.linspace(-width / 2 + 0.1, width / 2 - 0.1, int(width / 0.14))
        o.box([(x, end, low) for x in bars], (0.03, 0.03, head - low - 0.05), frame)
    if rng.random() < 0.4:
        o.box((0, -end, 0.1), (width + 0.06, 0.05, low + 0.25), frame)
    o.put("slab", (0, 0, low), (width - 0.03, length - 0.08, 0.24), sheet)
    o.put("slab", (0, -0.22, low - 0.06), (width + 0.08, length - 0.5, 0.33))
    o.put("cushion", (0, 0.48, low + 0.2), (width + 0.07, 0.22, 0.11), mt.toned(cover, 0.8))
    for x in (0,) if width < 1.2 else (-0.5 * width / 2, 0.5 * width / 2):
        spot = o.spot(x, length / 2 - 0.3, low + 0.2)
        p = s.thing("pillow", sheet, spot, yaw + rng.normal(0, 0.12))
        p.put("cushion", (0, 0, 0), (0.62, 0.42, 0.17), turn=turn_x(0.25))
    if rng.random() < 0.5:
        m, spot = mt.cloth(rng), o.spot(rng.uniform(-0.2, 0.2), 0.35, low + 0.26)
        p = s.thing("cushion", m, spot, yaw + rng.normal(0, 0.4))
        p.put("cushion", (0, 0, 0), (0.4, 0.36, 0.15))
    return o
