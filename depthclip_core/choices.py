"""Named types for notebook parameters: the values that each may have.

A parameter annotated with one of these is checked before anything runs. papermill parses plain
names as annotations, but not subscripted literals.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from depthclip_core.datasets import REGISTRY
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.settings import (
    BINS,
    PROMPTS,
    PUBLISHED_METRICS,
    WEIGHT_FILES,
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

# Parameters that name a file or folder, and what should be there. Weights may be a tag instead.
FILES = {
    "data": "file or folder of data",
    "weights": "weights file",
    "predictions": "saved predictions",
    "mirrored": "saved predictions of mirror images",
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
    for name in FILES.keys() & values.keys():
        _check_file(name, values[name])


def remarks(values: Mapping[str, object]) -> list[str]:
    """What to know of a run before it starts, a line each; values as in `check_values`."""
    encoder, weights = values.get("encoder", "sample"), values.get("weights", "given")
    if weights or not isinstance(encoder, str) or encoder == "sample":
        return []
    return [f"{encoder} has random weights: its depths mean nothing: add -p weights openai"]


def _check_file(name: str, value: object) -> None:
    """`DepthClipError` for a parameter that names a file where there is none; others pass."""
    if not (isinstance(value, str) and value):
        return
    try:
        path = Path(value).expanduser()
        is_path = name != "weights" or os.sep in value or path.suffix.lower() in WEIGHT_FILES
        if is_path and not path.exists():
            raise DepthClipError(f"{name}: no {FILES[name]} at {value}")
    except (OSError, RuntimeError) as error:  # no such home; too long a name
        raise DepthClipError(f"{name}: cannot read {value}: {first_line(error)}") from None
