"""A data set through the network once, into the store; later questions are answered from there.

Head vectors are kept where words may still change, similarities alone where memory or disk is dear.
Both always hold two views, the image and its mirror image. Bins, temperature, flip and protocol
apply to similarities and need no pass.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import tee

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import resolve_head
from depthclip_core.datasets.base import Frame
from depthclip_core.datasets.prefetch import read_ahead, reading_threads
from depthclip_core.encoding.jobs import EncodingJob, read_fp32
from depthclip_core.encoding.locks import Claim, hold, share
from depthclip_core.encoding.store import AbsentChunk, DamagedChunk, Store, StoredArray
from depthclip_core.encoding.vectors import store_for, text_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.method.batches import default_batch_size, through_network
from depthclip_core.method.pipeline import head_vectors, not_finite, project
from depthclip_core.settings import resolve_prompts

ATTEMPTS = 3  # to read a chunk that others keep damaging or removing


def collect_responses(
    frames: Sequence[Frame],
    encoder: Encoder,
    words: str | Sequence[str],
    heads: Sequence[str] = ("released",),
    *,
    size: tuple[int, int] | None = None,
    keep: str = "vectors",
    dtype: str = "float32",
    store: Store | None = None,
    progress: bool = True,
) -> dict[str, Tensor]:
    """Similarities of a data set with K words, from the store; missing ones are computed first.

    frames: all of one size. words: K words, or a published name. size: rows and columns of the
    network's input; None: those of the window. keep: "vectors", so that other words need no network
    pass later, or "similarities", of these words only, in a hundredth of the space. dtype: how they
    are stored, as in `encode`.
    Returns for each head (N, 2, K, h, w) fp32 on the CPU, of image and mirror image: 12 kB a frame
    for seven words and 221 cells.
    Raises `DepthClipError` for no frames, frames of several sizes, unknown heads, an image smaller
    than a cell, vectors that are not finite, and a store that cannot be written.
    """
    if keep not in ("vectors", "similarities"):
        raise DepthClipError(f"keep is 'vectors' or 'similarities', not {keep!r}")
    words = resolve_prompts(words)
    heads = _distinct(heads, words)
    with store_for(encoder, store) as opened:
        job = EncodingJob(frames, encoder, size, opened, dtype)
        _complete(job, heads, words, keep, progress)
        return {head: _read_all(job, job.similarities(head, words), progress) for head in heads}


def encode(
    frames: Sequence[Frame],
    encoder: Encoder,
    heads: Sequence[str] = ("released",),
    words: str | Sequence[str] | None = None,
    *,
    size: tuple[int, int] | None = None,
    dtype: str = "float32",
    store: Store | None = None,
    progress: bool = True,
) -> None:
    """One network pass over a data set into the store; chunks that are there are not made again.

    Without words it keeps each head's vectors, with words only their similarities. Memory does not
    grow with the data set: two chunks of 16 frames are held, and a few frames read ahead. A run
    continues where an earlier one ended; several processes at once share the work.

    dtype: how numbers are stored, "float32" or "float16", in half the space and as arrays of their
    own; they are read as fp32 (docs/speed.md has what it costs). Raises `DepthClipError` for a
    number that float16 cannot hold.
    """
    words = None if words is None else resolve_prompts(words)
    heads = _distinct(heads, words)
    job = EncodingJob(frames, encoder, size, store or Store(), dtype)
    arrays = [job.similarities(h, words) if words else job.vectors(h) for h in heads]
    _encode(job, arrays, progress)


def direction_similarities(
    frames: Sequence[Frame],
    encoder: Encoder,
    directions: Tensor,
    head: str = "released",
    *,
    store: Store | None = None,
) -> Tensor:
    """Similarities (N, 2, W, h, w) fp32 on the CPU of stored vectors with any W directions (W, D).

    Vectors that the store lacks are computed first. head: "backbone" has all C channels, so that
    its directions are (W, C).
    """
    with store_for(encoder, store) as opened:
        encode(frames, encoder, [head], store=opened, progress=False)
        array = EncodingJob(frames, encoder, None, opened).vectors(head)
        directions = directions.to(encoder.device)
        found = []
        for chunk in range(array.n_chunks):
            vectors = torch.from_numpy(array.read(chunk)).to(encoder.device)
            if vectors.shape[2] != directions.shape[1]:
                fault = f"directions have {directions.shape[1]} numbers"
                raise DepthClipError(f"{fault}, and vectors of head {head!r} {vectors.shape[2]}")
            found.append(project(vectors, directions).cpu())
        return torch.cat(found)


def _complete(
    job: EncodingJob, heads: Sequence[str], words: tuple[str, ...], keep: str, progress: bool
) -> None:
    """Make the similarities that are missing: from stored vectors, else by a pass."""
    missing = [head for head in heads if not job.similarities(head, words).complete]
    direct = [head for head in missing if keep == "similarities" and not job.vectors(head).complete]
    _encode(job, [job.similarities(head, words) for head in direct], progress)
    others = [head for head in missing if head not in direct]
    _encode(job, [job.vectors(head) for head in others], progress)
    text = text_vectors(job.encoder, words, job.store) if others else None
    for head in others:
        array = job.similarities(head, words)
        share(
            [array],
            array.missing(),
            partial(_project, job, array, text, progress),
            progress=progress,
        )


def _project(
    job: EncodingJob, array: StoredArray, text: Tensor, progress: bool, claims: Iterator[Claim]
) -> None:
    """Compute claimed chunks of similarities from stored vectors, and write them."""
    head = array.settings["head"]
    for claim in claims:
        vectors = torch.from_numpy(_read(job, job.vectors(head), claim.chunk, progress))
        values = project(vectors.to(job.encoder.device), text).cpu().numpy()
        if not np.isfinite(values.sum()):
            raise not_finite(job.encoder, f"a {head} similarity")
        job.write(array, claim.chunk, values)
        claim.let_go()


def _read_all(job: EncodingJob, array: StoredArray, progress: bool) -> Tensor:
    """A whole array, (N, ...) fp32."""
    whole = None
    for chunk in range(array.n_chunks):
        values = torch.from_numpy(_read(job, array, chunk, progress))
        if whole is None:
            whole = torch.empty(array.n_frames, *values.shape[1:])
        frames = array.frames_of(chunk)
        whole[frames.start : frames.stop] = values
    return whole


def _read(job: EncodingJob, array: StoredArray, chunk: int, progress: bool) -> np.ndarray:
    """Read a chunk; warn and recompute if it is damaged or missing."""
    for attempt in range(ATTEMPTS + 1):
        try:
            values = read_fp32(array, chunk)
            break
        except (DamagedChunk, AbsentChunk) as fault:
            if attempt == ATTEMPTS:
                raise
            warnings.warn(f"{fault}; it is computed again", stacklevel=2)
        with hold(array, chunk, progress=progress), suppress(AbsentChunk):
            try:
                array.check(chunk)  # another process may have repaired it before we got the lock
            except DamagedChunk:
                array.discard(chunk)
        words = array.settings.get("words")
        if words is None:
            _encode(job, [array], progress)
        else:
            _complete(job, [array.settings["head"]], tuple(words), "similarities", progress)
    if not np.isfinite(values.sum()):
        advice = "remove it, and run again to compute it anew"
        raise DepthClipError(f"{array.path(chunk)} holds NaN or infinite values: {advice}")
    return values


def _encode(job: EncodingJob, arrays: Sequence[StoredArray], progress: bool) -> None:
    """One pass over every chunk that an array lacks, for all arrays that lack some."""
    missing = {array.key: array.missing() for array in arrays}
    arrays = [array for array in arrays if missing[array.key]]
    encode_chunks(job, arrays, sorted(set().union(*missing.values())), progress)


def encode_chunks(
    job: EncodingJob, arrays: Sequence[StoredArray], chunks: Iterable[int], progress: bool
) -> None:
    """Make those of these chunks that an array lacks.

    arrays: of the job, all of one kind. Processes that call this at the same time share the work:
    each claims a few chunks ahead, and at the end waits for those that others hold.
    """
    chunks = [chunk for chunk in chunks if not all(array.has(chunk) for array in arrays)]
    if not chunks:
        return
    total = sum(len(arrays[0].frames_of(chunk)) for chunk in chunks)
    with tqdm(total=total, desc="encoding", unit="frame", disable=not progress) as bar:
        share(
            arrays,
            chunks,
            lambda claims: _make(job, arrays, claims, bar),
            progress=progress,
            found=lambda chunk: bar.update(len(arrays[0].frames_of(chunk))),
        )


def _make(
    job: EncodingJob, arrays: Sequence[StoredArray], claims: Iterator[Claim], bar: tqdm
) -> None:
    """Compute claimed chunks, and write each while the next is computed."""

    def write(claim: Claim, made: list[np.ndarray]) -> None:
        for array, values in zip(arrays, made, strict=True):
            if array in claim.arrays:
                job.write(array, claim.chunk, values)
        claim.let_go()

    with ThreadPoolExecutor(1, thread_name_prefix="write") as writer, torch.inference_mode():
        writing = None
        for claim, made in _encoded_chunks(job, arrays, claims, bar):
            if writing:
                writing.result()
            writing = writer.submit(write, claim, made)
        if writing:
            writing.result()


def _encoded_chunks(
    job: EncodingJob, arrays: Sequence[StoredArray], claims: Iterator[Claim], bar: tqdm
) -> Iterator[tuple[Claim, list[np.ndarray]]]:
    """Each claimed chunk with its values for each array, (n, 2, D or K, h, w) fp32."""
    heads = [array.settings["head"] for array in arrays]
    words = arrays[0].settings.get("words")  # the same for all arrays of a pass
    text = None if words is None else text_vectors(job.encoder, words, job.store)

    def read(claim: Claim) -> Tensor:
        pixels = torch.from_numpy(job.frames.rgb_batch(arrays[0].frames_of(claim.chunk)))
        return pixels.pin_memory() if job.encoder.device.type == "cuda" else pixels

    def compute(pixels: Tensor) -> tuple[Tensor, ...]:
        found = head_vectors(pixels, job.encoder, heads, size=job.size, crop=job.frames.crop)
        values = [found[head] if text is None else project(found[head], text) for head in heads]
        bar.update(len(pixels))
        return *values, torch.stack([of_head.sum() for of_head in values])[None]

    batch = default_batch_size(job.size, job.encoder)
    claimed, noted = tee(claims)  # the second runs behind, as far as chunks are read ahead
    pictures = read_ahead(read, claimed, reading_threads(job.encoder.device.type))
    made = through_network(pictures, job.encoder, batch, compute)
    for (*values, sums), claim in zip(made, noted, strict=True):
        for head, total in zip(heads, sums.sum(0), strict=True):
            if not math.isfinite(total):
                raise not_finite(job.encoder, f"a {head} vector or similarity")
        yield claim, values


def _distinct(heads: Sequence[str], words: Sequence[str] | None) -> list[str]:
    if isinstance(heads, str) or not isinstance(heads, Iterable):
        raise DepthClipError(f"heads is a list of names such as ['value'], not {heads!r}")
    for head in heads:
        resolve_head(head, compared=words is not None)
    return list(dict.fromkeys(heads))
