"""The set-up that every notebook shares: one data set, one encoder, words and bins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from depthclip_core import settings
from depthclip_core.analysis.comparability import not_comparable, run_caption
from depthclip_core.clip.encoders import Encoder, load_encoder
from depthclip_core.clip.heads import resolve_head
from depthclip_core.datasets import Dataset, dataset_class, open_dataset
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.protocols import Protocol, protocol_for, resolve_protocol


@dataclass(frozen=True, eq=False)
class Run:
    """The method in one setting on one split of a data set.

    words: K distance words, and bins: K depths in metres, one for each. words_name, bins_name: the
    names under which they are published, or "given". head: None where a run compares all heads.
    data: the folder or file that was given. protocol: by which these frames are scored.
    """

    dataset: str
    data: str | Path | None
    frames: Dataset
    encoder: Encoder
    head: str | None
    words: tuple[str, ...]
    words_name: str
    bins: tuple[float, ...]
    bins_name: str
    temperature: float
    protocol: Protocol
    protocol_name: str

    @cached_property
    def train(self) -> Dataset:
        """The training split of the same data set, opened when it is first needed.

        Raises `DepthClipError` for a data set that has none.
        """
        if "train" not in self.frames.splits:
            fault = f"{self.frames.title} has no split 'train' to fit bins and blind maps on"
            raise DepthClipError(f"{fault}: name its frames, as pairs do with the option train")
        return open_frames(self.dataset, "train", self.data)

    @property
    def caption(self) -> str:
        """One line for a notebook's first output: what this run shows."""
        return run_caption(self.frames, self.encoder, self.head)

    @property
    def method(self) -> str:
        """What to call the method: "DepthCLIP" is the released head alone."""
        return "DepthCLIP" if self.head in (None, "released") else f"DepthCLIP + {self.head} head"

    @property
    def not_comparable(self) -> list[str]:
        """Why these numbers may not stand beside the paper's; empty where they may."""
        own = {"prompts": self.words_name, "bins": self.bins_name}
        own |= {"temperature": self.temperature, "protocol": self.protocol_name}
        return not_comparable(self.frames, self.encoder, self.head or "released", **own)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells of a frame."""
        return self.encoder.grid(*self.frames[0].window.shape)

    def similarities(
        self, words: str | Sequence[str] | None = None, frames: Dataset | None = None
    ) -> Tensor:
        """Similarities (N, 2, K, h, w) of this run's head, from the store; see `collect_responses`.

        words: others than the run's. frames: others than the run's, such as `train`.
        """
        if self.head is None:
            raise DepthClipError("this run has no head of its own: use collect_responses")
        words = self.words if words is None else words
        frames = self.frames if frames is None else frames
        found = collect_responses(frames, self.encoder, words, [self.head], progress=False)
        return found[self.head]

    def with_head(self, head: str) -> "Run":
        """The same run with another head, on the same frames and network."""
        resolve_head(head)
        return replace(self, head=head)

    @property
    def both_heads(self) -> dict[str, "Run"]:
        """DepthCLIP's own head and this run's (the value head if they are the same), by method.

        Notebooks show the two side by side, so that what another head does is not taken for what
        DepthCLIP does.
        """
        other = "value" if self.head in (None, "released") else self.head
        runs = [self.with_head(head) for head in ("released", other)]
        return {run.method: run for run in runs}

    def text_vectors(self, words: str | Sequence[str]) -> Tensor:
        """Text vectors (K, D) of K words, from the store; see `Encoder.text_vectors`."""
        return text_vectors(self.encoder, words)


def open_run(
    dataset: str = "sample",
    split: str = "test",
    *,
    data: str | Path | None = None,
    encoder: str = "sample",
    weights: str | Path | None = None,
    head: str | None = None,
    prompts: str | Sequence[str] = "original",
    bins: str | Sequence[float] = "original",
    temperature: float = settings.TEMPERATURE,
    protocol: str = "released",
    device: str | torch.device = "auto",
) -> Run:
    """Open a data set and load an encoder for one setting of the method.

    Empty text means "not given", as notebook parameters have it. Frames are preprocessed as the
    released code does where it does so. The parameters are those of `open_dataset`, `load_encoder`
    and `predict_depth`, and so are the errors.
    """
    if head is not None:
        resolve_head(head)
    words = settings.resolve_prompts(prompts)
    depths = settings.resolve_bins(bins, len(words))
    settings.logit_factor(temperature)
    resolve_protocol(protocol)
    frames = open_frames(dataset, split, data)
    network = load_encoder(encoder, weights or None, device)
    words_name = settings.published_name(words, settings.PROMPTS)
    bins_name = settings.published_name(depths, settings.BINS)
    named, own = (words, words_name, depths, bins_name), protocol_for(frames, protocol)
    return Run(dataset, data or None, frames, network, head, *named, temperature, own, protocol)


def open_frames(dataset: str, split: str, data: str | Path | None) -> Dataset:
    """A data set, preprocessed as the released code does where it does so; see `open_dataset`."""
    preprocessing = dataset_class(dataset).published_preprocessing
    return open_dataset(dataset, split, data=data or None, released_preprocessing=preprocessing)
