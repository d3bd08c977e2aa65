import shutil

import layouts
import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.crops import crop_window
from depthclip_core.datasets.kitti import EVEN_BINS, KittiFrames
from depthclip_core.datasets.velodyne import project_scan, read_calibration, read_scan
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.sweep import sweep

SHAPES = [(375, 1242), (370, 1224)]
METRES = np.arange(1, 376)[:, None] / 16  # of a row


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    return layouts.write_kitti(tmp_path_factory.mktemp("kitti"), SHAPES)


@pytest.fixture
def own(kitti, tmp_path):
    """A copy to change."""
    return shutil.copytree(kitti, tmp_path / "kitti")


def test_frames_are_cut_to_the_bottom_centre(kitti):
    frames = dc.open_dataset("kitti", data=kitti)
    assert frames.frame_shape == (352, 1216) and frames.rgb_batch([0, 1]).shape[1:3] == (352, 1216)
    for frame, (top, left) in zip(frames, [(23, 13), (18, 4)], strict=True):
        assert frame.rgb[0, 0, :2].tolist() == [top, left]
        assert frame.raw_depth[0, 0] == (METRES[top] if left % 2 else 0)
        assert frame.raw_depth[5, 1 - left % 2] == METRES[top + 5]
        assert (frame.depth, frame.scene) == (None, None)
    assert frames.groups == ["2011_09_26_drive_0000", "2011_09_26_drive_0001"]
    assert frames.names[1] == "2011_09_26_drive_0001/image_02/0000000001"


@pytest.mark.parametrize("crop", ["garg", "eigen-kitti", "kb", "none"])
@pytest.mark.parametrize("window", ["kb", "whole"])
def test_ground_truth_is_blank_outside_the_crop_of_the_whole_frame(kitti, crop, window):
    options = {"window": window, "evaluation_crop": crop}
    frames = dc.open_dataset("kitti", data=kitti, **options)
    for position, shape in enumerate(SHAPES):
        whole = np.where(np.arange(shape[1]) % 2, METRES[: shape[0]], 0)
        counted, kept = np.zeros(shape, bool), crop_window(crop, shape)
        counted[kept.slices] = True
        view = crop_window("kb" if window == "kb" else "none", shape).slices
        np.testing.assert_array_equal(frames.raw_depth(position), whole[view])
        expected = np.where(counted, whole, 0)[view]
        np.testing.assert_array_equal(frames.ground_truth(position), expected)
        np.testing.assert_array_equal(frames[position:].ground_truth(0), expected)


def test_whole_frames_have_no_one_shape(kitti):
    frames = dc.open_dataset("kitti", data=kitti, window="whole")
    assert frames.frame_shape is None and [f.rgb.shape[:2] for f in frames] == SHAPES


def test_frames_without_official_depth_are_left_out_but_have_scans(own):
    line = layouts.kitti_frame(own, 7, np.zeros((370, 1224, 3), np.uint8), None)
    listed = own / "eigen_test_files_with_gt.txt"
    listed.write_text(f"{listed.read_text()}\n{line}\n")
    assert len(dc.open_dataset("kitti", data=own)) == 2
    for number, drive in enumerate(("2011_09_26_drive_0000", "2011_09_26_drive_0001")):
        layouts.kitti_scan(own, number, np.eye(370, 1224), drive)
    layouts.kitti_scan(own, 7, np.eye(370, 1224))
    frames = dc.open_dataset("kitti", data=own, ground_truth="raw")
    assert len(frames) == 3 and frames.groups[2] == layouts.DRIVE


def test_scan_is_projected_into_its_pixels(own):
    depth = np.zeros(SHAPES[0], np.float32)
    depth[100::7, 3::11] = np.linspace(3, 79, depth[100::7, 3::11].size).reshape(40, -1)
    layouts.kitti_scan(own, 0, depth, "2011_09_26_drive_0000")
    layouts.kitti_scan(own, 1, depth[:300], "2011_09_26_drive_0001")
    options = {"ground_truth": "raw", "window": "whole", "evaluation_crop": "none"}
    frames = dc.open_dataset("kitti", data=own, **options)
    np.testing.assert_array_equal(frames.ground_truth(0), depth)


