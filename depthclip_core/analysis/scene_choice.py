"""The scene types of a run's images: what CLIP says of them, and what they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from depthclip_core.analysis import scene_probabilities as sp
from depthclip_core.analysis.setup import Run
from depthclip_core.errors import DepthClipError


@dataclass(frozen=True, eq=False)
class Scenes:
    """What CLIP says of the scene types of one split's B images, and what they are.

    kinds: S scene types. similarities: (B, S). truth: (B,) positions of the true types, −1 where it
    is none of the S. temperature: of the softmax, fitted on the train split.
    """

    kinds: tuple[str, ...]
    similarities: np.ndarray
    truth: np.ndarray
    temperature: float

    @property
    def right(self) -> np.ndarray:
        """Whether the most similar type is the true one, (B,)."""
        return self.similarities.argmax(axis=1) == self.truth

    @property
    def confusion(self) -> pd.DataFrame:
        """How many images of each true type (rows) are predicted as each type (columns)."""
        names, said = np.array([*self.kinds, "other"]), self.similarities.argmax(axis=1)
        table = pd.crosstab(names[self.truth], names[said])
        rows = [name for name in names if name in table.index]
        return table.reindex(rows, fill_value=0).reindex(columns=list(self.kinds), fill_value=0)

    @property
    def confidences(self) -> pd.DataFrame:
        """The probability of the answer (B,), with CLIP's own temperature and with the fitted."""
        both = {"CLIP's own": sp.CLIP_TEMPERATURE, "fitted": self.temperature}
        values = {n: sp.probabilities(self.similarities, t).max(axis=1) for n, t in both.items()}
        return pd.DataFrame(values)

    @property
    def losses(self) -> pd.DataFrame:
        """−ln of the probability of the true type (B,), with both temperatures."""
        both = {"CLIP's own": sp.CLIP_TEMPERATURE, "fitted": self.temperature}
        values = {n: sp.log_losses(self.similarities, self.truth, t) for n, t in both.items()}
        return pd.DataFrame(values)

    def shares(self, choice: str) -> np.ndarray:
        """How much of each type's bins each image gets, (B, S), for one of `scene_bins.CHOICES`."""
        if choice == "soft":
            return sp.probabilities(self.similarities, self.temperature)
        chosen = self.truth if choice == "true" else self.similarities.argmax(axis=1)
        # The last row is that of −1: no type.
        return np.vstack([np.eye(len(self.kinds)), np.zeros(len(self.kinds))])[chosen]


def predicted_scenes(run: Run, templates: Sequence[str] = sp.TEMPLATES) -> dict[str, Scenes]:
    """`Scenes` of the run's train split, "train", and of its own split, "own".

    The types are those of the train split, as bins are learnt for these. `DepthClipError` if it has
    none.
    """
    kinds = tuple(sorted(set(run.train.scenes) - {None}))
    if not kinds:
        raise DepthClipError(f"{run.train.title} names no scene type: bins cannot be learnt by it")
    places = {kind: place for place, kind in enumerate(kinds)}
    both = {"train": run.train, "own": run.frames}
    truth = {n: np.array([places.get(s, -1) for s in f.scenes]) for n, f in both.items()}
    said = {n: sp.ensemble_similarities(f, run.encoder, kinds, templates) for n, f in both.items()}
    temperature = sp.fit_temperature(said["train"], truth["train"])
    return {name: Scenes(kinds, said[name], truth[name], temperature) for name in both}
