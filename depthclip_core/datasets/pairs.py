"""Anybody's RGB-D: photographs and depth maps in files, paired by name or by time stamp."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from depthclip_core.crops import crop_window
from depthclip_core.datasets.base import Checksums, Dataset, Frame, Place, checked_split
from depthclip_core.datasets.depth_files import in_metres, read_depth_file
from depthclip_core.datasets.maps import file_shape, nearest, read_mask, rotated_back
from depthclip_core.datasets.options import (
    number_option,
    numbers_option,
    shape_option,
    text_options,
    whole_option,
)
from depthclip_core.datasets.pairing import by_name, by_time, table_rows
from depthclip_core.datasets.photos import open_photo
from depthclip_core.errors import DepthClipError, first_line, unknown_name
from depthclip_core.paths import user_path
from depthclip_core.settings import MAX_DEPTH, Window, data_folder, network_window
from depthclip_core.text import printable

RESIZE = ("rgb-to-depth", "depth-to-rgb")
UNPAIRED = ("refuse", "skip")
FACTS = ("scene", "group")


class PairFrames(Dataset):
    """Photographs and depth maps of any data set that keeps them in files.

    folder: the data set's folder. divisor: stored units per metre, such as 1000 for millimetres.

    Files: rgb, depth, mask are patterns relative to the folder, such as "*_rgb.*" and
    "*_depth.png". What their stars stand for pairs the files and names the frame, see
    `pairing.matched`. mask: files whose pixels are 0 where depth is not valid. unpaired: "refuse"
    or "skip" files without a partner. time_stamps: pair by time instead, within this many seconds;
    rgb and depth are then TUM's lists, "rgb.txt" and "depth.txt".

    Values: missing: stored values that mean "not measured", beside 0. rotated_bits: 3 for SUN
    RGB-D, which rotates the bits of its levels; `missing` is what they are after rotating back.

    Sizes: resize: what to do where RGB and depth have different sizes: "rgb-to-depth",
    "depth-to-rgb" (the nearest measurement; no depths are mixed), or "" to refuse. shape: (H, W) to
    cut from the centre of each frame, for data sets whose frames differ in size. registered: False
    where depth lies in another camera's view than RGB.

    Facts: scene_part, group_part: the part of a frame's name between slashes, counted from 0, that
    is its scene type or its group. table: a CSV in the folder with a column `name`; only its frames
    are used, in its order. scene_column, group_column, split_column: its columns. train: patterns
    of names, such as ["seq-01/*"]; these frames form the split "train" and the others "test".
    Without split_column and train, all frames form the splits "test" and "all".

    Scoring: evaluation_crop: a name of `crops.CROPS`, or top, bottom, left, right in pixels or as
    fractions of the frame. depth_cap: metres, 10 unless given; the far limit of valid depth.

    Raises `DepthClipError` for options of another kind, and for files that do not fit them.
    """

    splits = ("test", "all")
    licence = "yours"

    def __init__(
        self,
        folder: Path | str,
        split: str = "test",
        *,
        divisor: float,
        rgb: str | None = None,
        depth: str | None = None,
        mask: str | None = None,
        unpaired: str = "refuse",
        time_stamps: float | None = None,
        missing: Collection[float] = (),
        rotated_bits: int = 0,
        resize: str = "",
        shape: Sequence[int] | None = None,
        registered: bool = True,
        scene_part: int | None = None,
        group_part: int | None = None,
        table: str | None = None,
        scene_column: str | None = None,
        group_column: str | None = None,
        split_column: str | None = None,
        train: str | Sequence[str] = (),
        evaluation_crop: str | Sequence[float] | None = None,
        depth_cap: float = MAX_DEPTH,
        title: str | None = None,
        licence: str = "yours",
        citation: str = "",
    ):
        self.folder = user_path(folder)
        self.divisor = number_option("divisor", divisor, "stored units per metre, such as 1000")
        self.depth_cap = number_option("depth_cap", depth_cap, "metres, such as 10")
        self.missing = numbers_option(
            "missing", missing, "a list of stored values, such as [65535]"
        )
        self.rotated_bits = whole_option("rotated_bits", rotated_bits, range(16))
        self.registered = registered
        if resize not in ("", *RESIZE):
            raise unknown_name("resize", resize, RESIZE)
        if unpaired not in UNPAIRED:
            raise unknown_name("unpaired", unpaired, UNPAIRED)
        self.resize, self.shape = resize, shape_option(shape)
        texts = dict(rgb=rgb, depth=depth, mask=mask, table=table, scene_column=scene_column)
        texts |= dict(group_column=group_column, split_column=split_column, title=title)
        text_options(texts | {"licence": licence, "citation": citation})
        if time_stamps is not None:
            seconds = number_option("time_stamps", time_stamps, "seconds, such as 0.02")
            if mask:
                raise DepthClipError("frames paired by time_stamps have no mask: leave it out")
            pairs = by_time(self.folder, rgb or "rgb.txt", depth or "depth.txt", seconds)
        elif rgb and depth:
            pairs = by_name(self.folder, rgb, depth, mask, unpaired)
        else:
            hint = f"`depthclip data inspect {self.folder}` proposes them"
            raise DepthClipError(f"give rgb and depth, the patterns of their files: {hint}")
        columns = {"scene": scene_column, "group": group_column, "split": split_column}
        parts = {"scene": scene_part, "group": group_part}
        self._facts = {fact: _parts(pairs, fact, part) for fact, part in parts.items()}
        pairs, kept = self._from_table(pairs, table, columns)
        if train:
            kept = {"split": _split_of(pairs, train, split_column)}
        if "split" in kept:
            self.splits = (*dict.fromkeys(kept["split"].values()), "all")
        self.split = checked_split(split, self.splits)
        wanted = kept["split"] if "split" in kept and split != "all" else {}
        self.pairs = [pair for pair in pairs if wanted.get(pair.name, split) == split]
        self.title = printable(title or f"{self.folder.resolve().name}, {split}")
        self.licence, self.citation = licence, citation
        if evaluation_crop is not None:
            self.evaluation_crop = self._crop(evaluation_crop)

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        if "divisor" not in options:
            wanted = "pairs need a divisor, stored units per metre, as an option or in pairs.toml"
            raise DepthClipError(f"{wanted}: `depthclip data inspect FOLDER` proposes one")
        return cls(data or data_folder() / "pairs", split, **options)

    @classmethod
    def recognise(cls, data: Place, **options) -> str:
        try:
            options = options or cls.guessed_options(Path(data or data_folder() / "pairs"))
        except DepthClipError as error:
            return first_line(error)
        return super().recognise(data, **options)

    @classmethod
    def guessed_options(cls, data: Path) -> dict[str, object]:
        from depthclip_core.datasets.guess import guessed_options

        return guessed_options(user_path(data))

    def other_names(self) -> list[list[str]]:
        return [[pair.rgb.as_posix() for pair in self.pairs]]

    def __len__(self) -> int:
        return len(self.pairs)

    def read_frame(self, index: int) -> Frame:
        pair, (rgb, depth) = self.pairs[index], self._read(index)
        places = {fact: known.get(pair.name) for fact, known in self._facts.items()}
        return Frame(printable(pair.name), rgb, depth, **places)

    def read_rgb(self, index: int) -> np.ndarray:
        # Its depth is read too where its size decides.
        if self.resize == "rgb-to-depth":
            return self._read(index)[0]
        return self._cut(np.array(open_photo(self.pairs[index].rgb)), index)

    def each(self, fact: str) -> list[str | None]:
        if fact == "name":
            return [printable(pair.name) for pair in self.pairs]
        return [self._facts[fact].get(pair.name) for pair in self.pairs]

    @cached_property
    def frame_shape(self) -> tuple[int, int] | None:
        """(H, W) of every frame, from the headers of the files; None where sizes differ."""
        if self.shape or not self.pairs:
            return self.shape
        of = "depth" if self.resize == "rgb-to-depth" else "rgb"
        first = file_shape(getattr(self.pairs[0], of))
        same = all(file_shape(getattr(pair, of)) == first for pair in self.pairs)
        return first if same else None

    def rgb_files(self, index: int) -> Sequence[Path]:
        return [getattr(self.pairs[index], kind) for kind in self._rgb_kinds]

    def identity(self, checksums: Checksums) -> dict:
        facts = {"title": self.title, "names": self.each("name"), "shape": self.shape}
        files = [getattr(pair, kind) for kind in self._rgb_kinds for pair in self.pairs]
        digests = self.file_checksums(files, checksums)
        digest = hashlib.sha256(" ".join(digests).encode()).hexdigest()
        return facts | {"resize": self.resize, "files": digest}

    @property
    def _rgb_kinds(self) -> tuple[str, ...]:
        """The kinds of files that RGB depends on: of depth its size, where that decides."""
        return ("rgb", "depth") if self.resize == "rgb-to-depth" else ("rgb",)

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """RGB and metres of a frame, of one size."""
        pair = self.pairs[index]
        values = read_depth_file(pair.depth)
        if self.rotated_bits:
            values = rotated_back(values, self.rotated_bits, pair.depth)
        depth = in_metres(values, self.divisor, self.missing)
        if pair.mask:
            depth[~read_mask(pair.mask, depth.shape)] = 0
        photo = open_photo(pair.rgb)
        if photo.size != depth.shape[::-1]:
            if self.resize == "rgb-to-depth":
                photo = photo.resize(depth.shape[::-1], Image.Resampling.LANCZOS)
            elif self.resize == "depth-to-rgb":
                depth = nearest(depth, photo.size[::-1])
            else:
                sizes = " x ".join(map(str, photo.size[::-1])), " x ".join(map(str, depth.shape))
                fault = f"{pair.rgb.name} has {sizes[0]} pixels but its depth {sizes[1]}"
                choices = " or ".join(f"'{choice}'" for choice in RESIZE)
                raise DepthClipError(f"{printable(fault)}: set resize to {choices}")
        return self._cut(np.array(photo), index), self._cut(depth, index)

    def _cut(self, image: np.ndarray, index: int) -> np.ndarray:
        """The centre of an image, where a shape is given."""
        if not self.shape or self.shape == image.shape[:2]:
            return image
        top, left = (
            (have - want) // 2 for have, want in zip(image.shape, self.shape, strict=False)
        )
        if min(top, left) < 0:
            sizes = " x ".join(map(str, image.shape[:2])), " x ".join(map(str, self.shape))
            fault = f"{printable(self.pairs[index].name)} has {sizes[0]} pixels"
            raise DepthClipError(f"{fault}, too few to cut {sizes[1]} from: set a smaller shape")
        return image[top : top + self.shape[0], left : left + self.shape[1]]

    def _from_table(
        self, pairs: list, table: str | None, columns: Mapping[str, str | None]
    ) -> tuple[list, dict[str, dict[str, str]]]:
        """The pairs that the table names, in its order, and the columns by frame."""
        chosen = {fact: column for fact, column in columns.items() if column}
        if not table:
            if chosen:
                raise DepthClipError(f"{next(iter(chosen))}_column needs a table: set table")
            return pairs, {}
        path = self.folder / table
        rows, kept = table_rows(path, pairs), {}
        for fact, column in chosen.items():
            if column not in next(iter(rows.values())):
                raise unknown_name(f"column of {path.name}", column, next(iter(rows.values())))
            kept[fact] = {name: printable(row[column] or "") for name, row in rows.items()}
            if fact in FACTS:
                self._facts[fact] = {name: text or None for name, text in kept[fact].items()}
        by_its_name = {pair.name: pair for pair in pairs}
        return [by_its_name[name] for name in rows], kept

    def _crop(self, crop: str | Sequence[float]) -> Window:
        """An evaluation crop in pixels of the frames."""
        if self.frame_shape is None:
            raise DepthClipError("an evaluation_crop needs frames of one size: set shape = [H, W]")
        if isinstance(crop, str):
            return crop_window(crop, self.frame_shape)
        edges = numbers_option("evaluation_crop", crop, "a name, or top, bottom, left, right")
        if len(edges) != 4:
            raise DepthClipError(f"evaluation_crop is top, bottom, left, right, not {crop!r}")
        height, width = self.frame_shape
        if max(edges) <= 1:
            # A whole number of pixels survives its fraction's rounding.
            sides = (height, height, width, width)
            edges = [int(edge * side + 1e-9) for edge, side in zip(edges, sides, strict=True)]
        return network_window(self.frame_shape, Window(*map(int, edges)))


def _split_of(pairs: Sequence, train: object, split_column: str | None) -> dict[str, str]:
    """The split of each frame: "train" if a pattern fits its name, else "test"."""
    patterns = [train] if isinstance(train, str) else list(train)
    if split_column or not all(isinstance(pattern, str) for pattern in patterns):
        raise DepthClipError("train is a list of patterns of names, and takes split_column's place")
    fits = {pair.name: any(fnmatchcase(pair.name, one) for one in patterns) for pair in pairs}
    if len(set(fits.values())) < 2:
        found = "all" if any(fits.values()) else "none"
        fault = f"train fits {found} of the {len(fits)} frames"
        raise DepthClipError(f"{fault}, such as {printable(next(iter(fits)))!r}: choose some")
    return {name: "train" if fitted else "test" for name, fitted in fits.items()}


def _parts(pairs: Sequence, fact: str, part: int | None) -> dict[str, str]:
    """A part of each frame's name between slashes."""
    if part is None:
        return {}
    whole_option(f"{fact}_part", part, range(-9, 10))
    found = {}
    for pair in pairs:
        pieces = pair.name.split("/")
        if not -len(pieces) <= part < len(pieces):
            fault = f"{fact}_part = {part}, but the name {printable(pair.name)!r} has"
            raise DepthClipError(f"{fault} {len(pieces)} parts between slashes")
        found[pair.name] = printable(pieces[part])
    return found
