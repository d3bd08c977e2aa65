"""Anybody's RGB-D: files are paired by name or time, and options are checked."""

import csv
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.maps import nearest
from depthclip_core.datasets.nyu import EIGEN_CROP
from depthclip_core.datasets.pairing import by_time, matched, natural
from depthclip_core.evaluation.protocols import protocol_for
from depthclip_core.settings import Window

SHAPE = (6, 8)


def write_photo(path, shape=SHAPE, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path)


def write_depth(path, levels=2000, shape=SHAPE):
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.broadcast_to(np.asarray(levels), shape)
    if path.suffix == ".npy":
        np.save(path, levels)
    else:
        Image.fromarray(levels.astype(np.uint16)).save(path)


def described(folder, text, split="test"):
    """A data set as its description in a .toml file opens it."""
    path = folder / "data.toml"
    path.write_text(text)
    return dc.open_dataset("pairs", split, data=path)


@pytest.fixture
def folder(tmp_path):
    """Three frames whose plain order is not the natural one, each with its own depth."""
    for number in (2, 9, 10):
        write_photo(tmp_path / f"{number}_rgb.png", value=number)
        write_depth(tmp_path / f"{number}_depth.png", 1000 * number)
    return tmp_path


PLAIN = 'rgb = "*_rgb.*"\ndepth = "*_depth.png"\ndivisor = 1000\n'

# --- real data sets, each in the few lines it takes -------------------------------------------

TUM = "time_stamps = 0.02\ndivisor = 5000"
SEVEN_SCENES = """
rgb = "**/*.color.*"
depth = "**/*.depth.png"
divisor = 1000
missing = [65535]
registered = false
group_part = 0
"""
SCANNET = """
rgb = "*/color/*.jpg"
depth = "*/depth/*.png"
divisor = 1000
resize = "rgb-to-depth"
group_part = 0
"""
DIODE = """
rgb = "**/*.png"
depth = "**/*_depth.npy"
mask = "**/*_depth_mask.npy"
divisor = 1
scene_part = 0
group_part = 1
depth_cap = 300
"""


def test_tum_is_paired_by_time_stamps(tmp_path, rgbd):
    source = rgbd / "tum_slambook2"
    times = {"rgb": ["10.000000", "10.033000"], "depth": ["10.021000", "10.041000", "9.981000"]}
    depths = ["ch7_1", "ch7_2", "ch7_2"]
    for kind, some in times.items():
        (tmp_path / kind).mkdir()
        for time, name in zip(some, depths, strict=False):
            shutil.copy(source / f"{name}_{kind}.png", tmp_path / kind / f"{time}.png")
        lines = [f"{time} {kind}/{time}.png" for time in some]
        (tmp_path / f"{kind}.txt").write_text("\n".join(["# timestamp filename", *lines, ""]))
    frames = described(tmp_path, TUM)
    # 10.033 takes 10.041, the closest pair of all; 10.000 then has 9.981, nearer than 10.021.
    assert frames.names == ["10.000000", "10.033000"] and frames.frame_shape == (480, 640)
    assert [pair.depth.name for pair in frames.pairs] == ["9.981000.png", "10.041000.png"]
    assert np.median(frames[0].raw_depth[frames[0].raw_depth > 0]) == pytest.approx(1.58, abs=0.01)


def test_seven_scenes_has_holes_of_65535(tmp_path, rgbd):
    for number in ("000150", "000450"):
        to = tmp_path / "redkitchen" / "seq-01" / f"frame-{number}"
        to.parent.mkdir(parents=True, exist_ok=True)
        source = rgbd / "sevenscenes_tsdf" / f"redkitchen_{number}"
        shutil.copy(f"{source}_rgb.jpg", f"{to}.color.jpg")
        with Image.open(f"{source}_depth.png") as depth:
            levels = np.array(depth)
        Image.fromarray(np.where(levels == 0, 65535, levels).astype(np.uint16)).save(
            f"{to}.depth.png"
        )
    frames = described(tmp_path, SEVEN_SCENES)
    assert frames.names == [f"redkitchen/seq-01/frame-{n}" for n in ("000150", "000450")]
    assert frames.groups == ["redkitchen", "redkitchen"] and not frames.registered
    assert (frames[0].raw_depth > 0).mean() == pytest.approx(0.880, abs=5e-4)
    assert frames[0].raw_depth.max() == pytest.approx(2.86, abs=5e-3)


