"""Unit shapes as triangle templates: box, cylinder, ball, cushion, curtain and lathed profiles.

Every template stands on z = 0, is 1 high and fits the footprint [-0.5, 0.5]^2, so that a caller
only gives a size in metres. Each process builds a template once, with trimesh.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import trimesh

from depthclip_core.sample.world import DATA


@dataclass(frozen=True)
class Template:
    """Triangles (t, 3, 3) of a unit shape and their corner normals (t, 3, 3)."""

    triangles: np.ndarray
    normals: np.ndarray


def _template(mesh: trimesh.Trimesh, smooth: bool = True) -> Template:
    triangles = np.asarray(mesh.vertices)[mesh.faces]
    normals = np.repeat(np.asarray(mesh.face_normals)[:, None], 3, 1)
    if smooth:
        vertex_normals = np.asarray(mesh.vertex_normals)[mesh.faces]
        # Corners whose faces meet at a sharp angle keep the flat normal, so that caps stay flat.
        sharp = (vertex_normals * normals).sum(-1, keepdims=True) < 0.75
        normals = np.where(sharp, normals, vertex_normals)
    return Template(triangles.astype(np.float64), normals.astype(np.float64))


def _stand(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Move and scale a mesh into the unit footprint, standing on z = 0."""
    low, high = mesh.bounds
    mesh.apply_translation(-(low + high) / 2)
    mesh.apply_scale(1 / np.maximum(high - low, 1e-9))
    mesh.apply_translation((0, 0, 0.5))
    return mesh


@cache
def shape(name: str) -> Template:
    """The template called ``name``: one of those below, or a lathed profile of `world.toml`."""
    match name:
        case "box":
            return _template(_stand(trimesh.creation.box((1, 1, 1))), smooth=False)
        case "cylinder" | "pole":
            sections = 28 if name == "cylinder" else 9
            mesh = trimesh.creation.cylinder(0.5, 1.0, sections=sections)
        case "ball" | "bead":
            mesh = trimesh.creation.icosphere(subdivisions=2 if name == "ball" else 1)
        case "cushion" | "slab" | "panel":
            count = (8, 16) if name == "panel" else (14, 24)
            mesh = _superball(0.45 if name == "cushion" else 0.22, count)
        case "leaves":
            return _leaves()
        case "curtain":
            return _curtain()
        case _:
            mesh = trimesh.creation.revolve(np.array(DATA["profiles"][name], float), sections=24)
    return _template(_stand(mesh))


def _superball(power: float, count: tuple[int, int]) -> trimesh.Trimesh:
    """A box with rounded edges: the smaller ``power``, the boxier."""
    mesh = trimesh.creation.uv_sphere(radius=1.0, count=count)
    v = np.asarray(mesh.vertices)
    rim = np.hypot(v[:, 0], v[:, 1])
    angle = np.arctan2(v[:, 1], v[:, 0])

    def bend(x: np.ndarray, power: float) -> np.ndarray:
        return np.sign(x) * np.abs(x) ** power

    # Seen from above, the outline is boxier than the profile, as a mattress is.
    x, y = (bend(rim, power) * bend(turn, power * 0.7) for turn in (np.cos(angle), np.sin(angle)))
    vertices = np.stack([x, y, bend(v[:, 2], power)], -1)
    return trimesh.Trimesh(vertices, mesh.faces, process=False)


def _curtain() -> Template:
    """A hanging cloth: a wavy sheet along x, with wider waves at the bottom."""
    s = np.linspace(0, 1, 61)
    wave = 0.5 * np.sin(2 * np.pi * 6 * s + 1.5 * np.sin(7 * s))
    rows = ((0, 1.0), (0.5, 0.8), (1.0, 0.45))  # height, width of the waves
    vertices = np.concatenate(
        [np.stack([s - 0.5, wave * k, np.full_like(s, z)], -1) for z, k in rows]
    )
    n = len(s)
    faces = []
    for row in (0, n):
        a = np.arange(n - 1) + row
        faces += [np.stack([a, a + 1, a + n], -1), np.stack([a + 1, a + 1 + n, a + n], -1)]
    return _template(trimesh.Trimesh(vertices, np.concatenate(faces), process=False))


def _leaves() -> Template:
    """A bush: 46 pointed leaves around a centre, always the same."""
    rng = np.random.default_rng(7)
    out = []
    for _ in range(46):
        a, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 1.35)
        length, wide = rng.uniform(0.35, 0.6), rng.uniform(0.06, 0.11)
        way = np.array([np.cos(a) * np.cos(lift), np.sin(a) * np.cos(lift), np.sin(lift)])
        side = np.array([-np.sin(a), np.cos(a), 0.0]) * wide
        start = way * 0.06
        tip = way * length - np.array([0, 0, 0.12 * np.cos(lift)])
        middle = way * length * 0.55 + np.array([0, 0, 0.03])
        out += [[start, middle + side, middle - side], [middle + side, tip, middle - side]]
    corners = np.array(out).reshape(-1, 3)
    faces = np.arange(len(corners)).reshape(-1, 3)
    return _template(_stand(trimesh.Trimesh(corners, faces, process=False)), smooth=False)
