"""Named types for notebook parameters: the values that each may have.

A parameter annotated with one of these is checked before anything runs. papermill parses plain
names as annotations, but not subscripted literals.
"""

from collections.abc import Mapping
from typing import Literal

from depthclip_core.datasets import REGISTRY
from depthclip_core.settings import (
    BINS,
    PROMPTS,
    PUBLISHED_METRICS,
    logit_factor,
    resolve_bins,
    resolve_prompts,
)

AnyDatasetName = Literal[tuple(REGISTRY)]
DatasetName = Literal[tuple(name for name, entry in REGISTRY.items() if entry.has_depth)]
Split = Literal["test", "train", "all"]
Head = Literal["released", "value", "attention"]
Prompts = Literal[tuple(PROMPTS)] | list[str]  # a published name or any words
Bins = Literal[tuple(BINS)] | list[float]  # a published name or any metres
Metric = Literal[tuple(PUBLISHED_METRICS)]
Scoring = Literal["released", "bts", "adabins", "marigold", "median-scaled"]

CHOICES = {
    "AnyDatasetName": AnyDatasetName,
    "DatasetName": DatasetName,
    "Split": Split,
    "Head": Head,
    "Prompts": Prompts,
    "Bins": Bins,
    "Metric": Metric,
    "Scoring": Scoring,
}


def check_values(values: Mapping[str, object]) -> None:
    """`DepthClipError` for parameters of a notebook that its first cells would refuse.

    values: all parameters by name; a notebook need not have them all.
    """
    if "prompts" in values:
        words = resolve_prompts(values["prompts"])
        if "bins" in values:
            resolve_bins(values["bins"], len(words))
    if "temperature" in values:
        logit_factor(values["temperature"])
