"""What a sweep asks, and its answer for some frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from depthclip_core.datasets.base import Dataset
from depthclip_core.evaluation.metrics import resolve_metric
from depthclip_core.evaluation.protocols import protocol_for, resolve_protocol
from depthclip_core.evaluation.sweep import LEVELS, Sweep, sweep
from depthclip_core.settings import PUBLISHED_METRICS, TEMPERATURE, logit_factor

Bins = Mapping[str, Sequence[float]]  # partitions by name, metres


@dataclass(frozen=True)
class Question:
    """What a sweep asks of each partition: temperatures, names of protocols, and metrics."""

    temperatures: Sequence[float] = (TEMPERATURE,)
    protocols: Sequence[str] = ("released",)
    metrics: Sequence[str] = PUBLISHED_METRICS

    def __post_init__(self):
        """`DepthClipError` for what no sweep answers, before anything is computed."""
        for temperature in self.temperatures:
            logit_factor(temperature)
        for protocol in self.protocols:
            resolve_protocol(protocol)
        for metric in self.metrics:
            resolve_metric(metric)

    def scores(
        self, frames: Dataset, similarities: Tensor, bins: Bins, threads: int, progress: bool
    ) -> Sweep:
        """The scores of some frames; a protocol is the one that suits their data set."""
        own = [protocol_for(frames, protocol) for protocol in self.protocols]
        named = {"metrics": self.metrics, "threads": threads, "progress": progress}
        truths = frames.ground_truths()
        return sweep(truths, similarities, bins, self.temperatures, own, **named)

    def settings(self, bins: Bins) -> pd.MultiIndex:
        """The names of all settings, in the order of their scores."""
        return pd.MultiIndex.from_product(
            [list(bins), self.temperatures, self.protocols], names=LEVELS
        )