def test_scannet_rgb_is_shrunk_to_its_depth(tmp_path):
    for number in range(2):
        write_photo(tmp_path / "scene0000_00" / "color" / f"{number}.jpg", (968, 1296))
        write_depth(tmp_path / "scene0000_00" / "depth" / f"{number}.png", 1500, (480, 640))
    frames = described(tmp_path, SCANNET)
    assert frames.frame_shape == frames.rgb(0).shape[:2] == frames.raw_depth(0).shape == (480, 640)
    assert (frames.raw_depth(1) == 1.5).all() and frames.groups == ["scene0000_00"] * 2
    other = described(tmp_path, SCANNET.replace("rgb-to-depth", "depth-to-rgb"))
    assert other.frame_shape == other.rgb(0).shape[:2] == other.raw_depth(0).shape == (968, 1296)
    with pytest.raises(dc.DepthClipError, match="968 x 1296 .* 480 x 640: set resize to 'rgb-to-"):
        _ = described(tmp_path, SCANNET.replace("rgb-to-depth", ""))[0]


def test_diode_has_metres_and_a_mask(tmp_path):
    to = tmp_path / "indoors" / "scene_00019" / "scan_00183" / "00019_00183_indoors_330_000"
    write_photo(to.with_suffix(".png"))
    metres, mask = np.full((*SHAPE, 1), 2.5, np.float32), np.ones(SHAPE)
    mask[0] = 0
    np.save(f"{to}_depth.npy", metres)
    np.save(f"{to}_depth_mask.npy", mask)
    frames = described(tmp_path, DIODE)
    assert frames.names == [to.relative_to(tmp_path).as_posix()]
    assert (frames.scenes, frames.groups) == (["indoors"], ["scene_00019"])
    np.testing.assert_array_equal(frames[0].raw_depth, 2.5 * mask)
    np.save(f"{to}_depth_mask.npy", mask[1:])
    with pytest.raises(dc.DepthClipError, match=r"the mask .* of shape \(5, 8\), its depth \(6, 8"):
        frames.raw_depth(0)


def test_all_real_frames_have_the_depths_of_their_table(rgbd):
    with (rgbd / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 45
    opened = {}
    for row in rows:
        bits = 3 if row["encoding"] == "sunrgbd-rot3" else 0
        key = (row["source"], row["divisor_to_metres"], bits)
        if key not in opened:
            options = {"rgb": "*_rgb.*", "depth": "*_depth.*", "rotated_bits": bits}
            options["divisor"] = float(row["divisor_to_metres"])
            opened[key] = dc.open_dataset("pairs", data=rgbd / row["source"], **options)
        frames = opened[key]
        depth = frames.raw_depth(frames.names.index(row["name"]))
        assert depth.shape == (int(row["height"]), int(row["width"])), row
        valid = depth[depth > 0]
        found = [valid.size / depth.size, valid.min(), np.median(valid), valid.max()]
        wanted = [row[c] for c in ("valid_fraction", "min_m", "median_m", "max_m")]
        np.testing.assert_allclose(found, np.array(wanted, float), atol=0.0051, err_msg=str(row))


# --- pairing ----------------------------------------------------------------------------------


def test_pairs_share_what_the_stars_stand_for_in_natural_order(folder):
    (folder / "notes.txt").write_text("not a frame")
    (folder / "._2_rgb.png").write_text("left by a file manager")
    frames = described(folder, PLAIN)
    assert frames.names == ["2", "9", "10"] and frames.title == f"{folder.name}, test"
    for frame in frames:
        assert frame.rgb[0, 0, 0] == int(frame.name) == frame.raw_depth[0, 0]
    assert natural("a9b") < natural("a10b")


def test_linked_folders_are_read_and_circles_are_not(tmp_path):
    write_photo(tmp_path / "disk" / "a.png")
    write_depth(tmp_path / "data" / "depth" / "a.png")
    (tmp_path / "data" / "rgb").symlink_to(tmp_path / "disk")
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data")
    text = 'rgb = "**/rgb/*.png"\ndepth = "**/depth/*.png"\ndivisor = 1000'
    assert described(tmp_path / "data", text).names == ["a"]


def test_time_stamps_use_each_depth_once(tmp_path):
    (tmp_path / "rgb.txt").write_text("1.00 a.png\n1.01 b.png\n5 c.png\n")
    (tmp_path / "depth.txt").write_text("1.011 x.png\n")
    (pair,) = by_time(tmp_path, "rgb.txt", "depth.txt", 0.02)
    assert (pair.name, pair.rgb.name, pair.depth.name) == ("1.01", "b.png", "x.png")
    with pytest.raises(dc.DepthClipError, match="differ by less than 0.0001 s: .* by 0.001 s"):
        by_time(tmp_path, "rgb.txt", "depth.txt", 1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: (f / "9_depth.png").unlink(), "1 files of rgb have no partner .* 9_rgb.png"),
        (lambda f: (f / "2_rgb.png").unlink(), "1 files of depth have no partner .* 2_depth.png"),
        (lambda f: write_photo(f / "2_rgb.jpg"), "matches 2_rgb.* and 2_rgb.* as one frame"),
        (lambda f: [p.unlink() for p in f.glob("*_depth.png")], "no file in .* matches depth ="),
    ],
)
def test_files_without_one_partner_are_refused(folder, change, says):
    change(folder)
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        described(folder, PLAIN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["*a*a*a*a.png", "**/**/**/**/a*.png"])
def test_patterns_that_would_take_minutes_are_refused(pattern):
    with pytest.raises(dc.DepthClipError, match="at most 3 stars in one name"):
        matched(pattern, ["a" * 250 + "b"], (".png",))


