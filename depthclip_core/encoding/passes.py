"""A data set encoded once: every frame through the network into the store, and answers from there.

Head vectors are kept where words may still change; similarities alone where memory or disk is
dear. Both views, image and mirror image, are always there; bins, temperature, flip and protocol
come later and cost no pass.
"""

import math
import operator
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.heads import resolve_head
from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.datasets.prefetch import read_ahead, reading_threads
from depthclip_core.encoding.store import PART, AbsentPart, DamagedPart, Store, StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.method.pipeline import first_batch, head_vectors, not_finite, project
from depthclip_core.settings import OBJECT, TEMPLATES, network_window, resolve_prompts

READ = PART  # frames read together
SILENCE = 60.0  # seconds of waiting before a run without progress bars says so
ATTEMPTS = 3  # at a part that others damage or remove meanwhile


def collect_responses(
    frames: Sequence[Frame],
    encoder: Encoder,
    words: str | Sequence[str],
    heads: Sequence[str] = ("released",),
    *,
    size: tuple[int, int] | None = None,
    keep: str = "vectors",
    store: Store | None = None,
    progress: bool = True,
) -> dict[str, Tensor]:
    """Similarities of a data set with K words, from the store; what is missing is made first.

    frames: of one size. words: K words, or a published name. size: rows and columns of the
    network's input, the window's own unless given. keep: "vectors", so that other words later cost
    no network pass; or "similarities", these words only, a hundredth of the disk.
    Returns for each head (N, 2, K, h, w) fp32 on the CPU, of image and mirror image: 12 kB a frame
    for seven words and 221 cells.
    """
    if keep not in ("vectors", "similarities"):
        raise DepthClipError(f"keep is 'vectors' or 'similarities', not {keep!r}")
    words, heads = resolve_prompts(words), _distinct(heads)
    with _store_for(encoder, store) as opened:
        data = DataSet(frames, encoder, size, opened)
        _complete(data, heads, words, keep, progress)
        answers = {}
        for head in heads:
            array = data.similarities(head, words)
            for part in range(array.n_parts):
                values = torch.from_numpy(_sound(data, array, part, progress))
                if part == 0:
                    answers[head] = torch.empty(len(frames), *values.shape[1:])
                positions = array.frames_of(part)
                answers[head][positions.start : positions.stop] = values
    return answers


def encode(
    frames: Sequence[Frame],
    encoder: Encoder,
    heads: Sequence[str] = ("released",),
    words: str | Sequence[str] | None = None,
    *,
    size: tuple[int, int] | None = None,
    store: Store | None = None,
    progress: bool = True,
) -> None:
    """One network pass over a data set, into the store; what is there already is not made again.

    Without words it keeps each head's vectors; with words their similarities only. Memory does not
    grow with the data set: two parts of 16 frames are held, and a few frames read ahead. A run that
    was ended goes on at its first missing part; a second process waits and finds the work done.
    """
    words = None if words is None else resolve_prompts(words)
    data = DataSet(frames, encoder, size, store or Store())
    _encode(data, [data.array(head, words) for head in _distinct(heads)], progress)


class DataSet:
    """Frames as one encoder sees them, and the arrays of the store that depend on the two."""

    def __init__(
        self,
        frames: Sequence[Frame],
        encoder: Encoder,
        size: tuple[int, int] | None,
        store: Store,
    ):
        if not len(frames):
            raise DepthClipError("there are no frames to encode")
        self.frames, self.encoder, self.store = as_dataset(frames), encoder, store
        window = network_window(self.frames.rgb_batch([0]).shape[1:3], self.frames.crop)
        self.size = _checked_size(size or window.shape)
        encoder.grid(*self.size)
        self.origin = {
            "data": self.frames.identity(store.checksums),
            "encoder": {"name": encoder.name, "weights": encoder.image_checksum},
            "arithmetic": encoder.arithmetic,
            "window": [window.top, window.bottom, window.left, window.right],
            "size": list(self.size),
        }

    def array(self, head: str, words: tuple[str, ...] | None) -> StoredArray:
        return self.vectors(head) if words is None else self.similarities(head, words)

    def vectors(self, head: str) -> StoredArray:
        """(N, 2, D, h, w) fp32."""
        resolve_head(head)
        settings = {"kind": "vectors", "head": head, **self.origin}
        return self.store.array(settings, len(self.frames))

    def similarities(self, head: str, words: tuple[str, ...]) -> StoredArray:
        """(N, 2, K, h, w) fp32."""
        resolve_head(head)
        settings = {
            "kind": "similarities",
            "head": head,
            "words": list(words),
            "templates": list(TEMPLATES),
            "object": OBJECT,
            "text weights": self.encoder.text_checksum,
            **self.origin,
        }
        return self.store.array(settings, len(self.frames))


