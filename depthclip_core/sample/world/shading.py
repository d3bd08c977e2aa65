"""Colour of surface points: texture, lamps, soft shadows, ambient occlusion, gloss, mirrors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from depthclip_core.sample.world import textures
from depthclip_core.sample.world.camera import FX, HEIGHT, WIDTH
from depthclip_core.sample.world.rooms import Light
from depthclip_core.sample.world.scene import Geometry

Lights = Sequence[Light]

FAR = 1e3
REACH_M = 0.45  # reach of ambient occlusion


@dataclass(frozen=True)
class Hits:
    """Ray hits: t, triangle, part (n,); point, normal (towards the ray), direction (n, 3)."""

    t: np.ndarray
    triangle: np.ndarray
    part: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    direction: np.ndarray


def compile_scene(triangles: np.ndarray) -> EmbreeScene:
    """Embree's ray-casting structure for triangles (t, 3, 3)."""
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(triangles, np.float32))
    return scene


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products of rows, (n, 3) and (n, 3) → (n,)."""
    return np.einsum("ij,ij->i", a, b)


def trace(scene: EmbreeScene, g: Geometry, start: np.ndarray, direction: np.ndarray) -> Hits:
    """The nearest hit of each ray; a miss counts as triangle 0, far away."""
    rays = (np.ascontiguousarray(x, np.float32) for x in (start, direction))
    found = scene.run(*rays, output=True)
    triangle = np.maximum(found["primID"], 0)
    t = np.where(found["primID"] < 0, FAR, found["tfar"]).astype(np.float32)
    u, v = found["u"][:, None], found["v"][:, None]
    corners = g.normals[triangle]
    normal = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
    sign = np.where(_dot(normal, direction) > 0, -1, 1)
    normal *= (sign / np.maximum(np.sqrt(_dot(normal, normal)), 1e-9))[:, None].astype(np.float32)
    point = start + direction * t[:, None]
    return Hits(t, triangle, g.part[triangle], point, normal, direction)


def albedo(g: Geometry, hits: Hits, footprint: np.ndarray) -> np.ndarray:
    """Textured surface colour, linear RGB (n, 3); ``footprint`` is in metres per pixel, (n,)."""
    axes, parts = g.axes[hits.triangle], g.parts[hits.part]
    u, v = (_dot(hits.point, axes[:, i, :3]) + axes[:, i, 3] for i in (0, 1))
    mix, shade = textures.sample(parts.kind, u, v, footprint)
    return (parts.first + (parts.second - parts.first) * mix[:, None]) * shade[:, None]


def footprints(hits: Hits) -> np.ndarray:
    """Metres of surface that a pixel covers (n,), averaged along and across the slope."""
    length = np.sqrt(_dot(hits.direction, hits.direction))
    slant = -_dot(hits.normal, hits.direction) / length
    return hits.t / FX / np.sqrt(np.maximum(slant, 0.04))


def lamp_light(
    lights: Lights, point: np.ndarray, normal: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each lamp: unshadowed irradiance (n,) and unit direction (n, 3)."""
    out = []
    for light in lights:
        to = np.array(light.at, np.float32) - point
        square = _dot(to, to)
        to /= np.sqrt(square)[:, None] + 1e-6
        # The cosine wraps a little beyond the horizon, as lamps and windows are wide.
        cosine = np.maximum(_dot(to, normal) * 0.85 + 0.15, 0)
        out.append((cosine / (0.6 + 0.35 * square), to))
    return out


