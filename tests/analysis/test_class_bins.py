"""Bins by scene type, chosen on the train split and scored on the run's own."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import class_bins, tables
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import BINS

SCENES = ["bathroom"] * 4 + ["office"] * 12
GROUPS = [f"{scene} {i // 2}" for i, scene in enumerate(SCENES)]


@pytest.fixture(scope="module")
def run(nyu_folder):
    return dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu")


@pytest.fixture(scope="module")
def choice(run):
    return class_bins.choose(run, "rmse")


def made(own, shared=0.5, fixed=0.4, metric="delta1"):
    """A choice whose three systems have these scores for each image."""
    columns = (class_bins.FIXED, class_bins.SHARED, class_bins.OWN)
    values = (np.broadcast_to(each, len(SCENES)) for each in (fixed, shared, own))
    systems = pd.DataFrame(dict(zip(columns, values, strict=True)))
    run = SimpleNamespace(frames=SimpleNamespace(scenes=SCENES, groups=GROUPS))
    return class_bins.Choice(run, metric, None, None, None, systems)


def test_each_image_is_scored_with_the_bins_chosen_for_its_scene_type(run, choice):
    train = sweep(run.train.ground_truths(), run.similarities(frames=run.train), BINS)
    best = tables.best_partitions(tables.scene_means(train, run.train.scenes))["rmse"]
    assert choice.chosen.equals(best)
    for i, scene in enumerate(run.frames.scenes):
        row, systems = choice.rows.iloc[i], choice.systems.iloc[i]
        assert systems[class_bins.FIXED] == row["original"]
        assert systems[class_bins.SHARED] == row[best["all"]]
        assert systems[class_bins.OWN] == row[best.get(scene, best["all"])]


def test_steps_are_paired_changes_with_verdicts_by_room():
    own = np.where(np.array(SCENES) == "bathroom", 0.7, 0.5)
    found = made(own, fixed=np.linspace(0.3, 0.45, len(SCENES)))
    steps = found.steps()
    assert list(steps.index) == list(class_bins.STEPS)
    assert steps["mean"].tolist() == pytest.approx([0.125, 0.2 * 4 / 16])
    assert steps["verdict"].tolist()[0] == "better"
    worse = made(own, fixed=np.linspace(0.3, 0.45, len(SCENES)), metric="rmse").steps()
    assert worse["verdict"].tolist()[0] == "worse"
    # Two of eight rooms change: the interval may exclude zero, but p is 1/2.
    assert steps["verdict"].tolist()[1] == "no telling"


def test_steps_by_scene_have_no_interval_for_few_rooms():
    table = made(0.6).by_scene
    assert list(table.index.get_level_values("scene").unique()) == [
        class_bins.ALL_IMAGES, "bathroom", "office",
    ]  # fmt: skip
    assert (table.loc["bathroom", "verdict"] == "too few groups").all()
    assert table.loc["bathroom", "low"].isna().all()
    assert (table.loc["office", "groups"] == 6).all()
    assert table.loc["office", "low"].notna().all()


def test_evidence_names_the_types_that_changed_and_their_rooms():
    own = np.where(np.array(SCENES) == "bathroom", 0.7, 0.5)
    assert made(own).evidence == "bathroom (4 images in 2 rooms, p = 0.5)"
    assert made(0.5).evidence == "none"


def test_gains_are_differences_from_the_original_bins(run, choice):
    kind = run.frames.scenes[0]
    named = {kind: "class-dependent-4", "no such type": "original"}
    gains = choice.gains(named)
    assert list(gains.index) == [(kind, "class-dependent-4")]
    own = np.array(run.frames.scenes) == kind
    rows = choice.rows[own]
    expected = (rows["class-dependent-4"] - rows["original"]).mean()
    assert gains["mean"].iloc[0] == pytest.approx(expected)
    assert choice.gains({"no such type": "original"}).empty


def test_means_by_scene_match_those_of_the_table(run, choice):
    found = class_bins.means_by_scene(choice.rows, run.frames.scenes, run.frames.groups)
    expected = choice.table["rmse"]
    assert list(found.index) == list(expected.index)
    np.testing.assert_allclose(found["mean"], expected, rtol=1e-12)


def test_best_by_depth_follows_the_order_of_depths():
    best = pd.Series({"a": "class-dependent-3", "b": "–", "c": "original"})
    table = class_bins.best_by_depth(pd.Series({"c": 1.0, "b": 2.0, "a": 3.0}), best)
    assert table["best partition"].tolist() == ["original", "–", "class-dependent-3"]
    expected = [np.mean(BINS["original"]), np.nan, np.mean(BINS["class-dependent-3"])]
    np.testing.assert_allclose(table["its mean bin (m)"], expected)


def test_short_names_keep_the_papers_numbers():
    names = pd.DataFrame({"x": [*BINS, "–"]})
    assert class_bins.short_names(names)["x"].tolist() == ["original", "1", "2", "3", "4", "–"]


def test_searched_bins_are_scored_beside_the_published(run, choice):
    kind = next(scene for scene in run.frames.scenes if scene in run.train.scenes)
    found = class_bins.search_scenes(choice, [kind])
    worse = choice.learnt.loc[kind, "rmse"] - found[kind].train
    assert worse.min() > -1e-4  # on its own images no published partition is better
    table = class_bins.searched_scores(choice, found)
    row = table.loc[kind]
    assert row["train"] == found[kind].train
    assert row["best of the five"] == pytest.approx(choice.table.loc[kind, "rmse"].min())
    assert row["original"] == pytest.approx(choice.table.loc[(kind, "original"), "rmse"])
    with pytest.raises(DepthClipError, match="no such type"):
        class_bins.search_scenes(choice, ["no such type"])
    assert class_bins.searched_scores(choice, {}).empty
