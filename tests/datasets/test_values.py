"""Every data set is a value: it can be copied, pickled, sliced and sent to workers."""

import copy
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import h5py
import layouts
import numpy as np
import nyu_files
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.handles import Handle

KINDS = ["sample", "nyu", "nyu-folder", "nyu-arrays", "nyu-zip", "nyu-hdf5"]
KINDS += ["kitti", "kitti-raw", "sunrgbd", "photos"]


@pytest.fixture(scope="module")
def open_kind(tmp_path_factory, nyu_folder):
    """A function that opens a small data set of a kind, with at least two frames of one size."""
    folder = tmp_path_factory.mktemp("values")
    mat = dc.open_dataset("nyu", data=nyu_folder)
    pair = [mat[0], mat[1]]
    nyu_files.write_official(folder / "official_splits" / "test", pair)
    (folder / "arrays").mkdir()
    np.save(folder / "arrays" / "eigen_test_rgb.npy", np.stack([f.rgb for f in pair]))
    np.save(folder / "arrays" / "eigen_test_depth.npy", np.stack([f.raw_depth for f in pair]))
    shutil.make_archive(str(folder / "nyu_test"), "zip", folder / "arrays")
    for number, frame in enumerate(pair):
        path = folder / "hdf5" / "val" / "official" / f"{number:05d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["rgb"], file["depth"] = frame.rgb.transpose(2, 0, 1), frame.raw_depth
    layouts.write_kitti(folder / "kitti")
    for number in range(2):
        drive = f"{layouts.DRIVE[:-1]}{number}"
        layouts.kitti_scan(folder / "kitti", number, np.eye(300, 1200, 200), drive)
    layouts.write_sunrgbd(folder / "sun")
    (folder / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(pair[0].rgb).save(folder / "photos" / name)
    calls = {
        "sample": ("sample", {}),
        "nyu": ("nyu", {"data": nyu_folder}),
        "nyu-folder": ("nyu", {"data": folder}),
        "nyu-arrays": ("nyu", {"data": folder / "arrays"}),
        "nyu-zip": ("nyu", {"data": folder / "nyu_test.zip"}),
        "nyu-hdf5": ("nyu", {"data": folder / "hdf5"}),
        "kitti": ("kitti", {"data": folder / "kitti"}),
        "kitti-raw": ("kitti", {"data": folder / "kitti", "ground_truth": "raw"}),
        "sunrgbd": ("sunrgbd", {"data": folder / "sun", "shape": (416, 544)}),
        "photos": ("photos", {"data": folder / "photos"}),
    }

    def open_kind(kind):
        name, options = calls[kind]
        return dc.open_dataset(name, **options)

    return open_kind


def same_frames(ours, theirs):
    assert (ours.names[:2], ours.scenes[:2]) == (theirs.names[:2], theirs.scenes[:2])
    for position in range(2):
        one, other = ours[position], theirs[position]
        np.testing.assert_array_equal(one.rgb, other.rgb)
        for depth in ("raw_depth", "depth"):
            a, b = getattr(one, depth), getattr(other, depth)
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_slices_read_the_same_frames(kind, open_kind):
    frames = open_kind(kind)
    frames.rgb(0)  # files are open before it is copied
    packed = pickle.dumps(frames)
    assert len(packed) < 2**16
    for other in (pickle.loads(packed), copy.deepcopy(frames), frames[:2]):
        same_frames(frames, other)
    same_frames(frames[[1, 0]], pickle.loads(pickle.dumps(frames[[1, 0]])))
    assert frames[-1].name == frames.names[-1]
    if frames.raw_depth(0) is not None:
        np.testing.assert_array_equal(frames[1:].ground_truth(0), frames.ground_truth(1))


@pytest.mark.parametrize("kind", KINDS)
def test_copies_outlive_the_closed_original(kind, open_kind):
    frames = open_kind(kind)
    other = copy.deepcopy(frames)
    first = frames.rgb(0)
    frames.close()
    with pytest.raises(dc.DepthClipError, match="is closed: open it again"):
        frames.rgb(0)
    np.testing.assert_array_equal(other.rgb(0), first)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_read_the_same_frames(kind, open_kind):
    frames = open_kind(kind)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(frames.rgb, [0, 1] * 4))
    for position, rgb in enumerate(read):
        np.testing.assert_array_equal(rgb, read[position % 2])


class Facts:
    """What a worker sends of two frames of each data set."""

    def __init__(self, datasets):
        self.datasets = datasets

    def __len__(self):
        return 2 * len(self.datasets)

    def __getitem__(self, index):
        frames = self.datasets[index // 2]
        return frames.rgb(index % 2), frames.raw_depth(index % 2)


@pytest.mark.slow
def test_spawned_workers_of_a_loader_read_the_same_frames(open_kind):
    from torch.utils.data import DataLoader

    facts = Facts([open_kind(kind) for kind in KINDS])  # one loader: a worker starts slowly
    expected = [facts[index] for index in range(len(facts))]
    loader = DataLoader(facts, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    for read, own in zip(loader, expected, strict=True):
        for one, other in zip(read, own, strict=True):
            np.testing.assert_equal(None if one is None else np.asarray(one), other)


class Counted:
    opened = 0

    def __init__(self):
        Counted.opened += 1
        self.closed = False

    def close(self):
        self.closed = True


def test_handle_opens_once_and_again_after_pickling():
    Counted.opened = 0
    handle = Handle(Counted)
    assert Counted.opened == 0
    first = handle.get()
    assert handle.get() is first and Counted.opened == 1
    other = pickle.loads(pickle.dumps(handle))
    assert other.get() is not first and Counted.opened == 2
    handle.close()
    assert first.closed and not other.get().closed


def test_closed_nyu_names_no_scenes(nyu_folder):
    frames = dc.open_dataset("nyu", data=nyu_folder)
    frames.close()
    with pytest.raises(dc.DepthClipError, match="is closed"):
        frames.scenes  # noqa: B018
    with pytest.raises(dc.DepthClipError, match="is closed"):
        pickle.loads(pickle.dumps(frames)).rgb(0)
