"""Bins for a scene type: the published partition that is best for it on the train split."""

from dataclasses import replace
from functools import lru_cache

import pandas as pd
from ipywidgets import HBox

from depthclip_core.analysis.class_bins import train_means
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.tables import ALL, best_partitions
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.settings import BINS
from depthclip_core.text import printable
from depthclip_core.widgets.controls import Button, Choice

METRIC = "delta1"  # by which a partition is best


class SceneBins(HBox):
    """A list of the scene types of a run's frames, and a button that takes the bins for one.

    run: with the head whose scores decide. It is empty where frames have no scene types.
    """

    def __init__(self, run: Run):
        self.run = run
        kinds = sorted(set(run.frames.scenes) - {None, ""})
        options = [(printable(kind), kind) for kind in kinds] or [("none", None)]
        self.kind = Choice(options, options[0][1], description="scene type")
        self.take = Button(description="use the best bins of this type")
        self._means = lru_cache(8)(self._train_means)
        super().__init__([self.kind, self.take] if kinds else [])
        self.add_class("depthclip-buttons")
        self.add_class("depthclip-scene-bins")

    def show(self, scene: str | None) -> None:
        """Choose a frame's scene type, if it has one."""
        if scene in [kind for _, kind in self.kind.options]:
            self.kind.value = scene

    def chosen(self, words: tuple[str, ...]) -> tuple[str, str]:
        """The name of the best partition for the chosen type with these words, and why it is.

        The first time, the train split may have to go through the network. Raises `DepthClipError`
        where there is none.
        """
        if len(words) != len(BINS["original"]):
            raise DepthClipError("Bins by scene type are published for seven words.")
        best, kind = best_partitions(self._means(words))[METRIC], self.kind.value
        why = f"the best {METRICS[METRIC].title} of {self.run.method} on the train split"
        if best.get(kind) in BINS:
            return best[kind], f"{kind}: {best[kind]} bins have {why}."
        return best[
            ALL
        ], f"No {kind} is on the train split: {best[ALL]} bins have {why} as a whole."

    def _train_means(self, words: tuple[str, ...]) -> pd.DataFrame:
        return train_means(replace(self.run, words=words))
