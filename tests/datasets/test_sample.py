"""The shipped sample: identical on every machine, grouped by room, read without side effects."""

import hashlib
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from multiprocessing import get_context
from zipfile import ZipFile

import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core import sample
from depthclip_core.datasets.sample import SampleFrames
from depthclip_core.settings import RELEASED_WINDOW

# Of every frame's arrays, one after the other, as decoded where they were rendered. Decoding and
# measuring are whole-number arithmetic: any other value means other frames.
DECODED = {
    "rgb": "525f2a722ed8a4dd904d926772979af644555d104d288ce4c4d517bbda99627c",
    "depth": "f1b64a2303b0111fe873866552d7b8c012e0f0f594c00b3ff6c6efc52a180a0c",
    "raw_depth": "c1cd619f674743d574d3168c3233cc4ab22544e5df1219101aafa035830ed2fd",
    "labels": "f4b3a62fd0db099682de3675a60106e948a47079d708bca63c15fbbcd8c35ebd",
}


@pytest.fixture(scope="module")
def frames():
    return dc.open_dataset("sample", "all")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rgb", "depth", "raw_depth", "labels"])
def test_decoded_arrays_match_their_checksums(frames, kind):
    digest = hashlib.sha256()
    for position, frame in enumerate(frames):
        array = frames.labels(position) if kind == "labels" else getattr(frame, kind)
        digest.update(array.tobytes())
    assert digest.hexdigest() == DECODED[kind]


def test_frames_have_the_layout_of_nyu(frames):
    frame = frames[0]
    assert frame.rgb.shape == (480, 640, 3) and frame.rgb.dtype == np.uint8
    assert frame.depth.shape == frame.raw_depth.shape == (480, 640)
    assert frame.depth.dtype == frame.raw_depth.dtype == np.float32
    assert frame.window == RELEASED_WINDOW
    assert (frame.rgb[:4] > 200).all()  # the white border
    seen = frame.raw_depth > 0
    assert 0.6 < seen.mean() < 0.99
    assert np.abs(frame.raw_depth - frame.depth)[seen].max() < 0.3
    for depth in (frame.depth, frame.raw_depth):
        assert np.array_equal(depth, (np.rint(depth * 1000) / 1000).astype(np.float32))


def test_each_room_has_two_to_four_views_in_one_split(frames):
    split = {s: dc.open_dataset("sample", s) for s in ("test", "train")}
    assert (len(split["test"]), len(split["train"])) == (64, 96)
    assert sorted(split["test"].names + split["train"].names) == frames.names
    assert not set(split["test"].groups) & set(split["train"].groups)
    views = Counter(frames.groups)
    assert set(views.values()) == {2, 3, 4}
    assert all(
        room.startswith(scene) for room, scene in zip(frames.groups, frames.scenes, strict=True)
    )
    assert set(Counter(split["test"].scenes).values()) == {8}
    assert set(Counter(split["train"].scenes).values()) == {12}


def test_views_of_a_room_differ_but_share_objects(frames):
    """Two views of a room share more object classes than views of two rooms of one type."""
    seen = [set(np.unique(frames.labels(i))) for i in range(len(frames))]

    def alike(i, j):
        return len(seen[i] & seen[j]) / len(seen[i] | seen[j])

    first = {room: i for i, room in reversed(list(enumerate(frames.groups)))}
    within, between = [], []
    for room, i in first.items():
        assert frames.groups[i + 1] == room
        assert np.abs(frames.rgb(i).astype(int) - frames.rgb(i + 1)).mean() > 10
        within.append(alike(i, i + 1))
        between += [alike(i, j) for r, j in first.items() if r[:-4] == room[:-4] and j != i]
    assert np.mean(within) > np.mean(between) + 0.1


def test_sample_can_be_read_in_other_processes(frames):
    again = pickle.loads(pickle.dumps(frames))
    assert again.names == frames.names and np.array_equal(again.rgb(3), frames.rgb(3))
    with get_context("fork").Pool(2) as pool:
        pictures = pool.map(frames.rgb, range(8))
    assert all(np.array_equal(one, frames.rgb(i)) for i, one in enumerate(pictures))


def test_rgb_and_depth_read_alone_match_the_frame(frames):
    frame = frames[5]
    assert np.array_equal(frames.rgb(5), frame.rgb)
    assert np.array_equal(frames.raw_depth(-len(frames) + 5), frame.raw_depth)
    assert (frame.name, frame.scene, frame.group) == (
        frames.names[5],
        frames.scenes[5],
        frames.groups[5],
    )
    with pytest.raises(IndexError):
        frames[len(frames)]


def test_identity_depends_on_file_and_preprocessing():
    def of(**options):
        chosen = dc.open_dataset("sample", **options)
        return chosen.identity(checksums=lambda paths: [path.name for path in paths])

    assert of()["file"] == "frames.zip" and of() == of(split="test")
    assert of() != of(split="train") and of() != of(released_preprocessing=True)


def test_released_preprocessing_blackens_the_border():
    plain, prepared = (
        dc.open_dataset("sample"),
        dc.open_dataset("sample", released_preprocessing=True),
    )
    assert prepared.rgb(0)[:6].max() < 60 < plain.rgb(0)[:6].min()
    assert np.array_equal(plain.raw_depth(0), prepared.raw_depth(0))


def test_data_folder_is_rejected_and_left_untouched(tmp_path):
    for name in ("nyu_depth_v2_labeled.mat", "splits.mat"):
        (tmp_path / name).write_bytes(b"the user's own")
    with pytest.raises(dc.DepthClipError, match="'nyu' or 'photos'") as caught:
        dc.open_dataset("sample", data=tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"the user's own"}


def test_opening_the_sample_writes_nothing(tmp_path):
    """Run a script without a main guard, in an empty folder, with its own home."""
    lines = "import depthclip_core as dc\nprint(dc.open_dataset()[0].rgb.shape)\n"
    (tmp_path / "five.py").write_text(lines)
    ran = subprocess.run(
        [sys.executable, "five.py"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "DEPTHCLIP_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.stdout == "(480, 640, 3)\n", ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["five.py"]


def test_damaged_file_raises_one_clear_line(tmp_path, monkeypatch):
    damaged = tmp_path / "frames.zip"
    shutil.copyfile(sample.FRAMES, damaged)
    with open(damaged, "r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    monkeypatch.setattr(sample, "FRAMES", damaged)
    with pytest.raises(dc.DepthClipError, match=r"frames\.zip is damaged"):
        SampleFrames(path=damaged)
    with pytest.raises(dc.DepthClipError, match="no file at"):
        SampleFrames(path=tmp_path / "absent.zip")


def test_archive_holds_images_and_a_csv_table():
    with ZipFile(sample.FRAMES) as archive:
        kinds = Counter(name.split("/")[0] for name in archive.namelist())
        assert archive.read(sample.TABLE).decode().splitlines()[0] == ",".join(sample.COLUMNS)
    once = dict.fromkeys([sample.TABLE, sample.LABEL_NAMES, sample.ABOUT], 1)
    assert kinds == dict.fromkeys(sample.SUFFIXES, 160) | once
    assert sample.FRAMES.stat().st_size <= 25e6
