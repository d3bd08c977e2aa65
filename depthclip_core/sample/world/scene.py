"""A scene under construction: things made of parts, each part a shape with a material.

Local frame of every thing: x along its width, front towards -y, z up; furniture has its origin on
the floor at the centre of its footprint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.names import OBJECT_NAMES, SceneObject
from depthclip_core.sample.world.shapes import shape

Spot = tuple[float, float, float]
Size = tuple[float, float, float]  # width, depth, height


@dataclass(frozen=True)
class PartTable:
    """Per-part columns, (p, ...): everything that the shader needs besides geometry."""

    kind: np.ndarray
    first: np.ndarray
    second: np.ndarray
    gloss: np.ndarray
    glow: np.ndarray
    blind: np.ndarray
    mirror: np.ndarray
    instance: np.ndarray  # 1-based


@dataclass(frozen=True)
class Geometry:
    """Triangles (t, 3, 3) metres, corner normals (t, 3, 3), part index (t,) and texture axes.

    A surface point p has texture coordinates u = p . axes[:, 0, :3] + axes[:, 0, 3]; v likewise,
    with axes[:, 1].
    """

    triangles: np.ndarray
    normals: np.ndarray
    part: np.ndarray
    axes: np.ndarray  # (t, 2, 4) float32
    parts: PartTable
    objects: tuple[SceneObject, ...]


def turn_z(angle: float) -> np.ndarray:
    """Rotation by ``angle`` radians about z, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def turn_x(angle: float) -> np.ndarray:
    """Rotation by ``angle`` radians about x, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])


UPRIGHT = np.eye(3)


def left_right(x: float, y: float = 0.0, z: float = 0.0) -> list[Spot]:
    """Two positions, at -x and at x."""
    return [(-x, y, z), (x, y, z)]


def front_back(y: float, z: float = 0.0) -> list[Spot]:
    """Two positions, at -y and at y."""
    return [(0, -y, z), (0, y, z)]


def corners(x: float, y: float) -> list[Spot]:
    """Four positions on the floor: front left, front right, back left, back right."""
    return [*left_right(x, -y), *left_right(x, y)]


class Scene:
    """Collects things; ``geometry()`` freezes them into arrays."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.things: list[Thing] = []
        self._rows: list[tuple[Material, int]] = []
        self._triangles: list[np.ndarray] = []
        self._normals: list[np.ndarray] = []
        self._parts: list[np.ndarray] = []
        self._axes: list[np.ndarray] = []

    def thing(self, name: str, material: Material, at: Spot, yaw: float = 0.0) -> "Thing":
        """Start an instance with its local origin at ``at`` (metres), turned by ``yaw`` radians.

        Instance numbers are one byte: everything after the 254th instance shares number 255.
        """
        number = min(len(self.things) + 1, 255)
        made = Thing(self, name, material, np.array(at, float), yaw, number)
        if len(self.things) < 255:
            self.things.append(made)
        return made

    def add(
        self,
        thing: "Thing",
        form: str,
        bases: np.ndarray,
        sizes: np.ndarray,
        materials: list[Material],
        turn: np.ndarray,
    ) -> None:
        """Add k copies of a shape; ``bases`` (k, 3) are bottom centres, ``sizes`` (k, 3)."""
        template = shape(form)
        k, t = len(bases), len(template.triangles)
        normals = template.normals[None] / np.maximum(sizes, 1e-4)[:, None, None]
        main_axis = np.abs(normals.sum(2)).argmax(-1)  # of each face, (k, t)
        # Texture axes lie in the face; on sides, the second one points up.
        first = np.where(main_axis == 0, 1, 0)
        second = np.where(main_axis == 2, 1, 2)
        grain = np.array([m.grain for m in materials])
        spans = sizes / np.maximum(sizes.max(1, keepdims=True), 1e-9)
        rows = np.arange(k)[:, None]
        swap = grain[:, None] & (spans[rows, second] > spans[rows, first])
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        local = (template.triangles[None] * sizes[:, None, None]) @ turn.T
        points = (local + bases[:, None, None]) @ thing.rotation.T + thing.at
        rotation = thing.rotation @ turn
        normals = normals @ rotation.T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        start = (thing.rotation @ bases.T).T + thing.at  # (k, 3)
        shift = self.rng.uniform(0, 2.56, (k, 2)) if thing.loose else np.zeros((k, 2))
        axes = np.zeros((k, t, 2, 4))
        for j, axis in enumerate((first, second)):
            axes[:, :, j, :3] = rotation.T[axis]
            axes[:, :, j, 3] = shift[:, j, None] - (axes[:, :, j, :3] * start[:, None]).sum(-1)
        number = len(self._rows)
        self._rows += [(m, thing.number) for m in materials]
        self._triangles.append(points.reshape(-1, 3, 3))
        self._normals.append(normals.reshape(-1, 3, 3))
        self._parts.append(np.repeat(np.arange(number, number + k), t))
        self._axes.append(axes.reshape(-1, 2, 4))
        thing.grow((local.min((1, 2)) + bases).min(0), (local.max((1, 2)) + bases).max(0))

    def geometry(self) -> Geometry:
        """Everything so far as arrays."""
        shading = ("first", "second", "gloss", "glow", "blind", "mirror")
        columns = {
            name: np.array([getattr(m, name) for m, _ in self._rows], np.float32)
            for name in shading
        }
        parts = PartTable(
            kind=np.array([m.kind for m, _ in self._rows], np.int32),
            instance=np.array([number for _, number in self._rows], np.uint8),
            **columns,
        )
        return Geometry(
            np.concatenate(self._triangles).astype(np.float32),
            np.concatenate(self._normals).astype(np.float32),
            np.concatenate(self._parts).astype(np.int32),
            np.concatenate(self._axes).astype(np.float32),
            parts,
            tuple(t.described() for t in self.things),
        )


