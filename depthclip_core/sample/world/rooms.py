"""A room: its shell, what hangs on its walls, its lights, and free floor for furniture.

World frame, metres: x from the left wall (0) to the right (w), y from the near wall (0) to the far
one (l), z up from the floor (0) to the ceiling (h).
"""

from dataclasses import dataclass

import numpy as np

from depthclip_core.sample.world import materials as mt
from depthclip_core.sample.world.scene import Finish, Scene, Size, Spot, Thing

WALL_YAW = {"far": 0.0, "left": np.pi / 2, "right": -np.pi / 2, "near": np.pi}
SIDES = ("far", "left", "right")
ALL = (*SIDES, "near")

Walls = tuple[str, ...]
Rectangle = tuple[float, float, float, float]  # first and last x, first and last y


@dataclass(frozen=True)
class Light:
    """A round lamp: position (3,) metres, linear RGB power (3,), radius in metres."""

    at: Spot
    power: tuple[float, float, float]
    radius: float


@dataclass(frozen=True)
class Place:
    """A free place with its back to a wall: its floor point, yaw (radians), the wall's name."""

    at: Spot
    yaw: float
    wall: str
    along: float  # position along the wall, metres


class Room:
    """The shell of a room, and a record of the floor and wall areas in use."""

    def __init__(self, scene: Scene, size: Size) -> None:
        self.scene, self.rng = scene, scene.rng
        self.w, self.l, self.h = size
        self.taken: list[Rectangle] = []
        self.hung: dict[str, list[Rectangle]] = {wall: [] for wall in WALL_YAW}
        self.lights: list[Light] = []

    def length(self, wall: str) -> float:
        """A wall's length in metres."""
        return self.w if wall in ("far", "near") else self.l

    def on_wall(self, wall: str, along: float, z: float) -> tuple[Spot, float]:
        """World point and yaw of something on a wall; ``along`` is its x or y."""
        across = {"far": self.l, "near": 0.0, "left": 0.0, "right": self.w}[wall]
        x, y = (along, across) if wall in ("far", "near") else (across, along)
        return (x, y, z), WALL_YAW[wall]

    def _take(self, box: Rectangle) -> bool:
        """Claim a piece of floor if it is free."""
        x0, x1, y0, y1 = box
        inside = x0 >= 0.005 and y0 >= 0.005 and x1 <= self.w - 0.005 and y1 <= self.l - 0.005
        free = inside and all(x1 <= a or x0 >= b or y1 <= c or y0 >= d for a, b, c, d in self.taken)
        if free:
            self.taken.append(box)
        return free

    def claim(self, x: float, y: float, width: float, depth: float) -> bool:
        """Claim a footprint centred on (x, y) if it is free."""
        return self._take((x - width / 2, x + width / 2, y - depth / 2, y + depth / 2))

    def against(
        self, width: float, depth: float, walls: Walls = SIDES, gap: float = 0.02, front: float = 0
    ) -> Place | None:
        """A free place with its back to one of the walls and ``front`` metres clear before it."""
        for _ in range(24):
            wall = mt.pick(self.rng, walls)
            room = self.length(wall) - width - 0.04
            if room < 0:
                continue
            along = 0.02 + width / 2 + self.rng.random() * room
            if place := self.at_wall(wall, along, width, depth, gap, front):
                return place
        return None

    def at_wall(
        self, wall: str, at: float, width: float, depth: float, gap: float = 0.02, front: float = 0
    ) -> Place | None:
        """The place at a position along a wall, if free."""
        a, b, reach = at - width / 2, at + width / 2, gap + depth
        box = {
            "far": (a, b, self.l - reach - front, self.l - 0.01),
            "near": (a, b, 0.01, reach + front),
            "left": (0.01, reach + front, a, b),
            "right": (self.w - reach - front, self.w - 0.01, a, b),
        }[wall]
        if not self._take(box):
            return None
        ((x, y, _), yaw), off = self.on_wall(wall, at, 0), gap + depth / 2
        x, y = x + off * np.sin(yaw), y - off * np.cos(yaw)
        return Place((x, y, 0.0), yaw, wall, x if wall in ("far", "near") else y)

    def middle(self, width: float, depth: float) -> Spot | None:
        """A free floor point for a footprint."""
        for _ in range(24):
            x, y = self.rng.uniform(0.2, self.w - 0.2), self.rng.uniform(0.2, self.l - 0.2)
            if self.claim(x, y, width, depth):
                return (x, y, 0.0)
        return None

    def hang(
        self, width: float, low: float, high: float, walls: Walls = SIDES, at: float | None = None
    ) -> tuple[str, float] | None:
        """A free stretch of wall between two heights: the wall's name and the middle along it."""
        for _ in range(16):
            wall = mt.pick(self.rng, walls)
            room = self.length(wall) - width - 0.3
            if room < 0:
                continue
            x = at or 0.15 + width / 2 + self.rng.random() * room
            x0, x1, hung = x - width / 2, x + width / 2, self.hung[wall]
            if all(
                x1 <= a - 0.06 or x0 >= b + 0.06 or high <= c or low >= d for a, b, c, d in hung
            ):
                hung.append((x0, x1, low, high))
                return wall, x
        return None

    def block(self, place: Place, width: float, height: float) -> None:
        """Keep pictures off the wall behind a tall thing."""
        x = place.along
        self.hung[place.wall].append((x - width / 2, x + width / 2, 0, height))

    def thing_at(
        self, name: str, finish: Finish, spot: tuple[str, float], z: float, **more: bool
    ) -> Thing:
        """A thing that hangs on a wall, its origin on the wall."""
        return self.scene.thing(name, finish, *self.on_wall(*spot, z), **more)
