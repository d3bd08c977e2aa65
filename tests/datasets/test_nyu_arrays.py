"""NYU as DenseDepth's arrays, and as one HDF5 file a frame."""

import zipfile

import h5py
import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.datasets import nyu, nyu_arrays
from depthclip_core.datasets.nyu import preprocess_rgb, whole_millimetres
from depthclip_core.datasets.nyu_arrays import DEPTH_NAME, RGB_NAME, NyuArrays, NyuHdf5

RGB = np.arange(2 * 480 * 640 * 3, dtype=np.uint32).reshape(2, 480, 640, 3) % 251
RGB = RGB.astype(np.uint8)
DEPTH = np.linspace(0.5, 9.9995, 2 * 480 * 640, dtype=np.float32).reshape(2, 480, 640)


def write_arrays(folder, rgb=RGB, depth=DEPTH):
    for name, array in ((RGB_NAME, rgb), (DEPTH_NAME, depth)):
        if array is not None:
            np.save(folder / name, array)
    return folder


def packed(folder, inside="", **arrays):
    """nyu_test.zip in place of the arrays."""
    with zipfile.ZipFile(folder / "nyu_test.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        for path in sorted(write_arrays(folder, **arrays).glob("*.npy")):
            z.write(path, inside + path.name)
            path.unlink()
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip", "file", "array"])
def test_zip_and_its_folder_hold_the_same_frames(kind, tmp_path):
    (write_arrays if kind in ("folder", "array") else packed)(tmp_path)
    places = {"file": tmp_path / "nyu_test.zip", "array": tmp_path / RGB_NAME}
    frames = dc.open_dataset("nyu", data=places.get(kind, tmp_path))
    assert isinstance(frames, NyuArrays) and frames.names == ["0001", "0002"]
    assert (frames.scenes, frames.groups) == ([None, None], [None, None])
    assert len(dc.open_dataset("nyu", "all", data=tmp_path)) == 2
    np.testing.assert_array_equal(frames[1].rgb, RGB[1])
    np.testing.assert_array_equal(frames[1].raw_depth, DEPTH[1])


def test_zip_may_hold_a_folder(tmp_path):
    frames = dc.open_dataset("nyu", data=packed(tmp_path, "nyu_test/"))
    np.testing.assert_array_equal(frames.rgb(0), RGB[0])


def write_hdf5(folder, where="val/official/00001.h5", **replaced):
    path = folder / where
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"rgb": RGB[0].transpose(2, 0, 1), "depth": DEPTH[0]} | replaced
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            if array is not None:
                file[key] = array
    return folder


def test_one_hdf5_a_frame(tmp_path):
    write_hdf5(write_hdf5(tmp_path), "train/bathroom_0004/00045.h5")
    frames = dc.open_dataset("nyu", data=tmp_path)
    assert isinstance(frames, NyuHdf5) and frames.names == ["val/official/00001"]
    np.testing.assert_array_equal(frames[0].rgb, RGB[0])
    np.testing.assert_array_equal(frames[0].raw_depth, DEPTH[0])
    train = dc.open_dataset("nyu", "train", data=tmp_path)
    assert (train.scenes, train.groups) == (["bathroom"], ["bathroom_0004"])
    assert len(dc.open_dataset("nyu", "all", data=tmp_path)) == 2
    with pytest.raises(dc.DepthClipError, match="below train/"):
        dc.open_dataset("nyu", "train", data=tmp_path / "val")


@pytest.mark.parametrize("write", [write_arrays, write_hdf5])
def test_released_preprocessing(write, tmp_path):
    frames = dc.open_dataset("nyu", data=write(tmp_path), released_preprocessing=True)
    np.testing.assert_array_equal(frames.rgb(0), preprocess_rgb(RGB[0]))
    np.testing.assert_array_equal(frames.raw_depth(0), whole_millimetres(DEPTH[0]))
    plain = dc.open_dataset("nyu", data=tmp_path)
    digests = [f.identity(lambda files: ["0"] * len(files)) for f in (frames, plain)]
    assert digests[0] != digests[1]


def test_only_the_complete_test_set_is_comparable(tmp_path, monkeypatch):
    frames = dc.open_dataset("nyu", data=write_arrays(tmp_path), released_preprocessing=True)
    assert frames.unlike_published() == ["the frames are not NYU Depth v2's 654 test frames"]
    for module in (nyu, nyu_arrays):
        monkeypatch.setattr(module, "NYU_TEST", 2)
    assert frames.unlike_published() == []


@pytest.mark.parametrize("write", [write_arrays, packed])
@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"depth": None}, f"{DEPTH_NAME}"),
        ({"rgb": RGB.astype(np.float32)}, "is float32 of shape"),
        ({"depth": DEPTH[:1]}, r"shape \(1, 480, 640\), not float of \(2, 480, 640\)"),
        ({"rgb": np.array([None])}, "eigen_test_rgb.npy"),
    ],
)
def test_bad_arrays_raise_one_clear_line(write, arrays, says, tmp_path):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_dataset("nyu", data=write(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


def test_damaged_arrays_raise_one_clear_line(tmp_path):
    write_arrays(tmp_path)
    (tmp_path / DEPTH_NAME).write_bytes((tmp_path / DEPTH_NAME).read_bytes()[:5000])
    with pytest.raises(dc.DepthClipError, match=f"cannot read {DEPTH_NAME}"):
        dc.open_dataset("nyu", data=tmp_path)
    (tmp_path / "nyu_test.zip").write_bytes(b"nothing")
    with pytest.raises(dc.DepthClipError, match="cannot read .*nyu_test.zip"):
        dc.open_dataset("nyu", data=tmp_path / "nyu_test.zip")
    with pytest.raises(dc.DepthClipError, match="hold the test frames alone"):
        dc.open_dataset("nyu", "train", data=write_arrays(tmp_path))


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"rgb": None}, "has no rgb"),
        ({"depth": DEPTH[0][:5]}, r"depth is float32 of shape \(5, 640\)"),
        ({"rgb": RGB[0]}, r"rgb is uint8 of shape \(480, 640, 3\)"),
    ],
)
def test_bad_hdf5_frames_raise_one_clear_line(replaced, says, tmp_path):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_dataset("nyu", data=write_hdf5(tmp_path, **replaced))[0]
    assert "\n" not in str(caught.value)


def test_damaged_hdf5_frame_raises_one_clear_line(tmp_path):
    frames = dc.open_dataset("nyu", data=write_hdf5(tmp_path))
    path = tmp_path / "val/official/00001.h5"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(dc.DepthClipError, match="is truncated: fetch it again"):
        frames.rgb(0)
    path.unlink()
    with pytest.raises(dc.DepthClipError, match="no HDF5 frame of NYU.s at"):
        frames.rgb(0)