def _complete(
    data: DataSet, heads: Sequence[str], words: tuple[str, ...], keep: str, progress: bool
) -> None:
    """Make the similarities that are missing: from vectors where those are, else by a pass."""
    missing = [head for head in heads if not data.similarities(head, words).complete]
    direct = [
        head for head in missing if keep == "similarities" and not data.vectors(head).complete
    ]
    _encode(data, [data.similarities(head, words) for head in direct], progress)
    others = [head for head in missing if head not in direct]
    _encode(data, [data.vectors(head) for head in others], progress)
    text = data.encoder.text_vectors(words) if others else None
    for head in others:
        array = data.similarities(head, words)
        with _lock(array, progress):
            for part in array.missing():
                vectors = torch.from_numpy(_sound(data, data.vectors(head), part, progress))
                answer = project(vectors.to(data.encoder.device), text).cpu().numpy()
                if not np.isfinite(answer.sum()):
                    raise not_finite(data.encoder, f"a {head} similarity")
                array.write(part, answer, **_provenance(data.encoder))


def _sound(data: DataSet, array: StoredArray, part: int, progress: bool) -> np.ndarray:
    """A part as it was written; one that was damaged or removed is told of, and made again."""
    for _ in range(ATTEMPTS):
        try:
            return _finite(array, part)
        except (DamagedPart, AbsentPart) as fault:
            warnings.warn(f"{fault}; it is made again", stacklevel=2)
        with _lock(array, progress):  # under which another process may have made it again already
            with suppress(AbsentPart):
                try:
                    array.check(part)
                except DamagedPart:
                    array.discard(part)
        words = array.settings.get("words")
        if words is None:
            _encode(data, [array], progress)
        else:
            _complete(data, [array.settings["head"]], tuple(words), "similarities", progress)
    return _finite(array, part)


def _finite(array: StoredArray, part: int) -> np.ndarray:
    """A part, read; `DepthClipError` if it was written with values that are not finite."""
    values = array.read(part)
    if not np.isfinite(values.sum()):
        raise DepthClipError(
            f"{array.path(part)} holds NaN or infinite values: remove it, and it is made again"
        )
    return values


def _encode(data: DataSet, arrays: Sequence[StoredArray], progress: bool) -> None:
    """The pass over every part that one of the arrays lacks, for all arrays that lack it."""
    arrays = [array for array in arrays if not array.complete]
    with ExitStack() as locks:
        for array in sorted(arrays, key=lambda array: array.address):  # one order: no deadlock
            locks.enter_context(_lock(array, progress))
        lacking = {array.address: set(array.missing()) for array in arrays}
        parts = sorted(set().union(*lacking.values()))
        if not parts:
            return
        total = sum(len(arrays[0].frames_of(part)) for part in parts)
        provenance = _provenance(data.encoder)

        def write(part: int, made: list[np.ndarray]) -> None:
            for array, values in zip(arrays, made, strict=True):
                if part in lacking[array.address]:
                    array.write(part, values, **provenance)

        bar = tqdm(total=total, desc="encoding", unit="frame", disable=not progress)
        writer = locks.enter_context(ThreadPoolExecutor(1, thread_name_prefix="write"))
        writing = None  # one part is written while the next is computed
        with bar, torch.inference_mode():
            for part, made in _passes(data, arrays, parts, bar):
                if writing:
                    writing.result()
                writing = writer.submit(write, part, made)
        writing.result()


