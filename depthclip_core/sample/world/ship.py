"""`make render`: render the sample's frames into a new ZIP file like the one in this package.

The file holds rgb/*.jpg, depth/*.png (16 bit, millimetres, dense), holes/*.png, labels/*.png, and
frames.csv, a table of the frames. Any image viewer opens the pictures.
"""

import hashlib
import io
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import oxipng
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from depthclip_core.cores import usable_cores
from depthclip_core.errors import DepthClipError
from depthclip_core.files import content_of, write_whole
from depthclip_core.sample import ABOUT, COLUMNS, LABEL_NAMES, TABLE, member
from depthclip_core.sample.world import DATA
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
    seeds = count(SAMPLE_SEED_BASE)
    return tuple(
        PlannedRoom(scene, f"{scene}_{round_:04d}", next(seeds), split, n_views)
        for round_, (split, n_views) in enumerate(ROOMS, 1)
        for scene in SCENE_TYPES
    )


def render_sample(path: Path, planned: Sequence[PlannedRoom] | None = None) -> Path:
    """Render rooms, by default all of the sample's, into a new ZIP file.

    Raises `DepthClipError` if the path exists or cannot be written.
    """
    if os.path.lexists(path):
        raise DepthClipError(f"{path} exists: move it away, or give another OUT=")
    planned = rooms() if planned is None else planned
    rows: list[list] = []
    packed = io.BytesIO()
    with (
        ZipFile(packed, "w", ZIP_STORED) as archive,
        ProcessPoolExecutor(usable_cores(), mp_context=get_context("spawn")) as pool,
    ):
        rendered = zip(planned, pool.map(_render, planned), strict=True)
        for room, views in tqdm(rendered, "rendering", len(planned), unit="room"):
            for pictures in views:
                name = f"{len(rows) + 1:04d}"
                rows.append([name, room.split, room.scene, room.name, len(rows) + 1])
                for kind, content in pictures.items():
                    _write(archive, member(kind, name), content)
        _write(archive, TABLE, _table(rows))
        _write(archive, ABOUT, DATA["texts"]["readme"].encode())
        _write(archive, LABEL_NAMES, "\n".join(OBJECT_NAMES).encode() + b"\n")
    return write_whole(path, packed.getbuffer(), overwrite=False)


def encoded(view: View) -> dict[str, bytes]:
    """A view's four pictures as bytes, by kind."""
    depth, labels = np.rint(view.depth * 1000).astype(np.uint16), view.labels.astype(np.uint8)
    exact = {"depth": depth, "holes": view.holes, "labels": labels}
    rgb = _picture(view.rgb, "JPEG", **JPEG)
    return {"rgb": rgb} | {kind: _png(pixels) for kind, pixels in exact.items()}


def _render(room: PlannedRoom) -> list[dict[str, bytes]]:
    return [encoded(view) for view in islice(room_views(room.scene, room.seed), room.n_views)]


def _picture(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    return content_of(Image.fromarray(pixels).save, kind, **options)


def _png(pixels: np.ndarray) -> bytes:
    """Compress losslessly and keep Pillow's mode: a palette would decode to other numbers."""
    kept = ("bit_depth", "color_type", "palette", "grayscale")
    reductions = {f"{kind}_reduction": False for kind in kept}
    return oxipng.optimize_from_memory(_picture(pixels, "PNG"), level=4, **reductions)


def _table(rows: Sequence[Sequence[object]]) -> bytes:
    return pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False, lineterminator="\n").encode()


def _write(archive: ZipFile, name: str, content: bytes) -> None:
    archive.writestr(ZipInfo(name, MADE), content)


if __name__ == "__main__":
    try:
        made = render_sample(Path(sys.argv[1]))
    except DepthClipError as error:
        sys.exit(str(error))
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    print(f"{made}, {os.path.getsize(made) / 1e6:.1f} MB, sha256 {digest}")
