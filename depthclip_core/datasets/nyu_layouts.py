"""Which of NYU Depth v2's layouts lies at a place: the .mat, folders, arrays or HDF5 files."""

from pathlib import Path

from depthclip_core.datasets.nyu import MAT_NAME, SPLITS, Nyu, NyuFrames
from depthclip_core.datasets.nyu_arrays import RGB_NAME, ZIP_NAME, NyuArrays, NyuHdf5, hdf5_files
from depthclip_core.datasets.nyu_folder import FOLDER_NAME, NyuFolder, has_scenes
from depthclip_core.errors import DepthClipError


def open_nyu(place: Path, split: str, **options) -> Nyu:
    """NYU's frames from a folder or file, told by what lies there.

    In a folder the first of these counts: nyu_depth_v2_labeled.mat (`NyuFrames`); test/ and train/
    with a folder a scene, or official_splits with them (`NyuFolder`); nyu_test.zip or what it holds
    (`NyuArrays`); one HDF5 a frame (`NyuHdf5`). options: of the class. Raises `DepthClipError`
    where none of them is there.
    """
    if place.suffix == ".mat":
        return NyuFrames(place, split=split, **options)
    if place.suffix in (".zip", ".npy"):
        return NyuArrays(place, split, **options)
    if place.is_file():
        known = f"{MAT_NAME}, {ZIP_NAME} or a folder"
        raise DepthClipError(f"{place} is not a file of NYU's: give {known}")
    if (place / MAT_NAME).is_file():
        return NyuFrames(place / MAT_NAME, split=split, **options)
    if folder := _scene_folders(place):
        return NyuFolder(folder, split, **options)
    if (place / RGB_NAME).is_file() or (place / ZIP_NAME).is_file():
        return NyuArrays(place, split, **options)
    if place.is_dir() and next(hdf5_files(place), None):
        return NyuHdf5(place, split, **options)
    others = f"{FOLDER_NAME} with test/SCENE/rgb_00000.jpg, {ZIP_NAME} or HDF5 frames"
    raise DepthClipError(
        f"no {MAT_NAME} in {place}, nor {others}: put one of them there, or set DEPTHCLIP_DATA"
    )


def _scene_folders(place: Path) -> Path | None:
    """The folder for `NyuFolder`, if frames lie in folders of scenes."""
    for folder in (place, place / FOLDER_NAME):
        if any(has_scenes(folder / split) for split in SPLITS):
            return folder
    if has_scenes(place):
        return place.parent if place.name in SPLITS else place
    return None
