"""Pictures are opened in one place: a few formats, bounded sizes, one line for what is wrong."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets import pictures
from depthclip_core.datasets.photos import open_photo

PHOTO = Image.fromarray(np.full((20, 30, 3), 90, np.uint8))


def test_folder_has_its_photos_and_nothing_beside_them(tmp_path):
    for name in ("1.jpg", "2.webp", "3.tif", "4.PNG", "5.bmp"):
        PHOTO.save(tmp_path / name)
    (tmp_path / "._1.jpg").write_bytes(b"\0\5\26\7")
    (tmp_path / "album.png").mkdir()
    (tmp_path / "notes.txt").write_text("none")
    frames = dc.open_dataset("photos", data=tmp_path)
    assert frames.names == ["1.jpg", "2.webp", "3.tif", "4.PNG", "5.bmp"]
    assert all(frame.rgb.shape == (20, 30, 3) for frame in frames)


def test_other_formats_are_refused_whatever_they_are_called(tmp_path):
    """Pillow goes by content, and starts Ghostscript for EPS."""
    PHOTO.save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    with pytest.raises(dc.DepthClipError, match="cannot read .*a.jpg as an image") as caught:
        open_photo(tmp_path / "a.jpg")
    assert "\n" not in str(caught.value)


def test_heic_is_said_to_be_heic(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(dc.DepthClipError, match="it is HEIC: save it .*pillow-heif"):
        open_photo(tmp_path / "a.heic")


def test_size_is_bounded_before_decoding(tmp_path, monkeypatch):
    PHOTO.save(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 599)
    with pytest.raises(dc.DepthClipError, match="20 x 30 pixels, and at most"):
        open_photo(tmp_path / "a.png")


def test_bomb_is_refused_by_its_header(tmp_path):
    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(dc.DepthClipError, match=r"a\.png") as caught:
        open_photo(tmp_path / "a.png")
    assert "\n" not in str(caught.value)