def test_projection_keeps_the_nearest_point_and_drops_the_rest():
    camera = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]) @ np.array(
        [[0, -1.0, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    )
    points = [(5, -15, -10), (4, -12, -8), (-4, 8, 8), (2, 100, 0), (0, -1, -1)]
    depth = project_scan(np.array(points, np.float32), camera, (3, 4))
    assert depth[1, 2] == 4 and np.count_nonzero(depth) == 1


def test_split_all_is_every_image_with_depth(own):
    (own / "eigen_test_files_with_gt.txt").unlink()
    frames = dc.open_dataset("kitti", "all", data=own)
    assert len(frames) == 2
    shutil.move(own / layouts.DATE, own / "raw" / layouts.DATE)
    again = dc.open_dataset("kitti", "all", data=own)
    assert again.names == frames.names
    next(own.glob("data_depth_annotated/val/*0001_sync/**/*.png")).unlink()
    assert dc.open_dataset("kitti", "all", data=own).names == frames.names[:1]


def test_depth_may_lie_beside_the_images(own):
    for drive in (own / "data_depth_annotated" / "val").iterdir():
        shutil.move(drive / "proj_depth", own / layouts.DATE / drive.name / "proj_depth")
    assert len(dc.open_dataset("kitti", data=own)) == 2
    assert len(dc.open_dataset("kitti", "all", data=own)) == 2


def test_images_may_be_jpeg(own):
    for path in own.glob("*/*_sync/image_02/data/*.png"):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    assert dc.open_dataset("kitti", data=own).rgb(0).shape == (352, 1216, 3)


def test_cap_and_options_come_from_a_description(own):
    listed = (own / "eigen_test_files_with_gt.txt").rename(own / "mine.txt")
    listed.write_text(listed.read_text().splitlines()[1])
    options = 'evaluation_crop = "none"\ndepth_cap = 50\nfiles = "mine.txt"\n'
    (own / "kitti.toml").write_text(options)
    frames = dc.open_dataset("kitti", data=own / "kitti.toml")
    assert (frames.depth_cap, frames.crop_name, len(frames)) == (50.0, "none", 1)


def test_depthclip_runs_with_bins_up_to_80_m(kitti, own_store):
    run = dc.open_run("kitti", data=kitti, head="value", bins=EVEN_BINS, device="cpu")
    assert (run.grid, run.protocol.max_depth) == ((11, 38), 80.0)
    similarities = run.similarities()
    rows = scoring.score(run.frames, similarities, run.bins, protocol=run.protocol)
    for row, truth in zip(rows["n_pixels"], run.frames.ground_truths(), strict=True):
        assert row == np.count_nonzero(truth)
    assert rows["rmse"].between(1, 80).all()
    swept = sweep(run.frames.ground_truths(), similarities, [run.bins], protocols=[run.protocol])
    np.testing.assert_allclose(swept.rows()["rmse"], rows["rmse"], atol=1e-4)


def test_even_bins_are_centres_of_sevenths():
    assert len(EVEN_BINS) == 7
    np.testing.assert_allclose(np.diff(EVEN_BINS), 80 / 7, atol=1e-3)
    assert EVEN_BINS[0] + EVEN_BINS[-1] == pytest.approx(80)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ground_truth": "velodyne"}, "unknown ground truth 'velodyne'"),
        ({"window": "KB"}, "unknown window 'KB'"),
        ({"evaluation_crop": "gargg"}, "did you mean 'garg'"),
        ({"evaluation_crop": "eigen-nyu"}, "unknown evaluation crop"),
        ({"depth_cap": "80"}, "depth_cap is a positive, finite number"),
        ({"depth_cap": 0}, "positive, finite number of metres, not 0"),
        ({"crop": "garg"}, "cannot open 'kitti' with"),
        ({"split": "train"}, "no eigen_train_files_with_gt.txt in"),
        ({"split": "val"}, "unknown split"),
        ({"files": "nowhere.txt"}, "no list of frames at nowhere.txt"),
        ({"ground_truth": "raw"}, "2 of 4 files are missing in .*bin"),
    ],
)
def test_bad_options_raise_one_clear_line(options, says, kitti):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_dataset("kitti", **{"data": kitti} | options)
    assert "\n" not in str(caught.value)


