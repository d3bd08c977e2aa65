from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from depthclip_core.analysis import failures, statistics
from depthclip_core.analysis.compared_maps import BLIND, compared
from depthclip_core.datasets import FrameList, Subset
from depthclip_core.datasets.base import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.settings import RELEASED_WINDOW

FRAME, WINDOW, GRID = (480, 640), (416, 544), (13, 17)


class Labelled(FrameList):
    """Frames whose left half is object 1 and right half object 2; the top rows are unknown."""

    frame_shape = FRAME
    object_names = ("wall", "floor")

    def labels(self, position):
        labels = np.where(np.arange(FRAME[1]) < 320, 1, 2) * np.ones((FRAME[0], 1), int)
        labels[:100] = 0
        return labels.astype(np.uint8)


def frame(name, seed, scene="kitchen"):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 255, (*FRAME, 3)).astype(np.uint8)
    depth = np.where(rng.uniform(size=FRAME) < 0.3, 0, rng.uniform(0.5, 9, FRAME))
    return Frame(name, rgb, depth.astype(np.float32), None, scene, name, RELEASED_WINDOW)


@pytest.fixture(scope="module")
def frames():
    empty = Frame(
        "empty", np.zeros((*FRAME, 3), np.uint8), np.zeros(FRAME, np.float32), crop=RELEASED_WINDOW
    )
    return Labelled([frame("a", 1), frame("b", 2), empty])


@pytest.fixture(scope="module")
def systems():
    rng = np.random.default_rng(3)
    return {name: rng.uniform(0.5, 9, (3, *WINDOW)).astype(np.float32) for name in ("one", "two")}


@pytest.fixture(scope="module")
def errors(frames, systems):
    return failures.collect_errors(frames, systems, GRID)


def valid_pixels(frames, systems, system, position):
    """Row, column, truth and prediction of each pixel that counts, one after the other."""
    truth = frames.raw_depth(position)
    for row in range(56, 471):
        for column in range(60, 601):
            if truth[row, column] > 0:
                g, p = truth[row, column], systems[system][position][row - 56, column - 60]
                yield row, column, float(g), float(p)


def test_rows_match_evaluate(errors, frames, systems):
    truths = np.stack([frames.raw_depth(i) for i in range(3)])
    for system, maps in systems.items():
        expected = evaluate(maps, truths)
        for metric in failures.SCORED:
            np.testing.assert_allclose(errors.rows[metric, system], expected[metric])


def test_classes_match_a_loop(errors, frames, systems):
    found = {name: {} for name in ("distance", "cell", "object")}
    for row, column, g, p in valid_pixels(frames, systems, "two", 1):
        interval = max(i for i, edge in enumerate(failures.EDGES) if g >= edge)
        cell = (row - 56) // 32 * 17 + (column - 60) // 32
        thing = None if row < 100 else int(column >= 320)
        rel = (p - g) / g
        for name, at in (("distance", interval), ("cell", cell), ("object", thing)):
            found[name].setdefault(at, []).append((rel, abs(rel), max(p / g, g / p) < 1.25))
    for name, classes in found.items():
        classes.pop(None, None)
        for i, term in enumerate(failures.TERMS):
            row = errors.by(name, term, "two").iloc[1]
            for at, values in classes.items():
                few = len(values) < failures.FEWEST_PIXELS
                expected = np.nan if few else np.mean([value[i] for value in values])
                assert row.iloc[at] == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert errors.by("cell", "abs_rel", "one").loc["empty"].isna().all()


def test_brightness_is_that_of_the_cell():
    rgb = np.zeros((*FRAME, 3), np.uint8)
    rgb[:, 332:] = 255  # the cells from the ninth column on
    truth = np.full(FRAME, 2, np.float32)
    one = FrameList([Frame("a", rgb, truth, crop=RELEASED_WINDOW)])
    depth = np.where(np.arange(544) < 272, 2.0, 4.0) * np.ones((416, 1))
    rows = failures.collect_errors(one, {"s": [depth]}, (13, 2)).by("brightness", "abs_rel", "s")
    assert rows.loc["a", "0–0.2"] == pytest.approx(0)
    assert rows.loc["a", "0.8–1"] == pytest.approx(1)
    assert rows.loc["a", ["0.2–0.4", "0.4–0.6", "0.6–0.8"]].isna().all()


