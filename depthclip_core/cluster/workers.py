"""What runs in a worker: one model, opened by its first task, and the tasks that use it."""

import uuid
from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch
from distributed import Worker, WorkerPlugin, get_worker

from depthclip_core.cluster.questions import Bins, Question
from depthclip_core.cluster.work import Work
from depthclip_core.encoding.passes import EncodingJob, encode_chunks
from depthclip_core.encoding.store import StoredArray
from depthclip_core.errors import DepthClipError


class OneModel(WorkerPlugin):
    """Keeps a pass's frames and encoder open in each worker, also in one that joins later."""

    def __init__(self, work: Work):
        self.work, self.name = work, f"depthclip-{uuid.uuid4().hex}"

    def setup(self, worker: Worker) -> None:
        self._lock, self._job = Lock(), None
        self.network = Lock()  # for one task at a time, also where a worker has many threads

    def teardown(self, worker: Worker) -> None:
        if self._job is not None:
            self._job.frames.close()

    def opened(self, keys: Sequence[str] | None = None) -> tuple[EncodingJob, list[StoredArray]]:
        """The pass and its arrays.

        keys: those that the first worker found. Raises `DepthClipError` where this worker has
        others: its data, weights or precision are not the same.
        """
        with self._lock:
            if self._job is None:
                self._job = self.work.job()
        arrays = self.work.arrays(self._job)
        if keys is not None and [array.key for array in arrays] != list(keys):
            encoder = self._job.encoder
            raise DepthClipError(
                f"this worker would compute something else than the others ({encoder}): give it "
                "the same data, weights and version, and name weights and precision if they differ"
            )
        return self._job, arrays


def arrays_of(name: str) -> list[StoredArray]:
    """The arrays of a pass, as this worker finds them. name: the plugin's."""
    return get_worker().plugins[name].opened()[1]


def make_chunks(name: str, keys: Sequence[str], chunks: Sequence[int]) -> int:
    """Make those of the chunks that are missing; returns the number of their frames."""
    plugin = get_worker().plugins[name]
    job, arrays = plugin.opened(keys)
    with plugin.network:
        encode_chunks(job, arrays, chunks, progress=False)
    return sum(len(arrays[0].frames_of(chunk)) for chunk in chunks)


def score_chunks(
    name: str, keys: Sequence[str], chunks: Sequence[int], bins: Bins, question: Question
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Score the frames of some chunks: their names, values (S, n, M), counts of pixels (S, n)."""
    job, (array,) = get_worker().plugins[name].opened(keys)
    start, stop = array.frames_of(chunks[0]).start, array.frames_of(chunks[-1]).stop
    frames = job.frames[start:stop]
    similarities = torch.from_numpy(np.concatenate([array.read(chunk) for chunk in chunks]))
    scored = question.scores(frames, similarities, bins, threads=1, progress=False)
    return frames.names, scored.values, scored.n_pixels