def damage(folder, pattern, content):
    path = sorted(folder.glob(pattern))[0]
    path.unlink() if content is None else path.write_bytes(content)


def small(folder):
    path = sorted(folder.glob("*/*_sync/image_02/data/*.png"))[0]
    Image.fromarray(np.zeros((300, 1242, 3), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: shutil.rmtree(f), "no folder .*put KITTI there"),
        (lambda f: damage(f, "**/image_02/data/*.png", None), "1 of 4 files are missing"),
        (lambda f: damage(f, "**/groundtruth/image_02/*.png", None), "1 of 4 files are missing"),
        (lambda f: damage(f, "**/groundtruth/image_02/*.png", b"no"), "cannot read"),
        (lambda f: damage(f, "*.txt", b"a.png b.png"), "names 'a.png', not DATE/DRIVE_sync"),
        (small, "300 x 1242 pixels is too small for a crop of 352 x 1216"),
        (lambda f: damage(f, "*.txt", b"a b c d"), "line 1: wanted an RGB file"),
    ],
)
def test_bad_files_raise_one_clear_line(change, says, own):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        change(own)
        dc.open_dataset("kitti", data=own)[0]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("calib_cam_to_cam.txt", None, "no calibration of KITTI's date at .*calib_cam_to_cam.txt"),
        ("calib_velo_to_cam.txt", "R: 1 2 3\nT: 0 0 0", "has no R of 9 numbers"),
        ("calib_cam_to_cam.txt", "R_rect_00: 1 0 0 0 1 0 0 0 1", "has no P_rect_02"),
    ],
)
def test_bad_calibrations_raise_one_clear_line(name, text, says, tmp_path):
    for file, own in layouts.CALIBRATION.items():
        (tmp_path / file).write_text(own)
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        read_calibration(tmp_path)
    assert "\n" not in str(caught.value)


def test_bad_scans_raise_one_clear_line(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"12345")
    for name, says in (("a.bin", "truncated or no scan"), ("b.bin", "no scan at")):
        with pytest.raises(dc.DepthClipError, match=says):
            read_scan(tmp_path / name)


@pytest.fixture
def real(rgbd, tmp_path):
    """Real frames in KITTI's folders."""
    lines = []
    for number, (folder, name) in enumerate(
        [("kitti_metric3d", "0000000005"), ("kitti_object_lidar", "000000")]
    ):
        picture, depth = (Image.open(rgbd / folder / f"{name}_{of}.png") for of in ("rgb", "depth"))
        levels = np.asarray(depth).astype(np.uint16)
        lines.append(layouts.kitti_frame(tmp_path, number, np.asarray(picture), levels))
    (tmp_path / "eigen_test_files_with_gt.txt").write_text("\n".join(lines))
    return tmp_path


def test_real_frames(real):
    frames = dc.open_dataset("kitti", data=real, window="whole", evaluation_crop="none")
    assert isinstance(frames, KittiFrames)
    assert [f.rgb.shape[:2] for f in frames] == SHAPES
    known = [d[d > 0] for d in map(frames.raw_depth, range(2))]
    shares = [len(k) / np.prod(shape) for k, shape in zip(known, SHAPES, strict=True)]
    np.testing.assert_allclose(shares, [0.195, 0.045], atol=0.0005)
    facts = [[k.min(), np.median(k), k.max()] for k in known]
    np.testing.assert_allclose(facts, [[5.33, 13.84, 84.89], [4.22, 11.67, 72.73]], atol=0.005)
    layouts.kitti_scan(real, 0, frames.raw_depth(0))
    layouts.kitti_scan(real, 1, frames.raw_depth(1))
    raw = dc.open_dataset("kitti", data=real, ground_truth="raw")
    official = dc.open_dataset("kitti", data=real)
    for position in range(2):
        np.testing.assert_array_equal(raw.ground_truth(position), official.ground_truth(position))


def test_depthclip_scores_real_frames(real, own_store):
    run = dc.open_run("kitti", data=real, head="value", bins=EVEN_BINS, device="cpu")
    rows = scoring.score(run.frames, run.similarities(), run.bins, protocol=run.protocol)
    counted = [((d > 1e-3) & (d < 80)).sum() for d in run.frames.ground_truths()]
    assert rows["n_pixels"].tolist() == counted and rows["rmse"].notna().all()
