"""A file that is replaced between its checksum and its reading is not taken for the old one."""

import os
import pickle
import shutil
from functools import partial

import h5py
import numpy as np
import nyu_files
import pytest
from layouts import write_kitti, write_sunrgbd
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.known_files import KnownFiles
from depthclip_core.datasets.nyu_arrays import DEPTH_NAME, RGB_NAME
from depthclip_core.encoding.passes import collect_responses, encode
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import image_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.files import Notes, checksums
from depthclip_core.method import photo_depths
from depthclip_core.method.photo_depths import predict_photos, resolve_setting

SHAPE = (64, 96)
CHANGED = "has changed while it was used: run again"


def photo(path, value, shape=SHAPE):
    """One of two pictures, whose files have one size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path, format="bmp")


def replaced(path, change):
    """Put another file in a file's place, of the same size and time; returns its old content."""
    before, old = path.stat(), path.read_bytes()
    other = path.with_name("other")
    shutil.copyfile(path, other)
    change(other)
    assert other.stat().st_size == before.st_size and other.read_bytes() != old
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    return old


def one_byte(path):
    """Change a byte of a file, of its pixels where they are not packed, in its place."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def photos(folder):
    for name, value in (("a.bmp", 10), ("b.bmp", 20)):
        photo(folder / name, value)
    return dc.open_dataset("photos", data=folder), folder / "b.bmp"


def pairs(folder, resize=None):
    for number in range(2):
        photo(folder / f"{number}_rgb.bmp", number)
        np.save(folder / f"{number}_depth.npy", np.full(SHAPE, 2.0, np.float32))
    text = 'rgb = "*_rgb.*"\ndepth = "*_depth.npy"\ndivisor = 1\n'
    text += f'resize = "{resize}"\n' if resize else ""
    (folder / "data.toml").write_text(text)
    kind = "1_depth.npy" if resize else "1_rgb.bmp"
    return dc.open_dataset("pairs", data=folder / "data.toml"), folder / kind


def mat(folder):
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (2, 640, 480)).astype(np.float32)
    images = rng.integers(0, 255, (2, 3, 640, 480), np.uint8)
    arrays = {"images": images, "depths": depth, "rawDepths": depth}
    path = folder / "nyu_depth_v2_labeled.mat"
    nyu_files.write_mat(path, arrays, {"sceneTypes": ["room"] * 2})
    nyu_files.write_splits(folder / "splits.mat", test=(1, 2), train=())
    return dc.open_dataset("nyu", data=folder), path


def official(folder):
    (folder / "mat").mkdir()
    frames, _ = mat(folder / "mat")
    listed = nyu_files.write_official(folder / "official_splits" / "test", frames)
    last = sorted(listed.parent.rglob("rgb_*.jpg"))[-1]
    return dc.open_dataset("nyu", data=folder / "official_splits"), last


def arrays(folder):
    np.save(folder / RGB_NAME, np.ones((2, 480, 640, 3), np.uint8))
    np.save(folder / DEPTH_NAME, np.ones((2, 480, 640), np.float32))
    return dc.open_dataset("nyu", data=folder), folder / RGB_NAME


def hdf5(folder):
    for number in range(2):
        path = folder / "val" / "official" / f"{number:05d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["rgb"] = np.full((3, 480, 640), number, np.uint8)
            file["depth"] = np.ones((480, 640), np.float32)
    return dc.open_dataset("nyu", data=folder), path


def kitti(folder):
    frames = dc.open_dataset("kitti", data=write_kitti(folder))
    return frames, frames.pairs[-1].rgb


def sunrgbd(folder):
    frames = dc.open_dataset("sunrgbd", "test", data=write_sunrgbd(folder))
    return frames, frames.pairs[-1].rgb


KINDS = [photos, pairs, partial(pairs, resize="rgb-to-depth")]
KINDS += [mat, official, arrays, hdf5, kitti, sunrgbd]
NAMES = "photos pairs depth mat official arrays hdf5 kitti sunrgbd".split()
PACKED = {kitti, sunrgbd}  # as PNG, of which a changed byte is seen in any case


@pytest.fixture
def notes(tmp_path):
    return partial(checksums, notes=Notes(tmp_path / "notes" / "notes.json"))


@pytest.fixture
def place(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("make", KINDS, ids=NAMES)
@pytest.mark.parametrize("change", ["replaced", "in place", "removed"])
def test_frame_of_a_changed_file_is_an_error(make, change, place, notes):
    frames, path = make(place)
    identity = frames.identity(notes)
    also = [frames, frames[:], pickle.loads(pickle.dumps(frames))]
    assert identity and frames.rgb(-1).size
    if change == "replaced":
        replaced(path, one_byte)
    elif change == "in place":
        one_byte(path)
    else:
        path.unlink()
    says = "no .* at|no .* in |No such file or directory$" if change == "removed" else CHANGED
    says += "|is damaged" if make in PACKED else ""
    for some in also:
        with pytest.raises(DepthClipError, match=says):
            some.rgb(-1)
        with pytest.raises(DepthClipError, match=says):
            some[-1]


@pytest.mark.parametrize("make", KINDS, ids=NAMES)
def test_file_that_was_touched_or_copied_is_read_on(make, place, notes):
    frames, path = make(place)
    frames.identity(notes)
    before = frames.rgb(-1)
    os.utime(path)
    np.testing.assert_array_equal(frames.rgb(-1), before)
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.replace(path)
    np.testing.assert_array_equal(frames.rgb(-1), before)


@pytest.mark.parametrize("make", [mat, arrays], ids=["mat", "arrays"])
def test_file_that_is_kept_open_must_be_the_one_of_the_checksum(make, place, notes):
    frames, path = make(place)
    frames.rgb(0)
    replaced(path, one_byte)
    with pytest.raises(DepthClipError, match="has changed since it was opened: open it again"):
        frames.identity(notes)
    assert dc.open_dataset("nyu", data=place).identity(notes)


def test_file_that_changes_back_is_seen(place, notes):
    """What is read between two changes is not of the checksum before and after them."""
    frames, path = photos(place)
    frames.identity(notes)
    right, read = frames.rgb(1), frames.read_rgb

    def read_meanwhile(index):
        if not changes:
            changes.append(replaced(path, one_byte))
            other = read(index)
            path.write_bytes(changes[0])
            return other
        return read(index)

    changes, frames.read_rgb = [], read_meanwhile
    np.testing.assert_array_equal(frames.rgb(1), right)
    assert changes


def test_change_within_the_clock_s_tick_is_seen(place):
    """A system gives two changes of a file the same time if they follow at once."""
    path = place / "a"
    for number in range(20):
        path.write_bytes(b"%d" % (number % 10))
        known = KnownFiles()
        known.checksums([path], partial(checksums, notes=Notes(place / "notes" / "a.json")))
        path.write_bytes(b"x")
        assert not known.unchanged([path])


# --- the store ----------------------------------------------------------------------------------


class Meddler(Store):
    """A store during whose checksums, after them, a file is replaced."""

    def __init__(self, folder, path):
        super().__init__(folder)
        self.path, self.old = path, None

    def checksums(self, paths):
        found = super().checksums(paths)
        if self.old is None and self.path in paths:
            self.old = replaced(self.path, one_byte)
        return found


@pytest.fixture(scope="module")
def encoder(own_store):
    return dc.load_encoder("sample", device="cpu", precision="fp32")


@pytest.mark.parametrize("how", [encode, image_vectors, collect_responses])
def test_nothing_is_kept_under_the_checksum_of_another_photo(how, place, tmp_path, encoder):
    frames, path = photos(place)
    store = Meddler(tmp_path / "store", path)
    more = {"words": ["near", "far"]} if how is collect_responses else {}
    with pytest.raises(DepthClipError, match=f"b.bmp {CHANGED}"):
        how(frames, encoder, **more, store=store)
    assert list((tmp_path / "store").rglob("*.h5")) == []
    how(frames, encoder, **more, store=store)  # as another data set
    path.write_bytes(store.old)
    other = Store(tmp_path / "other")
    for place_of in (store, other):
        how(frames, encoder, **more, store=place_of)
    of_old = {path.name: path for path in other.folder.iterdir() if path.is_dir()}
    assert of_old and all((store.folder / name).is_dir() for name in of_old)
    for name, kept in of_old.items():
        for chunk in kept.glob("*.h5"):
            assert (store.folder / name / chunk.name).read_bytes() == chunk.read_bytes()


def test_photo_that_is_replaced_while_it_is_predicted_is_an_error(place, encoder, monkeypatch):
    photo(place / "a.bmp", 10)
    whole = photo_depths.open_photo

    def meddling(path, file):
        one_byte(path)
        return whole(path, file)

    monkeypatch.setattr(photo_depths, "open_photo", meddling)
    (found,) = predict_photos([place / "a.bmp"], encoder, resolve_setting())
    assert isinstance(found, DepthClipError) and str(found).endswith(f"a.bmp {CHANGED}")
