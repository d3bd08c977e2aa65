from typing import get_args

import pytest

from depthclip_core import choices, settings
from depthclip_core.clip import heads
from depthclip_core.datasets import REGISTRY, nyu
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import protocols
from depthclip_core.workbook.parameters import Parameter


def named(kind):
    """The names that a choice offers, beside the lists that it may accept."""
    return set(get_args(get_args(kind)[0]) or get_args(kind))


def test_choices_match_the_package():
    assert named(choices.Split) == set(nyu.SPLITS)
    assert named(choices.Head) == set(heads.MAIN_HEADS)
    assert named(choices.Prompts) == set(settings.PROMPTS)
    assert named(choices.Bins) == set(settings.BINS)
    assert named(choices.Metric) == set(settings.PUBLISHED_METRICS)
    assert named(choices.Scoring) == set(protocols.PROTOCOLS)
    assert named(choices.AnyDatasetName) == set(REGISTRY)
    assert all(getattr(choices, name) is kind for name, kind in choices.CHOICES.items())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (choices.Bins, "original", "original"),
        (choices.Bins, "1,1.5,2", [1.0, 1.5, 2.0]),
        (choices.Bins, "[1, 2]", [1.0, 2.0]),
        (choices.Prompts, "near,far", ["near", "far"]),
        (choices.Prompts, '["near, very", "far"]', ["near, very", "far"]),
    ],
)
def test_words_and_bins_accept_a_name_or_a_list(kind, text, value):
    parameter = Parameter("it", kind, "It", "original")
    assert parameter.from_text(text) == value
    assert parameter.from_value(value) == value


def test_a_grid_of_lists_is_json():
    parameter = Parameter("bins", choices.Bins, "Bins", "original")
    assert parameter.values_from_text("original, class-dependent-1") == [
        "original",
        "class-dependent-1",
    ]
    assert parameter.values_from_text('["original", [1, 2]]') == ["original", [1.0, 2.0]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("orginal", "'bins': 'orginal': did you mean 'original'"),
        ("1,x", "'bins' is original, .*or a list, got '1,x'"),
    ],
)
def test_misspelt_name_is_not_a_list_of_one(text, says):
    with pytest.raises(settings.DepthClipError, match=says):
        Parameter("bins", choices.Bins, "Bins", "original").from_text(text)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"prompts": ["near", "far"], "bins": "original"}, "7 depths but there are 2 words"),
        ({"prompts": [""]}, "non-empty words"),
        ({"prompts": ["near", "far"], "bins": [1000.0, 2000.0]}, "divide by 1000"),
    ],
)
def test_values_that_a_notebook_would_refuse_are_said_before(values, says):
    with pytest.raises(DepthClipError, match=says):
        choices.check_values(values)
    choices.check_values({"prompts": "original", "bins": "original", "temperature": 0.1, "seed": 0})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"weights": "clip/RN5.pt"}, "weights: no weights file at clip/RN5.pt"),
        ({"weights": "RN5.PT"}, "weights: no weights file at RN5.PT"),
        ({"data": "nowhere"}, "data: no file or folder of data at nowhere"),
        ({"data": "~nobody-of-this-name/data"}, "data: cannot read ~nobody"),
        ({"data": "x" * 5000}, "data: cannot read xx.*name too long"),
        ({"predictions": "maps.zip"}, "no saved predictions at maps.zip"),
        ({"mirrored": "maps"}, "no saved predictions of mirror images at maps"),
    ],
)
def test_files_that_are_missing_are_said_before(values, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DepthClipError, match=says) as caught:
        choices.check_values(values)
    assert "\n" not in str(caught.value)


def test_files_that_exist_and_tags_pass(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RN50.pt").write_text("")
    for name in choices.FILES:
        choices.check_values({name: str(tmp_path / "RN50.pt")})
        choices.check_values({name: ""})
    choices.check_values({"weights": "openai", "data": ".", "predictions": None})


def test_random_weights_are_said_before():
    (line,) = choices.remarks({"encoder": "RN50", "weights": ""})
    assert line.startswith("RN50 has random weights") and line.endswith("-p weights openai")
    for known in ({"encoder": "RN50", "weights": "openai"}, {"encoder": "sample", "weights": ""}):
        assert not choices.remarks(known)
    assert not choices.remarks({"encoder": "RN50"}) and not choices.remarks({})
