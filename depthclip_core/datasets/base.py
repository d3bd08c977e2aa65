"""What all data sets share: frames read on demand, and the facts that belong to a data set."""

import hashlib
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from depthclip_core.datasets.known_files import KnownFiles, changed
from depthclip_core.datasets.prefetch import read_ahead
from depthclip_core.errors import DepthClipError, first_line, unknown_name
from depthclip_core.settings import Window, network_window

Checksums = Callable[[Sequence[Path]], list[str]]  # sha256 of the files' contents
Place = str | Path | None  # a folder or file of data; None for its usual place
Read = TypeVar("Read")


class FrameIndexError(DepthClipError, IndexError):
    """A position beyond the ends of a data set."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One photograph and, where known, its depth.

    rgb: (H, W, 3) uint8. raw_depth: (H, W) float32 metres as measured, holes 0. depth: the same
    with holes filled. scene: scene type, such as "bathroom". group: where it was taken, such as
    the room "bathroom_0004" or a drive. Depths, scene and group are None where unknown.
    crop: what the network sees. content: the image inside a white border. None means all of it.
    """

    name: str
    rgb: np.ndarray
    raw_depth: np.ndarray | None = None
    depth: np.ndarray | None = None
    scene: str | None = None
    group: str | None = None
    crop: Window | None = None
    content: Window | None = None

    @property
    def window(self) -> Window:
        """The rectangle that the network sees."""
        return network_window(self.rgb.shape[:2], self.crop)


