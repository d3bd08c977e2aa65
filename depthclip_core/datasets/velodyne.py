"""KITTI's Velodyne scans as depth maps, the "raw" ground truth of much depth code."""

from pathlib import Path

import numpy as np

from depthclip_core.datasets.incoming import read_file, read_text
from depthclip_core.errors import DepthClipError

MOST_BYTES = 2**26  # of a scan; a turn of the scanner gives about 2 million
CALIBRATIONS = ("calib_cam_to_cam.txt", "calib_velo_to_cam.txt")


def read_scan(path: Path) -> np.ndarray:
    """The points of a scan, float32 (N, 3): metres forward, left and up of the scanner.

    Raises `DepthClipError` for a file that is missing or no scan.
    """
    content = read_file(path, "scan", MOST_BYTES)
    if not content or len(content) % 16:
        raise DepthClipError(f"{path} is truncated or no scan: it does not hold 4 floats a point")
    return np.frombuffer(content, "<f4").reshape(-1, 4)[:, :3]


def read_calibration(folder: Path, camera: int = 2) -> np.ndarray:
    """The projection, float64 (3, 4), of the scanner's points into a camera's rectified image.

    folder: of a date, with calib_cam_to_cam.txt and calib_velo_to_cam.txt. Raises `DepthClipError`
    where one of them is missing or lacks a matrix.
    """
    cameras, scanner = (_matrices(folder / name) for name in CALIBRATIONS)
    rectified, moved = np.eye(4), np.eye(4)
    rectified[:3, :3] = _matrix(cameras, "R_rect_00", (3, 3), folder / CALIBRATIONS[0])
    moved[:3, :3] = _matrix(scanner, "R", (3, 3), folder / CALIBRATIONS[1])
    moved[:3, 3] = _matrix(scanner, "T", (3,), folder / CALIBRATIONS[1])
    projection = _matrix(cameras, f"P_rect_{camera:02d}", (3, 4), folder / CALIBRATIONS[0])
    return projection @ rectified @ moved


def project_scan(points: np.ndarray, projection: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A scan as a depth map (H, W) of float32 metres, 0 where no point falls.

    points: (N, 3) as from `read_scan`. projection: (3, 4). As in monodepth and monodepth2: points
    behind the scanner do not count, pixels are rounded and counted from 1, as in KITTI's own code,
    the nearest point of a pixel is kept, and depth is the distance FORWARD OF THE SCANNER, which
    stands about 0.27 m behind the camera. Points that the camera cannot see are not removed.
    """
    ahead = points[points[:, 0] >= 0].astype(np.float64)
    u, v, w = projection @ np.column_stack([ahead, np.ones(len(ahead))]).T
    in_front = w > 0
    ahead, u, v, w = ahead[in_front], u[in_front], v[in_front], w[in_front]
    column, row = np.rint(u / w) - 1, np.rint(v / w) - 1
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    place = row[inside].astype(int), column[inside].astype(int)
    depth = np.full(shape, np.inf)
    np.minimum.at(depth, place, ahead[inside, 0])
    return np.where(np.isfinite(depth), depth, 0).astype(np.float32)


def _matrices(path: Path) -> dict[str, np.ndarray]:
    """The numbers of each line "name: 1.0 2.0 …" of a calibration file."""
    found = {}
    for line in read_text(path, "calibration of KITTI's date").splitlines():
        name, _, numbers = line.partition(":")
        try:
            found[name.strip()] = np.array([float(number) for number in numbers.split()])
        except ValueError:  # such as the line with the time of calibration
            continue
    return found


def _matrix(
    found: dict[str, np.ndarray], name: str, shape: tuple[int, ...], path: Path
) -> np.ndarray:
    if name not in found or found[name].size != np.prod(shape):
        raise DepthClipError(f"{path} has no {name} of {np.prod(shape)} numbers: it is damaged")
    return found[name].reshape(shape)
