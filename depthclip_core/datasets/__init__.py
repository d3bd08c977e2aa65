"""Data sets, frame by frame: the sample, NYU Depth v2, a folder of photographs."""

from pathlib import Path

from depthclip_core.datasets.base import Dataset, Frame, FrameList, as_dataset, chosen_positions
from depthclip_core.datasets.nyu import MAT_NAME, NyuFrames
from depthclip_core.datasets.photos import PhotoFrames
from depthclip_core.datasets.sample import SampleFrames
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import data_folder

__all__ = [
    "Dataset",
    "Frame",
    "FrameList",
    "NyuFrames",
    "PhotoFrames",
    "SampleFrames",
    "as_dataset",
    "chosen_positions",
    "open_dataset",
]


def open_dataset(
    dataset: str = "sample",
    split: str = "test",
    *,
    data: str | Path | None = None,
    prepared: bool = False,
    long_side: int | None = 640,
) -> Dataset:
    """A data set by name.

    "sample": the rendered world that comes with this package. It has no `data`.
    "nyu": NYU Depth v2; data is the folder of its two files, or the .mat with splits.mat beside it;
        else nyu/ in the data folder.
    "photos": photographs; data is a folder or a file, else photos/ in the data folder.
    split: "test", "train" or "all". prepared: the released preparation of NYU's frames (see
    `NyuFrames`), for nyu and the sample. long_side: see `PhotoFrames`.
    Raises `DepthClipError` for unknown names, and for files that are missing or of another kind.
    """
    if dataset == "sample":
        if data:
            raise DepthClipError(
                f"the sample comes with the package and has no data folder: to open {data}, "
                "choose dataset 'nyu' or 'photos'"
            )
        return SampleFrames(split, prepared=prepared)
    if dataset == "nyu":
        folder = Path(data or data_folder() / "nyu").expanduser()
        mat = folder if folder.suffix == ".mat" else folder / MAT_NAME
        return NyuFrames(mat, split=split, prepared=prepared)
    if dataset == "photos":
        return PhotoFrames(data or data_folder() / "photos", long_side)
    raise unknown_name("data set", dataset, ["sample", "nyu", "photos"])
