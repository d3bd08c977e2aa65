"""The sample's files: NYU's layout, transposition, splits, repeatability, atomic writing."""

import h5py
import numpy as np
import pytest
import scipy.io

from depthclip_core.sample import mat
from depthclip_core.sample.mat import (
    DATASET_SEED_BASE,
    LABELED_NAME,
    PRETRAIN_SEED_LIMIT,
    SPLITS_NAME,
    Frame,
    frames_of_the_sample,
    is_current,
    write_sample,
)
from depthclip_core.sample.render import OBJECT_NAMES, render_view
from depthclip_core.sample.world import SCENE_TYPES

FRAMES = (
    Frame("bathroom", 0, True),
    Frame("office", 1, False),
    Frame("kitchen", 2, False),
    Frame("bedroom", 3, True),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("sample") / "new", FRAMES, False, 0)


def text(file, reference):
    return "".join(chr(c) for c in file[reference][:, 0])


def test_layout(folder):
    with h5py.File(folder / LABELED_NAME) as f:
        expect = {
            "images": ((4, 3, 640, 480), "uint8", "uint8"),
            "depths": ((4, 640, 480), "float32", "single"),
            "rawDepths": ((4, 640, 480), "float32", "single"),
            "labels": ((4, 640, 480), "uint16", "uint16"),
            "instances": ((4, 640, 480), "uint8", "uint8"),
        }
        for name, (shape, dtype, matlab) in expect.items():
            assert f[name].shape == shape and f[name].dtype == dtype
            assert f[name].attrs["MATLAB_class"] == matlab.encode()
            assert f[name].chunks == (1, *shape[1:])
        assert f["names"].shape == (1, len(OBJECT_NAMES))
        assert [text(f, r) for r in f["names"][0]] == list(OBJECT_NAMES)
        assert [text(f, r) for r in f["sceneTypes"][0]] == [x.scene_type for x in FRAMES]
        for name in ("scenes", "rawRgbFilenames", "rawDepthFilenames"):
            assert f[name].shape == (1, 4) and text(f, f[name][0, 3]).startswith("bedroom_0001")
        assert f[f["names"][0, 0]].attrs["MATLAB_class"] == b"char"
        assert f["names"].attrs["MATLAB_class"] == b"cell"


def test_pictures_are_transposed_not_turned(folder):
    view = render_view("office", 1)
    with h5py.File(folder / LABELED_NAME) as f:
        assert np.array_equal(f["images"][1].transpose(2, 1, 0), view.rgb)
        for name, want in (
            ("depths", view.depth),
            ("rawDepths", view.raw_depth),
            ("labels", view.labels),
            ("instances", view.instances),
        ):
            assert np.array_equal(f[name][1].T, want)


def test_header_and_version(folder):
    head = (folder / LABELED_NAME).read_bytes()[:512]
    assert head.startswith(b"MATLAB 7.3 MAT-file") and head[124:128] == b"\x00\x02IM"
    assert is_current(folder) and not is_current(folder.parent)


def test_a_stale_version_is_noticed(folder, monkeypatch):
    monkeypatch.setattr(mat, "SAMPLE_VERSION", "another")
    assert not is_current(folder)


def test_splits_file(folder):
    got = scipy.io.loadmat(folder / SPLITS_NAME)
    assert got["trainNdxs"].tolist() == [[2], [3]] and got["testNdxs"].tolist() == [[1], [4]]
    assert got["trainNdxs"].dtype == np.uint16


def test_same_bytes_again_and_from_another_process(folder, tmp_path):
    again = write_sample(tmp_path, FRAMES, False, 1)
    for name in (LABELED_NAME, SPLITS_NAME):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted((LABELED_NAME, SPLITS_NAME))


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    real, calls = mat._render, []

    def failing(frame):
        calls.append(frame)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(frame)

    monkeypatch.setattr(mat, "_render", failing)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, FRAMES, False, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_keeps_the_old_files(folder, tmp_path, monkeypatch):
    for name in (LABELED_NAME, SPLITS_NAME):
        (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(mat, "_splits_bytes", lambda frames: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_sample(tmp_path, FRAMES[:1], False, 0)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        LABELED_NAME: b"old",
        SPLITS_NAME: b"old",
    }


def test_the_real_list_of_frames():
    frames = frames_of_the_sample()
    assert len(frames) == 224 and sum(f.test for f in frames) == 64
    for t in SCENE_TYPES:
        assert sum(f.test for f in frames if f.scene_type == t) == 8
        assert sum(not f.test for f in frames if f.scene_type == t) == 20
    assert [f.seed for f in frames] == [DATASET_SEED_BASE + i for i in range(224)]
    assert min(f.seed for f in frames) >= PRETRAIN_SEED_LIMIT
    first_half = [f.test for f in frames[:112]]
    assert 20 < sum(first_half) < 44  # interleaved