class Dataset(Sequence[Frame]):
    """Frames that are read on demand. Each kind of data set is a subclass in a file of its own.

    A subclass sets what it knows of these, and defines `__len__` and `read_frame`:

    title: what the frames show, for figures. splits: their names. licence, citation: one line each.
    frame_shape: (H, W) of every frame; None where sizes differ.
    crop, content: of every frame, see `Frame`.
    evaluation_crop, depth_cap: the pixels, and the depths in metres, that are scored by default;
        None for a data set that has no protocol of its own.
    map_options: options to open the data set with for maps that others saved: of whole frames.
    published_preprocessing: whether the released code preprocesses these frames, so that a run
        that compares itself with the paper does so too.
    """

    title: str
    splits: tuple[str, ...] = ("all",)
    licence: str = ""
    citation: str = ""
    frame_shape: tuple[int, int] | None = None
    crop: Window | None = None
    content: Window | None = None
    evaluation_crop: Window | None = None
    depth_cap: float | None = None
    published_preprocessing: bool = False
    map_options: Mapping[str, object] = {}
    object_names: Sequence[str] = ()
    _closed = False
    _known_files = KnownFiles()  # none, until `file_checksums` gives a data set its own

    @classmethod
    def open(cls, split: str, data: Place, released_preprocessing: bool, **options) -> Self:
        """The data set as `open_dataset` opens it. options: settings of this kind alone."""
        checked_split(split, cls.splits)
        return cls(**options)

    @classmethod
    def recognise(cls, data: Place, **options) -> str:
        """Why `data` is not a data set of this kind, in one line; empty where it is.

        Override it where `open` accepts what is none, or its error does not say what is missing.
        """
        try:
            cls.open(
                "all" if "all" in cls.splits else cls.splits[0], data, False, **options
            ).close()
        except DepthClipError as error:
            return first_line(error)
        except TypeError as error:
            if not options:
                raise
            return f"it does not take the options {', '.join(options)}: {first_line(error)}"
        return ""

    @classmethod
    def guessed_options(cls, data: Path) -> dict[str, object]:
        """Options that `data` seems to need, for kinds that cannot be opened without any."""
        return {}

    def read_frame(self, index: int) -> Frame:
        """The frame at an index from 0 to len − 1."""
        raise NotImplementedError

    def read_rgb(self, index: int) -> np.ndarray:
        """RGB alone. Override it where that is cheaper than the whole frame."""
        return self.read_frame(index).rgb

    def read_raw_depth(self, index: int) -> np.ndarray | None:
        """Raw depth alone. Override it where that is cheaper than the whole frame."""
        return self.read_frame(index).raw_depth

    def read_labels(self, index: int) -> np.ndarray | None:
        """Labels alone; None where pixels are not labelled."""
        return None

    def __getitem__(self, position: int | slice | Iterable[int]) -> "Frame | Dataset":
        """The frame at a position; for a slice, a list of positions or N flags, a data set.

        Raises `FrameIndexError`, an `IndexError`, beyond the ends.
        """
        if isinstance(position, slice):
            try:
                return Subset(self, range(len(self))[position])
            except DepthClipError:
                raise
            except (TypeError, ValueError) as error:
                raise DepthClipError(f"cannot slice {self.title}: {error}") from None
        if isinstance(position, str | bytes) or not np.ndim(position):
            return self._unchanged(self.read_frame, self._index(position))
        if np.asarray(position).dtype == bool:
            if len(position) != len(self):
                raise DepthClipError(f"{len(position)} flags for {len(self)} frames")
            position = np.flatnonzero(position)
        return Subset(self, [self._index(p) for p in position])

    def rgb(self, position: int) -> np.ndarray:
        """A frame's RGB, (H, W, 3) uint8: all that a network pass needs."""
        return self._unchanged(self.read_rgb, self._index(position))

    def raw_depth(self, position: int) -> np.ndarray | None:
        """A frame's raw depth, (H, W) metres, holes 0: all that scoring needs."""
        return self.read_raw_depth(self._index(position))

    def labels(self, position: int) -> np.ndarray | None:
        """What lies at each pixel of a frame, (H, W), numbers of `object_names` from 1; 0 unknown.

        None where the data set is not labelled.
        """
        return self.read_labels(self._index(position))

    def rgb_batch(self, positions: Sequence[int]) -> np.ndarray:
        """RGB of some frames, uint8 (B, H, W, 3); `DepthClipError` where their sizes differ."""
        pictures = [self.rgb(position) for position in positions]
        for position, picture in zip(positions, pictures, strict=True):
            if picture.shape != pictures[0].shape:
                size = self._size_in_words(position, picture)
                usual = self._size_in_words(positions[0], pictures[0])
                what = f"frame {position} has {size} pixels and others {usual}"
                raise DepthClipError(f"{what}: frames encoded together must have one size")
        return np.stack(pictures)

    def own_size(self, position: int) -> tuple[int, int] | None:
        """(H, W) of the photograph that a frame was shrunk from; None where it was not."""
        return None

    def ground_truth(self, position: int) -> np.ndarray:
        """What a frame is scored against: its raw depth; `DepthClipError` where it has none."""
        depth = self.raw_depth(position)
        if depth is None:
            raise DepthClipError(f"{self.names[position]} has no depth to be scored against")
        return depth

    def ground_truths(self) -> Iterator[np.ndarray]:
        """The ground truth of each frame in order, read a little ahead of its use."""
        return read_ahead(self.ground_truth, range(len(self)))

    def each(self, fact: str) -> list:
        """The "name", "scene" or "group" of each frame. Override it to read no pixels."""
        return [getattr(frame, fact) for frame in self]

    @property
    def names(self) -> list[str]:
        """The name of each frame."""
        return self.each("name")

    @property
    def scenes(self) -> list[str | None]:
        """The scene type of each frame."""
        return self.each("scene")

    @property
    def groups(self) -> list[str | None]:
        """The room or drive of each frame: frames of one group are not independent."""
        return self.each("group")

    def other_names(self) -> list[list[str]]:
        """Names of all frames by which others save maps of them, such as those of their files."""
        return []

    def rgb_files(self, index: int) -> Sequence[Path]:
        """The files that a frame's RGB is read from; none where it is in memory."""
        return ()

    def file_checksums(self, files: Sequence[Path], checksums: Checksums) -> list[str]:
        """Checksums of files, for `identity`: frames are read from them while they stay the same.

        Later, a frame of which one of its `rgb_files` has changed is a `DepthClipError`.
        """
        if "_known_files" not in vars(self):
            self._known_files = KnownFiles()
        return self._known_files.checksums(files, checksums)

    def identity(self, checksums: Checksums) -> dict:
        """What the RGB of these frames depends on: checksums of files, otherwise the pixels.

        Files are given to `file_checksums`.
        """
        digest = hashlib.sha256()
        for position in range(len(self)):
            picture = np.ascontiguousarray(self.rgb(position))
            digest.update(f"{picture.shape}".encode())
            digest.update(picture)
        return {"title": self.title, "pixels": digest.hexdigest()}

    def depth_without_photograph(self) -> list[Path]:
        """Depth files that belong to no photograph, where the data set looks for such files."""
        return []

    def unlike_published(self) -> list[str]:
        """Why the paper's numbers are not of these frames; empty where they are."""
        return ["the frames are not NYU Depth v2's"]

    def close(self) -> None:
        """Close the files. Reading a frame afterwards raises `DepthClipError`."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _size_in_words(self, position: int, picture: np.ndarray) -> str:
        own, size = self.own_size(position), " x ".join(map(str, picture.shape[:2]))
        return "{} (shrunk from {} x {})".format(size, *own) if own else size

    def _unchanged(self, read: Callable[[int], Read], index: int) -> Read:
        """What `read` gives for a frame, of files as they were when `identity` was asked for."""
        found, files = read(index), self.rgb_files(index)
        if not self._known_files.unchanged(files):
            self._known_files.check(files)
            found = read(index)  # between the two comparisons, after the file was seen to be right
            if not self._known_files.unchanged(files):
                raise changed(files[0])
        return found

    def _index(self, position: int) -> int:
        """A position counted from 0; negative ones count from the end."""
        if self._closed:
            raise DepthClipError(f"the data set {self.title!r} is closed: open it again")
        try:
            index = operator.index(position)
        except TypeError:
            wanted = "a frame is chosen by its position, a whole number"
            raise DepthClipError(f"{wanted}, not {position!r}") from None
        if not -len(self) <= index < len(self):
            raise FrameIndexError(f"frame {index} does not exist: {self.title} has {len(self)}")
        return index % len(self)


class Subset(Dataset):
    """Some frames of a data set, by their indices there."""

    def __init__(self, whole: Dataset, indices: Sequence[int]):
        self.whole, self.indices = whole, indices
        self.title = f"{whole.title}, {len(indices)} of {len(whole)} frames"
        for fact in (name for name in Dataset.__annotations__ if name != "title"):
            setattr(self, fact, getattr(whole, fact))

    def __len__(self) -> int:
        return len(self.indices)

    def read_frame(self, index: int) -> Frame:
        return self.whole[self.indices[index]]

    def read_rgb(self, index: int) -> np.ndarray:
        return self.whole.rgb(self.indices[index])

    def read_raw_depth(self, index: int) -> np.ndarray | None:
        return self.whole.raw_depth(self.indices[index])

    def read_labels(self, index: int) -> np.ndarray | None:
        return self.whole.labels(self.indices[index])

    def ground_truth(self, position: int) -> np.ndarray:
        return self.whole.ground_truth(self.indices[self._index(position)])

    def own_size(self, position: int) -> tuple[int, int] | None:
        return self.whole.own_size(self.indices[self._index(position)])

    def each(self, fact: str) -> list:
        values = getattr(self.whole, f"{fact}s")
        return [values[index] for index in self.indices]

    def other_names(self) -> list[list[str]]:
        return [[names[index] for index in self.indices] for names in self.whole.other_names()]

    def identity(self, checksums: Checksums) -> dict:
        return {"whole": self.whole.identity(checksums), "indices": list(map(int, self.indices))}

    def unlike_published(self) -> list[str]:
        return self.whole.unlike_published() or ["these are some frames of the test split, not all"]


class FrameList(Dataset):
    """Any sequence of frames as a data set. All must have the same crop."""

    def __init__(self, frames: Sequence[Frame]):
        self._frames, self.title = frames, f"{len(frames)} frames"
        if len(frames):
            self.crop, self.content = frames[0].crop, frames[0].content
            self.frame_shape = frames[0].rgb.shape[:2]

    def __len__(self) -> int:
        return len(self._frames)

    def read_frame(self, index: int) -> Frame:
        frame = self._frames[index]
        if not isinstance(frame, Frame) or frame.crop != self.crop:
            raise DepthClipError("a list of frames must hold only Frame objects, all with one crop")
        return frame


def as_dataset(frames: Sequence[Frame]) -> Dataset:
    """A data set as it is, a list of frames as a data set; `DepthClipError` for anything else."""
    if isinstance(frames, Dataset):
        return frames
    if not isinstance(frames, Sequence) or (len(frames) and not isinstance(frames[0], Frame)):
        wanted = "frames must be a data set or a list of Frame"
        raise DepthClipError(f"{wanted}, not {type(frames).__name__}")
    return FrameList(frames)


def checked_split(split: str, splits: Sequence[str]) -> str:
    """The split, if the data set has it."""
    if split not in splits:
        raise unknown_name("split", split, splits)
    return split


def chosen_positions(text: str, n_frames: int) -> list[int]:
    """Positions from "0, 26, 38", counted round where there are fewer frames."""
    try:
        return [int(part) % n_frames for part in text.split(",")]
    except ValueError:
        wanted = "choose frames by whole numbers with commas, as in '0, 26'"
        raise DepthClipError(f"{wanted}, not {text!r}") from None
