"""The camera: NYU's intrinsics, and a search for a good view of a room."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from embreex.rtcore_scene import EmbreeScene

from depthclip_core.sample.world.world import World

HEIGHT, WIDTH = 480, 640
FX, FY, CX, CY = 518.86, 519.47, 325.58, 253.74
TRIES = 20
HEIGHTS = {"classroom": (1.35, 1.8), "bookstore": (1.4, 1.75)}
STRUCTURE = ("wall", "floor", "ceiling")


@dataclass(frozen=True)
class Camera:
    """Position (3,) metres and rotation (3, 3): columns are the image's right, down and forward."""

    at: np.ndarray
    axes: np.ndarray


def pixel_rays(camera: Camera, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """World ray directions (n, 3) float32 of forward length 1: a hit's t is its planar depth."""
    x, y = (columns - CX) / FX, (rows - CY) / FY
    local = np.stack([x, y, np.ones_like(x)], -1).astype(np.float32)
    return np.ascontiguousarray(local @ camera.axes.T.astype(np.float32))


def looking(at: np.ndarray, yaw: float, tilt: float, roll: float = 0.0) -> Camera:
    """A camera turned by ``yaw`` from +y towards -x and tilted down by ``tilt``, radians."""
    forward = np.array([-np.sin(yaw) * np.cos(tilt), np.cos(yaw) * np.cos(tilt), -np.sin(tilt)])
    right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    axes = np.stack([c * right + s * down, c * down - s * right, forward], -1)
    return Camera(np.asarray(at, float), axes)


def _candidate(world: World, rng: np.random.Generator) -> Camera:
    """A random camera on free floor that looks into the larger part of the room."""
    w, deep, h = world.size
    for margin in np.repeat((0.35, 0.25, 0.15, 0.05), 12):
        x, y = rng.uniform(0.25, w - 0.25), rng.uniform(0.2, max(0.3, deep * 0.55))
        if all(
            x < a - margin or x > b + margin or y < c - margin or y > d + margin
            for a, b, c, d in world.taken
        ):
            break
    low, high = HEIGHTS.get(world.scene_type, (1.2, 1.7))
    z = min(rng.uniform(low, high), h - 0.4)
    tx, ty = w * rng.uniform(0.1, 0.9), deep * rng.uniform(0.6, 1.0)
    yaw = -np.arctan2(tx - x, max(ty - y, 0.2))
    tilt = np.deg2rad(np.clip(rng.normal(13, 6), 0, 28))
    return looking((x, y, z), yaw + rng.normal(0, 0.1), tilt, np.deg2rad(rng.normal(0, 1.2)))


def _overlap(one: Camera, other: Camera) -> float:
    """How much two views overlap: 1 if they are equal, 0 if they are a metre or 30° apart."""
    moved = float(np.linalg.norm(one.at - other.at))
    turned = np.degrees(np.arccos(np.clip(one.axes[:, 2] @ other.axes[:, 2], -1, 1)))
    return max(0.0, 1 - moved - turned / 30)


def choose_camera(
    world: World, scene: EmbreeScene, rng: np.random.Generator, others: Sequence[Camera]
) -> Camera:
    """The first of up to ``TRIES`` random cameras with a good coarse view, else the best of them.

    A good view is not blocked by a near surface, has the scene type's median depth, shows several
    things, is not dominated by one thing or one wall, and does not repeat another camera's view.
    """
    rows, columns = np.mgrid[8.0:HEIGHT:16, 8.0:WIDTH:16]
    structure = np.array([o.name in STRUCTURE for o in world.geometry.objects])
    low, high = world.median
    best, best_cost = None, np.inf
    for _ in range(TRIES):
        camera = _candidate(world, rng)
        rays = pixel_rays(camera, rows.ravel(), columns.ravel())
        start = np.broadcast_to(camera.at.astype(np.float32), rays.shape)
        hit = scene.run(np.ascontiguousarray(start), rays, output=True)
        depth = hit["tfar"]
        instance = world.geometry.parts.instance[world.geometry.part[hit["primID"]]].astype(int) - 1
        share = np.bincount(instance, minlength=len(structure)) / len(instance)
        loose = np.where(structure, 0, share)
        median, near = float(np.median(depth)), float(np.percentile(depth, 2))
        cost = 2 * max(0, low - median, median - high) + 6 * max(0, 0.62 - near)
        few = 0.3 * max(0, 5 - int((loose > 0.004).sum()))
        cost += 5 * max(0, loose.max() - 0.4) + 2 * max(0, 0.3 - loose.sum()) + few
        cost += 2 * max(0, float(share[structure].max(initial=0)) - 0.55)
        cost += sum(_overlap(camera, other) for other in others)
        if cost < best_cost:
            best, best_cost = camera, cost
        if cost == 0:
            break
    return best
