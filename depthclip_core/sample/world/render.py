"""Render views of a scene: colour, depth, holes, labels and instances."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from embreex.rtcore_scene import EmbreeScene

from depthclip_core.sample.world.camera import HEIGHT, WIDTH, Camera, choose_camera, pixel_rays
from depthclip_core.sample.world.kinect import holes, photograph
from depthclip_core.sample.world.scene import OBJECT_NAMES, SceneObject
from depthclip_core.sample.world.shading import add_mirrors, compile_scene, shade, trace, visibility
from depthclip_core.sample.world.world import World, build_scene, scene_rng

MAX_DEPTH_M = 10.0
MAX_LAMPS = 2


@dataclass(frozen=True)
class View:
    """One frame of the sample world."""

    rgb: np.ndarray  # (480, 640, 3) uint8, NYU's white border included
    depth: np.ndarray  # (480, 640) float32, planar depth in metres, whole millimetres, (0, 10]
    holes: np.ndarray  # (480, 640) bool, where the depth sensor measures nothing
    labels: np.ndarray  # (480, 640) uint16, 1-based index into OBJECT_NAMES
    instances: np.ndarray  # (480, 640) uint8, 1-based index into objects
    objects: tuple[SceneObject, ...]
    scene_type: str


def render_view(scene_type: str, seed: int) -> View:
    """The first view of the room with this scene type and seed."""
    return next(room_views(scene_type, seed))


def room_views(scene_type: str, seed: int) -> Iterator[View]:
    """Endless views of one room, each from another position or in another direction."""
    rng = scene_rng(scene_type, seed)
    world = build_scene(scene_type, seed, rng)
    scene = compile_scene(world.geometry.triangles)
    cameras: list[Camera] = []
    while True:
        cameras.append(choose_camera(world, scene, rng, cameras))
        yield _photograph(world, scene, cameras[-1], rng)


def _photograph(world: World, scene: EmbreeScene, camera: Camera, rng: np.random.Generator) -> View:
    """What a camera sees: colour, true depth, and the holes of its depth sensor."""
    g = world.geometry
    rows, columns = np.indices((HEIGHT, WIDTH), float)
    rays = pixel_rays(camera, rows.ravel(), columns.ravel())
    start = np.ascontiguousarray(np.broadcast_to(camera.at.astype(np.float32), rays.shape))
    hits = trace(scene, g, start, rays)

    # The strongest lamps cast shadows; the others add to the ambient light.
    lamps = sorted(world.lights, key=lambda lamp: -sum(lamp.power))[:MAX_LAMPS]
    total = np.sum([lamp.power for lamp in world.lights], axis=0)
    rest = total - np.sum([lamp.power for lamp in lamps], axis=0)
    w, deep, _ = world.size
    ambient = (0.16 * total + 0.3 * rest) / np.sqrt(w * deep) + 0.05
    seen = visibility(scene, lamps, hits).reshape(len(lamps) + 1, -1)
    light = shade(g, lamps, ambient, hits, seen)
    light = add_mirrors(scene, g, lamps, ambient, hits, light)
    rgb = photograph(light.reshape(HEIGHT, WIDTH, 3), rng)

    shape = (HEIGHT, WIDTH)
    depth = np.rint(hits.t.astype(np.float64) * 1000).clip(1, MAX_DEPTH_M * 1000) / 1000
    depth = depth.astype(np.float32).reshape(shape)
    slant = -np.einsum("ij,ij->i", hits.normal, rays) / np.linalg.norm(rays, axis=1)
    bright = g.parts.first[hits.part].mean(1)
    maps = (x.reshape(shape) for x in (g.parts.blind[hits.part], slant, bright))
    lost = holes(depth, *maps, rng)
    instances = g.parts.instance[hits.part].reshape(shape)
    number = np.array([0] + [OBJECT_NAMES.index(o.name) + 1 for o in g.objects], np.uint16)
    return View(rgb, depth, lost, number[instances], instances, g.objects, world.scene_type)
