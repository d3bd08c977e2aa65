"""Depth of photographs saved as files: maps, pictures, and the settings behind them.

    from depthclip_core.clip.encoders import load_encoder
    from depthclip_core.method.photo_depths import resolve_setting
    from depthclip_core.saved_depths import plan_files, save_depths

    planned = plan_files(["photo.jpg", "folder"], "out")  # checks all names before the network runs
    setting = resolve_setting(prompts="original", bins="original", head="value")
    for plan, fault in save_depths(planned, load_encoder("sample"), setting):
        print(plan.name, fault or plan.files["depth_npy"])

`method.photo_depths.predict_photos` gives the same depths without files. Each photograph NAME.jpg
leaves four files:

depth_png/NAME.png: depth in whole millimetres, 16 bits.
depth_npy/NAME.npy: depth in metres, float32 (H, W).
pictures/NAME.png: the photograph beside its depth.
settings/NAME.json: what made them, written last.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from depthclip_core.checkout import commit, versions
from depthclip_core.datasets.depth_files import DEEPEST, PNG_DIVISOR, png_levels
from depthclip_core.datasets.pictures import is_photo
from depthclip_core.errors import DepthClipError
from depthclip_core.files import content_of, together, user_path
from depthclip_core.settings import LOGIT_SCALE, OBJECT, TEMPLATES
from depthclip_core.text import printable

if TYPE_CHECKING:  # torch takes seconds; files are planned without it
    from depthclip_core.clip.encoders import Encoder
    from depthclip_core.method.photo_depths import PhotoDepth, Setting

KINDS = {"depth_png": ".png", "depth_npy": ".npy", "pictures": ".png", "settings": ".json"}


@dataclass(frozen=True)
class PlannedFiles:
    """A photograph, the name of its files, and the files by kind (the keys of `KINDS`).

    name: the photograph's without suffix; below a folder that is searched recursively, with the
    folders between. overwrite: whether files may exist when they are written.
    """

    photo: Path
    name: str
    files: dict[str, Path]
    overwrite: bool = False


def plan_files(
    photos: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    recursive: bool = False,
    overwrite: bool = False,
) -> list[PlannedFiles]:
    """The photographs to read, and the files to write for each; nothing is read or written yet.

    photos: files and folders. Of a folder, its JPEG and PNG files count, and with recursive those
    of the folders in it; hidden ones do not, nor do the files that an earlier run left in `out`.
    Raises `DepthClipError` for a photo or folder that is missing, for two photographs with one
    name, and for files that exist, unless they may be overwritten. A photograph is never
    overwritten.
    """
    out = user_path(out)
    if os.path.exists(out) and not os.path.isdir(out):
        raise DepthClipError(f"{out} is a file: give a folder to write to")
    given = [photos] if isinstance(photos, str | Path) else photos
    seen: dict[Path, Path] = {}  # by the file that is meant, so that none is read twice
    taken: dict[str, Path] = {}
    planned = []
    for photo, name in (found for place in given for found in _photos(place, out, recursive)):
        if seen.setdefault(photo.resolve(), photo) is not photo:
            continue
        # Some file systems do not tell a.jpg from A.jpg.
        if (other := taken.setdefault(name.casefold(), photo)) is not photo:
            fault = f"{other} and {photo} would both be saved as {name}"
            raise DepthClipError(f"{fault}: rename one, or save them to different folders")
        files = {kind: out / kind / f"{name}{suffix}" for kind, suffix in KINDS.items()}
        planned.append(PlannedFiles(photo, name, files, overwrite))
    targets = [file for plan in planned for file in plan.files.values()]
    if own := next((file for file in targets if file.resolve() in seen), None):
        raise DepthClipError(f"{own} is a photograph to be read: save to another folder")
    existing = [] if overwrite else [file for file in targets if os.path.lexists(file)]
    if existing:
        fault = f"{len(existing)} of {len(targets)} files exist already, such as {existing[0]}"
        raise DepthClipError(f"{fault}: save to another folder, or overwrite them (--force)")
    return planned


def save_depths(
    planned: Sequence[PlannedFiles], encoder: "Encoder", setting: "Setting", **options
) -> Iterator[tuple[PlannedFiles, DepthClipError | None]]:
    """Predict the depth of photographs and write their files, while the result is iterated.

    planned: from `plan_files`. setting: from `resolve_setting`. options: those of
    `predict_photos`: long_side, full_size, batch_size.
    Yields each plan, with the error that says why its photograph has no depth, or None. The four
    files of a photograph appear together. Raises `DepthClipError` where one cannot be written.
    """
    from depthclip_core.method.photo_depths import predict_photos

    shared = _shared_facts(encoder, setting)
    photos = [plan.photo for plan in planned]
    with closing(predict_photos(photos, encoder, setting, **options)) as depths:
        for plan, found in zip(planned, depths, strict=True):
            if isinstance(found, DepthClipError):
                yield plan, found
                continue
            contents = _contents(plan, found, encoder, setting, shared)
            with together(overwrite=plan.overwrite) as write:
                for kind, content in contents.items():
                    write(plan.files[kind], content)
            yield plan, None


def _photos(place: str | Path, out: Path, recursive: bool) -> Iterator[tuple[Path, str]]:
    """The photographs of a file or folder, each with the name of its files."""
    place = Path(os.path.expanduser(place))
    if not os.path.isdir(place):  # unlike Path's methods it never raises
        if not os.path.exists(place):
            raise DepthClipError(f"no photo or folder of photos at {place}")
        yield place, place.stem
        return
    left = {(out / kind).resolve() for kind in KINDS}  # of an earlier run, no photographs
    n_found = 0
    for folder, inner, names in os.walk(place, onerror=_unreadable):
        here = Path(folder)
        inner[:] = sorted(
            name
            for name in inner
            if recursive and name[0] != "." and (here / name).resolve() not in left
        )
        for path in filter(is_photo, (here / name for name in sorted(names))):
            n_found += 1
            yield path, path.relative_to(place).with_suffix("").as_posix()
    if not n_found:
        deeper = "" if recursive else ", or search the folders in it (--recursive)"
        raise DepthClipError(f"no photos in {place}: put JPEG or PNG files there{deeper}")


def _unreadable(error: OSError) -> None:
    raise DepthClipError(f"cannot read {error.filename}: {error.strerror}") from error


def _contents(
    plan: PlannedFiles, found: "PhotoDepth", encoder: "Encoder", setting: "Setting", shared: dict
) -> dict[str, bytes | str]:
    """What is written of a photograph, by kind; the settings last."""
    from PIL import Image

    levels, n_too_deep = png_levels(found.depth)
    facts = _facts(plan, found, encoder, n_too_deep) | shared
    return {
        "depth_png": content_of(Image.fromarray(levels).save, format="png"),
        "depth_npy": content_of(np.save, found.depth),
        "pictures": content_of(_draw, plan, found, encoder, setting),
        "settings": json.dumps(facts, indent=2, ensure_ascii=False) + "\n",
    }


def _draw(
    file: BinaryIO, plan: PlannedFiles, found: "PhotoDepth", encoder: "Encoder", setting: "Setting"
) -> None:
    """The photograph beside its depth, as PNG."""
    from depthclip_core.method.photo_depths import picture_notes, setting_title
    from depthclip_core.plots.photo_plots import write_photo_and_depth

    # At full size, a picture needs no more pixels than the network saw.
    kept = (
        np.linspace(0, given - 1, shown).round().astype(int)
        for given, shown in zip(found.depth.shape, found.rgb.shape, strict=False)
    )
    title, notes = setting_title(encoder, setting), picture_notes(encoder, setting)
    depth = found.depth[np.ix_(*kept)]
    write_photo_and_depth(file, found.rgb, depth, title, plan.photo.name, notes)


def _facts(
    plan: PlannedFiles, found: "PhotoDepth", encoder: "Encoder", n_too_deep: int
) -> dict[str, dict]:
    """What the settings file says of one photograph."""
    seen, shape = found.rgb.shape[:2], found.depth.shape
    return {
        "photo": {
            "name": printable(plan.photo.name),
            "sha256": found.sha256,
            "height": found.size[0],
            "width": found.size[1],
        },
        "network_input": {
            "height": seen[0],
            "width": seen[1],
            "cells": list(encoder.grid(*seen)),
        },
        "depth": {
            "height": shape[0],
            "width": shape[1],
            "upsampled_to_full_size": "bilinear" if shape != seen else None,
            "nearest": float(found.depth.min()),
            "farthest": float(found.depth.max()),
        },
        "depth_npy": {"unit": "metre", "dtype": "float32"},
        "depth_png": {
            "unit": "millimetre",
            "divisor": PNG_DIVISOR,
            "dtype": "uint16",
            "pixels_clipped": n_too_deep,
            "clipped_at": DEEPEST,
        },
    }


def _shared_facts(encoder: "Encoder", setting: "Setting") -> dict:
    """What the settings files of one run have in common."""
    from depthclip_core.method.photo_depths import what_to_expect

    return {
        "setting": {
            "prompts": setting.words_name,
            "words": list(map(printable, setting.words)),
            "templates": list(TEMPLATES),
            "object": OBJECT,
            "bins_name": setting.bins_name,
            "bins": list(setting.bins),
            "head": setting.head,
            "temperature": setting.temperature,
            "logit_scale": LOGIT_SCALE,
            "averaged_with_mirror_image": True,
        },
        "encoder": {
            "name": encoder.name,
            "weights": printable(Path(encoder.weights).name),
            "weights_sha256": encoder.identity["weights"],
            "from_openai": encoder.from_openai,
            "configuration": encoder.identity["configuration"],
            "precision": encoder.precision,
            "device": str(encoder.device),
        },
        "note": what_to_expect(encoder, setting),
        "versions": versions(),
        "commit": commit(),
    }
