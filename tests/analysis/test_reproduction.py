import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import published, reproduction, tables
from depthclip_core.analysis.setup import Run
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.baselines import READINGS
from depthclip_core.settings import PROMPTS

SIX = reproduction.SIX


@pytest.fixture(scope="module")
def run(nyu_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHCLIP_STORE", str(tmp_path_factory.mktemp("store")))
        yield dc.open_run("nyu", data=str(nyu_folder), head="released", device="cpu")


@pytest.fixture(scope="module")
def found(run):
    return reproduction.reproduce(run)


@pytest.fixture
def bounds():
    one = pd.DataFrame({"ours": 0.0, "spread": 0.01}, SIX)
    return pd.concat(dict.fromkeys(READINGS, one), names=["reading", "metric"])


def test_original_words_and_bins_have_the_same_numbers_in_every_table(run, found):
    """They stand in three of the paper's tables."""
    whole = found.partitions.loc[("all", "original"), SIX].astype(float)
    np.testing.assert_allclose(found.prompts.loc["original", SIX], whole, atol=1e-6)
    own = reproduction.table_1(run)
    np.testing.assert_allclose(own["DepthCLIP"], whole, atol=1e-6)
    assert list(own.columns) == ["printed, NYU", "DepthCLIP", "DepthCLIP + value head"]
    assert list(found.prompts.index) == list(PROMPTS)
    ours = found.ledger.set_index(["table", "row", "metric"])["ours"]
    assert ours["Table 1", "DepthCLIP", "rmse"] == pytest.approx(whole["rmse"])


def test_another_setting_is_not_judged_and_shows_the_example(found):
    assert not found.judged and set(found.ledger["verdict"]) == {"not comparable"}
    assert found.shown_title.startswith("Constructed")
    assert "not comparable" not in set(found.shown["verdict"])


def test_the_papers_setting_is_judged(run, monkeypatch):
    monkeypatch.setattr(Run, "not_comparable", [])
    found = reproduction.reproduce(run)
    assert found.judged and found.shown is found.ledger
    assert found.shown_title == f"{run.frames.title}, DepthCLIP, against the paper's numbers on NYU"
    assert {"agrees", "differs"} & set(found.ledger["verdict"])


def test_a_run_without_a_head_cannot_be_reproduced(nyu_folder):
    with pytest.raises(DepthClipError, match="no head"):
        reproduction.reproduce(dc.open_run("nyu", data=str(nyu_folder), device="cpu"))


def test_one_number_of_the_example_differs(bounds):
    made = reproduction.example(bounds)
    far = reproduction.differing(made)
    assert list(far.index) == [("partitions", "all, class-dependent-1", "rmse")]
    assert far["times"].iloc[0] == pytest.approx(2)
    assert far["published"].iloc[0] == published.partitions().loc[reproduction.MOVED]
    assert reproduction.in_words(made) == (
        "150 printed numbers: agrees 149, differs 1, not measured 0"
    )


def test_counts_have_table_1_row_by_row(bounds):
    counts = reproduction.counts(reproduction.example(bounds))
    parts = ["DepthCLIP", *(f"lower bound, per {r}" for r in READINGS)]
    assert list(counts.index) == [*parts, "partitions", "gains", "prompts"]
    assert list(counts.columns) == list(tables.VERDICTS)
    assert counts.loc["partitions", ["agrees", "differs"]].tolist() == [89, 1]
    assert counts.loc["gains", "not printed"] == 6 and counts.to_numpy().sum() == 156


def test_differing_rows_are_ordered_by_distance_in_tolerances(bounds):
    made = reproduction.example(bounds)
    at = made.index[(made["row"] == "prompt-1") & (made["metric"] == "delta1")]
    made.loc[at, "difference"] = 5 * made.loc[at, "tolerance"]
    made.loc[at, "verdict"] = "differs"
    assert reproduction.differing(made)["times"].round(6).tolist() == [5, 2]
