"""A chunk as a file: plain HDF5 behind a line with its checksum."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from depthclip_core.files import open_file

SEAL = 512  # bytes before HDF5's content, its "user block": they hold the checksum
SIGN = b"DepthCLIP store"  # the first bytes of every chunk


def packed(values: np.ndarray, key: str, first: int, provenance: Mapping) -> memoryview:
    """A chunk as a sealed HDF5 file, in memory: HDF5 does not recover from a full disk.

    key, first: the array and the frame that it starts with. provenance: kept as the file's own
    attributes.
    """
    content = BytesIO()
    with h5py.File(content, "w", userblock_size=SEAL) as file:
        file.attrs.update({name: str(value) for name, value in provenance.items()})
        stored = file.create_dataset("values", data=values)
        stored.attrs["key"], stored.attrs["first"] = key, first
    view = content.getbuffer()
    view[:SEAL] = _seal(hashlib.sha256(view[SEAL:]).hexdigest())
    return view


def unpacked(file: BinaryIO, key: str, frames: range) -> np.ndarray:
    """The values of a chunk, whose file is open for reading.

    Raises `ValueError` that says what is wrong, and, where HDF5 fails, whatever h5py raises.
    """
    # Verified before HDF5 reads it, because HDF5 may hang on a damaged header.
    seal = file.read(SEAL)
    if seal != _seal(hashlib.file_digest(file, "sha256").hexdigest()):
        raise ValueError("its content does not match its checksum")
    with h5py.File(file, "r") as opened:
        stored = opened["values"]
        for name, value in {"key": key, "first": frames.start}.items():
            if stored.attrs[name] != value:
                raise ValueError(f"its {name} is {stored.attrs[name]}, not {value}")
        if len(stored) != len(frames):
            raise ValueError(f"it has {len(stored)} frames, not {len(frames)}")
        return stored[()]


def is_chunk(path: Path) -> bool:
    """Whether a file starts as a chunk does; `OSError` if it cannot be read."""
    with open_file(path) as file:
        return file.read(len(SIGN)) == SIGN


def _seal(sha256: str) -> bytes:
    return f"{SIGN.decode()}, sha256 of what follows {SEAL} bytes: {sha256}\n".encode().ljust(SEAL)
