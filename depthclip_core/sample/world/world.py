"""The sample's eight scene types: the size of each room, and how it is furnished."""

from dataclasses import dataclass

import numpy as np

from depthclip_core.sample.world import DATA, decor, furnish, homes, wet_rooms, work_rooms
from depthclip_core.sample.world.materials import pick
from depthclip_core.sample.world.rooms import Light, Rectangle, Room
from depthclip_core.sample.world.scene import Geometry, Scene, Size

SCENE_TYPES = tuple(DATA["rooms"])
HOMES = (homes.bedroom, homes.living_room, homes.dining_room)
WORK = (work_rooms.bookstore, work_rooms.classroom, work_rooms.office)
LAYOUTS = {f.__name__: f for f in (wet_rooms.bathroom, wet_rooms.kitchen, *HOMES, *WORK)}


@dataclass(frozen=True)
class World:
    """A furnished room, ready to render."""

    scene_type: str
    geometry: Geometry
    lights: tuple[Light, ...]
    size: Size  # w, l, h of the room, metres
    taken: tuple[Rectangle, ...]  # footprints
    median: tuple[float, float]  # range of median depth of a good view, metres


def scene_rng(scene_type: str, seed: int) -> np.random.Generator:
    """The random generator of a scene; everything in it is drawn from this one."""
    if scene_type not in SCENE_TYPES:
        raise ValueError(f"unknown scene type {scene_type!r}; known: {', '.join(SCENE_TYPES)}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    return np.random.default_rng([SCENE_TYPES.index(scene_type), seed])


def build_scene(scene_type: str, seed: int, rng: np.random.Generator | None = None) -> World:
    """Furnish a room of a scene type; the same seed gives the same room."""
    rng, recipe = rng or scene_rng(scene_type, seed), DATA["rooms"][scene_type]
    size = tuple(float(rng.uniform(*r)) for r in recipe["size"])
    scene = Scene(rng)
    room = Room(scene, size)
    LAYOUTS[scene_type](room)
    furnish.pictures(room, *recipe["pictures"])
    furnish.scatter(room, *recipe["scatter"])
    kind = pick(rng, recipe["lights"])
    decor.ceiling_lights(room, kind, rng.uniform(*recipe["power"]) if "power" in recipe else 1.0)
    lights, taken, median = tuple(room.lights), tuple(room.taken), tuple(recipe["median"])
    return World(scene_type, scene.geometry(), lights, size, taken, median)
