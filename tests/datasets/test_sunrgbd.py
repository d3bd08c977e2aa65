import shutil

import layouts
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

import depthclip_core as dc
from depthclip_core.datasets.sunrgbd import SunRgbdFrames, unrotated
from depthclip_core.evaluation import scoring

NAMES = ["kv1/NYUdata/NYU0001", "kv2/kinect2data/000002", "xtion/sun3ddata/hotel/one/0001"]


@pytest.fixture(scope="module")
def sun(tmp_path_factory):
    return layouts.write_sunrgbd(tmp_path_factory.mktemp("sun"))


@pytest.fixture
def own(sun, tmp_path):
    """A copy to change."""
    return shutil.copytree(sun, tmp_path / "sun")


def test_every_level_survives_the_rotation():
    levels = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    stored = (levels.astype(np.uint32) << 3 | levels.astype(np.uint32) >> 13).astype(np.uint16)
    np.testing.assert_array_equal(unrotated(stored), levels)


@pytest.mark.parametrize("inside", ["", "SUNRGBD"])
def test_frames_have_raw_and_filled_depth(sun, inside):
    frames = dc.open_dataset("sunrgbd", "all", data=sun / inside)
    assert isinstance(frames, SunRgbdFrames) and frames.names == NAMES
    assert frames.frame_shape is None and frames.depth_cap == 8.0
    for frame, shape in zip(frames, [(427, 561), (530, 730), (427, 561)], strict=True):
        metres = (1 + 24 * np.arange(shape[0], dtype=np.float32))[:, None] / 1000
        assert frame.rgb.shape == (*shape, 3) and frame.rgb[5, 9, :2].tolist() == [5, 9]
        np.testing.assert_allclose(frame.depth, np.broadcast_to(metres, shape), rtol=1e-6)
        holes = np.arange(shape[1]) % 2 == 0
        np.testing.assert_array_equal(frame.raw_depth, np.where(holes, 0, frame.depth))
    assert frames[1].raw_depth.max() > 12  # beyond 8 m, as measured


def test_scene_types_and_groups(sun):
    frames = dc.open_dataset("sunrgbd", "all", data=sun)
    assert frames.scenes == ["bathroom", "idk", "dining_room"]
    assert frames.groups == [None, None, "xtion/sun3ddata/hotel/one"]


def test_split_file_of_another_machine(sun, own):
    assert dc.open_dataset("sunrgbd", "train", data=sun).names == NAMES[:1]
    assert dc.open_dataset("sunrgbd", "test", data=sun).names == NAMES[1:]
    toolbox = own / "SUNRGBDtoolbox" / "traintestSUNRGBD"
    toolbox.mkdir(parents=True)
    listed = shutil.move(own / "SUNRGBD" / "allsplit.mat", toolbox)
    assert dc.open_dataset("sunrgbd", "test", data=own).names == NAMES[1:]
    moved = shutil.move(listed, own / "mine.mat")
    with pytest.raises(dc.DepthClipError, match="no allsplit.mat in .*choose split 'all'"):
        dc.open_dataset("sunrgbd", "test", data=own)
    assert len(dc.open_dataset("sunrgbd", "test", data=own, splits=moved)) == 2


def test_one_sensor_has_one_size(sun):
    frames = dc.open_dataset("sunrgbd", "test", data=sun, sensor="xtion")
    assert frames.names == NAMES[2:] and frames.frame_shape == (427, 561)


def test_shape_cuts_the_centre(sun):
    frames = dc.open_dataset("sunrgbd", "all", data=sun, shape=(416, 544))
    assert frames.frame_shape == (416, 544) and frames.rgb_batch(range(3)).shape[1:3] == (416, 544)
    assert frames.rgb(0)[0, 0, :2].tolist() == [5, 8] and frames.rgb(1)[0, 0, :2].tolist() == [
        57,
        93,
    ]
    whole = dc.open_dataset("sunrgbd", "all", data=sun)
    np.testing.assert_array_equal(frames.raw_depth(0), whole.raw_depth(0)[5:421, 8:552])


