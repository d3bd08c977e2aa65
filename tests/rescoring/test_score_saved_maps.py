"""Saved maps of a data set under several protocols: choice, names, intervals, coverage."""

import re
import shutil

import layouts
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.analysis.statistics import intervals
from depthclip_core.datasets import Frame, FrameList
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import NAMED
from depthclip_core.evaluation.map_files import open_maps
from depthclip_core.evaluation.saved_predictions import save_predictions
from depthclip_core.rescoring.report import POOLED, protocols_for, score_saved_maps
from depthclip_core.rescoring.scores import score_maps
from depthclip_core.settings import PUBLISHED_METRICS

SIX = list(PUBLISHED_METRICS)
CHOSEN = ["bts", "marigold", "whole-pooled"]


def frames_of(n=14, shape=(30, 40), group="room {}", scene="kitchen"):
    rng = np.random.default_rng(5)
    truths = rng.uniform(1, 6, (n, *shape)).astype(np.float32)
    rgb = np.zeros((*shape, 3), np.uint8)
    return FrameList(
        [
            Frame(f"f{i}", rgb, truth, truth, scene, group and group.format(i // 2))
            for i, truth in enumerate(truths)
        ]
    )


def saved(folder, frames, factor=1.2):
    rng = np.random.default_rng(6)
    maps = [truth * rng.uniform(0.8, factor, truth.shape) for truth in frames.ground_truths()]
    save_predictions(folder, frames.names, maps)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    frames = frames_of()
    path = saved(tmp_path_factory.mktemp("maps"), frames)
    return path, frames, score_saved_maps(path, frames)


def test_scores_are_those_of_score_maps(small):
    path, frames, found = small
    assert list(found.protocols) == [name for name, one in NAMED.items() if one.data == "any"]
    scores = score_maps(frames, open_maps(path, frames.names), found.protocols.values())
    for name, one in found.protocols.items():
        expected = scores.mean(one)
        assert found.table().loc[name, SIX].tolist() == expected[SIX].tolist()
    rows = found.rows()
    assert rows.index.names == ["protocol", "frame"] and len(rows) == 14 * len(found.protocols)
    pd.testing.assert_frame_equal(rows.loc["whole"].drop(columns="group"), scores.rows("whole"))
    assert rows.loc["whole", "group"].tolist() == frames.groups


def test_intervals_are_those_of_statistics(small):
    _, frames, found = small
    bounds = found.intervals()
    for name in ("whole", "whole-median-scaled"):
        rows = found.scores.rows(found.protocols[name])[SIX]
        pd.testing.assert_frame_equal(
            bounds.loc[name].drop(columns="why"), intervals(rows, frames.groups), check_names=False
        )
        assert (bounds.loc[name, "why"] == "").all()
    pooled = bounds.loc["whole-pooled"]
    assert pooled[["low", "high"]].isna().all(axis=None) and (pooled["why"] == POOLED).all()
    assert pooled["mean"].tolist() == found.table().loc["whole-pooled", SIX].tolist()


@pytest.mark.parametrize(("group", "why"), [(None, "rooms unknown"), ("one", "too few groups")])
def test_without_groups_there_is_no_interval(tmp_path, group, why):
    frames = frames_of(6, group=group)
    found = score_saved_maps(saved(tmp_path, frames), frames, protocols=["whole"])
    bounds = found.intervals()
    assert bounds["low"].isna().all() and (bounds["why"] == why).all()


def test_worst_frames_come_first(tmp_path):
    frames = frames_of(8)
    maps = [truth * (1 + 0.1 * i) for i, truth in enumerate(frames.ground_truths())]
    maps[2][:] = 0  # predicts nothing: no score
    save_predictions(tmp_path, frames.names, maps)
    found = score_saved_maps(tmp_path, frames, protocols=["whole"])
    assert found.worst(3).index.tolist() == ["f7", "f6", "f5"]
    assert found.table().loc["whole", ["frames", "empty"]].tolist() == [7, 1]
    assert "1 of 8 frames have no pixel that counts, and are left out" in found.remarks()


def test_part_of_the_pixels_is_said(tmp_path):
    frames = frames_of(4)
    maps = [truth * (np.arange(40) < 10) for truth in frames.ground_truths()]
    save_predictions(tmp_path, frames.names, maps)
    found = score_saved_maps(tmp_path, frames, protocols=["whole"])
    assert found.table()["coverage"].tolist() == [0.25]
    says = "maps predict 25.0 % (whole) of the pixels that count; others are left out"
    assert found.remarks() == [says]


def test_protocols_of_nyu_and_what_is_said_of_them():
    rgb, depth = np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32)
    frames = FrameList([Frame("a", rgb, depth)])
    chosen, notes = protocols_for(frames)
    assert "densedepth" not in chosen and {"bts", "disparity", "whole"} <= chosen.keys()
    assert notes[0] == "left out, as it needs depth without holes: densedepth"
    assert notes[1].endswith("would average: released, adabins, toolbox")
    assert all(one.flip == "as saved" for one in chosen.values())
    chosen, notes = protocols_for(frames, ["adabins"], mirrored=True)
    assert chosen == {"adabins": NAMED["adabins"].composition} and not notes
    chosen, _ = protocols_for(frames, ["bts"], place="eigen-nyu")
    assert chosen["bts"].place == "eigen-nyu"


def test_mirrored_maps_are_averaged(tmp_path):
    frames = frames_of(7, (480, 640))
    for kind in ("maps", "mirrored"):
        saved(tmp_path / kind, frames, 1.1 if kind == "maps" else 1.4)
    found = score_saved_maps(
        tmp_path / "maps", frames, protocols=["bts", "adabins"], mirrored=tmp_path / "mirrored"
    )
    table = found.table()
    assert not found.remarks() and table.loc["bts", "rmse"] != table.loc["adabins", "rmse"]
    other = open_maps(tmp_path / "mirrored", frames.names)
    opened = open_maps(tmp_path / "maps", frames.names)
    one = NAMED["adabins"].composition
    expected = score_maps(frames, opened, [one], mirrored=other).mean(one)
    assert table.loc["adabins", SIX].tolist() == expected[SIX].tolist()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"protocols": ["bst"]}, "unknown protocol 'bst': did you mean 'bts'"),
        ({"protocols": ["bts"]}, "the protocol 'bts' is for nyu frames, not of 30 x 40 pixels"),
        ({"place": "nowhere"}, "unknown option of the switch 'place'"),
        ({"mirrored": "none"}, "no saved predictions at none"),
        ({"kind": "inverse"}, "unknown kind of map"),
        ({"divisor": -1}, "divisor is stored units per metre"),
    ],
)
def test_bad_options_raise_one_clear_line(small, options, says):
    path, frames, _ = small
    with pytest.raises(DepthClipError, match=says) as caught:
        score_saved_maps(path, frames, **options)
    assert "\n" not in str(caught.value)


