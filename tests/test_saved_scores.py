"""Files of scores: complete or absent, and a page that loads and runs nothing."""

import errno
import re
import sys
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from depthclip_core import files, saved_scores
from depthclip_core.datasets import Frame, FrameList
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import NAMED
from depthclip_core.evaluation.saved_predictions import save_predictions
from depthclip_core.rescoring.report import score_saved_maps
from depthclip_core.saved_scores import (
    html_page,
    intervals_note,
    planned_files,
    table_with_intervals,
    write_scores,
)

HOSTILE = '<script>alert(1)</script> & "$x$" https://a.b'


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Scores of frames with hostile scene types, in seven rooms."""
    rng = np.random.default_rng(0)
    frames = [
        Frame(f"f{i}", np.zeros((30, 40, 3), np.uint8), truth, truth, HOSTILE, f"room {i // 2}")
        for i, truth in enumerate(rng.uniform(1, 6, (14, 30, 40)).astype(np.float32))
    ]
    folder = tmp_path_factory.mktemp("maps")
    names = [frame.name for frame in frames]
    save_predictions(folder, names, [frame.raw_depth * 1.3 for frame in frames])
    return score_saved_maps(folder, FrameList(frames))


@pytest.fixture(scope="module")
def page(found):
    return html_page(found)


@pytest.fixture
def undrawn(monkeypatch):
    """A page of one word, because drawing takes most of the time."""
    monkeypatch.setattr(saved_scores, "html_page", lambda found: "page")


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_holds_no_script_and_no_outside_address(page):
    read = Tags(page)
    assert not read.open and not {"script", "iframe", "link", "object", "form"} & {*read.tags}
    for name, value in read.attributes:
        assert not name.startswith("on") and name != "href"
        assert name != "src" or value.startswith("data:image/png;base64,")
    assert "default-src 'none'" in page and "viewport" in page and "@media print" in page
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"url\(|@import", page)


def test_page_shows_the_table_its_figure_and_the_worst_frames(found, page):
    for value in found.table()["abs_rel"]:
        assert f"<td>{value:.3f}" in page
    low, high = found.intervals().loc[("whole", "rmse"), ["low", "high"]]
    assert f"<small>{low:.3f}–{high:.3f}</small>" in page
    title = f"<b>whole-median-scaled</b>, {NAMED['whole-median-scaled'].title}: align median"
    assert "at the end of this page" in page and title in page
    pictures = re.findall(r"base64,([^\"]+)", page)
    assert len(pictures) == 1 + 5
    for picture in pictures:
        with Image.open(BytesIO(b64decode(picture))) as image:
            assert image.format == "PNG" and image.width > 400
    for name in found.worst().index:
        assert f"<b>{name}</b>" in page
    assert "drawing the 7 groups again; none where pooled over pixels" in intervals_note(found)


def test_files_hold_the_scores(undrawn, found, tmp_path):
    files = write_scores(found, tmp_path / "new" / "scores")
    assert [file.name for file in files] == ["rows.csv", "table.csv", "index.html"]
    assert sorted(files) == sorted((tmp_path / "new" / "scores").iterdir())
    rows = pd.read_csv(files[0]).set_index(["protocol", "frame"])
    assert rows.loc["whole", "rmse"].tolist() == pytest.approx(
        found.rows().loc["whole", "rmse"].tolist()
    )
    table = pd.read_csv(files[1], index_col="protocol")
    pd.testing.assert_frame_equal(table, table_with_intervals(found), check_dtype=False)
    assert table.loc["whole", "rmse_low"] < table.loc["whole", "rmse"]
    assert table["groups"].tolist() == [7] * len(table)


def test_existing_files_are_kept_unless_told(undrawn, found, tmp_path):
    (tmp_path / "table.csv").write_text("mine")
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(DepthClipError, match=r"table.csv exists: .*--force"):
        write_scores(found, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    write_scores(found, tmp_path, overwrite=True)
    assert (tmp_path / "table.csv").read_text() != "mine"
    assert (tmp_path / "other.txt").read_text() == "mine"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_interrupted_writes_leave_nothing(undrawn, found, tmp_path, monkeypatch, error):
    """The second of three files fails: neither the first nor new folders stay."""
    real, calls = files._write, []

    def fail(part, content):
        real(part, content)
        calls.append(part)
        if len(calls) == 2:
            raise error

    monkeypatch.setattr(files, "_write", fail)
    with pytest.raises((DepthClipError, KeyboardInterrupt)) as caught:
        write_scores(found, tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir()) and len(calls) == 2
    if isinstance(error, OSError):
        assert "cannot write" in str(caught.value) and "No space left" in str(caught.value)
    (tmp_path / "rows.csv").write_text("old")
    calls.clear()
    with pytest.raises((DepthClipError, KeyboardInterrupt)):
        write_scores(found, tmp_path, overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("rows.csv", "old")]


def test_bad_folders_raise_one_clear_line(undrawn, found, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DepthClipError, match="file is a file: give a folder"):
        planned_files(tmp_path / "file")
    with pytest.raises(DepthClipError, match="cannot write"):
        write_scores(found, tmp_path / "file" / "inside")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DepthClipError, match="pip install pyarrow, or leave --parquet out"):
        planned_files(tmp_path, parquet=True)


def test_rows_as_parquet_where_pyarrow_is_installed(undrawn, found, tmp_path):
    pytest.importorskip("pyarrow")
    files = write_scores(found, tmp_path, parquet=True)
    assert files[0].name == "rows.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(files[0]), found.rows().reset_index())
