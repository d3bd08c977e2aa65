"""Shares of a gap are exact Shapley values."""

from itertools import permutations

import numpy as np
import pytest
from rescored import frames_and_maps

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.rescoring.differences import gap, interaction, shares
from depthclip_core.rescoring.scores import score_maps

BEFORE = Composition()
AFTER = Composition(valid="measured", max_depth=4.0, align="median", average="pixels")


@pytest.fixture(scope="module")
def scored():
    frames, maps, _ = frames_and_maps(3, (20, 30))
    between = gap(BEFORE, AFTER)
    return score_maps(frames, maps, between.between.values()), between


def test_shares_are_means_over_all_orders(scored):
    scores, between = scored
    assert between.switches == ["valid", "max_depth", "align", "average"]
    table = shares(scores, between, "rmse")
    steps = {switch: [] for switch in between.switches}
    for order in permutations(between.switches):
        done = frozenset()
        for switch in order:
            more = done | {switch}
            one, other = (scores.mean(between.between[some])["rmse"] for some in (done, more))
            steps[switch].append(other - one)
            done = more
    for switch, found in steps.items():
        row = table.loc[switch]
        assert row["share"] == pytest.approx(np.mean(found), abs=1e-12)
        assert (row["least"], row["most"]) == pytest.approx((min(found), max(found)))
        assert (row["before"], row["after"]) == BEFORE.changes(AFTER)[switch]
    assert table["share"].abs().is_monotonic_decreasing


def test_shares_add_up_to_the_gap(scored):
    scores, between = scored
    whole = scores.mean(AFTER)["rmse"] - scores.mean(BEFORE)["rmse"]
    table = shares(scores, between, "rmse")
    assert table["share"].sum() == pytest.approx(whole)
    assert table["alone"].sum() + interaction(scores, between, "rmse") == pytest.approx(whole)


def test_one_switch_has_the_whole_gap_and_no_interaction(scored):
    frames, maps, _ = frames_and_maps(2, (20, 30))
    between = gap(BEFORE, Composition(average="pixels"))
    scores = score_maps(frames, maps, between.between.values())
    table = shares(scores, between, "abs_rel")
    assert table.index.tolist() == ["average"]
    assert table["share"].iloc[0] == table["alone"].iloc[0] == table["last"].iloc[0] != 0
    assert interaction(scores, between, "abs_rel") == pytest.approx(0)


def test_equal_compositions_have_no_gap(scored):
    frames, maps, _ = frames_and_maps(1, (20, 30))
    between = gap(BEFORE, BEFORE)
    scores = score_maps(frames, maps, between.between.values())
    assert len(shares(scores, between, "rmse")) == 0
    assert interaction(scores, between, "rmse") == 0


def test_too_many_switches_raise_one_clear_line():
    everything = Composition(
        "filled", "none", "map, nearest", "none", "all", 0.1, 9.0, "median", "set", "none",
        "pixels", "averaged",
    )  # fmt: skip
    with pytest.raises(DepthClipError, match="11 switches differ"):
        gap(BEFORE, everything)
