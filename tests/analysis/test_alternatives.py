from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import depthclip_core as dc
from depthclip_core.analysis import altered_inputs, alternatives
from depthclip_core.encoding.passes import collect_responses, direction_similarities
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.errors import DepthClipError

N = 8


@pytest.fixture(scope="module")
def run(own_store):
    """The sample's own run, on a few frames of both splits."""
    whole = dc.open_run("sample", head="value")
    few = replace(whole, frames=whole.frames[:: len(whole.frames) // N][:N])
    object.__setattr__(few, "train", whole.train[:: len(whole.train) // N][:N])
    return few


def test_steps_between_are_a_plain_interpolation():
    values = np.array([1.0, 4.0, 5.0, 9.0])
    for number in (2, 3, 4, 9):
        expected = np.interp(np.linspace(0, 3, number), np.arange(4), values)
        np.testing.assert_allclose(alternatives.steps_between(4, number) @ values, expected)
    assert (alternatives.steps_between(7, 7) == np.eye(7)).all()


@pytest.mark.parametrize(("k", "number"), [(1, 5), (7, 1)])
def test_steps_between_needs_two(k, number):
    with pytest.raises(DepthClipError, match="two are the least"):
        alternatives.steps_between(k, number)


def test_similarities_between_are_those_with_mixed_text_vectors():
    torch.manual_seed(0)
    vectors = torch.randn(2, 1, 16, 3, 4)
    text = F.normalize(torch.randn(4, 16), dim=1)
    of = torch.einsum("nvdhw,kd->nvkhw", vectors, text)
    mix = torch.from_numpy(alternatives.steps_between(4, 9)).float()
    mixed = F.normalize(mix @ text, dim=1)
    expected = torch.einsum("nvdhw,kd->nvkhw", vectors, mixed)
    torch.testing.assert_close(
        alternatives.similarities_between(of, text, 9), expected, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(alternatives.similarities_between(of, text, 4), of)


def test_spaced_bins_have_equal_steps_ratios_and_shares():
    middles = np.arange(0.005, 10, 0.01)
    shares = pd.Series(np.where((middles > 1) & (middles < 5), 0.0025, 0), middles)
    bins = alternatives.spaced_bins(shares, 5)
    assert np.ptp(np.diff(bins["even"])) < 1e-9
    assert np.ptp(np.diff(np.log(bins["log"]))) < 1e-9
    np.testing.assert_allclose(
        bins["quantile"], 1 + 4 * np.linspace(*alternatives.ENDS, 5), atol=0.011
    )
    ends = {(b[0], b[-1]) for b in np.round(list(bins.values()), 9)}
    assert len(ends) == 1


@pytest.mark.slow
def test_templates_are_those_of_the_encoder(run):
    base = alternatives.default_setting(run)
    found = alternatives.template_settings(run, base)
    name, (template,) = next(iter(alternatives.TEMPLATES.items()))
    text = run.encoder.text_vectors(run.words, [template])
    expected = direction_similarities(run.frames, run.encoder, text, "value")
    torch.testing.assert_close(found[name].similarities, expected, atol=1e-5, rtol=1e-5)
    own = direction_similarities(
        run.frames, run.encoder, text_vectors(run.encoder, run.words), "value"
    )
    torch.testing.assert_close(own, base.similarities, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_encoded_choices_are_passes_of_their_own(run):
    few = replace(run, frames=run.frames[:2])
    object.__setattr__(few, "train", run.train[:2])
    found = alternatives._passed(few, altered_inputs.renormalised(few.encoder), few.frames, None)
    options = {"keep": "similarities", "progress": False}
    own = collect_responses(few.frames, few.encoder, few.words, ["value"], **options)["value"]
    assert found.shape == own.shape and not torch.equal(found, own)
    grid = few.encoder.grid(320, 416)
    assert alternatives._passed(few, few.encoder, few.frames, (320, 416)).shape[-2:] == grid


@pytest.mark.slow
def test_rounded_similarities_are_those_of_the_precision(run):
    found, base = alternatives.stored_choices(run), alternatives.default_setting(run)
    for name, digits in {"fp16": 11, "bf16": 8}.items():
        rounded = found["precision", f"similarities in {name}"].similarities
        step = 2.0 ** (torch.floor(torch.log2(base.similarities.abs())) - digits + 1)
        difference = (rounded - base.similarities).abs()
        assert (difference <= step / 2 + 1e-7).all() and difference.max() > 0


def test_every_choice_is_described():
    table = alternatives.choices_table()
    named = {"normalisation", "input", "precision", "input scale", "template", "words and bins"}
    assert named | {"temperature", "bins", "flip", "align_corners"} == set(table.index)
    assert set(table["stated in"]) == {"tables", "code"}
