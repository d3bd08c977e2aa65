"""The search finds the protocol that numbers were made with, and says so if there is none."""

import numpy as np
import pandas as pd
import pytest
from rescored import frames_and_maps, plain

from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition, named_for
from depthclip_core.rescoring.scores import score_maps
from depthclip_core.rescoring.search import (
    Reported,
    classes,
    read_reported,
    search,
    search_space,
    verdict,
)

NYU = (480, 640)
TRUTHS = ("raw", "filled", "millimetres")
USUAL = ("delta1", "delta2", "delta3", "abs_rel", "rmse", "log10")


def test_space_has_hundreds_of_compositions_each_once():
    space = search_space(NYU, 10.0, truths=TRUTHS)
    assert len(space) == len(set(space)) >= 500
    assert all(one == one.canonical for one in space)
    assert {one.crop for one in space} == {"none", "eigen-nyu", "released", "nyu-21"}
    fitted = {(one.over, one.clamp) for one in space if one.align == "median"}
    assert fitted == {(o, c) for o in ("image", "set") for c in ("after", "before", "none")}
    known = search_space(NYU, 10.0, truths=TRUTHS, fixed={"crop": "eigen-nyu", "align": "median"})
    assert {(one.crop, one.align) for one in known} == {("eigen-nyu", "median")}
    kitti = search_space((375, 1242), 80.0)
    assert {one.max_depth for one in kitti} == {80.0, 50.0}
    assert {one.crop for one in kitti} == {"none", "garg", "eigen-kitti", "kb"}


@pytest.mark.slow
def test_search_finds_hidden_compositions():
    """Numbers of 100 random compositions, from another implementation, printed to three digits."""
    frames, maps, mirrored = frames_and_maps(2, seed=3)
    space = search_space(NYU, 10.0, truths=TRUTHS)
    scores = score_maps(frames, maps, space).table(space)
    rng, found, met = np.random.default_rng(0), 0, []
    for hidden in rng.choice(len(space), 100, replace=False):
        truth = plain(frames, maps, mirrored, space[hidden])
        reported = read_reported({name: f"{truth[name]:.3f}" for name in USUAL})
        table = search(scores, space, reported)
        matches = table.loc[table["met"], "composition"]
        found += space[hidden] in set(matches)
        met.append(len(matches))
    assert found >= 95
    # What is found is what printed digits cannot tell apart, and not much of what was tried.
    assert np.median(met) <= 0.03 * len(space)


def test_nearest_is_given_where_nothing_matches():
    frames, maps, _ = frames_and_maps(2, (30, 40))
    space = search_space((30, 40), 10.0, truths=TRUTHS)
    scores = score_maps(frames, maps, space)
    at = scores.mean(Composition())
    wrong = read_reported({"delta1": f"{at['delta1']:.3f}", "rmse": f"{at['rmse'] + 7:.3f}"})
    table = search(scores.table(space), space, wrong)
    assert not table["met"].any() and table["off"].is_monotonic_increasing
    said = verdict(table, named_for((30, 40), 10.0))
    assert said.startswith(f"None of the {len(space)} compositions gives these numbers")
    assert f"{table['off'][0]:.1f} units" in said


def test_the_simplest_of_all_that_match_stands_first():
    frames, maps, _ = frames_and_maps(2, (30, 40))
    space = search_space((30, 40), 10.0)
    scores = score_maps(frames, maps, space)
    vague = read_reported({"rmse": f"{scores.mean(Composition())['rmse'] + 0.04:.1f}"})
    table = search(scores.table(space), space, vague)
    if (table["composition"][table["met"]] == Composition()).any():
        assert table["composition"][0] == Composition()
    named = named_for((30, 40), 10.0)
    aligned = Composition(align="median", clamp="none")
    exact = read_reported({m: f"{scores.mean(aligned)[m]:.6f}" for m in ("rmse", "abs_rel")})
    assert aligned in set(search(scores.table(space), space, exact).query("met")["composition"])
    of_name = read_reported({"rmse": f"{scores.mean('whole-pooled')['rmse']:.3f}"})
    said = verdict(search(scores.table(space), space, of_name), named)
    assert said.endswith("the nearest to a named protocol is whole-pooled.")


def test_what_maps_cannot_tell_apart_is_one_class():
    frames, maps, _ = frames_and_maps(2, (30, 40), far=5.0)  # no depth reaches the limit
    space = search_space((30, 40), 10.0)
    scores = score_maps(frames, maps, space)
    exact = scores.mean(Composition())
    table = search(scores.table(space), space, read_reported({"rmse": f"{exact['rmse']:.4f}"}))
    first = table[table["same"] == table["same"][0]]
    assert table["composition"][0] == Composition()
    assert {one.valid for one in first["composition"]} == {"between", "measured"}
    assert {one.clamp for one in first["composition"]} == {"after", "none"}
    assert "these maps can tell apart" in verdict(table, named_for((30, 40), 10.0))


def test_reported_numbers_keep_their_digits():
    assert read_reported("delta1=0.890, rmse=.4") == {
        "delta1": Reported(0.89, 3),
        "rmse": Reported(0.4, 1),
    }
    assert read_reported({"rmse": 0.36})["rmse"].decimals == 2
    as_printed = read_reported("δ1=0.9,d2=0.95,rel=0.1,RMSE=0.4,log 10=0.05,Sq Rel=0.2")
    assert list(as_printed) == ["delta1", "delta2", "abs_rel", "rmse", "log10", "sq_rel"]
    np.testing.assert_allclose(Reported(0.895, 3).misses(np.array([0.8945, 0.897])), [0.5, 2])


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ("", "no numbers are reported"),
        ("delta=0.9", "unknown metric 'delta': did you mean"),
        ("delta1=high", "is no number"),
        ("delta1", "is no number"),
        ("rmse=-1", "is no number"),
        ("rmse=1,rmse=2", "reported twice"),
        ("rel=0.1,abs_rel=0.1", "'abs_rel' is reported twice"),
        ("d1=89.5", "d1=89.5 is no share from 0 to 1: write a percentage"),
    ],
)
def test_bad_numbers_raise_one_clear_line(numbers, says):
    with pytest.raises(DepthClipError, match=says) as caught:
        read_reported(numbers)
    assert "\n" not in str(caught.value)


def test_classes_join_equal_rows_in_order():
    rows = np.array([[2.0, 1], [1, 1], [2, 1 + 1e-9], [1, np.nan], [1, np.nan]])
    assert classes(rows).tolist() == [0, 1, 0, 2, 2]
    assert pd.Series(classes(np.zeros((3, 2)))).nunique() == 1


def test_verdict_names_the_match_that_is_nearest_to_a_named_protocol():
    named = {"one": Composition(), "other": Composition(align="median")}
    far = Composition(valid="all", average="pixels", clamp="none")
    table = pd.DataFrame({"composition": [far, Composition(average="pixels")], "off": [0.1, 0.2]})
    table = table.assign(met=True, same=0)
    said = verdict(table, named)
    assert said.startswith(
        "2 of 2 compositions give these numbers (1 that these maps can tell apart)"
    )
    assert said.endswith("is one, with average 'pixels'.")
