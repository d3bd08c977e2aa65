"""A scene under construction: things made of parts, each part a shape with a material."""

from dataclasses import dataclass

import numpy as np

from depthclip_core.sample.world.materials import Material
from depthclip_core.sample.world.names import OBJECT_NAMES, SceneObject
from depthclip_core.sample.world.shapes import shape


@dataclass(frozen=True)
class PartTable:
    """Per-part columns, (p, ...): everything the shader needs but geometry."""

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

    A surface point p has texture coordinates u = p . axes[:, 0, :3] + axes[:, 0, 3], v likewise.
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


def turn_y(angle: float) -> np.ndarray:
    """Rotation by ``angle`` radians about y, (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


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

    def thing(
        self,
        name: str,
        material: Material,
        at: tuple[float, float, float] = (0, 0, 0),
        yaw: float = 0.0,
    ) -> "Thing":
        """Start an instance whose local origin is at ``at`` (metres), turned by ``yaw`` radians.

        Past 255 instances the last one takes the rest, as instance numbers are one byte.
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
        turn: np.ndarray | None,
    ) -> None:
        """Add k copies of a shape; ``bases`` (k, 3) are bottom centres, ``sizes`` (k, 3)."""
        template = shape(form)
        k, t = len(bases), len(template.triangles)
        local = template.triangles[None] * sizes[:, None, None]
        normals = template.normals[None] / np.maximum(sizes, 1e-4)[:, None, None]
        face = normals.sum(2)
        way = np.abs(face).argmax(-1)  # (k, t)
        # In-plane texture axes by the face's main direction; z stays upright on sides.
        first = np.where(way == 0, 1, 0)
        second = np.where(way == 2, 1, 2)
        grain = np.array([m.grain for m in materials])
        spans = sizes / np.maximum(sizes.max(1, keepdims=True), 1e-9)
        rows = np.arange(k)[:, None]
        swap = grain[:, None] & (spans[rows, second] > spans[rows, first])
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        rotation = thing.rotation if turn is None else thing.rotation @ turn
        points = local if turn is None else local @ turn.T
        points = (points + bases[:, None, None]) @ thing.rotation.T + thing.at
        normals = normals @ rotation.T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        start = thing.rotation @ bases.T  # (3, k)
        start = start.T + thing.at
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
        low = local.min((1, 2)) if turn is None else (local @ turn.T).min((1, 2))
        high = local.max((1, 2)) if turn is None else (local @ turn.T).max((1, 2))
        thing.grow((low + bases).min(0), (high + bases).max(0))

    def geometry(self) -> Geometry:
        """Everything so far as arrays."""
        rows = [m for m, _ in self._rows]
        parts = PartTable(
            kind=np.array([m.kind for m in rows], np.int32),
            first=np.array([m.first for m in rows], np.float32),
            second=np.array([m.second for m in rows], np.float32),
            gloss=np.array([m.gloss for m in rows], np.float32),
            glow=np.array([m.glow for m in rows], np.float32),
            blind=np.array([m.blind for m in rows], np.float32),
            mirror=np.array([m.mirror for m in rows], np.float32),
            instance=np.array([i for _, i in self._rows], np.uint8),
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
    """One instance: x is its width, -y its front, z up; shapes go by bottom centres."""

    def __init__(
        self, scene: Scene, name: str, material: Material, at: np.ndarray, yaw: float, number: int
    ) -> None:
        if name not in OBJECT_NAMES:
            raise ValueError(f"unknown object name {name!r}")
        self.scene, self.name, self.material = scene, name, material
        self.at, self.yaw, self.number = at, yaw, number
        self.rotation = turn_z(yaw)
        self.loose = True  # each part's pattern starts somewhere else
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)

    def grow(self, low: np.ndarray, high: np.ndarray) -> None:
        """Widen the local bounding box."""
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)

    def described(self) -> SceneObject:
        """Its public record."""
        size = self._high - self._low
        size = np.where(np.isfinite(size), size, 0)
        return SceneObject(
            self.name,
            self.material.colour,
            self.material.word,
            tuple(round(float(x), 3) for x in size),
        )

    def spot(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """A local point in world metres, to put another thing there."""
        return tuple(self.rotation @ np.array((x, y, z), float) + self.at)

    def put(
        self,
        form: str,
        base: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material | None = None,
        turn: np.ndarray | None = None,
    ) -> "Thing":
        """Add one shape; returns itself."""
        self.scene.add(
            self,
            form,
            np.array([base], float),
            np.array([size], float),
            [material or self.material],
            turn,
        )
        return self

    def box(
        self,
        base: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material | None = None,
        turn: np.ndarray | None = None,
    ) -> "Thing":
        """Add one box."""
        return self.put("box", base, size, material, turn)

    def many(
        self,
        form: str,
        bases: list,
        sizes: list,
        materials: list[Material] | Material | None = None,
    ) -> "Thing":
        """Add k shapes at once."""
        bases = np.array(bases, float).reshape(-1, 3)
        if len(bases) == 0:
            return self
        sizes = np.broadcast_to(np.array(sizes, float), bases.shape)
        if not isinstance(materials, list):
            materials = [materials or self.material] * len(bases)
        self.scene.add(self, form, bases, sizes, materials, None)
        return self

    def boxes(
        self, bases: list, sizes: list, materials: list[Material] | Material | None = None
    ) -> "Thing":
        """Add k boxes at once."""
        return self.many("box", bases, sizes, materials)
