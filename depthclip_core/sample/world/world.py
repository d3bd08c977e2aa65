"""The sample's eight scene types: the size of each room, and how it is furnished."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from depthclip_core.sample.world import homes, wet_rooms, work_rooms
from depthclip_core.sample.world.rooms import Light, Room
from depthclip_core.sample.world.scene import Geometry, Scene

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """A scene type: ranges of room size and of median depth in metres, and what furnishes it."""

    width: Range
    length: Range
    height: Range
    median: Range
    furnish: Callable[[Room], None]


RECIPES: dict[str, Recipe] = {
    "bathroom": Recipe((1.9, 2.7), (2.3, 3.3), (2.3, 2.6), (1.1, 1.95), wet_rooms.bathroom),
    "bedroom": Recipe((3.0, 4.2), (3.4, 4.8), (2.4, 2.8), (1.7, 3.2), homes.bedroom),
    "bookstore": Recipe((5.0, 8.0), (7.0, 11.0), (2.8, 3.6), (2.5, 5.0), work_rooms.bookstore),
    "classroom": Recipe((6.0, 8.5), (8.0, 11.5), (2.7, 3.3), (3.2, 5.6), work_rooms.classroom),
    "dining_room": Recipe((3.5, 5.0), (4.2, 6.2), (2.4, 3.0), (2.0, 3.7), homes.dining_room),
    "kitchen": Recipe((2.6, 3.8), (3.4, 5.0), (2.4, 2.7), (1.6, 3.0), wet_rooms.kitchen),
    "living_room": Recipe((4.0, 5.5), (4.6, 6.8), (2.4, 3.0), (2.1, 3.9), homes.living_room),
    "office": Recipe((3.0, 4.4), (3.6, 5.4), (2.4, 2.9), (1.7, 3.3), work_rooms.office),
}
SCENE_TYPES = tuple(RECIPES)


@dataclass(frozen=True)
class World:
    """A furnished room, ready to render."""

    scene_type: str
    geometry: Geometry
    lights: tuple[Light, ...]
    size: tuple[float, float, float]  # w, l, h of the room, metres
    taken: tuple[tuple[float, float, float, float], ...]  # footprints (x0, x1, y0, y1)
    median: Range  # range of median depth of a good view, metres


def scene_rng(scene_type: str, seed: int) -> np.random.Generator:
    """The random generator of a scene; everything in it is drawn from this one."""
    if scene_type not in SCENE_TYPES:
        raise ValueError(f"unknown scene type {scene_type!r}; known: {', '.join(SCENE_TYPES)}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return np.random.default_rng([SCENE_TYPES.index(scene_type), seed])


def build_scene(scene_type: str, seed: int, rng: np.random.Generator | None = None) -> World:
    """Furnish a room of a scene type; the same seed gives the same room."""
    rng = rng or scene_rng(scene_type, seed)
    recipe = RECIPES[scene_type]
    size = tuple(float(rng.uniform(*r)) for r in (recipe.width, recipe.length, recipe.height))
    scene = Scene(rng)
    room = Room(scene, size)
    recipe.furnish(room)
    return World(
        scene_type, scene.geometry(), tuple(room.lights), size, tuple(room.taken), recipe.median
    )
