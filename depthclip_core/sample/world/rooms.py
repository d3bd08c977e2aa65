"""A room: its shell, what hangs on its walls, its lights, and free floor to put furniture on.

World frame, metres: x from the left wall (0) to the right (w), y from the near wall (0) to the far
one (l), z up from the floor (0) to the ceiling (h).
"""

from dataclasses import dataclass

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.scene import Scene, Thing
from depthclip_core.sample.world.seats import Spot

WALL_YAW = {"far": 0.0, "left": np.pi / 2, "right": -np.pi / 2, "near": np.pi}


@dataclass(frozen=True)
class Light:
    """A round lamp: position (3,) metres, linear RGB power (3,), radius in metres."""

    at: tuple[float, float, float]
    power: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Place:
    """Where a thing may stand: its floor point, yaw (radians) and the wall behind it."""

    at: Spot
    yaw: float
    wall: str


class Room:
    """The shell of a room and the book-keeping of its floor and walls."""

    def __init__(self, scene: Scene, size: tuple[float, float, float]) -> None:
        self.scene, self.rng = scene, scene.rng
        self.w, self.l, self.h = size
        self.taken: list[tuple[float, float, float, float]] = []
        self.hung: dict[str, list[tuple[float, float, float, float]]] = {k: [] for k in WALL_YAW}
        self.lights: list[Light] = []

    # The shell.

    def shell(
        self,
        wall: Material,
        floor: Material,
        ceiling: Material,
        accent: Material | None = None,
        dado: Material | None = None,
        skirting: Material | None = None,
    ) -> None:
        """Four walls, floor, ceiling, skirting; one wall may differ, and walls may be tiled low."""
        s, w, deep, h, t = self.scene, self.w, self.l, self.h, 0.1
        for name in WALL_YAW:
            length = self.length(name)
            m = accent if accent is not None and name == "far" else wall
            o = s.thing("wall", m, *self.on_wall(name, length / 2, 0))
            o.loose = False
            o.box((0, t / 2, -t), (length + 2 * t, t, h + 2 * t), m)
            if dado is not None:
                o.box((0, -0.006, 0), (length, 0.012, 1.25), dado)
                o.box((0, -0.011, 1.25), (length, 0.022, 0.05), mt.darker(dado, 0.7))
            elif skirting is not None:
                o.box((0, -0.009, 0), (length, 0.018, 0.1), skirting)
        for name, z, m in (("floor", -t, floor), ("ceiling", h, ceiling)):
            o = s.thing(name, m, (w / 2, deep / 2, z))
            o.loose = False
            o.box((0, 0, 0), (w + 2 * t, deep + 2 * t, t))

    def length(self, wall: str) -> float:
        """A wall's length in metres."""
        return self.w if wall in ("far", "near") else self.l

    def on_wall(self, wall: str, along: float, z: float) -> tuple[Spot, float]:
        """World point and yaw of something on a wall; ``along`` runs with x or y."""
        x, y = {
            "far": (along, self.l),
            "near": (along, 0.0),
            "left": (0.0, along),
            "right": (self.w, along),
        }[wall]
        return (x, y, z), WALL_YAW[wall]

    # Free floor.

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        x0, x1, y0, y1 = box
        if x0 < 0.005 or y0 < 0.005 or x1 > self.w - 0.005 or y1 > self.l - 0.005:
            return False
        return all(x1 <= a or x0 >= b or y1 <= c or y0 >= d for a, b, c, d in self.taken)

    def against(
        self,
        width: float,
        depth: float,
        walls: tuple[str, ...] = ("far", "left", "right"),
        gap: float = 0.02,
        front: float = 0.0,
        tries: int = 24,
    ) -> Place | None:
        """A free place with its back to one of the walls; ``front`` metres are kept clear too."""
        for _ in range(tries):
            wall = mt.pick(self.rng, walls)
            room = self.length(wall) - width - 0.04
            if room < 0:
                continue
            along = 0.02 + width / 2 + self.rng.random() * room
            place = self.at_wall(wall, along, width, depth, gap, front)
            if place is not None:
                return place
        return None

    def at_wall(
        self,
        wall: str,
        along: float,
        width: float,
        depth: float,
        gap: float = 0.02,
        front: float = 0.0,
    ) -> Place | None:
        """The place at ``along`` on a wall, if free."""
        a, b, reach = along - width / 2, along + width / 2, gap + depth
        box = {
            "far": (a, b, self.l - reach - front, self.l - 0.01),
            "near": (a, b, 0.01, reach + front),
            "left": (0.01, reach + front, a, b),
            "right": (self.w - reach - front, self.w - 0.01, a, b),
        }[wall]
        if not self._free(box):
            return None
        self.taken.append(box)
        (x, y, _), yaw = self.on_wall(wall, along, 0)
        off = gap + depth / 2
        return Place((x + off * np.sin(yaw), y - off * np.cos(yaw), 0.0), yaw, wall)

    def middle(
        self,
        width: float,
        depth: float,
        region: tuple[float, float, float, float] | None = None,
        tries: int = 24,
    ) -> Spot | None:
        """A free floor point for a footprint; ``region`` is (x0, x1, y0, y1) of its centre."""
        x0, x1, y0, y1 = region or (0.2, self.w - 0.2, 0.2, self.l - 0.2)
        for _ in range(tries):
            x, y = self.rng.uniform(x0, x1), self.rng.uniform(y0, y1)
            box = (x - width / 2, x + width / 2, y - depth / 2, y + depth / 2)
            if self._free(box):
                self.taken.append(box)
                return (x, y, 0.0)
        return None

    def claim(self, x: float, y: float, width: float, depth: float) -> bool:
        """Take a footprint if it is free."""
        box = (x - width / 2, x + width / 2, y - depth / 2, y + depth / 2)
        free = self._free(box)
        if free:
            self.taken.append(box)
        return free

    # Free wall.

    def hang(
        self,
        width: float,
        low: float,
        high: float,
        walls: tuple[str, ...] = ("far", "left", "right"),
        along: float | None = None,
        tries: int = 16,
    ) -> tuple[str, float] | None:
        """A free stretch of wall between two heights: the wall's name and the middle along it."""
        for _ in range(tries):
            wall = mt.pick(self.rng, walls)
            room = self.length(wall) - width - 0.3
            if room < 0:
                continue
            at = along if along is not None else 0.15 + width / 2 + self.rng.random() * room
            box = (at - width / 2, at + width / 2, low, high)
            if all(
                box[1] <= a - 0.06 or box[0] >= b + 0.06 or high <= c or low >= d
                for a, b, c, d in self.hung[wall]
            ):
                self.hung[wall].append(box)
                return wall, at
        return None

    def block(self, place: Place, width: float, height: float) -> None:
        """Keep the wall behind a tall thing free of pictures."""
        along = place.at[0] if place.wall in ("far", "near") else place.at[1]
        self.hung[place.wall].append((along - width / 2, along + width / 2, 0, height))

    def thing_at(self, name: str, material: Material, spot: tuple[str, float], z: float) -> Thing:
        """A thing hung on a wall, its origin on the wall."""
        at, yaw = self.on_wall(spot[0], spot[1], z)
        return self.scene.thing(name, material, at, yaw)
