"""Saved depth maps of any system: read one by one, matched to frames by name, in metres."""

import posixpath
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from depthclip_core.datasets.depth_files import in_metres
from depthclip_core.datasets.options import number_option
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation.map_sources import Reader, find_maps
from depthclip_core.evaluation.units import UNITS, check_metres
from depthclip_core.paths import user_path
from depthclip_core.text import printable

MILLIMETRES = 1000.0  # stored units per metre; KITTI's PNG files have 256
KINDS = ("depth", "disparity")
NO_DISPARITY = 1e-12  # at and below this the depth is not known
SHOWN = 5  # how many wrong names an error lists
Spell = Callable[[str], str]
PHOTOS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp")


class UnmatchedNames(DepthClipError):
    """Maps and frames that do not match by name; n_matched: how many do."""

    def __init__(self, message: str, n_matched: int):
        super().__init__(message)
        self.n_matched = n_matched


@dataclass(frozen=True, eq=False)
class MapFiles(Sequence):
    """Depth maps in the order of `names`: float32 (h, w) metres, 0 where there is no prediction.

    Maps have the sizes that they were saved in. saved_as: each map's own name, or number. note:
    what should be said of how maps were matched to frames, or empty. See `open_maps`.
    """

    path: Path
    names: list[str]
    readers: list[Reader]
    divisor: float
    kind: str
    missing: tuple[float, ...]
    saved_as: list[str]
    note: str = ""

    def __len__(self) -> int:
        return len(self.readers)

    def label(self, position: int) -> str:
        """What an error calls a map."""
        return f"{self.path.name}: the depth map of {printable(self.names[position])!r}"

    def __getitem__(self, position: int) -> np.ndarray:
        label = self.label(position)
        values = self.readers[position]()
        if min(values.shape) < 2:
            raise DepthClipError(f"{label} must be of shape (H, W), got {values.shape}")
        stored = values.dtype == np.uint16
        if not stored and np.isinf(values).any():
            wanted = "mark missing depth with 0 or NaN"
            raise DepthClipError(f"{label} holds infinite depths: {wanted}")
        known = in_metres(values, self.divisor if stored else 1.0, self.missing)
        if self.kind == "disparity":
            known = np.divide(1, known, out=np.zeros_like(known), where=known > NO_DISPARITY)
            return check_metres(
                f"{label}, as 1 / disparity", known, "give disparities in 1 / metres"
            )
        stored_units = f"the divisor {self.divisor:g} is not that of these files"
        return check_metres(label, known, stored_units if stored else UNITS)


def open_maps(
    path: str | Path,
    names: Sequence[str],
    *,
    divisor: float = MILLIMETRES,
    kind: str = "depth",
    missing: Collection[float] = (),
) -> MapFiles:
    """The saved depth maps of exactly these frames; only names are read until a map is used.

    path: a folder of NAME.npy, .npz, .exr, .tif, or 16-bit .png; an HDF5 file with a dataset (H, W)
        for each name, or one (N, H, W) with `names` beside it; a .npz with an array for each name,
        or one (N, H, W) with `names`; a .zip of files as in the folder. A stack without names, such
        as a .npy (N, H, W), is taken in the frames' order if it has their number; `note` says so.
    divisor: stored units per metre of 16-bit integers. Floating-point values are metres.
    kind: "depth", or "disparity" for 1 / metres, whose scale may be arbitrary where scores align.
    missing: stored values that mean "no prediction"; 0, negative values and NaN always do.

    Names must match exactly, except that all of them may lack a folder that holds all, or have one
    more; may lack or have a photograph's suffix (rgb_00045.jpg); and may join folders by "_"
    (bathroom_rgb_00045 for bathroom/rgb_00045): each where that leaves all names different.
    Raises `DepthClipError` for missing or unknown names; and, when a map is read, for a damaged
    file, and a wrong dtype, shape or unit.
    """
    path, names = user_path(path), list(names)
    if kind not in KINDS:
        raise unknown_name("kind of map", kind, KINDS)
    divisor = number_option("divisor", divisor, "stored units per metre, such as 1000")
    found = find_maps(path, nested=any("/" in name for name in names))
    note = ""
    if found.in_order:
        readers, n = found.in_order, len(found.in_order)
        chosen = [f"map {position}" for position in range(n)]
        if n != len(names):
            fault = f"{n} depth maps without names, for {len(names)} frames"
            raise DepthClipError(f"{path} has {fault}: give exactly one map for each frame")
        ends = f"from {printable(names[0])!r} to {printable(names[-1])!r}"
        note = f"{path.name} has no names: its {n} maps are taken in the data set's order, {ends}"
    else:
        chosen = match_names(path, list(found.by_name), names)
        readers = [found.by_name[name] for name in chosen]
    return MapFiles(path, names, readers, divisor, kind, tuple(missing), chosen, note)