def test_files_without_partner_can_be_skipped(folder):
    (folder / "9_depth.png").unlink()
    assert described(folder, PLAIN + 'unpaired = "skip"').names == ["2", "10"]


# --- options ----------------------------------------------------------------------------------


def test_missing_values_and_rotated_bits(tmp_path):
    metres = np.array([[1.0, 2.0], [0.5, 9.87]])
    levels = (1000 * metres).round().astype(np.uint16)
    levels[0, 0] = 4444
    write_photo(tmp_path / "a_rgb.png", (2, 2))
    write_depth(tmp_path / "a_depth.png", (levels << 3) | (levels >> 13), (2, 2))
    frames = described(tmp_path, PLAIN + "rotated_bits = 3\nmissing = [4444]")
    np.testing.assert_allclose(frames.raw_depth(0), [[0, 2], [0.5, 9.87]], atol=1e-6)
    np.save(tmp_path / "a_depth.npy", metres)
    with pytest.raises(dc.DepthClipError, match="float64: only 16-bit levels have rotated bits"):
        described(tmp_path, PLAIN.replace(".png", ".npy") + "rotated_bits = 3").raw_depth(0)


def test_nearest_mixes_no_depths():
    depth = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert set(nearest(depth, (7, 9)).ravel()) <= set(depth.ravel())
    np.testing.assert_array_equal(nearest(depth, (6, 8)), depth.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(nearest(nearest(depth, (9, 12)), (3, 4)), depth)


def test_frames_of_several_sizes_are_cut_to_one(folder):
    write_photo(folder / "9_rgb.png", (8, 12))
    write_depth(folder / "9_depth.png", np.arange(96).reshape(8, 12), (8, 12))
    assert described(folder, PLAIN).frame_shape is None
    frames = described(folder, PLAIN + "shape = [6, 8]\nevaluation_crop = [1, 5, 2, 8]")
    assert frames.frame_shape == SHAPE and frames.evaluation_crop == Window(1, 5, 2, 8)
    centre = np.arange(96).reshape(8, 12)[1:7, 2:10]
    np.testing.assert_allclose(frames[1].raw_depth, centre / 1000)
    assert frames.rgb_batch([0, 1, 2]).shape == (3, *SHAPE, 3)
    with pytest.raises(dc.DepthClipError, match="2 has 6 x 8 pixels, too few to cut 7 x 8"):
        _ = described(folder, PLAIN + "shape = [7, 8]")[0]


def test_table_gives_scenes_groups_and_splits(folder):
    table = "name,type,room,use\n10,bath,bath_1,train\n2,study,study_7,test\n"
    (folder / "frames.csv").write_text(table)
    columns = 'table = "frames.csv"\nscene_column = "type"\ngroup_column = "room"\n'
    both = described(folder, PLAIN + columns, split="test")
    assert (both.names, both.scenes) == (["10", "2"], ["bath", "study"])
    one = described(folder, PLAIN + columns + 'split_column = "use"', split="test")
    assert (one.names, one.scenes, one.groups) == (["2"], ["study"], ["study_7"])
    assert one.splits == ("train", "test", "all") and one[0].group == "study_7"
    assert one[:1].groups == ["study_7"]


def test_crops_and_cap_reach_the_protocol(tmp_path):
    write_photo(tmp_path / "a_rgb.png", (370, 1224))
    write_depth(tmp_path / "a_depth.png", 256 * 20, (370, 1224))
    text = PLAIN.replace("1000", "256") + 'evaluation_crop = "garg"\ndepth_cap = 80'
    frames = described(tmp_path, text)
    assert frames.evaluation_crop == Window(151, 366, 43, 1180)
    protocol = protocol_for(frames, "bts")
    assert (protocol.frame, protocol.region) == ((370, 1224), frames.evaluation_crop)
    assert protocol.max_depth == 80
    fractions = described(tmp_path, PLAIN + "evaluation_crop = [0.5, 1, 0, 0.25]")
    assert fractions.evaluation_crop == Window(185, 370, 0, 306)
    write_photo(tmp_path / "nyu" / "b_rgb.png", (480, 640))
    write_depth(tmp_path / "nyu" / "b_depth.png", 2000, (480, 640))
    nyu = described(tmp_path / "nyu", PLAIN + 'evaluation_crop = "eigen-nyu"')
    assert nyu.evaluation_crop == EIGEN_CROP


def test_pairs_pickle_and_have_an_identity(folder):
    frames = described(folder, PLAIN)
    again = pickle.loads(pickle.dumps(frames))
    np.testing.assert_array_equal(again.raw_depth(1), frames.raw_depth(1))

    def of(some):
        return some.identity(lambda paths: [path.read_bytes().hex() for path in paths])

    before = of(frames)
    assert of(described(folder, PLAIN)) == before
    write_photo(folder / "9_rgb.png", value=8)
    assert of(frames) != before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "pairs need a divisor"),
        ("divisor = 1000", "give rgb and depth"),
        ('divisor = "1000"', "divisor is stored units per metre, such as 1000, not '1000'"),
        ("divisor = 0", "divisor is stored units"),
        (
            PLAIN + "colour = 1",
            "cannot open 'pairs' with the option 'colour': PairFrames takes no such option",
        ),
        (PLAIN + "mask = 1", "mask is text, not 1"),
        (PLAIN + "missing = 65535", "missing is a list of stored values"),
        (PLAIN + "rotated_bits = 16", "rotated_bits is a whole number from 0 to 15"),
        (PLAIN + 'resize = "rgb-to-deth"', "unknown resize .* did you mean 'rgb-to-depth'"),
        (PLAIN + 'unpaired = "drop"', "unknown unpaired 'drop'"),
        (PLAIN + "shape = [480]", "shape is height and width"),
        (PLAIN + "time_stamps = -1", "time_stamps is seconds"),
        (PLAIN + "time_stamps = 1", "no list of time stamps at"),
        (PLAIN + "depth_cap = true", "depth_cap is metres"),
        (PLAIN + "scene_part = 1", "the name '2' has 1 parts"),
        (PLAIN + 'evaluation_crop = "eigen"', "unknown crop 'eigen'"),
        (PLAIN + "evaluation_crop = [0, 4]", "top, bottom, left, right"),
        (PLAIN + "evaluation_crop = [0, 9, 0, 8]", "does not lie in an image of 6 x 8"),
        (PLAIN + 'table = "none.csv"', "no table at .*none.csv"),
        (PLAIN + 'table = "unnamed.csv"', "no column 'name', its columns are: a"),
        (PLAIN + 'table = "other.csv"', "line 2 of .* names '77', but no pair"),
        (PLAIN + 'table = "twice.csv"', "line 3 of .* gives '2' again"),
        (PLAIN + 'table = "twice.csv"\nscene_column = "x"', "line 3"),
        (PLAIN + 'table = "good.csv"\nscene_column = "x"', "unknown column of good.csv 'x'"),
        (PLAIN + 'scene_column = "x"', "scene_column needs a table"),
        (PLAIN.replace("*_rgb.*", "a_rgb.*"), "the same stars, at least one"),
        (PLAIN.replace("*_rgb.*", "*/*_rgb.*"), "the same stars, at least one"),
        (PLAIN + 'path = "nowhere"', "nowhere does not exist"),
        (PLAIN + 'path = "2_rgb.png"', "is a file, not a folder"),
    ],
)
def test_bad_options_raise_one_clear_line(folder, text, says):
    tables = {
        "unnamed": "a\n1\n",
        "other": "name\n77\n",
        "twice": "name\n2\n2\n",
        "good": "name\n2",
    }
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content)
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        described(folder, text)
    assert "\n" not in str(caught.value)


