import numpy as np
import pytest
import torch
from PIL import Image

import depthclip_core as dc
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.settings import BINS, PROMPTS


@pytest.fixture(scope="module")
def run(nyu_folder):
    return dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu")


def test_open_run_resolves_words_and_bins(run):
    assert run.words == PROMPTS["original"] and run.bins == BINS["original"]
    assert (run.words_name, run.bins_name) == ("original", "original")
    assert run.grid == (13, 17)
    assert run.caption.startswith("NYU, test: 8 frames, the sample's own CLIP, value head")


def test_open_run_preprocesses_nyu_as_the_released_code_does(run, nyu_folder):
    own = dc.open_dataset("nyu", data=nyu_folder, released_preprocessing=True)
    np.testing.assert_array_equal(run.frames.rgb(0), own.rgb(0))
    np.testing.assert_array_equal(run.train.rgb(0), run.train[0].rgb)
    assert run.train.released_preprocessing
    assert not dc.open_run(device="cpu").frames.released_preprocessing


def test_similarities_match_collect_responses(run):
    expected = collect_responses(run.frames, run.encoder, run.words, ["value"], progress=False)
    torch.testing.assert_close(run.similarities(), expected["value"], rtol=0, atol=0)
    assert run.similarities(["near", "far"], run.train).shape == (len(run.train), 2, 2, 13, 17)


def test_open_run_accepts_any_words_and_bins(nyu_folder):
    run = dc.open_run(prompts="near, far", bins="1, 2.5", temperature=0.2, device="cpu")
    assert (run.words, run.bins) == (("near", "far"), (1.0, 2.5))
    assert (run.words_name, run.bins_name) == ("given", "given")
    said = " ".join(run.not_comparable)
    assert "the prompts are 'given'" in said and "the temperature is 0.2" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dataset": "nyuv2"}, "did you mean 'nyu'"),
        ({"prompts": "near, far"}, "7 depths but there are 2 words"),
        ({"head": "released-head"}, "did you mean 'released'"),
        ({"temperature": 0.0}, "temperature"),
        ({"protocol": "eigen"}, "unknown protocol"),
        ({"data": "somewhere"}, "the sample comes with the package"),
    ],
)
def test_bad_parameters_raise_before_the_encoder_is_loaded(options, says, monkeypatch):
    monkeypatch.setattr("depthclip_core.analysis.setup.load_encoder", pytest.fail)
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.open_run(**options)
    assert "\n" not in str(caught.value)


def test_run_without_a_head_has_no_similarities():
    with pytest.raises(dc.DepthClipError, match="no head of its own"):
        dc.open_run(device="cpu").similarities()


def test_both_heads_are_depthclip_and_the_runs_own(run):
    both = run.both_heads
    assert list(both) == ["DepthCLIP", "DepthCLIP + value head"]
    assert both["DepthCLIP"].head == "released" and run.head == "value"
    expected = collect_responses(run.frames, run.encoder, run.words, ["released"], progress=False)
    released = both["DepthCLIP"].similarities()
    torch.testing.assert_close(released, expected["released"], rtol=0, atol=0)
    assert list(run.with_head("released").both_heads) == list(both)
    assert list(run.with_head("attention").both_heads)[1] == "DepthCLIP + attention head"
    with pytest.raises(dc.DepthClipError, match="did you mean 'released'"):
        run.with_head("release")


def test_run_without_a_train_split_says_what_it_needs(tmp_path):
    frames = dc.open_dataset("sample")
    for kind, array in (("rgb", frames.rgb(0)), ("depth", frames.raw_depth(0))):
        levels = array if kind == "rgb" else (1000 * array).astype(np.uint16)
        Image.fromarray(levels).save(tmp_path / f"a_{kind}.png")
    text = 'rgb = "*_rgb.png"\ndepth = "*_depth.png"\ndivisor = 1000\n'
    (tmp_path / "pairs.toml").write_text(text)
    run = dc.open_run("pairs", data=tmp_path / "pairs.toml", device="cpu")
    with pytest.raises(dc.DepthClipError, match="no split 'train' to fit bins and blind maps on"):
        _ = run.train
