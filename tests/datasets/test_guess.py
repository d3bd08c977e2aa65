"""A guess of how files are to be read names patterns, divisor, holes and sizes."""

import csv
import tomllib

import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.guess import as_toml, guessed_options, guessed_scale


def write(folder, rgb, depth, levels=3000, shape=(6, 8), rgb_shape=(6, 8)):
    for path in (folder / rgb, folder / depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*rgb_shape, 3), 90, np.uint8)).save(folder / rgb)
    levels = np.broadcast_to(levels, shape)
    if depth.endswith(".npy"):
        np.save(folder / depth, levels.astype(np.float32))
    else:
        Image.fromarray(levels.astype(np.uint16)).save(folder / depth)


@pytest.mark.parametrize(
    ("rgb", "depth", "patterns"),
    [
        ("{}_rgb.png", "{}_depth.png", ("*_rgb.*", "*_depth.*")),
        ("s/{}.color.jpg", "s/{}.depth.png", ("**/*.color.*", "**/*.depth.*")),
        ("bath/rgb_{}.jpg", "bath/sync_depth_{}.png", ("**/rgb_*.*", "**/sync_depth_*.*")),
        ("a/image/{}.jpg", "a/depth/{}.png", ("**/image/*.*", "**/depth/*.*")),
        ("{}/rgb.png", "{}/raw_depth.png", ("**/rgb.*", "**/raw_depth.*")),
        ("in/{}.png", "in/{}_depth.npy", ("**/*.png", "**/*_depth.npy")),
    ],
)
def test_common_names_are_guessed(tmp_path, rgb, depth, patterns):
    level = 3 if depth.endswith("npy") else 3000
    for number in (1, 2):
        write(tmp_path, rgb.format(number), depth.format(number), level)
    options = guessed_options(tmp_path)
    assert (options.pop("rgb"), options.pop("depth")) == patterns
    assert options == {"divisor": 1 if depth.endswith("npy") else 1000}
    assert len(dc.open_dataset("pairs", data=tmp_path, **guessed_options(tmp_path))) == 2


def test_odd_files_sizes_holes_and_masks_are_guessed(tmp_path):
    levels = np.full((6, 8), 3000)
    levels[0] = 65535
    write(tmp_path, "1_rgb.png", "1_depth.png", levels, rgb_shape=(12, 16))
    write(tmp_path, "2_rgb.png", "3_depth.png", levels)
    options = guessed_options(tmp_path)
    assert options["unpaired"] == "skip" and options["missing"] == [65535]
    assert options["resize"] == "rgb-to-depth"
    frames = dc.open_dataset("pairs", data=tmp_path, **tomllib.loads(as_toml(options)))
    assert len(frames) == 1 and (frames[0].raw_depth[0] == 0).all()
    diode = tmp_path / "diode"
    write(diode, "a/1.png", "a/1_depth.npy", 3)
    np.save(diode / "a/1_depth_mask.npy", np.ones((6, 8)))
    assert guessed_options(diode)["mask"] == "**/*_depth_mask.npy"


def test_lists_of_time_stamps_are_guessed(tmp_path):
    write(tmp_path, "rgb/1.0.png", "depth/1.01.png", 12_500)
    (tmp_path / "rgb.txt").write_text("1.0 rgb/1.0.png")
    (tmp_path / "depth.txt").write_text("1.01 depth/1.01.png")
    assert guessed_options(tmp_path) == {"time_stamps": 0.02, "divisor": 5000}


def test_scale_without_a_fit_is_the_usual_one():
    assert guessed_scale(np.full(9, 7, np.uint16), sparse=False) == {"divisor": 1000}
    assert guessed_scale(np.array([1e6, 1e7]), sparse=False) == {"divisor": 1}
    assert guessed_scale(np.full(9, 13.0), sparse=False) == {"divisor": 1, "depth_cap": 80}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda f: None, "no two kinds of files are named alike"),
        (lambda f: write(f, "1_rgb.png", "1_depth.png", 0), "no valid depth"),
        (lambda f: (f / "rgb.txt").write_text("") + (f / "depth.txt").write_text(""), "lists no"),
    ],
)
def test_folders_without_a_guess_say_why(tmp_path, make, says):
    make(tmp_path)
    with pytest.raises(dc.DepthClipError, match=says):
        guessed_options(tmp_path)


def test_rotated_bits_are_told_by_multiples_of_eight(tmp_path):
    depth = np.linspace(700, 8000, 48).astype(np.uint16).reshape(6, 8)
    for number in range(3):
        levels = depth + number  # millimetres
        write(tmp_path, f"{number}_rgb.png", f"{number}_depth.png", (levels << 3) | (levels >> 13))
    options = guessed_options(tmp_path)
    assert (options["rotated_bits"], options["divisor"]) == (3, 1000)
    frames = dc.open_dataset("pairs", data=tmp_path, **options)
    np.testing.assert_allclose(frames.raw_depth(0), depth / 1000, atol=1e-6)


def test_real_frames_are_guessed_with_the_scale_of_their_table(rgbd):
    """But where a factor of two hides it, or two scales are mixed: those need a person."""
    with (rgbd / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    known = {}
    for row in rows:
        known.setdefault(row["source"], set()).add((row["divisor_to_metres"], row["encoding"]))
    wrong = set()
    for source, scales in known.items():
        options = guessed_options(rgbd / source)
        assert (options["rgb"], options["depth"]) == ("*_rgb.*", "*_depth.*")
        bits = "sunrgbd-rot3" if "rotated_bits" in options else "plain"
        if scales != {(str(options["divisor"]), bits)}:
            wrong.add(source)
        assert options.get("depth_cap", 10) == (80 if source.startswith("kitti") else 10), source
    assert wrong <= {"open3d_testdata", "esanet_sample", "nyu_multitask_refinenet"}
