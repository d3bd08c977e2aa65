"""Write small files in NYU Depth V2's MATLAB layout: reversed axes, text as references."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

import depthclip_core as dc
from depthclip_core.datasets import Dataset
from depthclip_core.datasets.nyu import CONTENT, MAT_NAME, SPLITS_NAME


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


def write_official(folder: Path, frames: Dataset) -> Path:
    """Frames of a .mat in official_splits' layout, as the script that makes it writes them.

    folder: of a split. Returns the lines of its list of frames, in a file.
    """
    lines = []
    for frame in frames:
        number = int(frame.name) - 1
        scene = folder / frame.scene
        scene.mkdir(parents=True, exist_ok=True)
        black = np.zeros_like(frame.rgb)
        black[CONTENT.slices] = frame.rgb[CONTENT.slices]
        rgb, depth = (
            scene / name for name in (f"rgb_{number:05d}.jpg", f"sync_depth_{number:05d}.png")
        )
        Image.fromarray(black).save(rgb, quality=95, subsampling="4:2:0")
        Image.fromarray((frame.raw_depth * 1000).astype(np.uint16)).save(depth)
        lines.append(f"{rgb.relative_to(folder)} {depth.relative_to(folder)} 518.8579")
    listed = folder.parent.parent / f"{folder.name}.txt"
    listed.write_text("\n".join(lines) + "\n")
    return listed
