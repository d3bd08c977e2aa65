"""Files of others are opened in one place, and what is wrong with one is said in one line."""

import os

import pytest

from depthclip_core.datasets.incoming import open_file, other_content, read_file, read_text
from depthclip_core.errors import DepthClipError


def pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no scan at .*a.bin"),
        (lambda path: path.mkdir(), "is a folder, not a scan"),
        (pipe, "is a pipe or a device, not a scan"),
        (lambda path: path.symlink_to("/dev/zero"), "is a pipe or a device"),
        (lambda path: path.symlink_to("absent"), "is a link to a file that does not exist"),
        (lambda path: path.symlink_to(path.name), "cannot read .*a.bin: Too many levels"),
        (lambda path: path.write_bytes(b"12345"), "has more than 4 bytes: it is no scan"),
    ],
)
def test_what_cannot_be_read_is_one_line(make, says, tmp_path):
    make(tmp_path / "a.bin")
    with pytest.raises(DepthClipError, match=says) as caught:
        read_file(tmp_path / "a.bin", "scan", 4)
    assert "\n" not in str(caught.value)


def test_names_that_no_file_has(tmp_path):
    for name in ("n" * 5000, "a\0b"):
        with pytest.raises(DepthClipError, match="cannot read"):
            open_file(tmp_path / name)


def test_content_is_read_whole_and_text_is_utf_8(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffé\n".encode())
    assert read_file(path, "list", 6) == path.read_bytes()
    assert read_text(path, "list") == "é\n"
    path.write_bytes(b"ab\xff")
    with pytest.raises(DepthClipError, match="not UTF-8 at byte 3"):
        read_text(path, "list")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (bytes(100), "blank"),
        (b"\n <!DOCTYPE HTML>\n<html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS.*"),
        (b"PK\3\4\0", "a ZIP archive.*"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\xff\xd8\xff", ""),
    ],
)
def test_other_content_is_named(head, kind):
    import re

    assert re.fullmatch(kind, other_content(head))
