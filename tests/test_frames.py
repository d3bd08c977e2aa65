import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import depthclip_core as dc
from depthclip_core.frames import (
    NyuFrames,
    PhotoFrames,
    _read_split,
    chosen_positions,
    prepare_rgb,
    whole_millimetres,
)
from depthclip_core.settings import data_folder

SCENES = ["bathroom", "classroom", "bathroom", "office_kitchen"]


def pixel(frame, row, column):
    """A value that names its frame, row and column, so that any wrong axis shows."""
    return frame + row / 1000 + column / 1_000_000


def write_mat(path, scenes=SCENES, **replaced):
    """A tiny file in NYU's layout as MATLAB writes it: axes reversed, text as references."""
    n = len(scenes)
    f, column, row = np.ogrid[:n, :640, :480]
    depth = (1 + pixel(f, row, column)).astype(np.float32)
    images = np.zeros((n, 3, 640, 480), np.uint8)
    images[:, 0], images[:, 1], images[:, 2] = row % 251, column % 251, 10 * f
    arrays = {"images": images, "depths": depth, "rawDepths": depth - 1} | replaced
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            if array is not None:
                file[key] = array
        references = np.empty((1, n), dtype=h5py.ref_dtype)
        for i, scene in enumerate(scenes):
            file[f"#refs#/{i}"] = np.array([[ord(c)] for c in scene], np.uint16)
            references[0, i] = file[f"#refs#/{i}"].ref
        file.create_dataset("sceneTypes", data=references, dtype=h5py.ref_dtype)
    return path


def write_splits(path, test=(1, 4), train=(2, 3)):
    as_column = {
        "testNdxs": np.array(test, np.uint16)[:, None],
        "trainNdxs": np.array(train, np.uint16)[:, None],
    }
    savemat(path, as_column)
    return path


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


def test_splits_count_from_one_and_keep_their_order(nyu):
    assert dc.open_dataset("nyu", "test", data=nyu).names == ["0001", "0004"]
    assert dc.open_dataset("nyu", "train", data=nyu).scenes == ["classroom", "bathroom"]
    assert dc.open_dataset("nyu", "all", data=nyu).scenes == SCENES
    turned = NyuFrames(nyu / "nyu_depth_v2_labeled.mat", write_splits(nyu / "t.mat", test=(4, 1)))
    assert [frame.name for frame in turned] == ["0004", "0001"]
    assert turned[-1].name == "0001"


def test_the_real_splits_are_read():
    real = Path(os.environ.get("DEPTHCLIP_NYU_SPLITS", data_folder() / "nyu" / "splits.mat"))
    if not real.is_file():
        pytest.skip("NYU's own splits.mat is not at hand")
    test, train = (_read_split(real, split, 1449) for split in ("test", "train"))
    assert (len(test), len(train)) == (654, 795)
    assert sorted([*test, *train]) == list(range(1449))
    assert test[:3].tolist() == [0, 1, 8]


def test_the_released_preparation(nyu):
    raw = dc.open_dataset("nyu", data=nyu)[0]
    prepared = dc.open_dataset("nyu", data=nyu, prepared=True)[0]
    millimetres = prepared.raw_depth * 1000
    assert millimetres == pytest.approx(np.rint(millimetres), abs=1e-3)
    loss = raw.raw_depth - prepared.raw_depth
    assert loss.min() > -1e-6 and loss.max() < 1e-3  # truncated, never rounded up
    assert np.array_equal(prepared.depth, raw.depth)
    assert prepared.rgb[:6].max() < 60 and prepared.rgb[:, 634:].max() < 60
    error = np.abs(prepared.rgb[20:460, 20:620].astype(int) - raw.rgb[20:460, 20:620])
    assert 0 < error.mean() < 8  # lossy, and recognisably the same


def test_preparation_leaves_its_input_alone():
    rgb = np.full((480, 640, 3), 255, np.uint8)
    prepared = prepare_rgb(rgb)
    assert (rgb == 255).all()
    assert prepared[7:474, 7:632].mean() > 250 and prepared[:7].mean() < 20
    assert whole_millimetres(np.array([1.9999, 0, 9.9995], np.float32)) == pytest.approx(
        [1.999, 0, 9.999]
    )


def test_only_asked_frames_are_read(nyu, monkeypatch):
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
        (lambda t, n: dc.open_dataset("photos", data=t), "no photos in"),
        (lambda t, n: dc.open_dataset("photos", data=t / "no"), "no photo or folder"),
    ],
)
def test_bad_input_is_one_clear_line(call, says, tmp_path, nyu):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call(tmp_path, nyu)
    assert "\n" not in str(caught.value)


def test_photos_of_every_kind(tmp_path):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :20, 0] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture[..., 0]).save(tmp_path / "b_grey.png")
    rgba = np.dstack([picture, np.zeros((40, 60), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "c_clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn a quarter clockwise to see it upright
    Image.fromarray(picture).save(tmp_path / "d.jpg", exif=turned, quality=95)
    Image.fromarray(np.tile(picture, (40, 40, 1))).save(tmp_path / "e_large.JPEG")
    (tmp_path / "notes.txt").write_text("not a photo")
    photos = dc.open_dataset("photos", data=tmp_path)
    assert photos.names == ["a.png", "b_grey.png", "c_clear.png", "d.jpg", "e_large.JPEG"]
    plain, grey, clear, upright, large = photos
    assert np.array_equal(plain.rgb, picture)
    assert grey.rgb.shape == (40, 60, 3) and (grey.rgb[..., 0] == grey.rgb[..., 2]).all()
    assert (clear.rgb == 255).all()
    assert upright.rgb.shape == (60, 40, 3) and upright.rgb[5, 20, 0] > 200 > upright.rgb[55, 20, 0]
    assert large.rgb.shape == (427, 640, 3)
    assert plain.depth is None and plain.scene is None


def test_a_list_of_photos_and_one_that_is_none(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"these are no pixels")
    photos = PhotoFrames([bad, tmp_path / "absent.png"])
    with pytest.raises(dc.DepthClipError, match=r"bad.jpg is not an image"):
        photos[0]
    with pytest.raises(dc.DepthClipError, match=r"no photo at .*absent.png"):
        photos[1]


def test_frames_are_chosen_by_numbers_counted_round():
    assert chosen_positions("0, 26,5", 10) == [0, 6, 5]
    with pytest.raises(dc.DepthClipError, match="whole numbers with commas.*'0, x'"):
        chosen_positions("0, x", 10)