def test_a_split_that_no_column_gives_is_refused(folder):
    assert described(folder, PLAIN, split="all").names == described(folder, PLAIN).names
    with pytest.raises(dc.DepthClipError, match="unknown split 'train'"):
        described(folder, PLAIN, split="train")


@pytest.mark.parametrize(
    ("line", "says"),
    [("x a.png", "line 1 of .* is not a time stamp and a file"), ("# only", "lists no files")],
)
def test_bad_lists_of_time_stamps_raise_one_clear_line(tmp_path, line, says):
    (tmp_path / "rgb.txt").write_text(line)
    with pytest.raises(dc.DepthClipError, match=says):
        described(tmp_path, TUM)


def test_train_names_the_frames_to_fit_on(folder):
    first, *others = described(folder, PLAIN, split="all").names
    text = PLAIN + f'train = ["{first}"]\n'
    assert described(folder, text, split="train").names == [first]
    assert described(folder, text).names == others
    assert described(folder, text, split="all").splits == ("train", "test", "all")


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ('"nothing*"', "train fits none of the 3 frames"),
        ('["*"]', "train fits all of the 3 frames"),
        ("[3]", "a list of patterns"),
    ],
)
def test_bad_train_raises_one_clear_line(folder, train, says):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        described(folder, PLAIN + f"train = {train}\n")
    assert "\n" not in str(caught.value)
