"""A button with which a person sends files from the browser to the kernel."""

from collections.abc import Callable
from pathlib import Path, PurePath

import traitlets
from anywidget import AnyWidget

from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

FOLDER = Path(__file__).parent
MOST_BYTES = 64 * 2**20  # of one file: cameras' JPEGs have a quarter of that


class Upload(AnyWidget):
    """Sends files that a person chooses, or drops on it: `take(name, content)` gets each of them.

    begin: called before the first of the files that were chosen together.
    refuse: gets the error for a file that is too large. A server's connection takes messages of 10
    MB at most, and is lost with larger ones, so that a file comes in parts. label: on the button.
    kinds: suffixes that the browser offers. most: bytes of the largest file.
    """

    _esm = FOLDER / "upload.js"
    _css = FOLDER / "controls.css"
    label = traitlets.Unicode().tag(sync=True)
    kinds = traitlets.Unicode().tag(sync=True)
    most = traitlets.Int(MOST_BYTES).tag(sync=True)

    def __init__(
        self,
        take: Callable[[str, bytes], None],
        refuse: Callable[[DepthClipError], None],
        begin: Callable[[], None] = lambda: None,
        **settings: object,
    ):
        super().__init__(**settings)
        self._take, self._refuse, self._begin = take, refuse, begin
        self._parts: list[bytes] = []
        self.on_msg(self._receive)

    def _receive(self, _, content: dict, buffers: list) -> None:
        """Take a part of a file: its number, from 0, of how many, and the size of the whole."""
        if content["nth"] == content["part"] == 0:
            self._begin()
        # A browser says how a file is called; nothing is read or written under that name.
        name = printable(PurePath(str(content["name"])).name) or "photograph"
        if content["size"] > self.most:
            allowed = f"at most {self.most / 2**20:.0f} MB are taken"
            fault = f"{name} has {content['size'] / 2**20:.0f} MB, and {allowed}"
            self._refuse(DepthClipError(f"{fault}: save it smaller, or type its path"))
            return
        if content["part"] == 0:
            self._parts = []
        if content["part"] != len(self._parts):
            return  # of a file whose beginning was lost
        self._parts.append(bytes(buffers[0]))
        if sum(map(len, self._parts)) > self.most:
            self._parts = []
        elif content["part"] == content["parts"] - 1:
            whole, self._parts = b"".join(self._parts), []
            self._take(name, whole)
            self.send({"taken": name})
