"""Rendered views: planar depth, determinism, labels, holes, median depth by scene type."""

import hashlib
from itertools import islice

import numpy as np
import pytest

from depthclip_core.sample.world.camera import CX, CY, FX, HEIGHT, WIDTH, looking, pixel_rays
from depthclip_core.sample.world.render import render_view, room_views
from depthclip_core.sample.world.scene import OBJECT_NAMES, Scene
from depthclip_core.sample.world.shading import compile_scene, trace
from depthclip_core.sample.world.world import SCENE_TYPES

SEED = 3


@pytest.fixture(scope="module")
def views():
    return {t: render_view(t, SEED) for t in SCENE_TYPES}


def digest(view) -> str:
    parts = (view.rgb, view.depth, view.holes, view.labels, view.instances)
    return hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest()


def test_view_dtypes_shapes_and_ranges(views):
    for scene_type, v in views.items():
        assert v.scene_type == scene_type
        assert v.rgb.shape == (480, 640, 3) and v.rgb.dtype == np.uint8
        assert v.depth.shape == v.holes.shape == (480, 640)
        assert v.depth.dtype == np.float32 and v.holes.dtype == bool
        assert v.labels.dtype == np.uint16 and v.instances.dtype == np.uint8
        assert v.depth.min() > 0.3 and v.depth.max() <= 10
        millimetres = np.rint(v.depth.astype(float) * 1000)
        assert np.array_equal(v.depth, (millimetres / 1000).astype(np.float32))


def test_rgb_has_a_white_border_and_sensible_exposure(views):
    for v in views.values():
        assert (v.rgb[:5] == 255).all() and (v.rgb[-4:] == 255).all()
        assert (v.rgb[:, :5] == 255).all() and (v.rgb[:, -6:] == 255).all()
        inner = v.rgb[20:460, 20:620].astype(float)
        assert 30 < inner.mean() < 225 and inner.std() > 15


def test_labels_agree_with_instances(views):
    for v in views.values():
        assert v.instances.min() >= 1 and v.instances.max() <= len(v.objects)
        for i in np.unique(v.instances):
            label = np.unique(v.labels[v.instances == i])
            assert len(label) == 1
            assert OBJECT_NAMES[label[0] - 1] == v.objects[i - 1].name
        for o in v.objects:
            assert o.colour and o.material and len(o.size) == 3 and min(o.size) >= 0


def test_holes_cover_a_plausible_fraction(views):
    shares = [view.holes.mean() for view in views.values()]
    assert 0.05 < np.mean(shares) < 0.18 and max(shares) < 0.4


def test_views_of_a_room_differ_but_share_objects():
    one, two = islice(room_views("bedroom", SEED), 2)
    assert one.objects == two.objects
    assert np.abs(one.rgb.astype(int) - two.rgb).mean() > 15
    first = render_view("bedroom", SEED)
    assert np.array_equal(one.rgb, first.rgb) and np.array_equal(one.depth, first.depth)


def test_median_depth_differs_by_scene_type(views):
    median = {t: float(np.median(v.depth)) for t, v in views.items()}
    assert median["bathroom"] == min(median.values())
    assert median["bathroom"] < 2.1
    assert median["classroom"] > 3.2 and median["bookstore"] > 2.6
    assert median["classroom"] > max(median["bedroom"], median["kitchen"], median["office"])


def test_view_depends_only_on_the_seed(views):
    assert digest(render_view("office", SEED)) == digest(views["office"])
    assert digest(render_view("office", SEED + 1)) != digest(views["office"])


def test_depth_is_planar_with_nyu_intrinsics():
    scene = Scene(np.random.default_rng(0))
    # A wall 3 m ahead, and a post 2 m ahead whose left edge is 1 m to the right of the axis.
    scene.thing("wall", "mirror", (0, 3.0, -5)).box((0, 0.5, 0), (20, 1, 10))
    scene.thing("box", "mirror", (1.5, 2.0, -5)).box((0, 0.05, 0), (1, 0.1, 10))
    g = scene.geometry()
    camera = looking((0, 0, 0), 0.0, 0.0)
    rows, columns = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)
    rays = pixel_rays(camera, rows, columns)
    hits = trace(compile_scene(g.triangles), g, np.zeros_like(rays), rays)
    depth = hits.t.reshape(HEIGHT, WIDTH)
    edge, back = CX + FX / 2.0, CX + FX / 2.1  # columns of the post's two left edges
    assert np.allclose(depth[:, : int(back) - 1], 3.0, atol=1e-4)  # planar: equal up to the corners
    assert np.allclose(depth[:, int(edge) + 2 :], 2.0, atol=1e-4)
    assert abs(hits.point.reshape(HEIGHT, WIDTH, 3)[int(CY), int(CX), 2]) < 0.01


def test_image_axes_point_right_and_down():
    camera = looking((0, 0, 0), 0.0, 0.0)
    left, right = pixel_rays(camera, np.array([240, 240]), np.array([0, 639]))
    top, bottom = pixel_rays(camera, np.array([0, 479]), np.array([320, 320]))
    assert left[0] < 0 < right[0] and bottom[2] < 0 < top[2]


def test_render_view_rejects_bad_arguments():
    with pytest.raises(ValueError, match="unknown scene type"):
        render_view("swimming_pool", 0)
    with pytest.raises(ValueError, match="negative"):
        render_view("office", -1)
