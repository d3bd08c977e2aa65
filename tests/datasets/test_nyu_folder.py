"""NYU in folders of JPEG and PNG files, and against the .mat of the same frames."""

import shutil

import numpy as np
import nyu_files
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets import nyu
from depthclip_core.datasets.depth_files import in_metres
from depthclip_core.datasets.nyu import MAT_NAME, NyuFrames
from depthclip_core.datasets.nyu_folder import NyuFolder
from depthclip_core.evaluation import scoring
from depthclip_core.settings import RELEASED_WINDOW

TEST, TRAIN = (1, 3), (2,)  # of three frames


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A folder with mat/ and official_splits/ of the same frames; their depth has tenths of mm."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "mat").mkdir()
    frames = [dc.open_dataset("sample")[position] for position in (0, 9, 26)]
    raw = [np.where(f.raw_depth > 0, f.raw_depth + 0.0004, 0).astype("f4") for f in frames]
    arrays = {
        "images": np.stack([f.rgb.transpose(2, 1, 0) for f in frames]),
        "depths": np.stack([f.depth.T for f in frames]),
        "rawDepths": np.stack([depth.T for depth in raw]),
    }
    texts = {"sceneTypes": [f.scene for f in frames], "scenes": [f.group for f in frames]}
    nyu_files.write_mat(folder / "mat" / MAT_NAME, arrays, texts)
    nyu_files.write_splits(folder / "mat" / "splits.mat", TEST, TRAIN)
    for split in ("test", "train"):
        own = dc.open_dataset("nyu", split, data=folder / "mat")
        nyu_files.write_official(folder / "official_splits" / split, own)
    return folder


@pytest.fixture
def official(both, tmp_path):
    """A copy of official_splits/ to change."""
    return shutil.copytree(both / "official_splits", tmp_path / "official_splits")


def test_folder_equals_the_preprocessed_mat(both):
    folder = dc.open_dataset("nyu", data=both)
    mat = dc.open_dataset("nyu", data=both / "mat", released_preprocessing=True)
    assert isinstance(folder, NyuFolder) and isinstance(mat, NyuFrames)
    assert (folder.names, folder.scenes) == (mat.names, mat.scenes) and folder.names[1] == "0003"
    for ours, theirs in zip(folder, mat, strict=True):
        np.testing.assert_array_equal(ours.rgb, theirs.rgb)
        np.testing.assert_array_equal(ours.raw_depth, theirs.raw_depth)
        assert ours.window == RELEASED_WINDOW and ours.depth is None and ours.group is None


def test_folder_differs_from_the_plain_mat_by_jpeg_border_and_millimetres(both):
    folder, mat = (dc.open_dataset("nyu", data=both / where)[0] for where in ("", "mat"))
    assert folder.rgb[:6].max() < 60 and mat.rgb[:6].min() > 200  # the border
    error = np.abs(folder.rgb[20:460, 20:620].astype(int) - mat.rgb[20:460, 20:620])
    assert 0 < error.mean() < 8  # JPEG
    loss = mat.raw_depth - folder.raw_depth
    assert loss.min() >= 0 and 0.0003 < loss.max() < 0.001  # truncated to whole millimetres


def test_whole_millimetres_of_mat_and_png_are_the_same_floats():
    levels = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(in_metres(levels, 1000), levels.astype(np.float32) / 1000)


@pytest.mark.parametrize("where", ["", "official_splits", "official_splits/test"])
def test_all_places_open_the_same_frames(both, where):
    assert dc.open_dataset("nyu", data=both / where).names == ["0001", "0003"]
    assert dc.open_dataset("nyu", "train", data=both / where).names == ["0002"]
    assert dc.open_dataset("nyu", "all", data=both / where).names == ["0001", "0002", "0003"]


def test_all_is_every_frame_that_lies_there(official):
    shutil.rmtree(official / "train")
    assert dc.open_dataset("nyu", "all", data=official).names == ["0001", "0003"]


def test_list_chooses_frames_and_their_order(official):
    lines = [f"{p.parent.name}/{p.name}" for p in sorted(official.glob("test/*/rgb_*.jpg"))]
    text = "".join(f"/{a} {a.replace('rgb_', 'sync_depth_')[:-3]}png 518.8579\n" for a in lines)
    listed = official.parent / "nyudepthv2_test_files_with_gt.txt"
    turned = "".join(reversed(text.splitlines(True)))
    listed.write_text(turned)
    in_order = dc.open_dataset("nyu", data=official).names
    assert sorted(in_order) == ["0001", "0003"]
    listed.write_text(text)
    assert dc.open_dataset("nyu", data=official).names == in_order[::-1]
    one = official.parent / "one.txt"
    one.write_text(text.splitlines()[0])
    assert len(dc.open_dataset("nyu", data=official, files=one)) == 1


def test_scenes_alone_are_one_split(official):
    moved = official.rename(official.parent / "frames") / "test"
    moved = moved.rename(official.parent / "mine")
    assert len(dc.open_dataset("nyu", "all", data=moved)) == 2
    with pytest.raises(dc.DepthClipError, match="no test/ folder .*: choose split 'all'"):
        dc.open_dataset("nyu", data=moved)


def test_dense_depth_is_the_filled_depth(official):
    for path in official.glob("test/*/sync_depth_*.png"):
        dense = path.parent / "dense" / path.name.replace("depth", "depth_dense")
        dense.parent.mkdir()
        Image.fromarray(np.full((480, 640), 2500, np.uint16)).save(dense)
    frame = dc.open_dataset("nyu", data=official)[1]
    assert (frame.depth == 2.5).all() and (frame.raw_depth != 2.5).any()


