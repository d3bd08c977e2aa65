from dataclasses import dataclass

import pytest

import depthclip_core as dc
from depthclip_core.analysis.comparability import not_comparable, run_caption
from depthclip_core.datasets import nyu


@dataclass
class Encoder:
    name: str = "RN50"
    weights: str = "openai"
    from_openai: bool = True


@pytest.fixture
def frames(nyu_folder):
    return dc.open_dataset("nyu", "test", data=nyu_folder, released_preprocessing=True)


@pytest.fixture
def as_nyu(frames, monkeypatch):
    """The sample's file taken for NYU's: its size and counts become the ones looked for."""
    monkeypatch.setattr(nyu, "NYU_BYTES", frames.mat.stat().st_size)
    monkeypatch.setattr(nyu, "NYU_FRAMES", frames.n_in_file)
    monkeypatch.setattr(nyu, "NYU_TEST", len(frames))


def test_paper_setting_is_comparable(frames, as_nyu):
    assert not_comparable(frames, Encoder(), "released") == []
    assert run_caption(frames, Encoder(), "released") == (
        "NYU, test: 8 frames, RN50, weights openai, released head"
    )


def test_nyu_layout_alone_is_not_nyu(frames):
    reasons = not_comparable(frames, Encoder(), "released")
    assert reasons == ["the frames are not NYU Depth v2's 654 test frames"]


@pytest.mark.parametrize(
    ("encoder", "head", "says"),
    [
        (Encoder(weights="random", from_openai=False), "released", "not RN50 with OpenAI's"),
        (Encoder(name="RN101"), "released", "not RN50 with OpenAI's"),
        (Encoder(weights="yfcc15m", from_openai=False), "released", "not RN50 with OpenAI's"),
        (Encoder(weights="./openai", from_openai=False), "released", "not RN50 with OpenAI's"),
        (Encoder(), "value", "the head is 'value'"),
    ],
)
def test_each_difference_gives_a_reason(frames, as_nyu, encoder, head, says):
    (reason,) = not_comparable(frames, encoder, head)
    assert says in reason
    assert run_caption(frames, encoder, head).endswith("not its numbers")


def test_split_and_preprocessing_give_reasons(nyu_folder, frames, as_nyu):
    train = dc.open_dataset("nyu", "train", data=nyu_folder, released_preprocessing=True)
    assert not_comparable(train, Encoder(), "released") == ["the split is 'train', not 'test'"]
    raw = dc.open_dataset("nyu", "test", data=nyu_folder)
    assert "not preprocessed" in not_comparable(raw, Encoder(), "released")[0]


def test_openai_file_is_recognised_under_any_name(frames, as_nyu):
    assert not_comparable(frames, Encoder(weights="clip/weights.pt"), "released") == []


def test_caption_names_the_sample():
    frames = dc.open_dataset("sample", "test")
    shown = run_caption(frames, dc.load_encoder("sample", device="cpu"), "value")
    assert shown.startswith("sample, test: 64 frames, the sample's own CLIP, value head")
    assert shown.endswith("not its numbers")


def test_mat_file_can_be_given_directly(nyu_folder):
    path = nyu_folder / "nyu_depth_v2_labeled.mat"
    assert (
        dc.open_dataset("nyu", "test", data=path).names
        == dc.open_dataset("nyu", "test", data=nyu_folder).names
    )


def test_other_settings_give_reasons(frames, as_nyu):
    own = {"prompts": "original", "bins": "original", "temperature": 0.1, "protocol": "released"}
    assert not_comparable(frames, Encoder(), "released", **own) == []
    (reason,) = not_comparable(frames, Encoder(), "released", **{**own, "temperature": 1.0})
    assert reason == "the temperature is 1.0, not 0.1"
