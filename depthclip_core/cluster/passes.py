"""Network passes and sweeps on a cluster; results are the same, bit for bit, as without one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from depthclip_core.cluster.clients import required
from depthclip_core.cluster.questions import Bins, Question
from depthclip_core.cluster.work import Work, blocks
from depthclip_core.encoding.store import StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.sweep import Sweep

if TYPE_CHECKING:
    from distributed import Client


def encode(client: "Client", work: Work, *, progress: bool = True) -> list[StoredArray]:
    """One network pass by all workers of a cluster into the store that they share.

    Chunks that are there are not made again. Returns the arrays, complete, one for each head.
    Raises `DepthClipError` for work that cannot be opened, workers that disagree about it, a task
    that keeps failing, and a store that this process does not share.
    """
    with _opened(client, work.checked()) as (name, arrays):
        _make(client, name, arrays, progress)
    return arrays


def sweep(
    client: "Client", work: Work, bins: Bins, question: Question, *, progress: bool = True
) -> Sweep:
    """Scores of every setting on each frame, as `evaluation.sweep.sweep`, by all workers.

    work: with words, and with one head. bins: partitions by name, metres. Similarities that the
    store lacks are made first.
    """
    if work.words is None or len(work.heads) != 1:
        raise DepthClipError("a sweep needs words, and one head")
    with _opened(client, work.checked()) as (name, arrays):
        _make(client, name, arrays, progress)
        parts = _score(client, name, arrays[0], (bins, question), progress)
    names, values, counts = zip(*parts, strict=True)
    return Sweep(
        question.settings(bins),
        [one for some in names for one in some],
        tuple(question.metrics),
        np.concatenate(values, axis=1),
        np.concatenate(counts, axis=1),
    )


@contextmanager
def _opened(client: "Client", work: Work) -> Iterator[tuple[str, list[StoredArray]]]:
    """The name of the workers' plugin for this work, and the arrays that the work fills."""
    required("distributed")
    from depthclip_core.cluster.tasks import completed
    from depthclip_core.cluster.workers import OneModel, arrays_of

    plugin = OneModel(work)
    client.register_plugin(plugin)
    try:
        ((_, arrays),) = completed(client, arrays_of, [(plugin.name,)])
        yield plugin.name, arrays
    finally:
        client.unregister_worker_plugin(plugin.name)


def _make(client: "Client", name: str, arrays: Sequence[StoredArray], progress: bool) -> None:
    from depthclip_core.cluster.tasks import completed
    from depthclip_core.cluster.workers import make_chunks

    keys = [array.key for array in arrays]
    missing = sorted(set().union(*(array.missing() for array in arrays)))
    parts = blocks(missing, len(client.nthreads()))
    total = sum(len(arrays[0].frames_of(chunk)) for chunk in missing)
    with tqdm(total=total, desc="encoding", unit="frame", disable=not progress) as bar:
        for _, n_frames in completed(client, make_chunks, [(name, keys, part) for part in parts]):
            bar.update(n_frames)
    for array in arrays:
        if not array.complete:
            fault = f"the workers have filled {array.folder}, and this process does not find it all"
            raise DepthClipError(f"{fault}: share that folder, or name another store")


def _score(
    client: "Client", name: str, array: StoredArray, asked: tuple, progress: bool
) -> list[tuple]:
    """What `score_chunks` gives of each block of chunks, in order."""
    from depthclip_core.cluster.tasks import completed
    from depthclip_core.cluster.workers import score_chunks

    parts = blocks(range(array.n_chunks), len(client.nthreads()))
    arguments = [(name, [array.key], part, *asked) for part in parts]
    found: list = [None] * len(parts)
    with tqdm(total=array.n_frames, desc="scoring", unit="frame", disable=not progress) as bar:
        for place, result in completed(client, score_chunks, arguments):
            found[place] = result
            bar.update(len(result[0]))
    return found
