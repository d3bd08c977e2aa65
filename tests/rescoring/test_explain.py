"""An explanation finds the protocol of reported numbers, and splits the gap between two."""

import numpy as np
import pandas as pd
import pytest
from rescored import frames_and_maps

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.rescoring.explain import (
    explain,
    in_switches,
    protocols_of,
    read_switches,
    truths_of,
)
from depthclip_core.rescoring.scores import score_maps

SHAPE = (30, 40)


@pytest.fixture(scope="module")
def small():
    return frames_and_maps(3, SHAPE, seed=2)


def printed(frames, maps, one, mirrored=None):
    means = score_maps(frames, maps, [one], mirrored=mirrored).mean(one)
    return ",".join(f"{name}={means[name]:.3f}" for name in ("delta1", "abs_rel", "rmse"))


@pytest.mark.parametrize(
    "one",
    [
        Composition(valid="measured", average="pixels"),
        Composition(align="median", truth="filled"),
        Composition(align="least squares", over="set", clamp="after"),
    ],
)
def test_hidden_protocol_is_found(small, one):
    frames, maps, _ = small
    found = explain(frames, maps, printed(frames, maps, one))
    met = found.found[found.found["met"]]
    assert one in set(met["composition"])
    table = found.nearest(3)
    assert table["met"].iloc[0] and len(table) == 3
    assert table["met"].is_monotonic_decreasing
    assert table["off"][~table["met"]].is_monotonic_increasing
    assert found.verdict.startswith(f"{len(met)} of {len(found.found)} composition")
    assert found.n_classes == found.found["same"].nunique() <= len(found.found)


def test_rows_of_the_table_differ_in_score_and_count_what_is_alike(small):
    frames, maps, _ = small
    found = explain(frames, maps, "rmse=1.0")
    table = found.nearest(10_000)
    assert len(table) == found.n_classes
    assert table["alike"].sum() == len(found.found)
    assert list(table.columns) == ["protocol", "but", "rmse", "off", "met", "alike"]


def test_flip_is_found_with_mirrored_maps(small):
    frames, maps, mirrored = small
    one = Composition(flip="averaged")
    found = explain(frames, maps, printed(frames, maps, one, mirrored), mirrored=mirrored)
    assert one in set(found.found.loc[found.found["met"], "composition"])


def test_fixed_switches_are_kept(small):
    frames, maps, _ = small
    found = explain(frames, maps, "rmse=1.0", fixed={"align": "median", "valid": "measured"})
    kinds = {(one.align, one.valid) for one in found.found["composition"]}
    assert kinds == {("median", "measured")}


def test_smaller_maps_are_tried_with_every_resize(small):
    frames, maps, _ = small
    halves = [np.ascontiguousarray(depth[::2, ::2]) for depth in maps]
    found = explain(frames, halves, "rmse=1.0", fixed={"align": "none", "truth": "raw"})
    assert len({one.resize for one in found.found["composition"]}) == 5


def test_gap_adds_up(small):
    frames, maps, _ = small
    found = explain(frames, maps, before="whole", after="whole-least-squares")
    before, after = found.ends("rmse")
    assert found.shares("rmse")["share"].sum() == pytest.approx(after - before)
    assert f"from {before:.3f} to {after:.3f}" in found.gap_sentence("rmse")
    assert found.n_classes == 0
    with pytest.raises(DepthClipError, match="no numbers are reported"):
        _ = found.verdict


def test_gap_of_several_switches_states_its_interaction(small):
    frames, maps, _ = small
    after = Composition(valid="measured", align="median", average="pixels")
    found = explain(frames, maps, "rmse=1.0", before="whole", after=after)
    assert "is interaction" in found.gap_sentence("delta1")
    assert set(found.shares("delta1").index) == {"valid", "align", "average"}


def test_protocols_are_those_that_the_data_allow(small):
    frames = as_dataset(small[0])
    assert truths_of(frames) == ("raw", "filled", "millimetres")
    assert set(protocols_of(frames)) == {
        "whole", "whole-pooled", "whole-median-scaled", "whole-least-squares",
    }  # fmt: skip
    truth = np.full((480, 640), 1.5, np.float32)  # whole millimetres, and no filled depth
    nyu = as_dataset([Frame("a", np.zeros((480, 640, 3), np.uint8), truth)])
    assert truths_of(nyu) == ("raw",)
    named = protocols_of(nyu)
    assert "densedepth" not in named and named["released"].truth == "raw"
    assert {one.flip for one in named.values()} == {"as saved"}
    assert protocols_of(nyu, mirrored=True)["adabins"].flip == "averaged"


