"""A scene under construction: things made of parts, each part a shape with a material.

Local frame of every thing: x along its width, front towards -y, z up; furniture has its origin on
the floor at the centre of its footprint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partialmethod
from operator import attrgetter

import numpy as np

from depthclip_core.sample.world import DATA
from depthclip_core.sample.world.materials import Material, draw
from depthclip_core.sample.world.shapes import shape

OBJECT_NAMES: tuple[str, ...] = tuple(DATA["objects"])

Spot = tuple[float, float, float]
Size = tuple[float, float, float]  # width, depth, height
Finish = Material | str  # a material, or the name of a kind to draw it from

# What the shader needs of a part besides geometry: its material, and its instance's 1-based number.
COLOURS = [(name, "f4", 3) for name in ("first", "second")]
NUMBERS = [(name, "f4") for name in ("gloss", "glow", "blind", "mirror")]
PART = np.dtype([("kind", "i4"), *COLOURS, *NUMBERS, ("instance", "u1")])


@dataclass(frozen=True)
class SceneObject:
    """One instance: what a viewer would call it, and its size (w, d, h) in metres."""

    name: str
    colour: str
    material: str
    size: Size


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
    parts: np.recarray  # (p,), of PART
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
        self.parts: list[tuple] = []  # rows of PART
        self.arrays: list[tuple[np.ndarray, ...]] = []  # Geometry's triangles, normals, part, axes

    def thing(
        self, name: str, finish: Finish, at: Spot, yaw: float = 0.0, loose: bool = True
    ) -> "Thing":
        """Start an instance with its local origin at ``at`` (metres), turned by ``yaw`` radians.

        loose: each part's pattern starts at a random offset. Instance numbers are one byte: all
        instances after the 254th share number 255.
        """
        made = Thing(self, name, self.material(finish), at, yaw, loose)
        if len(self.things) < 255:
            self.things.append(made)
        return made

    def material(self, finish: Finish) -> Material:
        """The material, drawn if it is the name of a kind."""
        return draw(self.rng, finish) if isinstance(finish, str) else finish

    def geometry(self) -> Geometry:
        """Everything so far as arrays."""
        columns = zip(*self.arrays, strict=True)
        arrays = [np.concatenate(a).astype(k) for a, k in zip(columns, "ffif", strict=True)]
        parts = np.array(self.parts, PART).view(np.recarray)
        return Geometry(*arrays, parts, tuple(t.described() for t in self.things))


class Thing:
    """One instance: shapes are placed by their bottom centres."""

    def __init__(
        self, scene: Scene, name: str, material: Material, at: Spot, yaw: float, loose: bool
    ) -> None:
        if name not in OBJECT_NAMES:
            raise ValueError(f"unknown object name {name!r}")
        self.scene, self.name, self.material = scene, name, material
        self.yaw, self.loose = yaw, loose
        self.at, self.rotation = np.array(at, float), turn_z(yaw)
        self.number = min(len(scene.things) + 1, 255)
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)

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
        bases: Spot | Sequence[Spot] | np.ndarray,
        sizes: Size | Sequence[Size] | np.ndarray,
        materials: list[Material] | Finish | None = None,
        turn: np.ndarray = UPRIGHT,
    ) -> "Thing":
        """Add a shape at one or k bottom centres, each (3,); return this thing.

        Sizes and materials: one for all, or one for each; the thing's own material by default.
        """
        bases = np.array(bases, float).reshape(-1, 3)
        if not (k := len(bases)):
            return self
        sizes = np.broadcast_to(np.array(sizes, float), bases.shape)
        if not isinstance(materials, list):
            materials = [self.scene.material(materials or self.material)] * k
        template = shape(form)
        t = len(template.triangles)
        normals = template.normals[None] / np.maximum(sizes, 1e-4)[:, None, None]
        main_axis = np.abs(normals.sum(2)).argmax(-1)  # of each face, (k, t)
        # Texture axes lie in the face; on sides, the second one points up.
        first, second = np.where(main_axis == 0, 1, 0), np.where(main_axis == 2, 1, 2)
        grain = np.array([m.grain for m in materials])
        spans = sizes / np.maximum(sizes.max(1, keepdims=True), 1e-9)
        rows = np.arange(k)[:, None]
        swap = grain[:, None] & (spans[rows, second] > spans[rows, first])
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        local = (template.triangles[None] * sizes[:, None, None]) @ turn.T
        points = (local + bases[:, None, None]) @ self.rotation.T + self.at
        rotation = self.rotation @ turn
        normals = normals @ rotation.T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        start = (self.rotation @ bases.T).T + self.at  # (k, 3)
        shift = self.scene.rng.uniform(0, 2.56, (k, 2)) if self.loose else np.zeros((k, 2))
        axes = np.zeros((k, t, 2, 4))
        for j, axis in enumerate((first, second)):
            axes[:, :, j, :3] = rotation.T[axis]
            axes[:, :, j, 3] = shift[:, j, None] - (axes[:, :, j, :3] * start[:, None]).sum(-1)
        part = np.repeat(np.arange(k) + len(self.scene.parts), t)
        columns = attrgetter(*PART.names[:-1])
        self.scene.parts += [(*columns(m), self.number) for m in materials]
        shapes = (points.reshape(-1, 3, 3), normals.reshape(-1, 3, 3))
        self.scene.arrays.append((*shapes, part, axes.reshape(-1, 2, 4)))
        self._low = np.minimum(self._low, (local.min((1, 2)) + bases).min(0))
        self._high = np.maximum(self._high, (local.max((1, 2)) + bases).max(0))
        return self

    box = partialmethod(put, "box")

    def frame(self, x: float, y: float, z: float, front: Size, side: Size, *material) -> "Thing":
        """Add a rectangle of four boxes: of size ``front`` at -y and y, ``side`` at -x and x."""
        bases = [*front_back(y, z), *left_right(x, 0, z)]
        return self.box(bases, [front, front, side, side], *material)
