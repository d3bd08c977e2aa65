"""One frame under both heads, beside constants and blind maps."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.analysis import one_frame, position, word_responses
from depthclip_core.datasets import Frame
from depthclip_core.datasets.photos import PhotoFrames
from depthclip_core.evaluation.metrics import METRICS, evaluate
from depthclip_core.settings import PUBLISHED_METRICS

SIX = list(PUBLISHED_METRICS)
HEADS = ["DepthCLIP", "DepthCLIP + value head"]


@pytest.fixture(scope="module")
def run(nyu_folder, own_store):
    return dc.open_run("nyu", data=nyu_folder, head="value", device="cpu")


@pytest.fixture(scope="module")
def photo_run(tmp_path_factory, own_store):
    folder = tmp_path_factory.mktemp("photos")
    pixels = np.random.default_rng(0).integers(0, 255, (320, 448, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return dc.open_run("photos", data=folder, head="value", device="cpu")


def test_head_maps_are_those_of_predict_depth(run):
    maps = one_frame.head_maps(run, run.frames[0])
    assert list(maps) == HEADS
    for depth, head in zip(maps.values(), ("released", "value"), strict=True):
        np.testing.assert_array_equal(
            depth, dc.predict_depth(run.frames[0], run.encoder, head=head)[0]
        )


def test_frame_weights_give_the_scored_depth(run):
    weights = one_frame.frame_weights(run, run.frames[0])
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-5)
    expected = word_responses.mean_weights(run.similarities()[:1], run.temperature)[0]
    np.testing.assert_allclose(weights, expected, atol=1e-3)


def test_depth_ranges_leave_out_what_is_not_measured(run):
    frame = run.frames[0]
    maps = one_frame.head_maps(run, frame)
    table = one_frame.depth_ranges(maps, frame)
    assert list(table.index) == [*HEADS, "ground truth"]
    inside = frame.raw_depth[frame.window.slices]
    assert table.loc["ground truth", "median"] == pytest.approx(np.median(inside[inside > 0]))
    unknown = Frame("a", frame.rgb, crop=frame.crop)
    assert list(one_frame.depth_ranges(maps, unknown).index) == HEADS


def test_frame_scores_match_evaluate(run):
    frame, protocol = run.frames[1], run.protocol
    maps = one_frame.head_maps(run, frame)
    table = one_frame.frame_scores(run, frame, maps)
    assert list(table.columns) == [*HEADS, one_frame.BLIND, one_frame.CONSTANT]
    assert list(table.index) == list(METRICS)
    truths = list(run.train.ground_truths())
    maps[one_frame.BLIND] = position.blind_maps(truths, protocol)["position"]
    for name, depth in maps.items():
        expected = evaluate(depth[None], frame.raw_depth[None], protocol).iloc[0]
        np.testing.assert_allclose(table[name], expected[list(METRICS)].astype(float))
    metres = dc.best_constants(truths, protocol)["rmse"]
    flat = evaluate(dc.constant_depth(metres, 1, protocol), frame.raw_depth[None], protocol)
    assert table.loc["rmse", one_frame.CONSTANT] == pytest.approx(flat["rmse"].iloc[0])


def test_constant_rows_match_evaluate(run):
    rows = one_frame.constant_rows(run)
    assert list(rows.columns) == SIX and list(rows.index) == run.frames.names
    metres = dc.best_constants(run.train.ground_truths(), run.protocol)
    truths = np.stack(list(run.frames.ground_truths()))
    for metric in ("delta1", "rmse"):
        flat = dc.constant_depth(metres[metric], len(truths), run.protocol)
        expected = evaluate(flat, truths, run.protocol)[metric]
        np.testing.assert_allclose(rows[metric], expected, atol=1e-5)


def test_against_constants_has_both_heads(run):
    table = one_frame.against_constants(run)
    assert list(table.index) == [(head, metric) for head in HEADS for metric in SIX]
    lost = one_frame.lost_metrics(table)
    assert list(lost.index) == HEADS
    assert (lost["surely"] <= lost["worse"]).all()


def test_lost_metrics_know_which_way_is_better():
    index = pd.MultiIndex.from_product([["one"], ["delta1", "abs_rel", "rmse"]])
    verdicts = ["worse", "no telling", "better"]
    table = pd.DataFrame({"mean": [-0.1, 0.2, -0.3], "verdict": verdicts}, index)
    lost = one_frame.lost_metrics(table.rename_axis(["method", "metric"]))
    assert lost.loc["one"].tolist() == [2, 1]


def test_photographs_have_maps_and_no_scores(photo_run):
    assert isinstance(photo_run.frames, PhotoFrames)
    photo = photo_run.frames[0]
    maps = one_frame.head_maps(photo_run, photo)
    assert list(one_frame.depth_ranges(maps, photo).index) == HEADS
    assert one_frame.frame_scores(photo_run, photo, maps).shape == (len(METRICS), 0)
    assert one_frame.lost_metrics(one_frame.against_constants(photo_run)).empty
    assert np.isnan(one_frame.cell_truths(photo_run, photo)).all()


def test_cell_truths_are_medians_below_cells(run):
    frame = run.frames[0]
    cells = one_frame.cell_truths(run, frame)
    assert cells.shape == run.grid
    part = frame.raw_depth[frame.window.slices][:32, :32]
    assert cells[0, 0] == pytest.approx(np.median(part[(part > 1e-3) & (part < 10)]))
