"""Rooms: scene types, object names, sizes of things, textures in metres."""

import numpy as np
import pytest

from depthclip_core.sample.world import textures
from depthclip_core.sample.world.materials import draw, wood
from depthclip_core.sample.world.rooms import Room
from depthclip_core.sample.world.scene import OBJECT_NAMES, Scene
from depthclip_core.sample.world.seats import chair
from depthclip_core.sample.world.world import SCENE_TYPES, build_scene


def test_scene_types_and_object_names():
    assert SCENE_TYPES == (
        "bathroom",
        "bedroom",
        "bookstore",
        "classroom",
        "dining_room",
        "kitchen",
        "living_room",
        "office",
    )
    assert len(set(OBJECT_NAMES)) == len(OBJECT_NAMES)
    assert all(n == n.lower() and n.replace(" ", "").isalpha() for n in OBJECT_NAMES)


@pytest.mark.parametrize("scene_type", SCENE_TYPES)
def test_room_is_closed_lit_and_furnished(scene_type):
    world = build_scene(scene_type, 12)
    names = [o.name for o in world.geometry.objects]
    assert names.count("wall") >= 4 and "floor" in names and "ceiling" in names
    assert len(set(names) - {"wall", "floor", "ceiling"}) >= 4
    assert world.lights and len(names) <= 255
    points = world.geometry.triangles.reshape(-1, 3)
    assert np.isfinite(points).all()
    w, deep, h = world.size
    # Chairs and curtains may cross the walls a little, but not by a metre.
    assert (points > -1.0).all() and (points < np.array((w, deep, h)) + 1.0).all()
    assert 1.8 < min(w, deep) and 2.2 < h < 4


def test_room_depends_only_on_the_seed():
    a, b, c = (build_scene("kitchen", s).geometry for s in (7, 7, 8))
    assert np.array_equal(a.triangles, b.triangles) and a.objects == b.objects
    assert a.triangles.shape != c.triangles.shape or not np.array_equal(a.triangles, c.triangles)


def test_chair_has_realistic_size():
    rng = np.random.default_rng(0)
    scene = Scene(rng)
    made = chair(scene, (1, 2, 0), 0.7, wood(rng), draw(rng, "ceramic"), 0).described()
    w, d, h = made.size
    assert 0.38 < w < 0.5 and 0.38 < d < 0.5 and 0.85 < h < 1.0


def test_placed_footprints_never_overlap():
    rng = np.random.default_rng(1)
    room = Room(Scene(rng), (4.0, 5.0, 2.5))
    for _ in range(30):
        room.against(0.7, 0.5)
        room.middle(0.6, 0.6)
    assert len(room.taken) > 5
    for i, (a, b, c, d) in enumerate(room.taken):
        for e, f, g, h in room.taken[:i]:
            assert b <= e or a >= f or d <= g or c >= h


def test_textures_repeat_in_metres_and_average_out_with_distance():
    kind = np.full(4000, textures.kind_index("tile_large"), np.int32)
    u = np.linspace(0, 2.56, 4000, endpoint=False).astype(np.float32)
    v = np.full_like(u, 0.1)
    mix, _ = textures.sample(kind, u, v, np.full_like(u, 0.002))
    again, _ = textures.sample(kind, u + textures.PERIOD_M, v, np.full_like(u, 0.002))
    assert np.abs(mix - again).max() < 0.02
    joints = np.flatnonzero((mix[1:] > 0.6) & (mix[:-1] <= 0.6))
    assert len(joints) == 8  # one joint every 0.32 m
    assert np.ptp(np.diff(u[joints])) < 0.004
    far, _ = textures.sample(kind, u, v, np.full_like(u, 0.3))
    assert far.std() < 0.3 * mix.std()


def test_every_pattern_has_contrast():
    grid = np.linspace(0, 2.5, 120, dtype=np.float32)
    u, v = (x.ravel() for x in np.meshgrid(grid, grid))
    for i, name in enumerate(textures.KINDS):
        mix, shade = textures.sample(np.full(u.shape, i, np.int32), u, v, np.full_like(u, 0.003))
        assert 0 <= mix.min() and mix.max() <= 1.001, name
        assert mix.std() + shade.std() > 0.05, name
        assert 0.6 < shade.mean() < 1.3, name