def test_filled_depth_as_ground_truth(sun, own):
    frames = dc.open_dataset("sunrgbd", "all", data=sun, depth="filled")
    assert (frames.ground_truth(0) > 0).all()
    shutil.rmtree(own / "SUNRGBD" / NAMES[0] / "depth_bfx")
    assert dc.open_dataset("sunrgbd", "all", data=own)[0].depth is None
    with pytest.raises(dc.DepthClipError, match="no depth_bfx/: it has no filled depth"):
        dc.open_dataset("sunrgbd", "all", data=own, depth="filled").ground_truth(0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sensor": "kv3"}, "unknown sensor 'kv3': did you mean"),
        ({"sensor": "realsense"}, "no frames of realsense in"),
        ({"depth": "bfx"}, "unknown depth 'bfx'"),
        ({"depth_cap": -1}, "depth_cap is a positive, finite number"),
        ({"shape": 416}, "shape is a height and a width"),
        ({"shape": (416, 0)}, "shape is a height and a width"),
        ({"shape": (600, 544)}, "is too small for a crop of 600 x 544"),
        ({"split": "val"}, "unknown split"),
        ({"split": "test", "splits": "nowhere.mat"}, "no nowhere.mat in"),
        ({"size": 3}, "cannot open 'sunrgbd'"),
    ],
)
def test_bad_options_raise_one_clear_line(options, says, sun):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_dataset("sunrgbd", **{"data": sun, "split": "all"} | options)[0]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: shutil.rmtree(f), "no folder of a sensor in"),
        (lambda f: shutil.rmtree(f / NAMES[1]), "1 of 2 frames of allsplit.mat are missing"),
        (lambda f: (f / NAMES[1] / "image/frame.png").unlink(), "holds 0 files, not one picture"),
        (lambda f: (f / NAMES[1] / "depth/b.png").touch(), "holds 2 files, not one depth map"),
        (lambda f: (f / NAMES[1] / "image/frame.png").write_bytes(b"a"), "cannot read .* an image"),
        (lambda f: (f / NAMES[1] / "depth/frame.png").write_bytes(b"a"), "cannot read"),
        (lambda f: (f / "allsplit.mat").write_bytes(b"a"), "cannot read .*allsplit.mat"),
        (lambda f: savemat(f / "allsplit.mat", {"a": 1}), "has no alltest"),
        (
            lambda f: savemat(f / "allsplit.mat", {"alltest": np.array([["/a/b"]], object)}),
            "names '/a/b', not a folder in SUNRGBD/",
        ),
        (
            lambda f: Image.new("I;16", (5, 4)).save(f / NAMES[1] / "depth/frame.png"),
            "RGB of 530 x 730 pixels and depth of 4 x 5",
        ),
    ],
)
def test_bad_files_raise_one_clear_line(change, says, own):
    change(own / "SUNRGBD")
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_dataset("sunrgbd", "test", data=own)[0]
    assert "\n" not in str(caught.value)


def test_real_frames(rgbd, tmp_path, own_store):
    real = {"kv2": "sunrgbd_toy/kv2_0000144", "kv1": "sunrgbd_toy/kv1_img_0063"}
    real["xtion"] = "open3d_testdata/sun_xtion"
    for sensor, source in real.items():
        own = tmp_path / "SUNRGBD" / sensor / "some" / "frame"
        for kind, end in (("image", "rgb.jpg"), ("depth", "depth.png")):
            (own / kind).mkdir(parents=True)
            shutil.copy(f"{rgbd / source}_{end}", own / kind / end)
        (own / "scene.txt").write_text("office")
    facts = []
    for sensor in real:
        frames = dc.open_dataset("sunrgbd", "all", data=tmp_path, sensor=sensor)
        depth = frames[0].raw_depth
        known = depth[depth > 0]
        facts.append([(depth > 0).mean(), known.min(), np.median(known), known.max()])
    expected = [[0.866, 0.64, 2.40, 3.78], [0.677, 1.43, 1.96, 2.52], [0.818, 1.06, 2.72, 9.87]]
    np.testing.assert_allclose(facts, expected, atol=0.005)
    (tmp_path / "sun.toml").write_text("shape = [416, 544]")
    run = dc.open_run("sunrgbd", "all", data=tmp_path / "sun.toml", head="value", device="cpu")
    rows = scoring.score(run.frames, run.similarities(), run.bins, protocol=run.protocol)
    counted = [((d > 1e-3) & (d < 8)).sum() for d in run.frames.ground_truths()]
    assert rows["n_pixels"].tolist() == counted and run.protocol.max_depth == 8
