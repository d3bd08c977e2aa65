from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import depthclip_core as dc
from depthclip_core.analysis import sensitivity as s
from depthclip_core.analysis.statistics import compare
from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Dataset, Frame, as_dataset
from depthclip_core.datasets.nyu import CONTENT, preprocess_rgb
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.vectors import text_vectors
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
    return s.Setting(made, made, bins, 0.1, PROTOCOLS["released"])


def frames_of(depth, n=2):
    rng = np.random.default_rng(1)
    truths = rng.uniform(1, depth, (n, 480, 640)).astype(np.float32)
    rgb = np.zeros((480, 640, 3), np.uint8)
    return as_dataset(
        [Frame(f"{i}", rgb, t, t, crop=RELEASED_WINDOW) for i, t in enumerate(truths)]
    )


# --- photographs --------------------------------------------------------------------------------


def test_altered_changes_photographs_alone():
    frames = dc.open_dataset("sample")
    darker = s.Altered(frames, "half as bright", lambda rgb: rgb // 2)
    assert len(darker) == len(frames)
    assert (darker.rgb(3) == frames.rgb(3) // 2).all()
    assert (darker[3].rgb == darker.rgb(3)).all()
    assert (darker.raw_depth(3) == frames.raw_depth(3)).all()
    assert (darker.names, darker.groups) == (frames.names, frames.groups)
    assert darker[3].window == frames[3].window
    for fact in Dataset.__annotations__:
        assert fact == "title" or getattr(darker, fact) == getattr(frames, fact)


def test_store_knows_altered_frames_by_their_change():
    frames = dc.open_dataset("sample")

    def known(dataset):
        return dataset.identity(lambda paths: [str(path) for path in paths])

    names = [s.Altered(frames, name, lambda rgb: rgb) for name in ("a", "b")]
    assert known(names[0]) != known(names[1]) != known(frames)


def test_jpeg_loses_more_at_lower_quality():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    rgb = np.array(small.resize((160, 120), Image.Resampling.BICUBIC))
    lost = [np.abs(s.through_jpeg(rgb, q).astype(int) - rgb).mean() for q in (95, 75, 20)]
    assert 0 < lost[0] < lost[1] < lost[2] < 20
    assert s.through_jpeg(rgb, 95).shape == rgb.shape


def test_jpeg_is_the_released_preprocessing_inside_the_border():
    rgb = dc.open_dataset("sample").rgb(0).copy()
    outside = np.ones(rgb.shape[:2], bool)
    outside[CONTENT.slices] = False
    rgb[outside] = 0
    assert (s.through_jpeg(rgb, 95) == preprocess_rgb(rgb)).all()


@pytest.mark.parametrize(
    ("scale", "size"), [(1, (416, 544)), (0.75, (320, 416)), (1.5, (640, 832)), (0.01, (32, 32))]
)
def test_scaled_size_is_whole_cells(scale, size):
    assert s.scaled_size((416, 544), scale, 32) == size


# --- encoders -----------------------------------------------------------------------------------


def test_renormalised_pixels_are_those_of_the_formula():
    encoder = dc.load_encoder("sample")
    other = s.renormalised(encoder)
    rgb = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), dtype=np.uint8)
    found = other.normalise(rgb)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, (rgb[0] / 255 - s.CLIP_MEAN) / s.CLIP_STD, atol=1e-6)
    assert isinstance(other, Encoder) and other.model is encoder.model
    assert other.identity == encoder.identity  # text vectors are the same
    assert other.arithmetic["mean"] == s.CLIP_MEAN != encoder.arithmetic["mean"]
    assert encoder.normalise(rgb).shape == (1, 3, 32, 32)


def test_renormalised_with_the_released_constants_changes_nothing():
    encoder = dc.load_encoder("sample")
    own = s.renormalised(encoder, *(encoder.arithmetic[name] for name in ("mean", "std")))
    rgb = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    assert torch.equal(own.normalise(rgb), encoder.normalise(rgb))
    assert own.arithmetic == encoder.arithmetic


@pytest.mark.parametrize("std", [(0.2, 0.2), (0.2, 0.2, 0.0)])
def test_renormalised_refuses_wrong_constants(std):
    with pytest.raises(DepthClipError, match="positive standard deviation"):
        s.renormalised(dc.load_encoder("sample"), (0.5, 0.5, 0.5), std)


# --- words --------------------------------------------------------------------------------------


def test_steps_between_are_a_plain_interpolation():
    values = np.array([1.0, 4.0, 5.0, 9.0])
    for number in (2, 3, 4, 9):
        expected = np.interp(np.linspace(0, 3, number), np.arange(4), values)
        np.testing.assert_allclose(s.steps_between(4, number) @ values, expected)
    assert (s.steps_between(7, 7) == np.eye(7)).all()


@pytest.mark.parametrize(("k", "number"), [(1, 5), (7, 1)])
def test_steps_between_needs_two(k, number):
    with pytest.raises(DepthClipError, match="two are the least"):
        s.steps_between(k, number)


