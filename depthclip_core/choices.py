"""What a notebook's parameters may be, as types with names.

A parameter that is annotated with one of these is held to its values before anything runs.
papermill reads names as annotations, and brackets with quotes in them not.
"""

from typing import Literal

from depthclip_core.settings import BINS, PROMPTS, PUBLISHED_METRICS

Dataset = Literal["sample", "nyu"]
AnyFrames = Literal["sample", "nyu", "photos"]
Split = Literal["test", "train", "all"]
Head = Literal["released", "value", "attention"]
Prompts = Literal[tuple(PROMPTS)]
Bins = Literal[tuple(BINS)]
Metric = Literal[tuple(PUBLISHED_METRICS)]
Scoring = Literal["released", "bts", "adabins", "marigold", "median-scaled"]

CHOICES = {
    "Dataset": Dataset,
    "AnyFrames": AnyFrames,
    "Split": Split,
    "Head": Head,
    "Prompts": Prompts,
    "Bins": Bins,
    "Metric": Metric,
    "Scoring": Scoring,
}