def _pattern(n: int, seed: int) -> np.ndarray:
    """A 4 x 4 stratified pattern of 2-D points, tiled over the half-size image, (n, 2)."""
    cells = np.random.default_rng([79, seed]).permutation(16)
    points = (np.stack([cells % 4, cells // 4], -1) + 0.5) / 4
    tile = points.reshape(4, 4, 2)
    h, w = HEIGHT // 2, WIDTH // 2
    return np.tile(tile, (h // 4, w // 4, 1)).reshape(-1, 2)[:n].astype(np.float32)


def _smooth(values: np.ndarray, normal: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """A 4 x 4 box blur of (k, h, w) within each surface; it averages the 4 x 4 pattern away."""
    total, weight = np.zeros_like(values), np.zeros(values.shape[1:], np.float32)
    pad = ((2, 1), (2, 1))
    padded = np.pad(values, ((0, 0), *pad), mode="edge")
    nz = np.pad(normal, (*pad, (0, 0)), mode="edge")
    dz = np.pad(depth, pad, mode="edge")
    h, w = depth.shape
    for i in range(4):
        for j in range(4):
            near = np.abs(dz[i : i + h, j : j + w] - depth) < 0.03 * depth
            alike = np.einsum("ijk,ijk->ij", nz[i : i + h, j : j + w], normal) > 0.85
            k = (near & alike).astype(np.float32)
            total += padded[:, i : i + h, j : j + w] * k
            weight += k
    return total / np.maximum(weight, 1)


def visibility(scene: EmbreeScene, lights: Lights, hits: Hits) -> np.ndarray:
    """Visibility of each lamp, and last the openness, (k + 1, 480, 640) in 0..1.

    Openness is 1 without ambient occlusion. Each lamp and the openness take one ray per point at
    half resolution, jittered in a 4 x 4 pattern and then smoothed.
    """

    def half(a: np.ndarray) -> np.ndarray:
        return a.reshape(HEIGHT, WIDTH, -1)[1::2, ::2].reshape(HEIGHT * WIDTH // 4, -1)

    normal = half(hits.normal)
    start = np.ascontiguousarray(half(hits.point) + normal * 0.006, np.float32)
    n = len(start)

    def free(ray: np.ndarray, share: float) -> np.ndarray:
        """Whether nothing lies on that share of each ray."""
        reach = np.full(n, share, np.float32)
        ray = np.ascontiguousarray(ray, np.float32)
        return scene.run(start, ray, dists=reach, query="OCCLUDED") < 0

    maps = []
    for i, light in enumerate(lights):
        x, y = (_pattern(n, i) - 0.5).T * (2 * light.radius)
        target = np.array(light.at, np.float32) + np.stack([x, y, 0.35 * (x - y)], -1)
        maps.append(free(target - start, 0.999))
    spread = _pattern(n, 99)
    rim, turn = np.sqrt(spread[:, :1] * 0.95), 2 * np.pi * spread[:, 1:]
    side = np.where(np.abs(normal[:, 2:]) < 0.8, np.array([[0, 0, 1.0]]), np.array([[1.0, 0, 0]]))
    a = np.cross(normal, side)
    a /= np.linalg.norm(a, axis=1, keepdims=True) + 1e-9
    b = np.cross(normal, a)
    ray = rim * np.cos(turn) * a + rim * np.sin(turn) * b + np.sqrt(1 - rim**2) * normal
    maps.append(free(ray * REACH_M, 1))
    h, w = HEIGHT // 2, WIDTH // 2
    maps = np.stack(maps).reshape(-1, h, w).astype(np.float32)
    soft = _smooth(maps, normal.reshape(h, w, 3), half(hits.t).reshape(h, w))
    return _full_size(soft, hits)


def _full_size(soft: np.ndarray, hits: Hits) -> np.ndarray:
    """Upsample maps (k, 240, 320) to (k, 480, 640).

    A pixel that does not lie on the surface of its own sample takes the neighbouring sample that
    fits best, which keeps outlines clean.
    """
    h, w = HEIGHT // 2, WIDTH // 2
    rows, columns = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)

    def misfit(pixel: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        sample = (2 * row + 1) * WIDTH + 2 * column
        normal = hits.normal[pixel]
        off = _dot(hits.point[sample] - hits.point[pixel], normal)
        return np.abs(off) + 0.05 * (1 - _dot(hits.normal[sample], normal))

    row, column = rows // 2, columns // 2
    index = row * w + column
    worst = misfit(np.arange(HEIGHT * WIDTH), row, column)
    edge = np.flatnonzero(worst > 0.006)
    best, index_edge = worst[edge], index[edge]
    for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0), (1, 1), (-1, -1)):
        r, c = (row[edge] + dy).clip(0, h - 1), (column[edge] + dx).clip(0, w - 1)
        cost = misfit(edge, r, c)
        index_edge = np.where(cost < best, r * w + c, index_edge)
        best = np.minimum(cost, best)
    index[edge] = index_edge
    return soft.reshape(len(soft), -1)[:, index].reshape(-1, HEIGHT, WIDTH)


def shade(
    g: Geometry, lights: Lights, ambient: np.ndarray, hits: Hits, seen: np.ndarray | None
) -> np.ndarray:
    """Light that leaves the hit points towards the camera, linear RGB (n, 3).

    ``ambient`` (3,) is the room's ambient light; ``seen`` (k + 1, n) comes from ``visibility``, and
    is None for reflections in mirrors, which have no shadows.
    """
    colour = albedo(g, hits, footprints(hits))
    upward = (0.82 + 0.18 * hits.normal[:, 2])[:, None]
    light = ambient.astype(np.float32)[None] * upward
    if seen is not None:
        light = light * (0.3 + 0.7 * seen[-1])[:, None]
    shine = np.zeros(colour.shape, np.float32)
    gloss = g.parts.gloss[hits.part]
    glossy = np.flatnonzero(gloss > 0.05)
    view = hits.direction[glossy]
    view = view / np.sqrt(_dot(view, view))[:, None]
    normal = hits.normal[glossy]
    bounce = view - 2 * _dot(view, normal)[:, None] * normal
    for i, (amount, to) in enumerate(lamp_light(lights, hits.point, hits.normal)):
        if seen is not None:
            amount = amount * seen[i]
        power = np.array(lights[i].power, np.float32)
        light = light + amount[:, None] * power
        peak = np.maximum(_dot(bounce, to[glossy]), 0) ** 40
        shine[glossy] += (0.7 * peak * amount[glossy] * gloss[glossy])[:, None] * power
    glow = g.parts.glow[hits.part][:, None]
    return colour * (light + glow) + shine


def add_mirrors(
    scene: EmbreeScene, g: Geometry, lamps: Lights, ambient: np.ndarray, hits: Hits, rgb: np.ndarray
) -> np.ndarray:
    """Mix what a mirror reflects into its colour (one bounce, no shadows)."""
    at = np.flatnonzero(g.parts.mirror[hits.part] > 0)
    if len(at) == 0:
        return rgb
    normal, way = hits.normal[at], hits.direction[at]
    bounce = way - 2 * _dot(way, normal)[:, None] * normal
    start = (hits.point[at] + normal * 0.004).astype(np.float32)
    again = trace(scene, g, start, bounce.astype(np.float32))
    share = g.parts.mirror[hits.part][at][:, None]
    rgb[at] = (1 - share) * rgb[at] + share * shade(g, lamps, ambient, again, None)
    return rgb
