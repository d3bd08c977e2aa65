"""The study of learnt bins in small worlds of two scene types whose right bins are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from test_learned_bins import PROTOCOL, SHAPE, world
from test_scene_classifier import TwoColours

import depthclip_core as dc
from depthclip_core.analysis import scene_bins as sb
from depthclip_core.analysis.learned_bins import STRENGTHS
from depthclip_core.analysis.scene_bins import CONTINUOUS, FIXED, ORACLE, TYPE_ORACLE
from depthclip_core.datasets.base import FrameList
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.scoring import score

NEAR, FAR = (1.0, 1.5, 2.0), (2.0, 4.0, 7.0)


def split(n, near, far, seed, known=True):
    """n frames, every second a red room with its bins, the others blue; two frames to a room."""
    bins = np.array([near, far])[np.arange(n) % 2]
    depths, similarities, _ = world(bins, seed)
    frames = []
    for i, depth in enumerate(depths.depths):
        rgb = np.zeros((*SHAPE, 3), np.uint8)
        rgb[..., 2 * (i % 2)] = 150 + i
        kind = ("red_room", "blue_room")[i % 2] if known else None
        frames.append(
            dc.Frame(name=f"f{i}", rgb=rgb, raw_depth=depth, scene=kind, group=f"{i % 2} {i // 4}")
        )
    return FrameList(frames), similarities


def small_run(near=NEAR, far=FAR, **options):
    train, learn = split(16, near, far, 1, **options)
    test, own = split(12, near, far, 2)
    words = {id(train): learn, id(test): own}
    return SimpleNamespace(
        train=train,
        frames=test,
        similarities=lambda frames=test: words[id(frames)],
        encoder=TwoColours(),
        words=("a", "b", "c"),
        bins=(1.0, 2.0, 3.0),
        temperature=0.1,
        protocol=PROTOCOL,
    )


@pytest.fixture(scope="module")
def two():
    return sb.study(small_run(), "rmse", n_folds=4, n_axes=1)


def test_scene_types_are_known(two):
    assert two.scenes.kinds == ("blue_room", "red_room")
    assert two.scenes.right.all()
    assert two.scenes.confusion.to_numpy().tolist() == [[6, 0], [0, 6]]
    assert two.scenes.losses["fitted"].mean() <= two.scenes.losses["CLIP's own"].mean() + 1e-6


def test_sets_of_scene_types_are_recovered(two):
    bins = two.tables["least-squares"]
    np.testing.assert_allclose(bins.loc["red_room"], NEAR, atol=0.06)
    np.testing.assert_allclose(bins.loc["blue_room"], FAR, atol=0.06)
    assert two.strengths["least-squares", "predicted"] == STRENGTHS[0]
    assert two.strengths[CONTINUOUS] <= 1


def test_predicted_types_that_are_true_give_what_true_types_give(two):
    rmse = {system: two.of(system, ["rmse"]) for system in two.scores}
    pd.testing.assert_frame_equal(
        rmse["least-squares", "predicted"], rmse["least-squares", "true"], atol=1e-6
    )
    assert rmse["least-squares", "true"]["rmse"].mean() < 0.1
    assert rmse[CONTINUOUS]["rmse"].mean() < 0.1
    assert rmse["least-squares", "all"]["rmse"].mean() > 0.5


def test_oracle_is_at_least_as_good_as_every_system(two):
    best = two.scores[ORACLE]
    for rows in two.scores.values():
        for metric in rows:
            assert (METRICS[metric].sign * (best - rows)[metric] >= 0).all()
    assert best["rmse"].max() < 1e-3


def test_oracle_of_types_lies_between_sets_of_types_and_of_images(two):
    best, own = two.scores[TYPE_ORACLE], two.scores[ORACLE]
    kinds = np.arange(12) % 2
    for (_, choice), rows in two.scores.items():
        if choice in ("all", "true"):
            gap = (best - rows).groupby(kinds).mean() * [METRICS[m].sign for m in rows]
            assert (gap > -2e-5).all(axis=None)
    assert best["rmse"].max() < 1e-3 and (own["rmse"] <= best["rmse"]).all()


def test_best_of_groups_matches_a_loop():
    values = np.random.default_rng(0).random((5, 8, 2))
    values[:, 3, 0] = np.nan
    groups, signs = np.array(list("aabbbaab")), np.array([1, -1])
    found = sb.best_of_groups(values, groups, signs)
    for group in "ab":
        for metric, sign in enumerate(signs):
            own = values[:, groups == group, metric]
            winner = max(range(5), key=lambda r: sign * np.nanmean(own[r]))
            np.testing.assert_array_equal(found[groups == group, metric], own[winner])


def test_fixed_bins_match_evaluate(two):
    run = small_run()
    rows = score(run.frames, run.similarities(), run.bins, 0.1, PROTOCOL)
    pd.testing.assert_frame_equal(two.scores[FIXED], rows[list(two.scores[FIXED])], atol=1e-6)


def test_equal_scene_types_share_one_set():
    """Where types do not differ, nothing is gained by telling them apart, and little is lost."""
    found = sb.study(small_run(NEAR, NEAR), "rmse", n_folds=4, n_axes=1)
    for choice in sb.CHOICES:
        change = found.scores["median", choice] - found.scores["median", "all"]
        assert change["rmse"].abs().max() < 0.02
    assert found.scores["least-squares", "all"]["rmse"].max() < 1e-3


def test_best_strength_is_the_largest_that_does_about_as_well():
    rows = [[0.5, 0.7008, 0.7, 0.6], [0.5, 0.702, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4], [np.nan] * 4]
    table = pd.DataFrame(rows, columns=[0.1, 1, 10, 100])
    assert sb.best_strengths(table, 1).tolist() == [10, 1, 100, 100]
    assert sb.best_strengths(table, -1).tolist() == [0.1, 100, 0.1, 100]


def test_bad_studies_raise(two):
    with pytest.raises(dc.DepthClipError, match="names no scene type"):
        sb.study(small_run(known=False))
    with pytest.raises(dc.DepthClipError, match="median, nobody"):
        two.of(("median", "nobody"))
    run = small_run()
    run.train = FrameList([dc.Frame("a", f.rgb, f.raw_depth * 0, scene="x") for f in run.train])
    run.similarities = lambda frames=None: torch.full((16, 2, 3, 4, 5), 0.2)
    with pytest.raises(dc.DepthClipError, match="no frame has a valid pixel"):
        sb.study(run)