def test_mat_gives_the_rooms(both):
    mat = both / "mat" / MAT_NAME
    rooms = dc.open_dataset("nyu", data=both, mat=mat).groups
    assert rooms == dc.open_dataset("nyu", data=both / "mat").groups and None not in rooms


def test_raw_sequences_are_groups(official):
    for scene in official.glob("test/*"):
        scene.rename(scene.with_name(f"{scene.name}_0004"))
    frames = dc.open_dataset("nyu", data=official)
    assert all(
        group == f"{scene}_0004" for group, scene in zip(frames.groups, frames.scenes, strict=True)
    )
    assert frames.names[0].endswith("_0004/00000") and not frames.is_labelled_set()
    assert frames.unlike_published() == ["the frames are not NYU Depth v2's 654 test frames"]


def test_complete_test_folder_counts_as_nyu(both, monkeypatch):
    monkeypatch.setattr(nyu, "NYU_TEST", 2)
    assert dc.open_dataset("nyu", data=both).unlike_published() == []
    assert "not 'test'" in dc.open_dataset("nyu", "all", data=both).unlike_published()[0]
    monkeypatch.setattr(nyu, "NYU_TEST", 654)
    assert dc.open_dataset("nyu", data=both).unlike_published()


def test_scores_of_mat_and_folder_are_the_same(both, own_store):
    scores = []
    for where in ("", "mat"):
        run = dc.open_run("nyu", data=both / where, head="value", device="cpu")
        scores.append(scoring.score(run.frames, run.similarities(), run.bins))
    np.testing.assert_array_equal(*(rows["rmse"] for rows in scores))


def test_identity_follows_the_files(both, official):
    def identity(folder):
        frames = dc.open_dataset("nyu", data=folder)
        return frames.identity(lambda files: [str(hash(f.read_bytes())) for f in files])

    before = identity(official)
    assert before == identity(both)
    rgb = next(official.glob("test/*/rgb_*.jpg"))
    Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(rgb)
    assert identity(official) != before


def spoil(folder, change):
    rgb = sorted(folder.glob("test/*/rgb_*.jpg"))[0]
    depth = sorted(folder.glob("test/*/sync_depth_*.png"))[0]
    change(rgb, depth)
    frames = dc.open_dataset("nyu", data=folder)
    at = frames.names.index(f"{int(rgb.stem[4:]) + 1:04d}")
    return frames[at]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rgb, depth: depth.unlink(), "1 of 4 files are missing in .*sync_depth_"),
        (lambda rgb, depth: rgb.write_bytes(b"no"), "cannot read .* as an image"),
        (lambda rgb, depth: depth.write_bytes(depth.read_bytes()[:999]), "cannot read"),
        (lambda rgb, depth: Image.open(depth).resize((64, 48)).save(depth), "48 x 64 pixels"),
        (lambda rgb, depth: Image.open(depth).convert("L").save(depth), "of mode L"),
    ],
)
def test_bad_files_raise_one_clear_line(change, says, official):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        spoil(official, change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("bathroom/rgb_00001.jpg", "line 1: wanted an RGB file, a depth file or None"),
        ("a/b.jpg a/b.png 518", "b.jpg is not called rgb_NNNNN.jpg"),
        ("a/rgb_00001.jpg a/sync_depth_00001.png", "2 of 2 files are missing"),
        ("\udcff", "the list of frames .* is not UTF-8"),
    ],
)
def test_bad_lists_raise_one_clear_line(text, says, official):
    listed = official.parent / "list.txt"
    listed.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_dataset("nyu", data=official, files=listed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda f: dc.open_dataset("nyu", data=f / "test" / "none"), "nor official_splits"),
        (lambda f: dc.open_dataset("nyu", data=f, files=f / "no.txt"), "no list of frames at"),
        (lambda f: dc.open_dataset("nyu", data=f, mat=f / "no.mat"), "no no.mat in"),
        (
            lambda f: (shutil.rmtree(f / "train"), dc.open_dataset("nyu", "train", data=f)),
            "no train/",
        ),
        (lambda f: dc.open_dataset("nyu", data=f, room="a"), "cannot open 'nyu' with .*room"),
    ],
)
def test_bad_options_raise_one_clear_line(call, says, official):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call(official)
    assert "\n" not in str(caught.value)


def test_real_frames_in_the_official_layout(rgbd, tmp_path):
    scene = tmp_path / "official_splits" / "test" / "basement"
    scene.mkdir(parents=True)
    for number in ("00000", "00050", "00100"):
        source = rgbd / "nyu_metric3d" / f"basement_{number}"
        shutil.copy(f"{source}_rgb.jpg", scene / f"rgb_{number}.jpg")
        shutil.copy(f"{source}_depth.png", scene / f"sync_depth_{number}.png")
    frames = dc.open_dataset("nyu", data=tmp_path)
    assert frames.names == ["0001", "0051", "0101"] and frames.scenes == ["basement"] * 3
    depth = frames.raw_depth(1)
    assert depth[depth > 0].min() == pytest.approx(0.89, abs=0.005)
    assert np.median(depth[depth > 0]) == pytest.approx(3.21, abs=0.005)
    assert (depth > 0).mean() == pytest.approx(0.751, abs=0.0005)
