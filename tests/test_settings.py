from itertools import pairwise

import naive
import pytest

from depthclip_core import settings
from depthclip_core.errors import DepthClipError


def test_published_words_and_bins_match_the_paper():
    assert {name: ";".join(words) for name, words in settings.PROMPTS.items()} == naive.WORDS
    assert {name: list(bins) for name, bins in settings.BINS.items()} == naive.BINS


def test_network_window_is_the_crop_or_the_whole_image():
    assert settings.network_window((480, 640), settings.RELEASED_WINDOW).shape == (416, 544)
    assert settings.network_window((480, 640)).shape == (480, 640)


def test_lists_resolve_like_names():
    assert (
        settings.resolve_prompts(list(settings.PROMPTS["prompt-1"])) == settings.PROMPTS["prompt-1"]
    )
    assert settings.resolve_bins([1, 2.5], 2) == (1.0, 2.5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: settings.resolve_prompts("orginal"), "did you mean 'original'"),
        (lambda: settings.resolve_prompts([]), "one or more"),
        (lambda: settings.resolve_prompts(["close", " "]), "non-empty"),
        (lambda: settings.resolve_bins("class-dependent-5", 7), "did you mean"),
        (lambda: settings.resolve_bins("original", 6), "7 depths but there are 6 words"),
        (lambda: settings.resolve_bins([1, 2], 3), "2 depths but there are 3 words"),
        (lambda: settings.resolve_bins([1, 0], 2), "positive"),
        (lambda: settings.resolve_bins([1, float("nan")], 2), "positive"),
        (lambda: settings.resolve_bins(["near", "far"], 2), "metres"),
        (lambda: settings.resolve_bins(3.0, 1), "metres"),
        (lambda: settings.resolve_bins([1, True], 2), "numbers in metres"),
        (lambda: settings.resolve_bins({1.0, 2.0}, 2), "numbers in metres"),
        (lambda: settings.resolve_bins([1, 10**400], 2), "from 1e-06 to 1e"),
        (lambda: settings.resolve_bins([1, 1e39], 2), "from 1e-06 to 1e"),
        (lambda: settings.resolve_bins([1, 1e-45], 2), "from 1e-06 to 1e"),
        (lambda: settings.resolve_bins([1000, 1500], 2), "divide by 1000"),
        (lambda: settings.resolve_bins("1000,1500", 2), "divide by 1000"),
        (lambda: settings.resolve_prompts({"near", "far"}), "a list of words"),
        (lambda: settings.resolve_prompts(["near", "\udcff"]), "is no character"),
        (lambda: settings.logit_factor(0), "temperature must be positive and finite, got 0"),
        (lambda: settings.logit_factor(True), "temperature must be a number, got True"),
        (lambda: settings.logit_factor("0.1"), "temperature must be a number, got '0.1'"),
        (lambda: settings.logit_factor(0.1, float("inf")), "logit_scale must be positive"),
        (lambda: settings.logit_factor(10**400), "lies between"),
        (lambda: settings.logit_factor(1e-320), "lies between"),
    ],
)
def test_bad_input_raises_one_clear_line(call, says):
    with pytest.raises(DepthClipError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_data_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path / "elsewhere"))
    assert settings.data_folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("DEPTHCLIP_DATA")
    assert settings.data_folder().name == "data"


def test_words_and_bins_accept_text_with_commas():
    assert settings.resolve_prompts("near, far away") == ("near", "far away")
    assert settings.resolve_bins("1, 1.5,2", 3) == (1.0, 1.5, 2.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: settings.resolve_prompts("near,,far"), "non-empty"),
        (lambda: settings.resolve_prompts(3), "a name or a list of words, got 3"),
        (lambda: settings.resolve_bins("1, x", 2), "a name or numbers in metres, got '1, x'"),
    ],
)
def test_bad_text_with_commas_raises_one_clear_line(call, says):
    with pytest.raises(DepthClipError, match=says):
        call()


def test_published_name_recognises_equal_values():
    name = settings.published_name
    assert name(list(settings.BINS["class-dependent-2"]), settings.BINS) == "class-dependent-2"
    assert name([1.0, 2.0], settings.BINS) == "given"


def test_published_bins_ascend_and_3_is_the_nearest_4_the_farthest():
    assert all(near < far for bins in settings.BINS.values() for near, far in pairwise(bins))
    mean = {name: sum(bins) / len(bins) for name, bins in settings.BINS.items()}
    assert min(mean, key=mean.get) == "class-dependent-3"
    assert max(mean, key=mean.get) == "class-dependent-4"