def test_switches_are_read_from_text():
    assert read_switches(["crop=garg", "max_depth = 50"]) == {"crop": "garg", "max_depth": 50.0}
    assert read_switches([]) == {}
    assert in_switches({"crop": ("garg", "none"), "align": ("none", "median")}) == (
        "crop none, align median"
    )


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["crp=none"], "unknown switch 'crp': did you mean 'crop'"),
        (["crop"], "unknown option of the switch 'crop' ''"),
        (["crop=gargg"], "did you mean 'garg'"),
        (["crop=garg", "crop=none"], "given twice"),
        (["max_depth=far"], "a depth in metres, not 'far'"),
        (["max_depth=0.0001"], "0 < near < far"),
        (["max_depth=nan"], "0 < near < far"),
    ],
)
def test_bad_switches_raise_one_clear_line(texts, says):
    with pytest.raises(DepthClipError, match=says) as caught:
        read_switches(texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "nothing to explain"),
        ({"before": "whole"}, "give both before and after"),
        ({"before": "whole", "after": "whole"}, "one protocol for these maps"),
        ({"before": "whole", "after": "bts"}, "for other frames, depths or kinds of truth"),
        ({"before": "whole", "after": "wole-pooled"}, "did you mean 'whole-pooled'"),
        ({"reported": "delta=1"}, "unknown metric 'delta'"),
        ({"reported": "rmse=1", "fixed": {"crop": "garg", "colour": "red"}}, "unknown switch"),
    ],
)
def test_bad_questions_raise_one_clear_line(small, options, says):
    frames, maps, _ = small
    with pytest.raises(DepthClipError, match=says) as caught:
        explain(frames, maps, **options)
    assert "\n" not in str(caught.value)


def test_numbers_of_maps_and_frames_must_agree(small):
    frames, maps, _ = small
    with pytest.raises(DepthClipError, match="2 maps for 3 frames"):
        explain(frames, maps[:2], "rmse=1")
    with pytest.raises(DepthClipError, match="no frames"):
        explain([], [], "rmse=1")


def test_real_frames_give_the_protocol_that_made_the_numbers(rgbd):
    """Three real NYU frames, and a smooth map that knows a part of each."""
    from depthclip_core.datasets.depth_files import in_metres, read_depth_file

    frames, maps = [], []
    for path in sorted((rgbd / "nyu_metric3d").glob("*_depth.png")):
        truth = in_metres(read_depth_file(path), 1000)
        frames.append(Frame(path.stem, np.zeros((*truth.shape, 3), np.uint8), truth))
        rows = pd.DataFrame(np.where(truth > 0, truth, np.nan)).median(axis=1)
        rows = rows.interpolate(limit_direction="both").to_numpy(np.float32)
        maps.append(np.repeat(0.8 * rows[:, None] + 0.2, truth.shape[1], axis=1))
    one = protocols_of(as_dataset(frames))["median-scaled"]
    found = explain(frames, maps, printed(frames, maps, one))
    assert found.nearest(1)["protocol"][0] == "median-scaled" and "median-scaled" in found.verdict


def test_real_streets_give_the_protocol_that_made_the_numbers(rgbd):
    """Three frames of KITTI, without a data set that would say how far depth counts."""
    from depthclip_core.datasets.depth_files import in_metres, read_depth_file

    frames, maps = [], []
    for path in sorted((rgbd / "kitti_metric3d").glob("*_depth.png")):
        truth = in_metres(read_depth_file(path), 256)
        frames.append(Frame(path.stem, np.zeros((*truth.shape, 3), np.uint8), truth))
        rows = np.linspace(60, 4, truth.shape[0], dtype=np.float32)  # the road comes nearer below
        maps.append(np.repeat(rows[:, None], truth.shape[1], axis=1))
    one = protocols_of(as_dataset(frames))["kitti-garg-50"]
    assert one.max_depth == 50 and one.crop == "garg"
    found = explain(frames, maps, printed(frames, maps, one))
    assert found.nearest(1)["protocol"][0] == "kitti-garg-50"
    assert {c.max_depth for c in found.found["composition"]} == {50.0, 80.0}
