from typing import get_args

from depthclip_core import choices, settings
from depthclip_core.clip import heads
from depthclip_core.datasets import nyu
from depthclip_core.evaluation import protocols


def test_choices_are_what_the_package_has():
    assert set(get_args(choices.Split)) == set(nyu.SPLITS)
    assert set(get_args(choices.Head)) == set(heads.HEADS)
    assert set(get_args(choices.Prompts)) == set(settings.PROMPTS)
    assert set(get_args(choices.Bins)) == set(settings.BINS)
    assert set(get_args(choices.Metric)) == set(settings.PUBLISHED_METRICS)
    assert set(get_args(choices.Scoring)) == set(protocols.PROTOCOLS)
    assert all(getattr(choices, name) is kind for name, kind in choices.CHOICES.items())
