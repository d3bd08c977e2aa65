"""Data sets, frame by frame. Each kind has a file here and a line in `REGISTRY`."""

import os
import re
import tomllib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from depthclip_core.datasets.base import (
    Dataset,
    Frame,
    FrameIndexError,
    FrameList,
    Subset,
    as_dataset,
    chosen_positions,
)
from depthclip_core.datasets.incoming import read_text, reason
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.paths import user_path
from depthclip_core.settings import data_folder

__all__ = [
    "REGISTRY",
    "Dataset",
    "Frame",
    "FrameIndexError",
    "FrameList",
    "Subset",
    "as_dataset",
    "chosen_positions",
    "dataset_class",
    "open_dataset",
]


@dataclass(frozen=True)
class Entry:
    """Where a kind of data set is defined, and whether its frames have depth to score against."""

    module: str
    class_name: str
    has_depth: bool = True


REGISTRY = {
    "sample": Entry("depthclip_core.datasets.sample", "SampleFrames"),
    "nyu": Entry("depthclip_core.datasets.nyu", "NyuFrames"),
    "kitti": Entry("depthclip_core.datasets.kitti", "KittiFrames"),
    "sunrgbd": Entry("depthclip_core.datasets.sunrgbd", "SunRgbdFrames"),
    "pairs": Entry("depthclip_core.datasets.pairs", "PairFrames"),
    "photos": Entry("depthclip_core.datasets.photos", "PhotoFrames", has_depth=False),
}


def dataset_class(dataset: str) -> type[Dataset]:
    """The class of a registered data set; `DepthClipError` for an unknown name."""
    if not isinstance(dataset, str) or dataset not in REGISTRY:
        raise unknown_name("data set", dataset, REGISTRY)
    entry = REGISTRY[dataset]
    return getattr(import_module(entry.module), entry.class_name)


def open_dataset(
    dataset: str = "sample",
    split: str = "test",
    *,
    data: str | Path | None = None,
    released_preprocessing: bool = False,
    **options: object,
) -> Dataset:
    """A data set by its name.

    "sample": the rendered world that comes with this package; it has no `data`.
    "nyu": NYU Depth v2 in any of its layouts, see `nyu_layouts.open_nyu`; data is its folder or
        file, otherwise nyu/ in the data folder.
    "kitti": KITTI with the frames of Eigen's lists; data is its folder, otherwise kitti/ in the
        data folder. options: ground_truth, window, evaluation_crop and others, see `KittiFrames`.
    "sunrgbd": SUN RGB-D; data is the folder SUNRGBD/ or what holds it, otherwise sunrgbd/ in the
        data folder. options: sensor, shape, depth and others, see `SunRgbdFrames`.
    "pairs": your own RGB-D; data is a folder, otherwise pairs/ in the data folder. options: the
        patterns of the files, the divisor and more, see `PairFrames`; without options, those in the
        folder's pairs.toml.
    "photos": photographs without depth; data is a folder or a file; otherwise photos/ in the data
        folder. options: long_side, see `PhotoFrames`.
    Any `data` may also be a .toml file, see `read_description`.
    split: "test", "train" or "all". released_preprocessing: preprocess RGB and depth as the
    released code does (see `NyuFrames`); photographs have no such step.
    Raises `DepthClipError` for unknown names, and for files that are missing or of another kind.
    """
    kind = dataset_class(dataset)
    if not (data is None or isinstance(data, str | Path)):
        raise DepthClipError(f"data is a path, not {data!r}")
    if dataset == "pairs" and not options:
        data = described_place(data)
    if data is not None and Path(data).suffix == ".toml":
        data, described = read_description(user_path(data))
        options = described | options
    try:
        return kind.open(split, data, released_preprocessing, **options)
    except OSError as error:  # such as a folder that may not be searched
        fault = error.strerror or error
        raise DepthClipError(f"cannot read {error.filename or data}: {fault}") from error
    except TypeError as error:
        if not options:
            raise
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
            fault = f"cannot open {dataset!r} with the option {unknown[1]!r}"
            raise DepthClipError(f"{fault}: {kind.__name__} takes no such option") from None
        raise DepthClipError(f"cannot open {dataset!r} with {options}: {error}") from None


def described_place(data: str | Path | None) -> str | Path | None:
    """Where pairs lie, or the pairs.toml in that folder, if there is one."""
    place = data_folder() / "pairs" if data is None else user_path(data)
    described = place / "pairs.toml"
    return described if os.path.isfile(described) else data


def read_description(path: Path) -> tuple[Path, dict[str, object]]:
    """Where a data set lies, and the options to open it with, from a .toml file.

    `path` in the file is a folder or file, relative to the .toml's own folder, which is also the
    default; every other key is an option. With it a notebook can set options by `data` alone.
    Raises `DepthClipError` for a file that is missing or not TOML.
    """
    try:
        options = tomllib.loads(read_text(path, "description"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DepthClipError(f"cannot read the description {path}: {reason(error)}") from None
    where = options.pop("path", ".")
    if not isinstance(where, str):
        raise DepthClipError(f"{path}: path must be text, not {where!r}")
    return path.parent / user_path(where), options
