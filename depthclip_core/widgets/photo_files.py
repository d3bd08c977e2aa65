"""What an explorer of photographs saves: depth in metres and millimetres, a figure, a cloud."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from depthclip_core.analysis.own_photo import PhotoReading, expectations
from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.depth_files import DEEPEST, png_levels
from depthclip_core.datasets.photos import Photo
from depthclip_core.errors import DepthClipError
from depthclip_core.method.depth import upsample
from depthclip_core.method.photo_depths import Setting, picture_notes, setting_title
from depthclip_core.method.point_cloud import depth_points, ply_file
from depthclip_core.plots.photo_plots import write_photo_and_depth

MOST_PIXELS = 25_000_000  # of files at a photograph's own size: figures have six bytes for each


@dataclass(frozen=True, eq=False)
class ShownPhoto:
    """A photograph, its reading, and how it was read.

    field_of_view: degrees across the width. own_size: whether depth and figure have the size of the
    photograph itself, to which depth is upsampled bilinearly; else that of what the network saw.
    """

    photo: Photo
    reading: PhotoReading
    encoder: Encoder
    setting: Setting
    field_of_view: float
    own_size: bool = False

    @property
    def depth(self) -> np.ndarray:
        """float32 (H, W) metres; `DepthClipError` for a photograph too large for its own size."""
        depth, size = self.reading.depth, self.photo.size
        if not self.own_size or depth.shape == size:
            return depth
        if size[0] * size[1] > MOST_PIXELS:
            most = f"here it is saved up to {MOST_PIXELS // 10**6} million"
            fault = f"the photograph has {size[0]} x {size[1]} pixels, and {most}"
            raise DepthClipError(f"{fault}: use depthclip predict --full-size")
        return upsample(torch.from_numpy(depth)[None], size)[0].numpy()

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Points and colours of what the network saw, see `depth_points`."""
        return depth_points(self.reading.depth, self.photo.frame.rgb, self.field_of_view)

    def file_name(self, ending: str) -> str:
        """The photograph's name with another ending, without characters that need quoting."""
        stem = re.sub(r"[^\w.-]+", "_", PurePath(self.photo.frame.name).stem).strip("._")
        return f"{stem or 'photograph'}_{ending}"


def depth_npy(shown: ShownPhoto) -> bytes:
    """Depth in metres, float32 (H, W)."""
    file = BytesIO()
    np.save(file, shown.depth)
    return file.getvalue()


def depth_png(shown: ShownPhoto) -> bytes:
    """Depth in whole millimetres, 16 bits; raises `DepthClipError` where that is too deep."""
    levels, n_too_deep = png_levels(shown.depth)
    if n_too_deep:
        fault = f"{n_too_deep} pixels are deeper than {DEEPEST:g} m, which 16 bits cannot hold"
        raise DepthClipError(f"{fault} in millimetres: save the .npy")
    file, notes = BytesIO(), PngInfo()
    notes.add_text("Unit", "millimetre")
    Image.fromarray(levels).save(file, "PNG", pnginfo=notes)
    return file.getvalue()


def figure_png(shown: ShownPhoto) -> bytes:
    """The photograph beside its depth with the scale; each of its pixels is drawn."""
    depth, file = shown.depth, BytesIO()
    rgb = shown.photo.full_rgb() if shown.own_size else shown.photo.frame.rgb
    made = shown.encoder, shown.setting
    title, name, notes = setting_title(*made), shown.photo.frame.name, picture_notes(*made)
    write_photo_and_depth(file, rgb, depth, title, name, notes, full_resolution=True)
    return file.getvalue()


def points_ply(shown: ShownPhoto) -> bytes:
    """A point for each pixel that the network saw, in metres, coloured."""
    comments = [
        setting_title(shown.encoder, shown.setting),
        f"metres; camera at the origin, x right, y up, z towards the camera; "
        f"{shown.field_of_view:.1f} degrees across the width",
        expectations(shown.encoder, shown.setting),
    ]
    return ply_file(*shown.points, comments)


# What a button says → the end of the file's name, and what makes the file.
FILES: dict[str, tuple[str, Callable[[ShownPhoto], bytes]]] = {
    "depth .npy, metres": ("depth.npy", depth_npy),
    "depth .png, 16 bits, mm": ("depth_mm.png", depth_png),
    "figure .png": ("figure.png", figure_png),
    "points .ply": ("points.ply", points_ply),
}
