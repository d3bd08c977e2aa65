import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_sweep import SMALL

from depthclip_core.datasets import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import resolve_protocol
from depthclip_core.evaluation.saved_predictions import (
    open_predictions,
    save_predictions,
    score_saved,
)
from depthclip_core.settings import RELEASED_WINDOW

NAMES = ["0002", "0007", "0011"]
FRAME, WINDOW = (480, 640), (416, 544)


def smooth(shape, seed=0):
    """A depth map between 1 and 5 m, without holes."""
    return np.random.default_rng(seed).uniform(1, 5, shape).astype(np.float32)


def naive_resize(depth, shape):
    """Bilinear with corners aligned, pixel by pixel; missing where a neighbour is."""
    out = np.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            y, x = (
                k * (n - 1) / (m - 1) for k, n, m in zip((i, j), depth.shape, shape, strict=True)
            )
            top, left, total = min(int(y), depth.shape[0] - 2), min(int(x), depth.shape[1] - 2), 0.0
            for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
                share = abs(1 - row - (y - top)) * abs(1 - column - (x - left))
                value = depth[top + row, left + column]
                if share > 1e-5 and not value > 0:
                    total = -np.inf
                total += share * value if value > 0 else 0
            out[i, j] = max(total, 0)
    return out


@pytest.fixture
def folder(tmp_path):
    maps = [smooth(WINDOW, seed) for seed in range(3)]
    save_predictions(tmp_path, NAMES, maps)
    return tmp_path


@pytest.mark.parametrize("shape", [WINDOW, FRAME])
def test_saved_maps_round_trip_in_frame_order(tmp_path, shape):
    maps = [smooth(shape, seed) for seed in range(3)]
    maps[1][:40, :50] = 0
    paths = save_predictions(tmp_path / "new" / "folder", NAMES, iter(maps))
    assert [path.name for path in paths] == ["0002.npy", "0007.npy", "0011.npy"]
    opened = open_predictions(tmp_path / "new" / "folder", NAMES[::-1])
    assert opened.names == NAMES[::-1] and len(opened) == 3
    for read, given in zip(opened, maps[::-1], strict=True):
        np.testing.assert_array_equal(read, given)
        assert read.dtype == np.float32


@pytest.mark.parametrize("scale", [1000, 256])
def test_png_16_bit_uses_scale(tmp_path, scale):
    stored = np.round(smooth(FRAME) * scale).astype(np.uint16)
    stored[0, 0] = 0
    Image.fromarray(stored).save(tmp_path / "0002.png")
    (read,) = open_predictions(tmp_path, ["0002"], scale=scale)
    np.testing.assert_allclose(read, stored / scale, rtol=1e-6)
    assert read[0, 0] == 0


@pytest.mark.parametrize("layout", ["by name", "stack"])
def test_hdf5_by_name_or_stack(tmp_path, layout):
    maps = {name: smooth(FRAME, seed) for seed, name in enumerate(NAMES)}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if layout == "by name":
            for name, depth in maps.items():
                file[name] = depth.astype(np.float64)
        else:
            file["names"] = list(maps)[::-1]
            file["depth"] = np.stack(list(maps.values())[::-1])
    opened = open_predictions(tmp_path / "a.h5", NAMES)
    for name, read in zip(NAMES, opened, strict=True):
        np.testing.assert_array_equal(read, maps[name])


def test_nan_negative_and_zero_mean_no_prediction(tmp_path):
    depth = smooth(WINDOW)
    depth[0, :3] = [np.nan, -1, 0]
    save_predictions(tmp_path, ["a"], [depth])
    (read,) = open_predictions(tmp_path, ["a"])
    assert not read[0, :3].any() and (read[0, 3:] > 0).all() and (read[1:] > 0).all()


@pytest.mark.parametrize(
    ("shape", "covers", "wanted"),
    [
        ((13, 17), "", WINDOW),
        ((26, 34), "", WINDOW),
        ((240, 320), "", FRAME),
        ((228, 304), "", FRAME),
        ((240, 321), "", FRAME),  # rounding
        ((960, 1280), "", FRAME),
        ((30, 30), "frame", FRAME),
        ((240, 320), "window", WINDOW),
    ],
)
def test_map_is_resized_to_what_it_covers(tmp_path, shape, covers, wanted):
    save_predictions(tmp_path, ["a"], [np.full(shape, 2.5)])
    (read,) = open_predictions(tmp_path, ["a"], covers=covers)
    assert read.shape == wanted
    np.testing.assert_allclose(read, 2.5, rtol=1e-6)


@pytest.mark.parametrize("shape", [(640, 480), (100, 100), (257, 353)])
def test_unknown_aspect_raises_with_frame_name(tmp_path, shape):
    save_predictions(tmp_path, ["0002"], [smooth(shape)])
    opened = open_predictions(tmp_path, ["0002"])
    with pytest.raises(DepthClipError, match=rf"'0002' has {shape[0]} × {shape[1]} pixels"):
        opened[0]