def match_names(path: Path, found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """For each wanted name the found one, if all match under one of the spellings of `open_maps`.

    Raises `DepthClipError` that lists which are missing and which have no frame.
    """
    if len(set(wanted)) < len(wanted):
        twice = next(name for name in wanted if list(wanted).count(name) > 1)
        raise DepthClipError(f"two frames are named {printable(twice)!r}: maps cannot be matched")
    best: tuple[dict, list] | None = None
    for spell_found, spell_wanted in _spellings(found, wanted):
        known = {spell_found(name): name for name in found}
        asked = [spell_wanted(name) for name in wanted]
        if len(known) < len(found) or len(set(asked)) < len(asked):
            continue  # under this spelling two names are one
        if known.keys() == set(asked):
            return [known[name] for name in asked]
        hits = len(known.keys() & set(asked))
        if best is None or hits > len(best[0].keys() & set(best[1])):
            best = known, asked
    known, asked = best
    missing = [spelled for spelled in asked if spelled not in known]
    extra = [name for spelled, name in known.items() if spelled not in set(asked)]
    raise _unmatched(path, missing, extra, len(found), len(wanted))


def _spellings(found: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[Spell, Spell]]:
    """Ways to write the names of maps and of frames; first all as they are."""
    for ours, theirs in product(_folders_of_all(found), _folders_of_all(wanted)):
        if ours and theirs and not all("/" in name.removeprefix(theirs) for name in wanted):
            continue  # kitchen/rgb_1 must not become bathroom/rgb_1
        for write in (str, _without_photo_suffix, _flat):
            yield tuple(
                lambda name, folder=folder, write=write: write(name.removeprefix(folder))
                for folder in (ours, theirs)
            )


def _folders_of_all(names: Sequence[str]) -> list[str]:
    """The folders that hold all names: "", "out/", "out/maps/" …"""
    absolute = {name.startswith("/") for name in names}
    folders = [posixpath.dirname(name) for name in names]
    common = posixpath.commonpath(folders) if len(absolute) == 1 else ""
    parts = common.rstrip("/").split("/") if common else []
    return ["".join(f"{part}/" for part in parts[:n]) for n in range(len(parts) + 1)]


def _without_photo_suffix(name: str) -> str:
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in PHOTOS else name


def _flat(name: str) -> str:
    return _without_photo_suffix(name).replace("/", "_")


def _unmatched(
    path: Path, missing: list, extra: list, n_found: int, n_wanted: int
) -> UnmatchedNames:
    parts = [
        f"{len(names)} {what}: {', '.join(map(_shown, names[:SHOWN]))}"
        f"{' …' if len(names) > SHOWN else ''}"
        for what, names in (("missing", missing), ("without a frame", extra))
        if names
    ]
    fault = f"{n_found} depth maps for {n_wanted} frames; {'; '.join(parts)}"
    return UnmatchedNames(f"{path} has {fault}", n_wanted - len(missing))


def _shown(name: str) -> str:
    """A name in an error: in quotes where a space at its end would not be seen."""
    return printable(name) if name == name.strip() else repr(printable(name))
