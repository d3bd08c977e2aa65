"""Write small files in NYU Depth V2's MATLAB layout: reversed axes, text as references."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

import depthclip_core as dc
from depthclip_core.datasets.nyu import MAT_NAME, SPLITS_NAME


def write_mat(
    path: Path, arrays: Mapping[str, np.ndarray | None], texts: Mapping[str, Sequence[str]]
) -> Path:
    """arrays: in the layout of the file; None omits one. texts: cell arrays of text by name."""
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            if array is not None:
                file[key] = array
        for key, several in texts.items():
            references = np.empty((1, len(several)), dtype=h5py.ref_dtype)
            for i, text in enumerate(several):
                file[f"#refs#/{key}{i}"] = np.array([[ord(c)] for c in text], np.uint16)
                references[0, i] = file[f"#refs#/{key}{i}"].ref
            file.create_dataset(key, data=references, dtype=h5py.ref_dtype)
    return path


def write_splits(path: Path, test: Sequence[int] = (1, 4), train: Sequence[int] = (2, 3)) -> Path:
    """test, train: 1-based frame numbers."""
    numbers = {"testNdxs": test, "trainNdxs": train}
    savemat(path, {key: np.array(some, np.uint16)[:, None] for key, some in numbers.items()})
    return path


def write_sample(folder: Path, test: int = 1, train: int = 2) -> Path:
    """test, train: the number of sample frames per scene type, each from another room."""
    chosen, labels = [], []
    for split, n in (("test", test), ("train", train)):
        frames = dc.open_dataset("sample", split)
        rooms = {}
        for position, (scene, room) in enumerate(zip(frames.scenes, frames.groups, strict=True)):
            if len(rooms.setdefault(scene, {})) < n:
                rooms[scene].setdefault(room, position)
        positions = sorted(at for of_scene in rooms.values() for at in of_scene.values())
        chosen += [(split, frames[position]) for position in positions]
        labels += [frames.labels(position).T for position in positions]
    frames = [frame for _, frame in chosen]
    arrays = {
        "images": np.stack([frame.rgb.transpose(2, 1, 0) for frame in frames]),
        "depths": np.stack([frame.depth.T for frame in frames]),
        "rawDepths": np.stack([frame.raw_depth.T for frame in frames]),
        "labels": np.stack(labels).astype(np.uint16),
    }
    texts = {"names": dc.open_dataset("sample").object_names} | {
        "sceneTypes": [f.scene for f in frames],
        "scenes": [f.group for f in frames],
    }
    write_mat(folder / MAT_NAME, arrays, texts)
    numbers = {s: [i + 1 for i, (of, _) in enumerate(chosen) if of == s] for s in ("test", "train")}
    write_splits(folder / SPLITS_NAME, **numbers)
    return folder