def test_resizing_matches_naive_loop_and_keeps_holes(tmp_path):
    depth = smooth((7, 9))
    depth[2, 3], depth[6, 8] = 0, 0
    save_predictions(tmp_path, ["a"], [depth])
    protocol = SMALL["None True"]
    (ours,) = open_predictions(tmp_path, ["a"], protocol, covers="window")
    naive = naive_resize(depth, protocol.window.shape)
    np.testing.assert_allclose(ours, naive, atol=2e-5)
    assert (ours == 0).any() and ours[-1, -1] == 0
    assert ours[ours > 0].min() >= depth[depth > 0].min() - 1e-5  # no hole bleeds into depth


def test_wrong_names_raise_with_list(folder):
    with pytest.raises(DepthClipError, match=r"3 depth maps for 4 frames; 1 missing: 0012$"):
        open_predictions(folder, [*NAMES, "0012"])
    with pytest.raises(DepthClipError, match=r"1 without a frame: 0007$"):
        open_predictions(folder, ["0002", "0011"])
    with pytest.raises(DepthClipError, match=r"40 missing: 100, 101, 102, 103, 104 …; 3 without"):
        open_predictions(folder, [str(i) for i in range(100, 140)])


def test_leading_zeros_are_listed_without_advice(folder):
    """To rename maps could shift them by a frame where one side counts from 1."""
    says = "3 missing: 2, 7, 11; 3 without a frame: 0002, 0007, 0011$"
    with pytest.raises(DepthClipError, match=says):
        open_predictions(folder, ["2", "7", "11"])


def test_other_files_are_ignored_and_duplicates_raise(folder):
    (folder / "README.md").write_text("mine")
    (folder / ".0003.npy").write_bytes(b"")
    assert len(open_predictions(folder, NAMES)) == 3
    Image.fromarray(np.ones(FRAME, np.uint16)).save(folder / "0002.PNG")
    with pytest.raises(DepthClipError, match=r"0002.PNG and 0002.npy"):
        open_predictions(folder, NAMES)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, *FRAME), np.float32), r"a.npy is of shape \(2, 480, 640\)"),
        (np.ones((480, 1), np.float32), r"is of shape"),
        (np.ones(FRAME, np.int64), "a.npy holds int64: depth is 16-bit levels"),
        (np.ones(FRAME, bool), "holds bool"),
        (np.full(FRAME, np.inf), "infinite"),
    ],
)
def test_wrong_arrays_raise_with_frame_name(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DepthClipError, match=message):
        open_predictions(tmp_path, ["a"])[0]


def test_damaged_files_raise(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"nothing")
    (tmp_path / "b.png").write_bytes(b"nothing")
    Image.fromarray(np.ones(FRAME, np.uint8)).save(tmp_path / "c.png")
    np.save(tmp_path / "d.npy", np.array([{}]), allow_pickle=True)
    opened = open_predictions(tmp_path, list("abcd"))
    for position, message in enumerate(["a.npy", "b.png", "c.png .*16 bits", "d.npy"]):
        with pytest.raises(DepthClipError, match=message):
            opened[position]


def test_path_without_predictions_raises(tmp_path):
    with pytest.raises(DepthClipError, match="no saved predictions at"):
        open_predictions(tmp_path / "none", NAMES)
    with pytest.raises(DepthClipError, match="no depth maps"):
        open_predictions(tmp_path, NAMES)
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with pytest.raises(DepthClipError, match="a.h5 is no HDF5 file"):
        open_predictions(tmp_path / "a.h5", NAMES)
    with pytest.raises(DepthClipError, match="unknown cover of the saved maps 'frames'"):
        open_predictions(tmp_path, NAMES, covers="frames")
    with pytest.raises(DepthClipError, match="scale"):
        open_predictions(tmp_path, NAMES, scale=0)
    with pytest.raises(DepthClipError, match="is not a file name"):
        save_predictions(tmp_path, ["../a"], [smooth((2, 2))])


def test_saving_overwrites_only_when_told(tmp_path):
    one = np.ones((4, 5), np.float32)
    (tmp_path / "b.npy").write_bytes(b"mine")
    with pytest.raises(DepthClipError, match=r"b\.npy exists"):
        save_predictions(tmp_path, ["a", "b"], [one, one])
    assert [path.name for path in tmp_path.iterdir()] == ["b.npy"]
    save_predictions(tmp_path, ["a", "b"], [one, 2 * one], overwrite=True)
    assert np.array_equal(np.load(tmp_path / "b.npy"), 2 * one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]


def test_saving_needs_one_map_per_name(tmp_path):
    one = np.ones((4, 5), np.float32)
    with pytest.raises(DepthClipError, match="duplicate name 'a'"):
        save_predictions(tmp_path, ["a", "a"], [one, one])
    assert not list(tmp_path.iterdir())
    for n_maps in (1, 3):
        with pytest.raises(DepthClipError, match="not as many maps as the 2 names"):
            save_predictions(tmp_path / str(n_maps), ["a", "b"], [one] * n_maps)


