"""Systems under every protocol: ranks, agreement, and pairs that change places."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from rescored import frames_and_maps

import depthclip_core as dc
from depthclip_core.analysis.statistics import compare
from depthclip_core.analysis.systems import BLIND, CONSTANT
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.rescoring.explain import explain
from depthclip_core.rescoring.rankings import (
    DepthMaps,
    Maps,
    compare_systems,
    hidden_protocol,
    hidden_sentence,
    printed_numbers,
    saved_maps,
    systems_of,
)
from depthclip_core.rescoring.scores import score_maps

SHAPE = (20, 30)
PROTOCOLS = {
    "metric": Composition(),
    "scaled": Composition(align="median"),
    "pooled": Composition(align="median", average="pixels"),
}


@pytest.fixture(scope="module")
def frames():
    """Twelve frames of as many rooms."""
    found, _, _ = frames_and_maps(12, SHAPE, seed=5)
    rooms = [
        Frame(f.name, f.rgb, f.raw_depth, f.depth, f.scene, f"room {i}")
        for i, f in enumerate(found)
    ]
    return as_dataset(rooms)


@pytest.fixture(scope="module")
def compared(frames):
    """A good shape at the wrong scale, and a poor shape at the right one: scaling turns them."""
    rng = np.random.default_rng(0)
    truths = [frame.depth for frame in frames]
    good = [(0.4 * t * rng.uniform(0.95, 1.05, SHAPE)).astype("f4") for t in truths]
    poor = [(t * rng.uniform(0.6, 1.5, SHAPE)).astype("f4") for t in truths]
    flat = [np.full(SHAPE, 3, np.float32)] * len(frames)
    systems = {"good": Maps(good), "poor": Maps(poor, poor), "flat": Maps(flat)}
    return compare_systems(frames, systems, PROTOCOLS)


def test_table_and_ranks(compared):
    table = compared.table("delta1")
    assert table.shape == (3, 3) and list(table.columns) == list(PROTOCOLS)
    ranks = compared.ranks("delta1")
    assert ranks["metric"].to_dict() == {"good": 3, "poor": 1, "flat": 2}
    assert ranks["scaled"].to_dict() == {"good": 1, "poor": 2, "flat": 3}
    errors = compared.ranks("rmse")
    assert errors["scaled"]["good"] == 1


def test_agreement_is_kendalls_tau_with_the_first(compared):
    table, agreement = compared.table("delta1"), compared.agreement("delta1")
    assert agreement["metric"] == 1
    for name in PROTOCOLS:
        signs = [
            np.sign((a["metric"] - b["metric"]) * (a[name] - b[name]))
            for (_, a), (_, b) in itertools.combinations(table.iterrows(), 2)
        ]
        assert agreement[name] == pytest.approx(np.mean(signs))


def test_turns_are_pairs_in_another_order(compared):
    turns = compared.turns("delta1")
    table = compared.table("delta1")
    assert set(turns.index.get_level_values("protocol")) == {"scaled", "pooled"}
    for (protocol, system, other), row in turns.iterrows():
        assert row["first"] == pytest.approx(
            table.loc[system, "metric"] - table.loc[other, "metric"]
        )
        assert row["then"] == pytest.approx(
            table.loc[system, protocol] - table.loc[other, protocol]
        )
        assert row["first"] > 0 > row["then"]
        assert row["first low"] <= row["first"] <= row["first high"]
        assert row["then low"] <= row["then"] <= row["then high"]
    assert turns.loc[("scaled", "poor", "good"), "certain"]
    assert turns.loc[("pooled", "poor", "good"), "then verdict"] == "worse"


def test_error_metrics_turn_where_the_smaller_error_does(compared):
    turns = compared.turns("rmse")
    assert (turns["first"] < 0).all() and (turns["then"] > 0).all()


def test_difference_of_image_means_has_the_interval_of_compare(compared, frames):
    found = compared.difference("poor", "good", "metric", "rmse")
    rows = [compared.scores[name].rows(PROTOCOLS["metric"])[["rmse"]] for name in ("poor", "good")]
    expected = compare(*rows, frames.groups).loc["rmse"]
    pd.testing.assert_series_equal(found, expected[["mean", "low", "high", "verdict"]])


def test_few_groups_have_no_interval(frames):
    few, flat = frames[:4], Maps([np.full(SHAPE, 3, np.float32)] * 4)
    compared = compare_systems(few, {"a": flat, "b": flat}, PROTOCOLS)
    row = compared.difference("a", "b", "pooled", "rmse")
    assert np.isnan(row["low"]) and row["verdict"] == "too few groups"
    assert compared.turns("rmse").empty and "certain" in compared.turns("rmse")


def test_every_frame_once_is_the_pooled_mean(compared):
    scores, one = compared.scores["poor"], PROTOCOLS["pooled"]
    (drawn,) = scores.drawn(one, "silog", np.ones((1, 12)))
    assert drawn == pytest.approx(scores.mean(one)["silog"])


def test_spread_names_the_protocols(compared):
    spread = compared.spread("delta1").loc["good"]
    assert spread["lowest under"] == "metric" and spread["low"] < spread["high"]


def test_flip_changes_nothing_without_mirrored_maps(frames):
    maps = Maps([frame.depth for frame in frames])
    flips = {"saved": Composition(), "flip": Composition(flip="averaged")}
    table = compare_systems(frames, {"a": maps}, flips).table("rmse")
    assert table.loc["a", "saved"] == pytest.approx(table.loc["a", "flip"])


def test_depth_maps_are_those_of_the_method():
    similarities = torch.from_numpy(np.random.default_rng(0).normal(0.2, 0.01, (3, 2, 4, 5, 6)))
    similarities = similarities.float()
    bins = (1.0, 2.0, 3.0, 4.0)
    maps = DepthMaps(similarities[:, 1], bins, (20, 24), 0.1)
    expected = depth_maps(similarities[:, 1:], bins, (20, 24), 0.1)
    assert len(maps) == 3
    np.testing.assert_allclose(np.stack([maps[i] for i in range(3)]), expected, rtol=1e-6)


@pytest.mark.slow
def test_systems_of_a_run_score_as_the_table_of_results(own_store):
    """Another way to the same numbers: the sweep that notebook 02 shows."""
    from depthclip_core.evaluation import scoring

    run = dc.open_run("sample", head="value")
    systems = systems_of(run, "delta1")
    assert list(systems)[-2:] == [BLIND, CONSTANT] and len(systems) == 6
    given = systems["DepthCLIP + value head, original bins"]
    scores = score_maps(run.frames, protocols=["released"], **given.both_views)
    rows = scoring.score(run.frames, run.similarities(), run.bins, run.temperature, run.protocol)
    expected = rows[["delta1", "rmse", "log10"]]
    found = scores.rows("released")[["delta1", "rmse", "log10"]]
    pd.testing.assert_frame_equal(found, expected, check_names=False, rtol=1e-4)


def test_saved_maps_are_a_system(frames, tmp_path):
    for kind in ("ours", "turned"):
        (tmp_path / kind).mkdir()
        for frame in frames:
            np.save(tmp_path / kind / f"{frame.name}.npy", frame.depth)
    assert saved_maps("", frames) == {}
    ((name, system),) = saved_maps(str(tmp_path / "ours"), frames).items()
    assert name == "saved: ours" and system.mirrored is None
    assert system.both_views["mirrored"][0] == pytest.approx(frames[0].depth[:, ::-1])
    ((_, both),) = saved_maps(*(str(tmp_path / "ours"), frames, str(tmp_path / "turned"))).items()
    assert len(both.mirrored) == len(frames)


def test_hidden_protocol_and_its_numbers(frames):
    maps = Maps([frame.depth for frame in frames])
    hidden = hidden_protocol(frames, maps, seed=1)
    assert hidden == hidden_protocol(frames, maps, seed=1) != hidden_protocol(frames, maps, seed=2)
    assert hidden.flip == "as saved"
    text = printed_numbers(frames, maps, PROTOCOLS["scaled"], ["delta1", "rmse"])
    means = score_maps(frames, maps.maps, [PROTOCOLS["scaled"]]).mean(PROTOCOLS["scaled"])
    assert text == f"delta1={means['delta1']:.3f},rmse={means['rmse']:.3f}"


def test_sentence_says_whether_the_hidden_protocol_is_found(frames):
    maps = [(0.9 * frame.depth + 0.1).astype("f4") for frame in frames]
    numbers = printed_numbers(frames, Maps(maps), PROTOCOLS["pooled"], ["delta1", "rmse", "silog"])
    found = explain(frames, maps, numbers)
    said = hidden_sentence(found, PROTOCOLS["pooled"])
    assert said == (
        "The hidden protocol was whole-pooled, with align median; it is one of those that match."
    )
    assert "whole; it is none of those" in hidden_sentence(found, Composition())


def test_nothing_to_compare_is_an_error(frames):
    with pytest.raises(DepthClipError, match="at least one system and one protocol"):
        compare_systems(frames, {}, PROTOCOLS)
