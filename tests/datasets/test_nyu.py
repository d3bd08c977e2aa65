import os
from pathlib import Path

import h5py
import numpy as np
import nyu_files
import pytest
from nyu_files import write_splits

import depthclip_core as dc
from depthclip_core.datasets.nyu import NyuFrames, preprocess_rgb, read_split, whole_millimetres
from depthclip_core.settings import RELEASED_WINDOW, data_folder

SCENES = ["bathroom", "classroom", "bathroom", "office_kitchen"]


def pixel(frame, row, column):
    """A value that encodes frame, row and column, so that a swapped axis shows."""
    return frame + row / 1000 + column / 1_000_000


def write_mat(path, scenes=SCENES, **replaced):
    """Four frames whose pixels encode their position."""
    n = len(scenes)
    f, column, row = np.ogrid[:n, :640, :480]
    depth = (1 + pixel(f, row, column)).astype(np.float32)
    images = np.zeros((n, 3, 640, 480), np.uint8)
    images[:, 0], images[:, 1], images[:, 2] = row % 251, column % 251, 10 * f
    arrays = {"images": images, "depths": depth, "rawDepths": depth - 1} | replaced
    texts = {"sceneTypes": scenes, "scenes": [f"{scene}_0001" for scene in scenes]}
    return nyu_files.write_mat(path, arrays, texts)


@pytest.fixture(scope="module")
def nyu(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nyu")
    write_mat(folder / "nyu_depth_v2_labeled.mat")
    write_splits(folder / "splits.mat")
    return folder


def test_frames_are_transposed_not_rotated(nyu):
    frame = dc.open_dataset("nyu", "test", data=nyu)[1]
    assert frame.rgb.shape == (480, 640, 3) and frame.rgb.dtype == np.uint8
    assert frame.depth.shape == frame.raw_depth.shape == (480, 640)
    for row, column in ((0, 0), (5, 600), (479, 0), (479, 639)):
        assert frame.rgb[row, column].tolist() == [row % 251, column % 251, 30]
        assert frame.depth[row, column] == pytest.approx(1 + pixel(3, row, column))
        assert frame.raw_depth[row, column] == pytest.approx(pixel(3, row, column), abs=1e-6)


def test_splits_are_one_based_and_keep_their_order(nyu):
    assert dc.open_dataset("nyu", "test", data=nyu).names == ["0001", "0004"]
    assert dc.open_dataset("nyu", "train", data=nyu).scenes == ["classroom", "bathroom"]
    assert dc.open_dataset("nyu", "all", data=nyu).scenes == SCENES
    turned = NyuFrames(nyu / "nyu_depth_v2_labeled.mat", write_splits(nyu / "t.mat", test=(4, 1)))
    assert [frame.name for frame in turned] == ["0004", "0001"]
    assert turned[-1].name == "0001"


def test_real_split_file_has_the_known_counts():
    real = Path(os.environ.get("DEPTHCLIP_NYU_SPLITS", data_folder() / "nyu" / "splits.mat"))
    if not real.is_file():
        pytest.skip("NYU's own splits.mat is not at hand")
    test, train = (read_split(real, split, 1449) for split in ("test", "train"))
    assert (len(test), len(train)) == (654, 795)
    assert sorted([*test, *train]) == list(range(1449))
    assert test[:3].tolist() == [0, 1, 8]


def test_released_preprocessing(nyu):
    raw = dc.open_dataset("nyu", data=nyu)[0]
    prepared = dc.open_dataset("nyu", data=nyu, released_preprocessing=True)[0]
    millimetres = prepared.raw_depth * 1000
    assert millimetres == pytest.approx(np.rint(millimetres), abs=1e-3)
    loss = raw.raw_depth - prepared.raw_depth
    assert loss.min() > -1e-6 and loss.max() < 1e-3  # truncated, never rounded up
    assert np.array_equal(prepared.depth, raw.depth)
    assert prepared.rgb[:6].max() < 60 and prepared.rgb[:, 634:].max() < 60
    error = np.abs(prepared.rgb[20:460, 20:620].astype(int) - raw.rgb[20:460, 20:620])
    assert 0 < error.mean() < 8  # lossy, and recognisably the same


def test_preprocess_rgb_does_not_modify_its_input():
    rgb = np.full((480, 640, 3), 255, np.uint8)
    prepared = preprocess_rgb(rgb)
    assert (rgb == 255).all()
    assert prepared[7:474, 7:632].mean() > 250 and prepared[:7].mean() < 20
    assert whole_millimetres(np.array([1.9999, 0, 9.9995], np.float32)) == pytest.approx(
        [1.999, 0, 9.999]
    )


def test_only_requested_frames_are_read(nyu, monkeypatch):
    frames = dc.open_dataset("nyu", "all", data=nyu)
    read = []
    original = h5py.Dataset.__getitem__

    def spy(dataset, key, *args, **kwargs):
        read.append((dataset.name, key))
        return original(dataset, key, *args, **kwargs)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", spy)
    frames[2]
    assert {key for name, key in read if name in ("/images", "/depths", "/rawDepths")} == {2}


def truncated(folder, nyu):
    path = folder / "nyu_depth_v2_labeled.mat"
    path.write_bytes((nyu / path.name).read_bytes()[:50_000])
    write_splits(folder / "splits.mat")
    return dc.open_dataset("nyu", data=folder)


def laid_out(folder, **replaced):
    write_mat(folder / "nyu_depth_v2_labeled.mat", **replaced)
    write_splits(folder / "splits.mat")
    return dc.open_dataset("nyu", data=folder)


def with_splits(folder, nyu, content):
    path = folder / "splits.mat"
    path.write_bytes(content) if isinstance(content, bytes) else write_splits(path, **content)
    return NyuFrames(nyu / "nyu_depth_v2_labeled.mat", path)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t, n: dc.open_dataset("nyu", data=t), "no nyu_depth_v2_labeled.mat in"),
        (lambda t, n: truncated(t, n), "truncated"),
        (lambda t, n: laid_out(t, rawDepths=None), "no rawDepths"),
        (lambda t, n: laid_out(t, depths=np.zeros((4, 480, 640), "f4")), "depths has shape"),
        (lambda t, n: laid_out(t, images=np.zeros((4, 3, 640, 480), "f4")), "images are float32"),
        (lambda t, n: with_splits(t, n, {"test": (1, 5)}), "names frame 5, but .* has 4"),
        (lambda t, n: with_splits(t, n, b"nothing"), "cannot read"),
        (lambda t, n: NyuFrames(n / "nyu_depth_v2_labeled.mat", t / "splits.mat"), "no splits.mat"),
        (lambda t, n: dc.open_dataset("nyu", "tset", data=n), "did you mean 'test'"),
        (lambda t, n: dc.open_dataset("nyo"), "did you mean 'nyu'"),
    ],
)
def test_bad_input_raises_one_clear_line(call, says, tmp_path, nyu):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call(tmp_path, nyu)
    assert "\n" not in str(caught.value)


