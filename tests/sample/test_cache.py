"""The sample on disk is made once, whoever asks, and again when it is stale."""

import threading
import time

import pytest

from depthclip_core.sample import cache, mat


@pytest.fixture
def made(monkeypatch):
    """Stands for the renderer: a slow one that writes its version, and counts its calls."""
    calls = []

    def make_sample(folder, progress=True):
        calls.append(folder)
        time.sleep(0.2)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "version").write_text(mat.SAMPLE_VERSION)

    def is_current(folder):
        path = folder / "version"
        return path.is_file() and path.read_text() == mat.SAMPLE_VERSION

    monkeypatch.setattr(mat, "make_sample", make_sample)
    monkeypatch.setattr(mat, "is_current", is_current)
    return calls


def test_it_is_made_at_first_use_only(made, tmp_path):
    folder = tmp_path / "new" / "sample"
    assert cache.ensure_sample(folder) == folder
    assert cache.ensure_sample(folder) == folder
    assert made == [folder]


def test_a_stale_one_is_made_anew(made, tmp_path, monkeypatch):
    cache.ensure_sample(tmp_path / "sample")
    monkeypatch.setattr(mat, "SAMPLE_VERSION", "another")
    cache.ensure_sample(tmp_path / "sample")
    assert len(made) == 2


def test_two_who_ask_at_once_get_one(made, tmp_path):
    asked = [
        threading.Thread(target=cache.ensure_sample, args=(tmp_path / "sample",)) for _ in range(3)
    ]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    assert len(made) == 1


def test_it_lies_in_the_data_folder_by_default(made, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path / "data"))
    assert cache.ensure_sample() == tmp_path / "data" / "sample"


def test_a_failed_one_leaves_no_lock_behind(made, tmp_path, monkeypatch):
    make_sample = mat.make_sample

    def fail(folder, progress=True):
        raise OSError("disk full")

    monkeypatch.setattr(mat, "make_sample", fail)
    with pytest.raises(OSError, match="disk full"):
        cache.ensure_sample(tmp_path / "sample")
    monkeypatch.setattr(mat, "make_sample", make_sample)
    cache.ensure_sample(tmp_path / "sample")
    assert len(made) == 1