def test_table_is_the_interval_of_its_rows(errors):
    groups = ["r1", "r2", "r3"]
    table = errors.table("distance", "abs_rel", groups, fewest=1)
    rows = errors.by("distance", "abs_rel", "one")[["2–2.5 m"]]
    expected = statistics.intervals(rows, groups).iloc[0]
    assert table.loc[("2–2.5 m", "one"), "mean"] == pytest.approx(expected["mean"])
    assert table.loc[("2–2.5 m", "one"), "images"] == 2
    names = table.index.get_level_values(0).unique()
    assert list(names) == [name for name in errors.names["distance"] if name in set(names)]
    assert table["share"].groupby(level=0).first().sum() == pytest.approx(1)
    # Two images are scored: a class that both have stays, and one that a single image has does not.
    pd.testing.assert_frame_equal(errors.table("distance", "abs_rel", groups), table)
    alone = replace(errors, counts=errors.counts | {"distance": errors.counts["distance"].copy()})
    alone.counts["distance"][0, 3] = 0
    left = alone.table("distance", "abs_rel", groups).index.get_level_values(0)
    assert "2–2.5 m" not in left and "3–4 m" in left


def test_maps_are_means_over_images(errors):
    cells = errors.maps("signed_rel", "one", GRID)
    expected = errors.by("cell", "signed_rel", "one").mean().to_numpy().reshape(GRID)
    np.testing.assert_allclose(cells, expected)


def test_labels_of_subsets_and_of_frames_without():
    whole = Labelled([frame("a", 1), frame("b", 2)])
    maps = {"s": [np.ones(WINDOW)]}
    part, all_of_it = (
        failures.collect_errors(some, maps, GRID) for some in (Subset(whole, [1]), whole[[1]])
    )
    rows = part.by("object", "abs_rel", "s")
    assert list(rows.columns) == ["wall", "floor"] and rows.notna().all(axis=None)
    pd.testing.assert_frame_equal(rows, all_of_it.by("object", "abs_rel", "s"))
    without = failures.collect_errors(Subset(FrameList([frame("a", 1)]), [0]), maps, GRID)
    assert without.names["object"] == [] and without.table("object", "abs_rel", ["r"]).empty
    with pytest.raises(DepthClipError, match="unknown grouping"):
        without.by("colour", "abs_rel", "s")


def test_largest_classes_come_first(errors):
    table = errors.table("object", "abs_rel", ["r1", "r2", "r3"], fewest=1, largest=1)
    counts = errors.counts["object"].sum(0)
    name = errors.names["object"][counts.argmax()]
    assert list(table.index) == [(name, "one"), (name, "two")]
    assert table["share"].iloc[0] == pytest.approx(counts.max() / counts.sum())


def test_compared_systems_can_be_collected(frames):
    similarities = torch.zeros(3, 2, 2, *GRID)  # equal weights: the mean of the bins everywhere
    blind = np.full(WINDOW, 4.0, np.float32)
    systems = compared(similarities, {"own": (1.0, 3.0)}, blind)
    rows = failures.collect_errors(frames, systems, GRID).rows["rmse"]
    truths = np.stack([frames.raw_depth(i) for i in range(3)])
    for name, metres in (("own", 2.0), (BLIND, 4.0)):
        expected = evaluate(np.full((3, *WINDOW), metres), truths)["rmse"]
        np.testing.assert_allclose(rows[name], expected, rtol=1e-6)


def test_place_table_is_the_mean_of_thirds(errors):
    table = failures.place_table(errors, GRID)
    cells = errors.maps("abs_rel", "two", GRID)
    thirds = [cells[:5], cells[5:9], cells[9:]]
    np.testing.assert_allclose(table.loc[("abs_rel", "two")], [np.nanmean(t) for t in thirds])