def test_maps_of_an_unknown_shape_are_named(tmp_path, small):
    _, frames, _ = small
    maps = [np.ones((30, 40))] * 13 + [np.ones((30, 90))]
    save_predictions(tmp_path, frames.names, maps)
    with pytest.raises(DepthClipError, match="frame f13: a map of 30 × 90 pixels may cover"):
        score_saved_maps(tmp_path, frames)


def test_frames_that_cannot_be_scored_are_refused(tmp_path, small):
    path, frames, _ = small
    with pytest.raises(DepthClipError, match="has no frames"):
        protocols_for(FrameList([]))
    bare = FrameList([Frame("a", np.zeros((4, 5, 3), np.uint8))])
    with pytest.raises(DepthClipError, match="a has no depth to be scored against"):
        protocols_for(bare)
    with pytest.raises(DepthClipError, match="unknown data set 'nyu2'"):
        score_saved_maps(path, "nyu2")
    save_predictions(tmp_path, frames.names, [np.zeros((30, 40))] * len(frames))
    with pytest.raises(DepthClipError, match="no pixel has both truth and prediction under"):
        score_saved_maps(tmp_path, frames)


@pytest.mark.parametrize(
    "written",
    [
        "2011_09_26_drive_000{0}/image_02/000000000{0}.png",
        "2011_09_26_drive_000{0}_image_02_000000000{0}.png",
        "2011_09_26/2011_09_26_drive_000{0}_sync/image_02/data/000000000{0}.png",
        "2011_09_26_drive_000{0}_sync_000000000{0}.png",  # BTS
    ],
)
def test_kitti_maps_are_of_whole_frames_by_any_of_their_names(tmp_path, written):
    kitti, shapes = tmp_path / "kitti", [(375, 1242), (370, 1224)]
    layouts.write_kitti(kitti, shapes)
    whole = dc.open_dataset("kitti", data=kitti, window="whole", evaluation_crop="none")
    for number, truth in enumerate(whole.ground_truths()):
        file = tmp_path / "maps" / written.format(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        filled = np.maximum(truth, np.roll(truth, -1, axis=1))
        Image.fromarray(np.round(filled * 256).clip(1).astype(np.uint16)).save(file)
    found = score_saved_maps(tmp_path / "maps", "kitti", data=kitti, divisor=256)
    table = found.table()
    assert {"kitti-garg", "monodepth2", "kitti-garg-50"} <= set(table.index)
    assert table.loc["kitti-garg", "rmse"] == 0 and (table["coverage"] == 1).all()


def test_real_rooms_in_bts_layout_score_themselves_as_perfect(tmp_path, rgbd):
    """Depth saved as its own prediction, by BTS's names; then wrong by a tenth."""
    folder = tmp_path / "official_splits" / "test" / "basement"
    folder.mkdir(parents=True)
    names, source = ("00000", "00050", "00100"), rgbd / "nyu_metric3d"
    for name in names:
        shutil.copy(source / f"basement_{name}_rgb.jpg", folder / f"rgb_{name}.jpg")
        depth = folder / f"sync_depth_{name}.png"
        shutil.copy(source / f"basement_{name}_depth.png", depth)
        (tmp_path / "maps").mkdir(exist_ok=True)
        shutil.copy(depth, tmp_path / "maps" / f"basement_rgb_{name}.png")
        stored = np.asarray(Image.open(depth))
        (tmp_path / "wrong").mkdir(exist_ok=True)
        np.save(tmp_path / "wrong" / f"basement_rgb_{name}.npy", stored * np.float32(0.0011))
    data = tmp_path / "official_splits"
    table = score_saved_maps(tmp_path / "maps", "nyu", data=data, protocols=CHOSEN).table()
    assert (table["delta1"] == 1).all() and (table["rmse"] < 1e-6).all()
    assert (table["coverage"] == 1).all() and (table["frames"] == 3).all()
    table = score_saved_maps(tmp_path / "wrong", "nyu", data=data, protocols=CHOSEN).table()
    assert table.loc["bts", "abs_rel"] == pytest.approx(0.1, abs=1e-4)
    assert table.loc["marigold", "abs_rel"] == pytest.approx(0, abs=1e-4)


def test_maps_in_folders_say_which_one_is_missing(tmp_path):
    """Frames are called 0046, their files basement/rgb_00045, and so are the maps."""
    own, depth = tmp_path / "official_splits" / "test" / "basement", np.full((480, 640), 2000)
    own.mkdir(parents=True)
    (tmp_path / "maps" / "basement").mkdir(parents=True)
    for number in (45, 46, 50):
        Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(own / f"rgb_{number:05d}.jpg")
        Image.fromarray(depth.astype(np.uint16)).save(own / f"sync_depth_{number:05d}.png")
        np.save(tmp_path / "maps" / "basement" / f"rgb_{number:05d}.npy", depth / 1000)
    how = {"data": tmp_path, "protocols": ["bts"]}
    found = score_saved_maps(tmp_path / "maps", "nyu", **how)
    assert found.label(found.frames.names[0]) == "0046 (basement/rgb_00045)"
    (tmp_path / "maps" / "basement" / "rgb_00046.npy").unlink()
    with pytest.raises(DepthClipError, match="; 1 missing: basement/rgb_00046$"):
        score_saved_maps(tmp_path / "maps", "nyu", **how)
    for suffix in (".npy", ".npz"):
        (tmp_path / "maps" / "basement" / f"rgb_00046{suffix}").write_bytes(b"")
    with pytest.raises(DepthClipError, match=r"rgb_00046.npy and .*: leave one of them"):
        score_saved_maps(tmp_path / "maps", "nyu", **how)
    with pytest.raises(DepthClipError, match="no saved predictions at"):
        score_saved_maps(tmp_path / "none", "nyu", **how)


def test_maps_that_look_inverse_or_of_another_unit_are_noted(tmp_path, small):
    _, frames, _ = small
    truths = list(frames.ground_truths())
    for name, maps, options, says in (
        ("inverse", [1 / t for t in truths], {}, "fall where true depth grows: .* --disparity"),
        ("depth", truths, {"kind": "disparity"}, "they may hold depth: leave --disparity out"),
        ("feet", [t * 3.28 for t in truths], {}, "about 3.3 times the true depth"),
    ):
        save_predictions(tmp_path / name, frames.names, maps)
        (note,) = score_saved_maps(tmp_path / name, frames, **options).notes
        assert re.search(says, note)
    for name, maps in (("good", truths), ("constant", [np.full_like(t, 3) for t in truths])):
        save_predictions(tmp_path / name, frames.names, maps)
        assert not score_saved_maps(tmp_path / name, frames).notes
