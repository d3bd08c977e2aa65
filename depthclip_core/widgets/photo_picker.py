"""Choose a photograph of one's own: upload it, type its path, or pick one of several."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import traitlets

from depthclip_core.analysis.own_photo import photo_of
from depthclip_core.datasets.base import Dataset, Frame
from depthclip_core.datasets.photos import LONG_SIDE, Photo, PhotoFrames
from depthclip_core.datasets.pictures import SUFFIXES
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable
from depthclip_core.widgets.actions import Acting
from depthclip_core.widgets.controls import Choice, Entry
from depthclip_core.widgets.uploads import Upload

Reader = Callable[[], Photo]
NONE = "none yet"
FIELD = "240px"  # of a row, which breaks where a page is narrow


class PhotoPicker(Acting):
    """Controls for photographs; what cannot be read is named in one line below them.

    photos: listed at first: a folder, a file, several files, or a data set, of which the network's
    window counts. at: position of the one that is chosen first. long_side: as in `PhotoFrames`.

    `photo` is what was chosen, and `frame` what the network sees of it, RGB alone; both can be
    observed, and are None until something is chosen. What cannot be read changes neither.
    """

    photo = traitlets.Instance(Photo, allow_none=True)
    frame = traitlets.Instance(Frame, allow_none=True)

    def __init__(
        self,
        photos: Dataset | str | Path | Sequence[str | Path] = (),
        at: int = 0,
        long_side: int | None = LONG_SIDE,
    ):
        self.long_side = long_side
        self._readers: dict[str, tuple[str, Reader]] = {}  # label and reader by where it lies
        self._key = None
        self._refused: list[str] = []  # what is wrong with files that were uploaded together
        shown = {"label": "upload photographs", "kinds": ",".join(SUFFIXES)}
        self.upload = Upload(self.take, self._refuse, self._begin, **shown)
        hint = "of a photo or a folder"
        self.path = Entry(description="or path", placeholder=hint)
        self.chosen = Choice([(NONE, None)], None, description="photograph")
        for field in (self.path, self.chosen):
            field.layout = {"flex": f"1 1 {FIELD}", "min_width": "0"}
        row = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([self.upload, self.path, self.chosen, self.message], layout=row)
        self.add_class("depthclip-photos")
        if len(found := self._found(photos)):
            self._add(found, at)
        self._on(self.chosen, self._choose)
        self._on(self.path, self._typed)

    def take(self, name: str, content: bytes) -> None:
        """Choose an uploaded photograph: the name and content of its file."""
        read = partial(Photo.read, Path(name), content, long_side=self.long_side)
        self._safely(lambda: self._add_uploaded({f"uploaded/{name}": (name, read)}), else_keep=True)

    def open_path(self, path: str | Path) -> None:
        """Choose the photograph at a path, or the first in a folder; the others are listed.

        Raises `DepthClipError` if there is none, or none that can be read.
        """
        self._add(self._found(path))

    def _found(self, photos) -> dict[str, tuple[str, Reader]]:
        if not isinstance(photos, Dataset):
            if not isinstance(photos, str | Path) and not len(photos):
                return {}
            photos = PhotoFrames(photos, self.long_side)
        readers = [partial(photo_of, photos, i) for i in range(len(photos))]
        keys = [f"{photos.title}/{i}" for i in range(len(photos))]
        if isinstance(photos, PhotoFrames):
            keys = [str(file.absolute()) for file in photos.files]
        labelled = zip(photos.names, readers, strict=True)
        return dict(zip(keys, labelled, strict=True))

    def _add(self, found: dict[str, tuple[str, Reader]], at: int = 0) -> None:
        """List photographs, and choose one: at that position, or the next that can be read."""
        keys, fault = list(found), None
        for key in keys[at % len(keys) :] + keys[: at % len(keys)]:
            try:
                photo = found[key][1]()
            except DepthClipError as error:
                fault = fault or error
                continue
            self._readers |= found
            self._show(key, photo)
            return
        raise fault

    def _show(self, key: str, photo: Photo) -> None:
        options = [(printable(label), key) for key, (label, _) in self._readers.items()]
        self._key = key
        with self._held_back():
            self.chosen.choose_from(options, key)
        self.photo, self.frame = photo, photo.frame

    def _choose(self) -> None:
        key = self.chosen.value
        if key == self._key:
            return
        try:
            self._show(key, self._readers[key][1]())
        except DepthClipError:
            self.chosen.value = self._key
            raise

    def _typed(self) -> None:
        if text := self.path.value.strip():
            self.open_path(text)
            with self._held_back():
                self.path.value = ""  # its photographs are listed now

    def _add_uploaded(self, found: dict[str, tuple[str, Reader]]) -> None:
        try:
            self._add(found)
        except DepthClipError as error:
            self._refuse(error)

    def _begin(self) -> None:
        self._refused = []
        self._say("")

    def _refuse(self, error: DepthClipError) -> None:
        """Name a file's fault, which stays while those uploaded with it are shown."""
        self._refused.append(str(error))
        self._say("; ".join(self._refused))
