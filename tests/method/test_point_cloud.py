"""Points in space, and their file read without the library that wrote it."""

import numpy as np
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.method.point_cloud import assumed_field_of_view, depth_points, ply_file


def test_points_lie_where_a_pinhole_camera_sees_them():
    depth = np.array([[2.0, 2.0], [0.0, 4.0]], np.float32)
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    points, colours = depth_points(depth, rgb, 90)
    # 90 degrees across 2 pixels: the focal length is 1 pixel, pixels lie half a pixel off the axis.
    assert points.tolist() == [[-1, 1, -2], [1, 1, -2], [2, -2, -4]]
    assert colours.tolist() == [[0, 1, 2], [3, 4, 5], [9, 10, 11]]


def test_a_wall_is_flat_and_as_wide_as_the_angle_says():
    points, _ = depth_points(np.full((30, 40), 3.0), np.zeros((30, 40, 3), np.uint8), 60)
    assert (points[:, 2] == -3).all()
    width = np.ptp(points[:, 0]) * 40 / 39  # from edge to edge, not from centre to centre
    assert width == pytest.approx(2 * 3 * np.tan(np.radians(30)), rel=1e-5)


@pytest.mark.parametrize("angle", [0, -10, 180, 400, float("nan")])
def test_angles_that_no_camera_has_are_refused(angle):
    with pytest.raises(DepthClipError, match="give an angle between 0 and 180"):
        depth_points(np.ones((2, 2)), np.zeros((2, 2, 3), np.uint8), angle)


def test_assumed_angle_is_that_of_the_longer_side():
    assert assumed_field_of_view((480, 640)) == pytest.approx(60)
    upright = assumed_field_of_view((640, 480))
    assert np.tan(np.radians(upright / 2)) == pytest.approx(0.75 * np.tan(np.radians(30)))


def test_ply_holds_every_point():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3)).astype(np.float32)
    colours = rng.integers(0, 256, (50, 3), dtype=np.uint8)
    file = ply_file(points, colours, ["two\nlines", "Tür"])
    header, _, body = file.partition(b"end_header\n")
    assert header.decode("ascii").splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "comment two lines",
        "comment T?r",
        "element vertex 50",
        *(f"property float {name}" for name in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
    ]
    rows = np.frombuffer(body, [("at", "<f4", 3), ("shade", "u1", 3)])
    assert (rows["at"] == points).all() and (rows["shade"] == colours).all()
