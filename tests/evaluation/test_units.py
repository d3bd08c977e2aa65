"""Millimetres and integers are refused at every entrance; metres of streets are not."""

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.datasets import Frame
from depthclip_core.evaluation.metrics import pooled_correlation
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.evaluation.units import check_metres
from depthclip_core.rescoring.scores import score_maps

TRUTH = np.full((1, 480, 640), 2.5, np.float32)
DEPTH = np.full((1, 416, 544), 2.0, np.float32)


def millimetres(metres, dtype=np.uint16):
    return (metres * 1000).astype(dtype)


def rescore(depth, truth):
    frame = Frame("a", np.zeros((480, 640, 3), np.uint8), truth[0])
    return score_maps([frame], depth, ["bts"])


@pytest.mark.parametrize(
    "entrance",
    [dc.evaluate, rescore, lambda depth, truth: pooled_correlation([(depth[0], truth[0])])],
)
@pytest.mark.parametrize(
    ("depth", "truth", "says"),
    [
        (millimetres(DEPTH), TRUTH, "depth.* must be floating-point metres, got dtype uint16: "),
        (DEPTH, millimetres(TRUTH), "ground truth must be floating-point .* uint16: divide by"),
        (millimetres(DEPTH, float), TRUTH, "depth.* reaches 2000 m: .* if these are millimetres"),
        (DEPTH, millimetres(TRUTH, np.float32), "ground truth.* reaches 2500 m: .* millimetres"),
    ],
)
def test_millimetres_are_refused_at_every_entrance(entrance, depth, truth, says):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        entrance(depth, truth)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_sweeps_refuse_millimetres(dtype):
    similarities = torch.zeros((1, 1, 2, 13, 17))
    with pytest.raises(dc.DepthClipError, match="ground truth.* if these are millimetres"):
        sweep(millimetres(TRUTH, dtype), similarities, {"two": [1, 3]})


def test_metres_pass_up_to_far_streets():
    entirely = np.full((2, 4, 5), 80.0)  # KITTI's cap
    assert check_metres("depth", entirely) is entirely
    mostly = np.full((2, 4, 5), 60.0)
    mostly[0, :1], mostly[1, 1:3] = 0, 655.35  # holes; the sky of a rendered street
    mostly[1, 1] = 99
    check_metres("depth", mostly)
    check_metres("depth", np.zeros((4, 5)))
    check_metres("depth", np.zeros((0, 4, 5)))


def test_one_frame_of_another_unit_is_found():
    depth = np.full((2, 4, 5), 3.0)
    depth[1] *= 1000
    with pytest.raises(dc.DepthClipError, match="reaches 3000 m"):
        check_metres("depth", depth)


@pytest.mark.parametrize("hidden", ["depth", "ground truth"])
def test_masked_arrays_are_refused_as_their_masks_would_be_lost(hidden):
    given = {"depth": DEPTH, "ground truth": TRUTH}
    given[hidden] = np.ma.masked_array(given[hidden], True)
    with pytest.raises(dc.DepthClipError, match=f"{hidden} is a masked array"):
        dc.evaluate(*given.values())
