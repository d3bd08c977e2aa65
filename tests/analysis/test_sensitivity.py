from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import alternatives
from depthclip_core.analysis import sensitivity as s
from depthclip_core.analysis.statistics import compare
from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import PROTOCOLS
from depthclip_core.evaluation.scoring import fit, predictions
from depthclip_core.settings import RELEASED_WINDOW

N = 8


@pytest.fixture(scope="module")
def run(own_store):
    """The sample's own run, on a few frames of both splits."""
    whole = dc.open_run("sample", head="value")
    few = replace(whole, frames=whole.frames[:: len(whole.frames) // N][:N])
    object.__setattr__(few, "train", whole.train[:: len(whole.train) // N][:N])
    return few


def random_setting(k=3, seed=0, n=2):
    rng = np.random.default_rng(seed)
    made = torch.tensor(rng.uniform(0.2, 0.21, (n, 2, k, 13, 17)), dtype=torch.float32)
    bins = tuple(np.linspace(1, 4, k))
    return alternatives.Setting(made, made, bins, 0.1, PROTOCOLS["released"])


def frames_of(depth, n=2):
    rng = np.random.default_rng(1)
    truths = rng.uniform(1, depth, (n, 480, 640)).astype(np.float32)
    rgb = np.zeros((480, 640, 3), np.uint8)
    return as_dataset(
        [Frame(f"{i}", rgb, t, t, crop=RELEASED_WINDOW) for i, t in enumerate(truths)]
    )


# --- scores -------------------------------------------------------------------------------------


def test_unaligned_corners_match_evaluate_of_a_plain_upsampling():
    setting = replace(random_setting(), align_corners=False)
    frames = frames_of(5)
    own = SimpleNamespace(frames=frames, train=frames)
    rows = s.scored(own, setting, "delta1")
    weights = torch.softmax(1000 * setting.similarities, dim=2)
    weights = (weights[:, 0] + weights[:, 1].flip(-1)) / 2
    cells = torch.einsum("nkhw,k->nhw", weights, torch.tensor(setting.bins, dtype=torch.float32))
    depth = torch.nn.Upsample((416, 544), mode="bilinear", align_corners=False)(cells[:, None])[
        :, 0
    ]
    truths = np.stack([frames.raw_depth(i) for i in range(2)])
    expected = evaluate(depth.numpy(), truths)["delta1"]
    np.testing.assert_allclose(rows["given"], expected, atol=1e-4)


def test_scored_matches_evaluate_of_the_predictions():
    setting, frames = random_setting(), frames_of(5)
    rows = s.scored(SimpleNamespace(frames=frames, train=frames), setting, "rmse")
    truths = np.stack([frames.raw_depth(i) for i in range(2)])
    maps = np.stack(list(predictions(setting.similarities, setting.bins)))
    np.testing.assert_allclose(rows["given"], evaluate(maps, truths)["rmse"], rtol=1e-5)
    medians = fit(frames, setting.train)
    maps = np.stack(list(predictions(setting.similarities, medians)))
    np.testing.assert_allclose(rows["fitted"], evaluate(maps, truths)["rmse"], rtol=1e-5)
    fixed = s.scored(
        SimpleNamespace(frames=frames, train=frames), replace(setting, refits=False), "rmse"
    )
    assert list(fixed) == ["given"]


def test_scored_refuses_an_unknown_metric():
    frames = frames_of(5)
    with pytest.raises(DepthClipError, match="delta9"):
        s.scored(SimpleNamespace(frames=frames, train=frames), random_setting(), "delta9")


@pytest.mark.slow
def test_tornado_compares_on_the_same_images(run):
    every = alternatives.stored_choices(run)
    table = s.tornado(run, every, "delta1")
    assert set(table.loc["given"].index) == set(every)
    assert "bins" not in table.loc["fitted"].index.get_level_values("choice")
    refitted = table.xs("fitted")["change"].dropna()
    assert len(refitted) == len(table.xs("fitted"))
    name = ("temperature", "1")
    rows = [s.scored(run, x, "delta1") for x in (every[name], alternatives.default_setting(run))]
    for kind in s.KINDS:
        own, reference = (r[[kind]].set_axis(["delta1"], axis=1) for r in rows)
        expected = compare(own, reference, run.frames.groups).iloc[0]
        assert table.loc[(kind, *name), "change"] == pytest.approx(expected["mean"])
        assert table.loc[(kind, *name), "low"] == pytest.approx(expected["low"])
        assert table.loc[(kind, *name), "verdict"] == expected["verdict"]
        assert table.loc[(kind, *name), "mean"] == pytest.approx(own["delta1"].mean())
    both = table.loc[("given", "bins", "fitted on train"), "mean"]
    assert both == pytest.approx(rows[1]["fitted"].mean())


@pytest.mark.slow
def test_curves_pass_through_the_default(run):
    base = s.scored(run, alternatives.default_setting(run), "delta1").mean()
    warm = s.temperature_curve(run, [0.1, 1.0], "delta1")["mean"]
    words = s.number_curve(run, [3, 7], "delta1")["mean"]
    for kind in s.KINDS:
        assert warm[kind, 0.1] == pytest.approx(base[kind], abs=1e-6)
        assert words[kind, 7] == pytest.approx(base[kind], abs=1e-4)
    assert list(words.index.unique(0)) == ["given", "fitted", "even", "log", "quantile"]


def test_overview_counts_what_differs():
    index = pd.MultiIndex.from_product([["given", "fitted"], ["a"], ["x", "y"]])
    index.names = ["bins", "choice", "alternative"]
    columns = {"p": [0.01, 0.5, np.nan, 0.04], "change": [-0.2, 0.1, np.nan, 0.3]}
    table = s.overview(pd.DataFrame(columns, index))
    assert table.loc["given"].tolist() == pytest.approx([2, 1, 0.15, 0.2])
    assert table.loc["fitted"].tolist() == pytest.approx([1, 1, 0.3, 0.3])


def test_largest_change_is_named_with_its_interval():
    index = pd.MultiIndex.from_tuples(
        [("given", "a", "x"), ("given", "b", "y"), ("fitted", "a", "x")]
    )
    columns = {"change": [0.1, -0.2, np.nan], "low": [0, -0.3, 0], "high": [0.2, -0.1, 0]}
    columns["verdict"] = ["no telling", "worse", "no telling"]
    table = pd.DataFrame(columns, index)
    assert s.largest_change(table, "given") == (
        "-0.200 (95 % interval -0.300 to -0.100: worse) with given bins (b: y)"
    )
    assert s.largest_change(table, "fitted") == "unknown with fitted bins"