def _passes(
    data: DataSet, arrays: Sequence[StoredArray], parts: Sequence[int], bar: tqdm
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Each part with its values for each array: (n, 2, D or K, h, w) fp32."""
    encoder, device = data.encoder, data.encoder.device
    heads = list(dict.fromkeys(array.settings["head"] for array in arrays))
    wanted = [(array.settings["head"], array.settings.get("words")) for array in arrays]
    texts = [None if words is None else encoder.text_vectors(words) for _, words in wanted]
    spans = [
        (part, positions[start : start + READ])
        for part in parts
        for positions in [arrays[0].frames_of(part)]
        for start in range(0, len(positions), READ)
    ]

    def read(span: tuple[int, range]) -> Tensor:
        pixels = torch.from_numpy(data.frames.rgb_batch(span[1]))
        return pixels.pin_memory() if device.type == "cuda" else pixels

    batch = first_batch(data.size, device.type)
    done: list[list[Tensor]] = [[] for _ in arrays]
    pictures = read_ahead(read, spans, reading_threads(device.type))
    for (part, positions), pixels in zip(spans, pictures, strict=True):
        start = 0
        while start < len(pixels):
            chunk = pixels[start : start + batch]
            try:
                vectors = head_vectors(chunk, encoder, heads, size=data.size, crop=data.frames.crop)
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise DepthClipError(
                        f"{device} has too little memory for one frame of {data.size} pixels and "
                        "its mirror image: choose a smaller size, or device cpu"
                    ) from None
                torch.cuda.empty_cache()
                batch = batch // 2
                continue
            for keep, (head, _), text in zip(done, wanted, texts, strict=True):
                keep.append(vectors[head] if text is None else project(vectors[head], text))
            start += len(chunk)
            bar.update(len(chunk))
        if positions[-1] == arrays[0].frames_of(part)[-1]:
            made, sums = _on_cpu(done)
            for total, (head, _) in zip(sums, wanted, strict=True):
                if not math.isfinite(total):
                    raise not_finite(encoder, f"a {head} vector or similarity")
            yield part, made
            done = [[] for _ in arrays]


def _on_cpu(done: Sequence[Sequence[Tensor]]) -> tuple[list[np.ndarray], list[float]]:
    """A part's values for each array, and their sums, which tell whether all are finite."""
    whole = [torch.cat(values) for values in done]
    sums = torch.stack([values.sum() for values in whole])
    return [values.cpu().numpy() for values in whole], sums.tolist()  # the one synchronisation


def _distinct(heads: Sequence[str]) -> list[str]:
    if isinstance(heads, str):
        raise DepthClipError(f"heads is a list of names, not text: [{heads!r}]")
    return list(dict.fromkeys(heads))


def _checked_size(size: Sequence[int]) -> tuple[int, int]:
    try:
        rows, columns = (operator.index(side) for side in size)
    except (TypeError, ValueError):
        raise DepthClipError(f"size is rows and columns in whole pixels, not {size!r}") from None
    return rows, columns


def _provenance(encoder: Encoder) -> dict[str, str]:
    return {
        "device": str(encoder.device),
        "torch": torch.__version__,
        "compiled": str(encoder.compiled),
    }


@contextmanager
def _store_for(encoder: Encoder, store: Store | None):
    """The user's store; random weights, which never come again, leave nothing on disk."""
    temporary = store is None and encoder.weights == "random"
    with TemporaryDirectory(prefix="depthclip-store-") if temporary else nullcontext() as folder:
        yield store or Store(Path(folder) if folder else None)


@contextmanager
def _lock(array: StoredArray, progress: bool) -> Iterator[None]:
    """The array's lock; who waits for another process is told so: at once, or when it takes long.

    stderr counts as output where notebooks are compared, so that short waits are silent there.
    """
    alarm = Timer(0 if progress else SILENCE, _say_waiting)
    alarm.daemon = True
    try:
        with array.lock(alarm.start):
            alarm.cancel()
            yield
    finally:
        alarm.cancel()


def _say_waiting() -> None:
    print("waiting: another process encodes the same frames", file=sys.stderr)
