"""What a network pass needs, by names and paths, so that each worker can open it for itself."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from depthclip_core.analysis.setup import open_frames
from depthclip_core.clip.encoders import Encoder, load_encoder
from depthclip_core.clip.heads import resolve_head
from depthclip_core.clip.weight_paths import given_path
from depthclip_core.cluster.questions import Bins, Question
from depthclip_core.cores import usable_cores
from depthclip_core.datasets.base import Dataset
from depthclip_core.encoding.passes import EncodingJob, collect_responses, encode_chunks
from depthclip_core.encoding.store import Store, StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.sweep import Sweep
from depthclip_core.paths import user_path
from depthclip_core.settings import resolve_prompts

MOST_CHUNKS = 64  # of a task


@dataclass(frozen=True)
class Work:
    """A pass over a data set: its frames, its encoder, and what the store keeps of them.

    dataset, split, data, encoder, weights: as in `open_run`. device, precision, compiled: as in
    `load_encoder`, on each worker. heads, words, size, dtype: as in `encode`. store: its folder;
    None is the user's own. Every worker must find data, weights file and store under the same
    paths.
    """

    dataset: str = "sample"
    split: str = "test"
    data: str | None = None
    encoder: str = "sample"
    weights: str | None = None
    heads: tuple[str, ...] = ("released",)
    words: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    store: str | None = None
    device: str = "auto"
    precision: str = "auto"
    compiled: bool = False
    dtype: str = "float32"

    def checked(self) -> "Work":
        """The same work with whole paths; `DepthClipError` for what needs no data to be refused.

        Workers run in other folders, and perhaps with other environments, than whoever asks them.
        """
        if self.encoder != "sample" and not self.weights:
            fault = f"{self.encoder} without weights has random ones, which never recur"
            raise DepthClipError(f"{fault}: give weights, such as openai")
        if isinstance(self.heads, str) or not self.heads:
            raise DepthClipError(f"heads is a list of names such as ['value'], not {self.heads!r}")
        for head in self.heads:
            resolve_head(head, compared=self.words is not None)
        words = None if self.words is None else resolve_prompts(self.words)
        weights, path = self.weights or None, given_path(self.encoder, self.weights or None)
        return replace(
            self,
            heads=tuple(dict.fromkeys(self.heads)),
            words=words,
            data=_whole(self.data),
            weights=weights if path is None else _whole(path),
            store=_whole(self.store or Store().folder),
        )

    def open(self) -> tuple[Dataset, Encoder]:
        """The frames and the encoder; their errors are those of `open_run`."""
        frames = open_frames(self.dataset, self.split, self.data)
        made = {"device": self.device, "precision": self.precision, "compiled": self.compiled}
        return frames, load_encoder(self.encoder, self.weights, **made)

    def job(self) -> EncodingJob:
        """The pass itself, opened."""
        frames, encoder = self.open()
        return EncodingJob(frames, encoder, self.size, Store(self.store), self.dtype)

    def arrays(self, job: EncodingJob) -> list[StoredArray]:
        """What the pass fills: an array for each head."""
        if self.words is None:
            return [job.vectors(head) for head in self.heads]
        return [job.similarities(head, self.words) for head in self.heads]

    def encode(self, progress: bool = True) -> list[StoredArray]:
        """Do it in this process; returns the arrays, complete. Call it of `checked` work."""
        job = self.job()
        arrays = self.arrays(job)
        encode_chunks(job, arrays, range(arrays[0].n_chunks), progress)
        return arrays

    def sweep(self, bins: Bins, question: Question, progress: bool = True) -> Sweep:
        """Scores of every setting, in this process. Call it of `checked` work with one head."""
        (head,) = self.heads
        frames, encoder = self.open()
        kept = {"keep": "similarities", "store": Store(self.store), "size": self.size}
        kept |= {"dtype": self.dtype}
        found = collect_responses(frames, encoder, self.words, [head], **kept, progress=progress)
        scored = question.scores(frames, found[head], bins, usable_cores(), progress)
        return replace(scored, frames=frames.names, settings=question.settings(bins))


def _whole(path: str | Path | None) -> str | None:
    return None if path in (None, "") else os.path.abspath(user_path(path))


def blocks(chunks: Sequence[int], n_workers: int, most: int = MOST_CHUNKS) -> list[list[int]]:
    """Chunks in the blocks that tasks take: enough for all workers, and few for the scheduler.

    One chunk may take a GPU eleven milliseconds, and a task the scheduler six (docs/cluster.md). A
    worker that is lost loses one chunk, because each is written when it is made.
    """
    size = max(1, min(most, len(chunks) // (4 * max(1, n_workers))))
    return [list(chunks[start : start + size]) for start in range(0, len(chunks), size)]
