"""Depth maps as points in space, for a camera of which only the field of view is known."""

from collections.abc import Sequence
from math import atan, degrees, radians, tan

import numpy as np

from depthclip_core.errors import DepthClipError

ASSUMED = 60.0  # degrees across the longer side: between a phone's camera and a Kinect


def assumed_field_of_view(size: tuple[int, int]) -> float:
    """Degrees across the width of a photograph (H, W) whose camera is not known."""
    tangent = tan(radians(ASSUMED / 2)) * size[1] / max(size)
    return degrees(2 * atan(tangent))


def camera_angle(
    size: tuple[int, int], noted: float | None, given: float | None = None
) -> tuple[float, str]:
    """Degrees across the width of a photograph (H, W), and where they are from.

    noted: by its file. given: by a person, before all. Zero and None are "not known".
    """
    if given:
        return given, "as given"
    if noted:
        return noted, "from the photograph's file"
    return assumed_field_of_view(size), "assumed, as its file says none"


def depth_points(
    depth: np.ndarray, rgb: np.ndarray, field_of_view: float
) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) in metres and RGB (H, W, 3) → points (N, 3) float32 metres, colours (N, 3).

    A pinhole camera without distortion, its axis through the middle of the picture, sees
    field_of_view degrees across its width. Depth is along that axis, as in NYU. x points to the
    right, y up, and z towards the camera, which is at the origin: viewers show the scene upright.
    Pixels without depth, 0 or NaN, have no point. Raises `DepthClipError` for an angle that no such
    camera has.
    """
    if not 0 < field_of_view < 180:
        fault = f"a camera cannot see {field_of_view:g} degrees across its width"
        raise DepthClipError(f"{fault}: give an angle between 0 and 180")
    height, width = depth.shape
    focal_length = width / 2 / tan(radians(field_of_view / 2))  # pixels
    x = (np.arange(width) + 0.5 - width / 2) / focal_length
    y = (height / 2 - np.arange(height) - 0.5) / focal_length
    rays = np.stack(np.broadcast_arrays(x, y[:, None], -1.0), axis=-1)
    known = depth > 0
    points = rays[known] * depth[known, None]
    return points.astype(np.float32), rgb[known]


def ply_file(points: np.ndarray, colours: np.ndarray, comments: Sequence[str] = ()) -> bytes:
    """A binary PLY file of points (N, 3) in metres with RGB (N, 3) uint8. comments: of one line.

    Written by hand: plyfile is under the GPL, and trimesh takes no comments.
    """
    kinds = [(name, "<f4") for name in "xyz"] + [(n, "u1") for n in ("red", "green", "blue")]
    vertices = np.empty(len(points), kinds)
    for place, name in enumerate("xyz"):
        vertices[name] = points[:, place]
    for place, name in enumerate(("red", "green", "blue")):
        vertices[name] = colours[:, place]
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {' '.join(comment.split())}" for comment in comments]
    header += [f"element vertex {len(points)}"]
    header += [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in kinds]
    return "\n".join([*header, "end_header\n"]).encode("ascii", "replace") + vertices.tobytes()