class Thing:
    """One instance: shapes are placed by their bottom centres."""

    def __init__(
        self, scene: Scene, name: str, material: Material, at: np.ndarray, yaw: float, number: int
    ) -> None:
        if name not in OBJECT_NAMES:
            raise ValueError(f"unknown object name {name!r}")
        self.scene, self.name, self.material = scene, name, material
        self.at, self.yaw, self.number = at, yaw, number
        self.rotation = turn_z(yaw)
        self.loose = True  # each part's pattern starts at a random offset
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)

    def grow(self, low: np.ndarray, high: np.ndarray) -> None:
        """Enlarge the local bounding box."""
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)

    def described(self) -> SceneObject:
        """The public record of this instance."""
        size = self._high - self._low
        size = tuple(round(float(x), 3) for x in np.where(np.isfinite(size), size, 0))
        return SceneObject(self.name, self.material.colour, self.material.word, size)

    def spot(self, x: float, y: float, z: float) -> Spot:
        """A local point in world metres, where another thing can be put."""
        return tuple(self.rotation @ np.array((x, y, z), float) + self.at)

    def put(
        self,
        form: str,
        base: Spot,
        size: Size,
        material: Material | None = None,
        turn: np.ndarray = UPRIGHT,
    ) -> "Thing":
        """Add one shape; return this thing."""
        return self.many(form, [base], [size], material, turn)

    def box(
        self, base: Spot, size: Size, material: Material | None = None, turn: np.ndarray = UPRIGHT
    ) -> "Thing":
        """Add one box."""
        return self.put("box", base, size, material, turn)

    def many(
        self,
        form: str,
        bases: Sequence[Spot] | np.ndarray,
        sizes: Size | Sequence[Size] | np.ndarray,
        materials: list[Material] | Material | None = None,
        turn: np.ndarray = UPRIGHT,
    ) -> "Thing":
        """Add k shapes, all of one size and material or each of its own."""
        if len(bases):
            bases = np.array(bases, float)
            sizes = np.broadcast_to(np.array(sizes, float), bases.shape)
            if not isinstance(materials, list):
                materials = [materials or self.material] * len(bases)
            self.scene.add(self, form, bases, sizes, materials, turn)
        return self

    def boxes(
        self,
        bases: Sequence[Spot] | np.ndarray,
        sizes: Size | Sequence[Size] | np.ndarray,
        materials: list[Material] | Material | None = None,
    ) -> "Thing":
        """Add k boxes."""
        return self.many("box", bases, sizes, materials)

    def frame(
        self,
        x: float,
        y: float,
        z: float,
        front: Size,
        side: Size,
        material: Material | None = None,
    ) -> "Thing":
        """Add a rectangle of four boxes: of size ``front`` at -y and y, ``side`` at -x and x."""
        bases = [*front_back(y, z), *left_right(x, 0, z)]
        return self.boxes(bases, [front, front, side, side], material)