def test_similarities_between_are_those_with_mixed_text_vectors():
    torch.manual_seed(0)
    vectors = torch.randn(2, 1, 16, 3, 4)
    text = F.normalize(torch.randn(4, 16), dim=1)
    of = torch.einsum("nvdhw,kd->nvkhw", vectors, text)
    mix = torch.from_numpy(s.steps_between(4, 9)).float()
    mixed = F.normalize(mix @ text, dim=1)
    expected = torch.einsum("nvdhw,kd->nvkhw", vectors, mixed)
    torch.testing.assert_close(s.similarities_between(of, text, 9), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(s.similarities_between(of, text, 4), of)


def test_spaced_bins_have_equal_steps_ratios_and_shares():
    middles = np.arange(0.005, 10, 0.01)
    shares = pd.Series(np.where((middles > 1) & (middles < 5), 0.0025, 0), middles)
    bins = s.spaced_bins(shares, 5)
    assert np.ptp(np.diff(bins["even"])) < 1e-9
    assert np.ptp(np.diff(np.log(bins["log"]))) < 1e-9
    np.testing.assert_allclose(bins["quantile"], 1 + 4 * np.linspace(*s.ENDS, 5), atol=0.011)
    ends = {(b[0], b[-1]) for b in np.round(list(bins.values()), 9)}
    assert len(ends) == 1


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
def test_templates_are_those_of_the_encoder(run):
    base = s.default_setting(run)
    found = s.template_settings(run, base)
    name, (template,) = next(iter(s.TEMPLATES.items()))
    text = run.encoder.text_vectors(run.words, [template])
    expected = s.similarities_with(run, run.frames, text)
    torch.testing.assert_close(found[name].similarities, expected, atol=1e-5, rtol=1e-5)
    own = s.similarities_with(run, run.frames, text_vectors(run.encoder, run.words))
    torch.testing.assert_close(own, base.similarities, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_tornado_compares_on_the_same_images(run):
    every = s.stored_choices(run)
    table = s.tornado(run, every, "delta1")
    assert set(table.loc["given"].index) == set(every)
    assert "bins" not in table.loc["fitted"].index.get_level_values("choice")
    refitted = table.xs("fitted")["change"].dropna()
    assert len(refitted) == len(table.xs("fitted"))
    name = ("temperature", "1")
    rows = [s.scored(run, x, "delta1") for x in (every[name], s.default_setting(run))]
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
def test_encoded_choices_are_passes_of_their_own(run):
    few = replace(run, frames=run.frames[:2])
    object.__setattr__(few, "train", run.train[:2])
    found = s._passed(few, s.renormalised(few.encoder), few.frames, None)
    options = {"keep": "similarities", "progress": False}
    own = collect_responses(few.frames, few.encoder, few.words, ["value"], **options)["value"]
    assert found.shape == own.shape and not torch.equal(found, own)
    grid = few.encoder.grid(320, 416)
    assert s._passed(few, few.encoder, few.frames, (320, 416)).shape[-2:] == grid


@pytest.mark.slow
def test_curves_pass_through_the_default(run):
    base = s.scored(run, s.default_setting(run), "delta1").mean()
    warm = s.temperature_curve(run, [0.1, 1.0], "delta1")["mean"]
    words = s.number_curve(run, [3, 7], "delta1")["mean"]
    for kind in s.KINDS:
        assert warm[kind, 0.1] == pytest.approx(base[kind], abs=1e-6)
        assert words[kind, 7] == pytest.approx(base[kind], abs=1e-4)
    assert list(words.index.unique(0)) == ["given", "fitted", "even", "log", "quantile"]


def test_largest_change_is_named_with_its_interval():
    index = pd.MultiIndex.from_tuples(
        [("given", "a", "x"), ("given", "b", "y"), ("fitted", "a", "x")]
    )
    columns = {"change": [0.1, -0.2, np.nan], "low": [0, -0.3, 0], "high": [0.2, -0.1, 0]}
    table = pd.DataFrame(columns, index)
    assert s.largest_change(table, "given") == "−0.200 [−0.300, −0.100] with given bins (b: y)"
    assert s.largest_change(table, "fitted") == "unknown with fitted bins"


@pytest.mark.slow
def test_rounded_similarities_are_those_of_the_precision(run):
    found, base = s.stored_choices(run), s.default_setting(run)
    for name, digits in {"fp16": 11, "bf16": 8}.items():
        rounded = found["precision", f"similarities in {name}"].similarities
        step = 2.0 ** (torch.floor(torch.log2(base.similarities.abs())) - digits + 1)
        difference = (rounded - base.similarities).abs()
        assert (difference <= step / 2 + 1e-7).all() and difference.max() > 0


def test_every_choice_is_described():
    table = s.choices_table()
    named = {"normalisation", "input", "precision", "input scale", "template", "words and bins"}
    assert named | {"temperature", "bins", "flip", "align_corners"} == set(table.index)
    assert set(table["stated in"]) == {"tables", "code"}
