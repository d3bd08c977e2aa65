"""Write small data sets in the official layouts: KITTI's and SUN RGB-D's folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

DATE, DRIVE = "2011_09_26", "2011_09_26_drive_0002"
# Camera 2 looks where the scanner does, so that depth is the scan's own x.
CALIBRATION = {
    "calib_cam_to_cam.txt": "calib_time: 09-Jan-2012 13:57:47\n"
    "R_rect_00: 1 0 0 0 1 0 0 0 1\nP_rect_02: 700 0 600 0 0 700 180 0 0 0 1 0\n",
    "calib_velo_to_cam.txt": "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 0 0\n",
}


def kitti_frame(
    folder: Path, number: int, rgb: np.ndarray, levels: np.ndarray | None, drive: str = DRIVE
) -> str:
    """One frame of KITTI: RGB (H, W, 3), and depth in 1/256 m or None. Returns its list's line."""
    own = f"{DATE}/{drive}_sync/image_02/data/{number:010d}.png"
    (folder / own).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(folder / own)
    depth = f"{drive}_sync/proj_depth/groundtruth/image_02/{number:010d}.png"
    if levels is not None:
        path = folder / "data_depth_annotated" / "val" / depth
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels.astype(np.uint16)).save(path)
    return f"{own} {depth if levels is not None else 'None'} 721.5377"


def kitti_scan(folder: Path, number: int, depth: np.ndarray, drive: str = DRIVE) -> Path:
    """A scan that `CALIBRATION` projects to this depth map (H, W), metres, 0 without point."""
    for name, text in CALIBRATION.items():
        (folder / DATE / name).write_text(text)
    row, column = np.nonzero(depth)
    z = depth[row, column]
    left, up = -(column + 1 - 600) * z / 700, -(row + 1 - 180) * z / 700
    points = np.stack([z, left, up, np.full_like(z, 0.5)], axis=1).astype("<f4")
    path = folder / DATE / f"{drive}_sync" / "velodyne_points" / "data" / f"{number:010d}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    points.tofile(path)
    return path


def write_kitti(folder: Path, shapes: Sequence[tuple[int, int]] = ((375, 1242), (370, 1224))):
    """Frames of these sizes, each in a drive of its own, and the test list; returns the folder.

    Levels encode the position: depth is (row + 1) / 256 · 16 metres in every other column.
    """
    lines = []
    for number, (height, width) in enumerate(shapes):
        row, column = np.ogrid[:height, :width]
        parts = [(row % 251) + 0 * column, (column % 251) + 0 * row, 0 * row + 0 * column + number]
        levels = np.where(column % 2, 16 * (row + 1), 0)
        drive = f"{DRIVE[:-1]}{number}"
        lines.append(
            kitti_frame(folder, number, np.stack(parts, 2).astype(np.uint8), levels, drive)
        )
    (folder / "eigen_test_files_with_gt.txt").write_text("\n".join(lines))
    return folder


def sun_frame(
    folder: Path, place: str, rgb: np.ndarray, millimetres: np.ndarray, scene: str | None, **filled
) -> Path:
    """One frame of SUN RGB-D at SUNRGBD/place: depth in whole millimetres, uint16 (H, W).

    filled: `depth_bfx`, the same without holes.
    """
    own = folder / "SUNRGBD" / place
    for kind, levels in {"depth": millimetres, **filled}.items():
        (own / kind).mkdir(parents=True)
        levels = levels.astype(np.uint16)
        Image.fromarray((levels << 3) | (levels >> 13)).save(own / kind / "frame.png")
    (own / "image").mkdir()
    Image.fromarray(rgb).save(own / "image" / "frame.png")
    if scene is not None:
        (own / "scene.txt").write_text(scene)
    return own


def write_sunrgbd(folder: Path) -> Path:
    """Three frames of three sensors, two of one size, and the split file; returns the folder."""
    frames = {
        "kv1/NYUdata/NYU0001": ((427, 561), "bathroom"),
        "kv2/kinect2data/000002": ((530, 730), "idk\n"),
        "xtion/sun3ddata/hotel/one/0001": ((427, 561), "Dining Room"),
    }
    for place, (shape, scene) in frames.items():
        row, column = np.ogrid[: shape[0], : shape[1]]
        parts = [row % 251 + 0 * column, column % 251 + 0 * row, 0 * row + 0 * column]
        depth = np.where(column % 2, 1 + 24 * row, 0) + 0 * row
        filled = 1 + 24 * row + 0 * column
        rgb = np.stack(parts, 2).astype(np.uint8)
        sun_frame(folder, place, rgb, depth, scene, depth_bfx=filled)
    write_sun_splits(folder / "SUNRGBD" / "allsplit.mat", [*frames][:1], [*frames][1:])
    return folder


def write_sun_splits(path: Path, train: Sequence[str], test: Sequence[str]) -> Path:
    """allsplit.mat: cells of folders on another machine."""
    cells = {}
    for name, places in (("alltrain", train), ("alltest", test)):
        cells[name] = np.empty((1, len(places)), dtype=object)
        cells[name][0] = [f"/n/fs/sun3d/data/SUNRGBD/{place}/" for place in places]
    savemat(path, cells)
    return path
