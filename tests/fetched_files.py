"""A small file that tests fetch, and what they look for after it."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.fetching.fetch import fetch
from depthclip_core.fetching.sources import Source

CONTENT = random.Random(0).randbytes(327_680)
OTHER = random.Random(1).randbytes(327_680)
SOURCE = Source(
    name="nyu",
    file="file.bin",
    folder="nyu",
    address="http://127.0.0.1:9/not-used",
    checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}",
    size=len(CONTENT),
    title="A file",
    terms="none",
    citation="none",
)
SIZELESS = replace(SOURCE, size=None, checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")


def files(folder: Path) -> list[str]:
    """All files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fault_of(folder: Path, address: str, source: Source = SOURCE, **options) -> str:
    """The error of a download, which is one line and leaves no file under the final name."""
    with pytest.raises(DepthClipError) as caught:
        fetch(source, folder, address, **options)
    assert "\n" not in str(caught.value)
    assert not (folder / source.file).exists()
    return str(caught.value)