def test_worst_frames():
    assert failures.worst_frames([0.1, np.nan, 0.5, 0.3], 2) == [2, 3]
    assert failures.worst_frames([np.nan, 0.5], 4) == [1]


def test_scene_table_leaves_out_unknown_scenes():
    rows = pd.DataFrame({"s": [3.0, 1.0, 2.0, np.nan, 9.0], "t": [1.0] * 5})
    table = failures.scene_table(rows, ["far", "near", "near", "near", None], list("abcde"))
    assert list(dict.fromkeys(table.index.get_level_values(0))) == ["far", "near"]
    assert table.loc[("near", "s"), "mean"] == 1.5 and table.loc[("near", "s"), "images"] == 2
    unknown = failures.scene_table(rows, [None] * 5, list("abcde"))
    assert set(unknown.index.get_level_values(0)) == {"not known"}
    assert unknown.loc[("not known", "s"), "mean"] == 3.75
    with pytest.raises(DepthClipError, match="no errors by scene type"):
        failures.scene_table(rows * np.nan, ["a"] * 5, list("abcde"))


def test_scene_test_finds_a_difference_and_none():
    scenes, groups = np.repeat(["a", "b"], 12), np.repeat(np.arange(12), 2)
    noise = np.random.default_rng(6).normal(size=24)
    apart = pd.Series(noise + 9 * (scenes == "b"))
    # All deals of 12 rooms into 6 and 6: 924, of which two are the most extreme.
    assert failures.scene_test(apart, scenes, groups) == pytest.approx(2 / 924)
    assert failures.scene_test(pd.Series(noise), scenes, groups) > 0.05
    assert np.isnan(failures.scene_test(apart, ["a"] * 24, groups))


def test_brightness_correlation_takes_distance_out():
    rng = np.random.default_rng(7)
    light = np.kron(rng.uniform(0, 255, GRID), np.ones((32, 32)))
    rgb = np.zeros((*FRAME, 3), np.uint8)
    rgb[56:472, 60:604] = light[..., None]
    truth = np.zeros(FRAME, np.float32)
    truth[56:472, 60:604] = np.kron(rng.uniform(1, 5, GRID), np.ones((32, 32)))
    frames = FrameList([Frame("a", rgb, truth, crop=RELEASED_WINDOW)])
    depth = truth[56:472, 60:604] * (1 + light / 255)
    errors = failures.collect_errors(frames, {"s": [depth]}, GRID)
    assert failures.brightness_correlation(errors, frames, GRID, "s").iloc[0] > 0.95
    empty = Frame("e", rgb, np.zeros(FRAME, np.float32), crop=RELEASED_WINDOW)
    errors = failures.collect_errors([empty], {"s": [depth]}, GRID)
    assert failures.brightness_correlation(errors, [empty], GRID, "s").isna().all()


def test_errors(frames, systems, errors):
    one = {"s": systems["one"]}
    with pytest.raises(DepthClipError, match="fewer maps"):
        failures.collect_errors(frames, {"s": systems["one"][:2]}, GRID)
    with pytest.raises(DepthClipError, match="more maps"):
        failures.collect_errors(frames, {"s": [*systems["one"], systems["one"][0]]}, GRID)
    with pytest.raises(DepthClipError, match="no systems"):
        failures.collect_errors(frames, {}, GRID)
    with pytest.raises(DepthClipError, match="has shape"):
        failures.collect_errors(frames, {"s": np.ones((3, 5, 5))}, GRID)
    with pytest.raises(DepthClipError, match="does not align"):
        failures.collect_errors(frames, one, GRID, "marigold")
    with pytest.raises(DepthClipError, match="unknown term"):
        errors.by("cell", "rmse", "one")
    with pytest.raises(DepthClipError, match="unknown system"):
        errors.by("cell", "abs_rel", "three")
