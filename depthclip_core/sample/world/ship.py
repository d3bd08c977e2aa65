"""`make render`: render the sample's frames into a new ZIP file like the one in this package.

The file holds rgb/*.jpg, depth/*.png (16 bit, millimetres, dense), holes/*.png, labels/*.png, and
frames.csv, a table of the frames. Any image viewer opens the pictures.
"""

import csv
import hashlib
import io
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import oxipng
from PIL import Image
from tqdm.auto import tqdm

from depthclip_core.sample import ABOUT, COLUMNS, LABEL_NAMES, TABLE, member
from depthclip_core.sample.world.render import View, room_views
from depthclip_core.sample.world.scene import OBJECT_NAMES
from depthclip_core.sample.world.world import SCENE_TYPES

PRETRAIN_SEED_LIMIT = 1_000_000  # the pretraining world's seeds are below this ...
SAMPLE_SEED_BASE = 1_000_000  # ... and the sample's start here, so that the two are disjoint
# For each scene type, in the order of the file: a room's split, and how many views it has.
ROOMS = tuple((split, n) for train in (3, 2, 4, 3) for split, n in (("train", train), ("test", 2)))
# At the same size, WebP smooths away the texture from which the sample's CLIP infers depth.
JPEG = {"quality": 85, "optimize": True, "progressive": True}
MADE = (2026, 11, 25, 0, 0, 0)  # date of every member, so that equal frames give equal files


README = """The sample of the DepthCLIP workbook: frames of a small rendered world, no photographs.

frames.csv  name, split, scene type and room of each frame, and the seed of its sensor noise
rgb/        what a camera sees: JPEG, 480 x 640 pixels, with a white border as in NYU Depth v2
depth/      true depth along the optical axis: PNG of 16 bits, millimetres
holes/      where the depth sensor sees nothing
labels/     what lies at each pixel: line numbers in labels.txt, from 1

Focal lengths 518.86 and 519.47 pixels, centre (325.58, 253.74). MIT licence, as the workbook.
"""


@dataclass(frozen=True)
class PlannedRoom:
    """A room to render: its scene type, name, seed and split, and its number of views."""

    scene: str
    name: str
    seed: int
    split: str
    n_views: int


def rooms() -> tuple[PlannedRoom, ...]:
    """All rooms in the order of the file: rounds of the eight scene types."""
    return tuple(
        PlannedRoom(
            scene=scene,
            name=f"{scene}_{round_ + 1:04d}",
            seed=SAMPLE_SEED_BASE + round_ * len(SCENE_TYPES) + place,
            split=split,
            n_views=n_views,
        )
        for round_, (split, n_views) in enumerate(ROOMS)
        for place, scene in enumerate(SCENE_TYPES)
    )


def render_sample(path: Path, planned: Sequence[PlannedRoom] | None = None) -> Path:
    """Render rooms, by default all of the sample's, into a new ZIP file.

    Raises `FileExistsError` if the path exists.
    """
    planned = rooms() if planned is None else planned
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, number = [], 0
    with open(path, "xb") as file:  # "x": never overwrites
        try:
            with (
                ZipFile(file, "w", ZIP_STORED) as archive,
                ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
            ):
                rendered = tqdm(
                    pool.map(_render, planned), total=len(planned), desc="rendering", unit="room"
                )
                for room, views in zip(planned, rendered, strict=True):
                    for pictures in views:
                        number += 1
                        name = f"{number:04d}"
                        rows.append([name, room.split, room.scene, room.name, number])
                        for kind, content in pictures.items():
                            _write(archive, member(kind, name), content)
                _write(archive, TABLE, _table(rows))
                _write(archive, ABOUT, README.encode())
                _write(archive, LABEL_NAMES, "\n".join(OBJECT_NAMES).encode() + b"\n")
        except BaseException:
            path.unlink()
            raise
    return path


def encoded(view: View) -> dict[str, bytes]:
    """A view's four pictures as bytes, by kind."""
    millimetres = np.rint(view.depth * 1000).astype(np.uint16)
    return {
        "rgb": _picture(view.rgb, "JPEG", **JPEG),
        "depth": _png(millimetres),
        "holes": _png(view.holes),
        "labels": _png(view.labels.astype(np.uint8)),
    }


def _render(room: PlannedRoom) -> list[dict[str, bytes]]:
    return [encoded(view) for view in islice(room_views(room.scene, room.seed), room.n_views)]


def _picture(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    """Compress losslessly and keep Pillow's mode: a palette would decode to other numbers."""
    kept = ("bit_depth", "color_type", "palette", "grayscale")
    reductions = {f"{kind}_reduction": False for kind in kept}
    return oxipng.optimize_from_memory(_picture(pixels, "PNG"), level=4, **reductions)


def _table(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue().encode()


def _write(archive: ZipFile, name: str, content: bytes) -> None:
    archive.writestr(ZipInfo(name, MADE), content)


if __name__ == "__main__":
    try:
        made = render_sample(Path(sys.argv[1]))
    except FileExistsError:
        sys.exit(f"{sys.argv[1]} exists: move it away, or give another OUT=")
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    print(f"{made}, {os.path.getsize(made) / 1e6:.1f} MB, sha256 {digest}")
