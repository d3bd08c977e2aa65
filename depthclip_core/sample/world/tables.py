"""Tables, desks, chests and wardrobes."""

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import Finish, Scene, Size, Spot, Thing, corners, left_right

Grid = tuple[int, int]  # columns and rows of drawers or doors


def table(
    s: Scene, at: Spot, yaw: float, size: Size, material: Material, name: str = "table"
) -> Thing:
    """A rectangular table with four legs and an apron."""
    w, d, h = size
    o = s.thing(name, material, at, yaw)
    t = 0.05 if h < 0.55 else 0.06
    x, y = w / 2 - 0.07, d / 2 - 0.07
    o.box((0, 0, h - 0.035), (w, d, 0.035))
    o.box(corners(x, y), (t, t, h - 0.035))
    return o.frame(x, y, h - 0.11, (w - 0.16, 0.02, 0.08), (0.02, d - 0.16, 0.08))


def round_table(s: Scene, at: Spot, size: tuple[float, float], material: Material) -> Thing:
    """A round table on one foot; ``size`` is (diameter, height)."""
    (across, h), o = size, s.thing("table", material, at, s.rng.uniform(0, 3))
    o.put("cylinder", (0, 0, h - 0.035), (across, across, 0.035))
    return o.put("stool", (0, 0, 0), (across * 0.5, across * 0.5, h - 0.03))


def school_desk(s: Scene, at: Spot, yaw: float, top: Material, steel: Material) -> Thing:
    """A school desk with a book box under its top."""
    w, d, h = 0.7, 0.5, 0.74
    o = s.thing("school desk", top, at, yaw).box((0, 0, h - 0.025), (w, d, 0.025))
    o.box((0, 0.02, h - 0.15), (w - 0.14, d - 0.1, 0.115), steel)
    o.box(left_right(w / 2 - 0.06, 0, 0.03), (0.05, 0.05, h - 0.05), steel)
    return o.box(left_right(w / 2 - 0.06), (0.05, d - 0.04, 0.03), steel)


def desk(s: Scene, at: Spot, yaw: float, width: float, material: Material) -> Thing:
    """A desk, 0.75 m high, with drawers on one side."""
    d, h = 0.7, 0.75
    o = s.thing("desk", material, at, yaw).box((0, 0, h - 0.035), (width, d, 0.035))
    side = -1 if s.rng.random() < 0.5 else 1
    drawers(o, (side * (width / 2 - 0.24), 0, 0.05), (0.42, d - 0.06, h - 0.09), (1, 3), material)
    o.box((-side * (width / 2 - 0.03), 0, 0), (0.04, d - 0.06, h - 0.035))
    return o.box((0, d / 2 - 0.08, 0.3), (width - 0.1, 0.02, h - 0.34))


def drawers(
    o: Thing, base: Spot, size: Size, grid: Grid, front: Material, handle: Finish = "metal"
) -> None:
    """A carcass with a grid of slightly protruding drawer or door fronts, each with a handle."""
    (w, d, h), (x0, y0, z0), (columns, rows) = size, base, grid
    o.box(base, size, front)
    handle = o.scene.material(handle)
    fw, fh = w / columns, h / rows
    spots = [
        (x0 - w / 2 + (i + 0.5) * fw, y0 - d / 2 - 0.005, z0 + j * fh + 0.008)
        for i in range(columns)
        for j in range(rows)
    ]
    o.box(spots, (fw - 0.016, 0.02, fh - 0.016), mt.toned(front, 1.12))
    if fh > 0.45:  # a door: its handle is upright and near one edge
        grip, shift, up = (0.018, 0.03, 0.14), fw * 0.36, fh * 0.45
    else:
        grip, shift, up = (min(0.14, fw * 0.4), 0.03, 0.018), 0.0, fh * 0.55
    handles = [
        (x + shift * (-1 if i % 2 else 1), y - 0.02, z + up) for i, (x, y, z) in enumerate(spots)
    ]
    o.box(handles, grip, handle)


def chest(
    s: Scene, name: str, at: Spot, yaw: float, size: Size, grid: Grid, material: Material
) -> Thing:
    """A dresser, night stand, sideboard, wardrobe, cabinet or filing cabinet on short feet."""
    w, d, h = size
    o = s.thing(name, material, at, yaw)
    o.box(corners(w / 2 - 0.04, d / 2 - 0.04), (0.05, 0.05, 0.07), mt.toned(material, 0.6))
    drawers(o, (0, 0, 0.06), (w, d, h - 0.085), grid, material)
    return o.box((0, -0.01, h - 0.025), (w + 0.03, d + 0.03, 0.025))
