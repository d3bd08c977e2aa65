"""Files that are written whole: first under a random name, so that no other file is in the way."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file's path beside `path`; it takes that name once the block has ended well.

    Whoever reads finds the old file or the new one, never half of one. A link that lies at `path`
    is replaced, and not followed.
    """
    part = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()
