"""Files that the kernel gives to a person's browser."""

from pathlib import Path, PurePath

from anywidget import AnyWidget

from depthclip_core.text import printable


class Downloads(AnyWidget):
    """Saves files where the person's browser keeps what it downloads; it shows nothing itself."""

    _esm = Path(__file__).parent / "downloads.js"

    def save(self, name: str, content: bytes) -> None:
        """Save a file under a name without folders."""
        self.send({"name": PurePath(printable(name)).name}, [content])
