"""The labelled NYU Depth v2 as its authors distribute it: one MATLAB file, which is HDF5."""

from pathlib import Path

import numpy as np

from depthclip_core.crops import NYU_SHAPE
from depthclip_core.datasets.hdf5 import StoredArray, StoredTexts, open_hdf5, own_dataset
from depthclip_core.errors import DepthClipError

MOST_FRAMES = 1_000_000  # NYU's raw recordings have 407,024
HEIGHT, WIDTH = NYU_SHAPE
# Shapes of a frame, in MATLAB's order, and types: NumPy's kind, and what we call it.
FRAME = {
    "images": ((3, WIDTH, HEIGHT), np.uint8),
    "depths": ((WIDTH, HEIGHT), np.floating),
    "rawDepths": ((WIDTH, HEIGHT), np.floating),
    "labels": ((WIDTH, HEIGHT), np.unsignedinteger),
}
PER_FRAME = ("sceneTypes", "scenes")
NEEDED = ("images", "depths", "rawDepths", "sceneTypes")
NAMES = "names"  # of the objects that labels count
FARTHEST = 100.0  # metres; half of a room is never farther


class NyuMat:
    """The open .mat, its layout checked: arrays in MATLAB's order, and texts.

    Raises `DepthClipError` where the file is missing, unreadable, damaged or of another layout.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = open_hdf5(path, "MATLAB file of version 7.3")
        try:
            self._check()
        except BaseException:
            self._file.close()
            raise

    @property
    def n_frames(self) -> int:
        return len(self.arrays["images"])

    @property
    def n_names(self) -> int:
        """How many objects have names; 0 where the file has no labels."""
        return len(self.texts[NAMES]) if NAMES in self.texts and "labels" in self.arrays else 0

    def frame(self, key: str, index: int) -> np.ndarray:
        """One frame of an array, rows first: MATLAB's order transposed, not rotated.

        Depths are float32. Raises `DepthClipError` where the frame is damaged or not in the file,
        and for depths that can be no metres.
        """
        values = np.ascontiguousarray(self.arrays[key].read(index, f"frame {index + 1}").T)
        if not issubclass(FRAME[key][1], np.floating):
            return values.astype(values.dtype.newbyteorder("="), copy=False)
        with np.errstate(over="ignore"):
            depth = values.astype(np.float32, copy=False)
        check_room(depth, f"{self.arrays[key].label} frame {index + 1}")
        return depth

    def text(self, key: str, index: int) -> str | None:
        """A text of a cell array; None where it is empty, or the file has no such array."""
        return self.texts[key].read(index) if key in self.texts else None

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "NyuMat":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        found = {
            key: own_dataset(self._file, key, self._label(key))
            for key in (*FRAME, *PER_FRAME, NAMES)
        }
        if missing := sorted(key for key in NEEDED if found[key] is None):
            fault = f"it has no {', '.join(missing)}"
            raise DepthClipError(f"{self.path}: {fault}: not NYU's labelled set")
        there = {key: data for key, data in found.items() if data is not None}
        self.arrays = {
            key: StoredArray(there[key], self._label(key)) for key in FRAME if key in there
        }
        shape = self.arrays["images"].shape
        n_frames = shape[0] if shape else 0
        if not 0 < n_frames <= MOST_FRAMES:
            raise DepthClipError(f"{self._label('images')} has {n_frames:,} frames: it is damaged")
        for key, array in self.arrays.items():
            self._check_array(key, array, n_frames)
        self.texts = {
            key: StoredTexts(there[key], self._label(key))
            for key in (*PER_FRAME, NAMES)
            if key in there
        }
        for key in PER_FRAME:
            if key in self.texts and len(self.texts[key]) != n_frames:
                fault = f"has {len(self.texts[key])} texts for {n_frames} frames"
                raise DepthClipError(f"{self._label(key)} {fault}: not NYU's labelled set")

    def _check_array(self, key: str, array: StoredArray, n_frames: int) -> None:
        shape, kind = FRAME[key]
        if array.shape != (n_frames, *shape):
            wanted = f"NYU's layout wants {(n_frames, *shape)}"
            raise DepthClipError(f"{self.path}: {key} has shape {array.shape}, {wanted}")
        if not np.issubdtype(array.dtype, kind):
            hint = ", in metres" if kind is np.floating else ""
            wanted = f"NYU's are {kind.__name__}{hint}"
            raise DepthClipError(f"{self.path}: {key} are {array.dtype}, {wanted}")

    def _label(self, key: str) -> str:
        return f"{self.path}, {key},"


def check_room(depth: np.ndarray, label: str) -> None:
    """`DepthClipError` for depth that can be no metres of a room: most of it is too far."""
    if 2 * np.count_nonzero(depth > FARTHEST) > np.count_nonzero(depth > 0):
        far = f"most of it lies beyond {FARTHEST:g} m"
        raise DepthClipError(f"{label}: {far}: if it is in millimetres, divide it by 1000")
