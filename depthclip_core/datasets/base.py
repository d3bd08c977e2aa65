"""What every data set has in common: frames, their names, scenes and rooms, and what is seen."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from depthclip_core.errors import DepthClipError
from depthclip_core.settings import Window, network_window

Checksums = Callable[[Sequence[Path]], list[str]]  # sha256 of files' contents


@dataclass(frozen=True, eq=False)
class Frame:
    """One photograph and, where known, its depth.

    rgb: (H, W, 3) uint8. raw_depth: (H, W) float32 metres as measured, holes 0. depth: the same
    with holes filled. scene: scene type, such as "bathroom". room: where it was taken, such as
    "bathroom_0004". Depths, scene and room are None where they are not known.
    crop: what the network sees of it, and content: what lies inside a white border; None: all.
    """

    name: str
    rgb: np.ndarray
    raw_depth: np.ndarray | None = None
    depth: np.ndarray | None = None
    scene: str | None = None
    room: str | None = None
    crop: Window | None = None
    content: Window | None = None

    @property
    def window(self) -> Window:
        """The rectangle that the network sees."""
        return network_window(self.rgb.shape[:2], self.crop)


class Dataset(Sequence[Frame]):
    """Frames that are read when they are asked for. A kind of data set is a subclass.

    title: what the frames are of, for figures. crop and content: of every frame, see `Frame`.
    """

    title: str
    crop: Window | None = None
    content: Window | None = None

    def rgb(self, position: int) -> np.ndarray:
        """A frame's RGB alone, (H, W, 3) uint8: all that a network pass needs."""
        return self[position].rgb

    def raw_depth(self, position: int) -> np.ndarray | None:
        """A frame's raw depth alone, (H, W) metres, holes 0: all that scoring needs."""
        return self[position].raw_depth

    @property
    def names(self) -> list[str]:
        """Every frame's name."""
        return [frame.name for frame in self]

    @property
    def scenes(self) -> list[str | None]:
        """Every frame's scene type."""
        return [frame.scene for frame in self]

    @property
    def rooms(self) -> list[str | None]:
        """The room that each frame was taken in: frames of one room are not independent."""
        return [frame.room for frame in self]

    def identity(self, checksums: Checksums) -> dict:
        """What the RGB of these frames depends on: their files' checksums, else the pixels."""
        digest = hashlib.sha256()
        for position in range(len(self)):
            picture = np.ascontiguousarray(self.rgb(position))
            digest.update(f"{picture.shape}".encode())
            digest.update(picture)
        return {"title": self.title, "pixels": digest.hexdigest()}

    def close(self) -> None:
        """Close the data set's files; no frame can be read afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _place(self, position: int) -> int:
        """The position counted from 0; `IndexError` beyond the ends."""
        if not -len(self) <= position < len(self):
            raise IndexError(f"frame {position} of {len(self)} in {self.title}")
        return position % len(self)


class FrameList(Dataset):
    """Any sequence of frames as a data set, read one by one; they must all have the same crop."""

    def __init__(self, frames: Sequence[Frame]):
        self._frames, self.title = frames, f"{len(frames)} frames"
        if len(frames):
            self.crop, self.content = frames[0].crop, frames[0].content

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, position: int) -> Frame:
        frame = self._frames[position]
        if frame.crop != self.crop:
            raise DepthClipError("frames with different crops cannot be used together")
        return frame


def as_dataset(frames: Sequence[Frame]) -> Dataset:
    """A data set as it is, and a list of frames as a data set."""
    return frames if isinstance(frames, Dataset) else FrameList(frames)


def chosen_positions(text: str, n_frames: int) -> list[int]:
    """Positions from "0, 26, 38", counted round where there are fewer frames."""
    try:
        positions = [int(part) for part in text.split(",")]
    except ValueError:
        raise DepthClipError(
            f"frames are chosen by whole numbers with commas, as in '0, 26', not {text!r}"
        ) from None
    return [position % n_frames for position in positions]
