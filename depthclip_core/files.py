"""Write files atomically: under a random temporary name first, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    A reader finds the old file or the new one, never half of one. A symbolic link at `path` is
    replaced, not followed.
    """
    part = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()