@pytest.mark.parametrize("extra", ["names", "stack"])
def test_hdf5_stacks_must_match_their_names(tmp_path, extra):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["depth"] = np.ones((3, *WINDOW), np.float32)
        file["names"] = [*NAMES, "0020"] if extra == "names" else NAMES
        if extra == "stack":
            file["error"] = np.ones((3, *WINDOW), np.float32)
    message = "3 depth maps and 4 names" if extra == "names" else "2 datasets"
    with pytest.raises(DepthClipError, match=message):
        open_predictions(tmp_path / "a.h5", NAMES)


def frames_of(ground_truths):
    return [
        Frame(name, np.zeros((*FRAME, 3), np.uint8), truth, truth, "kitchen", crop=RELEASED_WINDOW)
        for name, truth in zip(NAMES, ground_truths, strict=True)
    ]


@pytest.mark.parametrize("protocol", ["released", "marigold"])
def test_score_saved_matches_evaluate(folder, protocol):
    ground_truths = [smooth(FRAME, seed) for seed in (7, 8, 9)]
    maps = open_predictions(folder, NAMES, protocol)
    rows = score_saved(frames_of(ground_truths), maps, protocol)
    expected = evaluate(np.stack(list(maps)), np.stack(ground_truths), protocol, NAMES)
    pd.testing.assert_frame_equal(rows.drop(columns=["scene", "coverage"]), expected)
    assert list(rows["scene"]) == ["kitchen"] * 3
    with pytest.raises(DepthClipError, match="3 depth maps for 2 frames"):
        score_saved(frames_of(ground_truths)[:2], maps, protocol)


def test_coverage_is_share_of_valid_pixels(tmp_path):
    ground_truths = [smooth(FRAME, seed) for seed in (7, 8, 9)]
    half = [truth * (np.arange(FRAME[1]) < 46 + 111) for truth in ground_truths]
    save_predictions(tmp_path / "half", NAMES, half)
    rows = score_saved(frames_of(ground_truths), open_predictions(tmp_path / "half", NAMES))
    np.testing.assert_allclose(rows["coverage"], 111 / 555, rtol=0.02)
    half[1] = np.zeros(FRAME)
    save_predictions(tmp_path / "none", NAMES, half)
    with pytest.raises(DepthClipError, match=f"'{NAMES[1]}' predicts none of the"):
        score_saved(frames_of(ground_truths), open_predictions(tmp_path / "none", NAMES))


def test_region_map_is_placed_in_frame(tmp_path):
    save_predictions(tmp_path, ["a"], [np.full((426, 560), 2.5)])
    (read,) = open_predictions(tmp_path, ["a"])
    assert read.shape == FRAME and (read[45:471, 41:601] == 2.5).all()
    assert (read > 0).sum() == 426 * 560


def test_wrong_units_and_nested_datasets_raise(tmp_path):
    save_predictions(tmp_path, ["a"], [np.full(FRAME, 2500.0)])
    with pytest.raises(DepthClipError, match="reaches 2500 m: floating-point depths are metres"):
        open_predictions(tmp_path, ["a"])[0]
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file["inside/a"] = np.ones(FRAME, np.float32)
    with pytest.raises(DepthClipError, match="no datasets at its top level, only: inside"):
        open_predictions(tmp_path / "maps.h5", ["a"])


def test_perfect_whole_frame_map_covers_whole_region(tmp_path):
    ground_truths = [smooth(FRAME, seed) for seed in (7, 8, 9)]
    save_predictions(tmp_path, NAMES, ground_truths)
    rows = score_saved(frames_of(ground_truths), open_predictions(tmp_path, NAMES))
    assert (rows["rmse"] == 0).all() and (rows["delta1"] == 1).all()
    region = resolve_protocol("released").region
    assert (rows["n_pixels"] == np.prod(region.shape)).all()


def test_own_predictions_score_the_same_from_files(tmp_path):
    """What `scoring.score` says of the responses, the saved maps say too."""
    similarities = torch.from_numpy(np.random.default_rng(0).normal(0.2, 0.003, (3, 2, 7, 13, 17)))
    similarities, bins = similarities.float(), np.linspace(1, 4, 7).tolist()
    frames = frames_of([smooth(FRAME, seed) for seed in (7, 8, 9)])
    save_predictions(tmp_path, NAMES, scoring.predictions(similarities, bins))
    rows = score_saved(frames, open_predictions(tmp_path, NAMES))
    expected = scoring.score(frames, similarities, bins)
    pd.testing.assert_frame_equal(rows[expected.columns], expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\0", 1])
def test_a_map_without_a_name_for_its_file_is_not_saved(tmp_path, name):
    with pytest.raises(DepthClipError, match="is not a file name"):
        save_predictions(tmp_path / "maps", [name], [np.ones((4, 4))])
    assert not (tmp_path / "maps").exists()
