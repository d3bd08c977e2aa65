"""Scores under compositions equal a plain loop over pixels, written from the switches' words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rescored import frames_and_maps, plain

from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import NAMED, OPTIONS, Composition
from depthclip_core.evaluation.metrics import METRICS, evaluate, summarise
from depthclip_core.rescoring.frames import truth_of
from depthclip_core.rescoring.scores import score_maps

CHECKED = ["delta1", "delta2", "delta3", "abs_rel", "log10", "rmse", "sq_rel", "rmse_log", "silog"]
SMALL = (20, 30)


@pytest.fixture(scope="module")
def small():
    return frames_and_maps(4, SMALL, seed=1)


def every_option():
    """A composition for each option of each switch, from two that align and one that does not."""
    bases = [
        Composition(),
        Composition(align="median", valid="measured"),
        Composition(align="least squares", over="set", truth="filled"),
        Composition(align="disparity", clamp="before", average="pixels"),
    ]
    varied = ["truth", "valid", "align", "over", "clamp", "average", "flip"]
    for base in bases:
        for switch in varied:
            for option in OPTIONS[switch]:
                yield replace(base, **{switch: option})
        yield replace(base, min_depth=2.0, max_depth=5.0)


COMPOSITIONS = list(dict.fromkeys(every_option()))


def test_scores_match_a_plain_loop_for_every_option(small):
    scores = score_maps(*small[:2], COMPOSITIONS, mirrored=small[2])
    for one in COMPOSITIONS:
        expected = plain(*small, one)
        found = scores.mean(one)
        for metric in CHECKED:
            assert found[metric] == pytest.approx(expected[metric], rel=2e-5, nan_ok=True), one


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, named in NAMED.items() if named.data != "kitti"])
def test_named_compositions_match_a_plain_loop(name, nyu_size):
    one = NAMED[name].composition
    found = score_maps(*nyu_size[:2], [one], mirrored=nyu_size[2]).mean(one)
    expected = plain(*nyu_size, one)
    for metric in CHECKED:
        assert found[metric] == pytest.approx(expected[metric], rel=2e-5), metric


@pytest.fixture(scope="module")
def nyu_size():
    return frames_and_maps(2)


@pytest.mark.parametrize(
    ("protocol", "name"),
    [("bts", "bts"), ("marigold", "marigold"), ("median-scaled", "median-scaled")],
)
def test_named_compositions_match_evaluate(protocol, name, nyu_size):
    """Both ways to score a map agree where both know the protocol."""
    frames, maps, _ = nyu_size
    truths = np.stack([frame.raw_depth for frame in frames])
    rows = evaluate(np.stack(maps), truths, protocol)
    found = score_maps(frames, maps, [name])
    pd.testing.assert_frame_equal(
        found.rows(name)[[*METRICS, "n_pixels"]].reset_index(drop=True), rows, rtol=2e-5
    )
    means = summarise(rows)
    np.testing.assert_allclose(found.mean(name)[[*METRICS]], means[[*METRICS]], rtol=2e-5)


def test_scores_do_not_depend_on_what_else_is_scored(small):
    frames, maps, mirrored = small
    together = score_maps(frames, maps, COMPOSITIONS, mirrored=mirrored)
    for one in COMPOSITIONS[::7]:
        alone = score_maps(frames, maps, [one], mirrored=mirrored)
        np.testing.assert_array_equal(alone.mean(one), together.mean(one))


def test_frame_without_a_pixel_is_counted_and_left_out(small):
    frames, maps, _ = small
    maps = [maps[0], np.zeros_like(maps[1]), *maps[2:]]
    found = score_maps(frames, maps, [Composition(), Composition(average="pixels")])
    rows = found.rows(Composition())
    assert rows["delta1"].isna().tolist() == [False, True, False, False]
    assert rows["coverage"].iloc[1] == 0 and rows["coverage"].iloc[0] < 1
    for average in ("image", "pixels"):
        mean = found.mean(Composition(average=average))
        assert (mean["n_frames"], mean["n_empty"]) == (3, 1) and np.isfinite(mean["rmse"])
    nothing = score_maps(frames, [np.zeros_like(m) for m in maps], [Composition(average="pixels")])
    assert np.isnan(nothing.mean(Composition(average="pixels"))["rmse"])


def test_unclamped_negative_depth_is_nan_in_a_mean_and_left_out_of_a_nan_mean():
    truth = np.linspace(1, 9, 12, dtype=np.float32).reshape(3, 4)
    frames = [Frame(f"{i}", np.zeros((3, 4, 3), np.uint8), truth) for i in range(2)]
    steep = np.where(truth > 3, 5, 1).astype(np.float32)  # fits to a line that passes below zero
    steep[0, 0] = 0.01
    frames[1] = Frame("1", frames[1].rgb, np.where(truth > 8, 9, truth / 6).astype(np.float32))
    maps = [truth, np.where(truth > 8, 5, np.linspace(1, 2, 12).reshape(3, 4)).astype(np.float32)]
    one = Composition(align="least squares", clamp="none")
    rows = score_maps(frames, maps, [one]).rows(one)
    assert rows["log10"].isna().tolist() == [False, True] and rows["rmse"].notna().all()
    mean = score_maps(frames, maps, [one]).mean(one)
    assert np.isnan(mean["log10"])
    lenient = replace(one, average="nan-mean")
    scores = score_maps(frames, maps, [lenient])
    assert scores.mean(lenient)["log10"] == pytest.approx(rows["log10"].iloc[0], abs=1e-9)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda f, m: score_maps(f, m[:2], ["whole"]), "2 maps for 4 frames"),
        (lambda f, m: score_maps(f, m, ["bts"]), "480 x 640 pixels, not 20 x 30"),
        (lambda f, m: score_maps(f, m, ["btss"]), "did you mean 'bts'"),
        (lambda f, m: score_maps(f, m, [Composition(flip="averaged")]), "mirror images"),
        (
            lambda f, m: score_maps(f, [x.astype(int) for x in m], ["whole"]),
            "floating-point metres",
        ),
        (lambda f, m: score_maps(f, m, ["whole"]).rows("bts"), "not scored under"),
        (lambda f, m: Composition(crop="gargg"), "did you mean 'garg'"),
        (lambda f, m: Composition(min_depth=0.0), "0 < near < far"),
        (lambda f, m: Composition(max_depth="10"), "0 < near < far"),
    ],
)
def test_bad_input_raises_one_clear_line(small, call, says):
    with pytest.raises(DepthClipError, match=says) as caught:
        call(*small[:2])
    assert "\n" not in str(caught.value)


def test_truth_that_is_missing_is_named():
    frames = [Frame("a", np.zeros((3, 4, 3), np.uint8), np.ones((3, 4), np.float32))]
    with pytest.raises(DepthClipError, match="a has no filled depth"):
        score_maps(frames, [np.ones((3, 4))], [Composition(truth="filled")])


def test_whole_millimetres_stay_what_they_are():
    levels = np.arange(1, 64_000, dtype=np.uint16).reshape(-1, 3)
    metres = (levels / 1000).astype(np.float32)
    frames = as_dataset([Frame("a", np.zeros((*levels.shape, 3), np.uint8), metres)])
    np.testing.assert_array_equal(truth_of(frames, 0, "millimetres"), metres)
    finer = as_dataset([Frame("a", frames[0].rgb, metres + np.float32(4e-4))])
    np.testing.assert_allclose(truth_of(finer, 0, "millimetres"), metres, atol=1e-6)