def test_frames_have_group_and_crop(nyu):
    frames = dc.open_dataset("nyu", "all", data=nyu)
    assert frames.groups == [f"{scene}_0001" for scene in SCENES]
    assert frames[3].group == "office_kitchen_0001"
    assert frames[0].window == frames.crop == RELEASED_WINDOW


def test_file_without_rooms_has_no_groups(tmp_path):
    arrays = {key: np.zeros((1, 640, 480), "f4") for key in ("depths", "rawDepths")}
    arrays["images"] = np.zeros((1, 3, 640, 480), "u1")
    nyu_files.write_mat(tmp_path / "nyu_depth_v2_labeled.mat", arrays, {"sceneTypes": ["study"]})
    frames = dc.open_dataset("nyu", "all", data=tmp_path)
    assert frames.groups == [None] and frames[0].group is None


@pytest.mark.parametrize("bad", [-0.1, np.nan, 65.536, np.inf])
def test_whole_millimetres_rejects_depth_beyond_uint16(bad):
    depth = np.ones((2, 3), np.float32)
    assert whole_millimetres(65.535 * depth)[0, 0] == pytest.approx(65.535, abs=1e-3)
    depth[1, 1] = bad
    with pytest.raises(dc.DepthClipError, match="between 0 and 65.535 m"):
        whole_millimetres(depth)


def test_labels_are_transposed_and_named(nyu, tmp_path):
    f, column, row = np.ogrid[:4, :640, :480]
    labels = (100 * f + 10 * (column // 320) + row // 240).astype(np.uint16)
    depth = np.ones((4, 640, 480), np.float32)
    arrays = {"images": np.zeros((4, 3, 640, 480), np.uint8), "depths": depth, "rawDepths": depth}
    texts = {"sceneTypes": SCENES, "names": ["wall", "bed$"]}
    nyu_files.write_mat(tmp_path / "nyu_depth_v2_labeled.mat", arrays | {"labels": labels}, texts)
    write_splits(tmp_path / "splits.mat")
    with dc.open_dataset("nyu", "test", data=tmp_path) as frames:
        assert frames.object_names == frames[1:].object_names == ["wall", "bed$"]
        expected = 300 + 10 * (np.arange(640) // 320) + np.arange(480)[:, None] // 240
        np.testing.assert_array_equal(frames.labels(1), expected)
        np.testing.assert_array_equal(frames[[1]].labels(0), expected)
    without = dc.open_dataset("nyu", "test", data=nyu)
    assert without.labels(0) is None and without.object_names == []
    plain = dc.datasets.as_dataset([without[0]])
    assert plain.labels(0) is None and not plain.object_names
