"""Many partitions, temperatures and protocols at once, exactly: a score for every setting.

Similarities are stored, bin weights do not depend on the bins, and a protocol is a choice of
pixels: so a frame is read once and scored under all settings.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from depthclip_core.devices import resolve_device
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.frame_scores import align, scores
from depthclip_core.evaluation.metrics import resolve_metric
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.settings import PUBLISHED_METRICS, TEMPERATURE, check_bins, logit_factor

BLOCK = 16  # frames of which weights are computed at once: a call for one would cost too much
LEVELS = ("bins", "temperature", "protocol")


@dataclass(frozen=True, eq=False)
class Sweep:
    """Scores of S settings on each of N frames.

    settings: (S,) with the levels bins, temperature and protocol. frames: their N names. metrics:
    M names. values: float64 (S, N, M), NaN where a frame has no valid pixel. n_pixels: (S, N).
    """

    settings: pd.MultiIndex
    frames: list
    metrics: tuple[str, ...]
    values: np.ndarray
    n_pixels: np.ndarray

    def means(self) -> pd.DataFrame:
        """A row per setting, like `metrics.summarise`: means over frames with valid pixels.

        Adds n_frames, how many were averaged, and n_empty, how many had no valid pixel.
        """
        scored = self.n_pixels > 0
        n_frames = scored.sum(1)
        total = np.where(scored[..., None], self.values, 0).sum(1)
        with np.errstate(invalid="ignore"):
            means = pd.DataFrame(total / n_frames[:, None], self.settings, list(self.metrics))
        return means.assign(n_frames=n_frames, n_empty=len(self.frames) - n_frames)

    def rows(self, bins=None, temperature=None, protocol=None) -> pd.DataFrame:
        """A row for each frame of one setting, as from `metrics.evaluate`.

        A level that is left out must have one value. Raises `DepthClipError` unless exactly one
        setting matches.
        """
        wanted = dict(zip(LEVELS, (bins, temperature, protocol), strict=True))
        chosen = np.ones(len(self.settings), dtype=bool)
        for level, value in wanted.items():
            values = self.settings.get_level_values(level)
            if value is not None:
                chosen &= values == value
            elif values.nunique() > 1:
                raise DepthClipError(f"the sweep has {values.nunique()} {level}: say which")
        if chosen.sum() != 1:
            asked = ", ".join(f"{k} {v!r}" for k, v in wanted.items() if v is not None)
            raise DepthClipError(f"the sweep has {chosen.sum()} settings of {asked}, not one")
        index = int(chosen.argmax())
        rows = pd.DataFrame(self.values[index], self.frames, list(self.metrics))
        return rows.assign(n_pixels=self.n_pixels[index])


def sweep(
    ground_truths: Iterable[np.ndarray],
    similarities: Tensor,
    bins: Mapping[str, Sequence[float]] | np.ndarray,
    temperatures: Sequence[float] = (TEMPERATURE,),
    protocols: Sequence[str | Protocol] = ("released",),
    *,
    names: Sequence[str] | None = None,
    metrics: Sequence[str] = PUBLISHED_METRICS,
    device: str | torch.device = "cpu",
    threads: int = 1,
    progress: bool = False,
) -> Sweep:
    """Score partitions × temperatures × protocols over frames, each frame read once.

    ground_truths: (480, 640) for each of N frames, metres, holes 0, read as needed.
    similarities: (N, V, K, h, w) as from `encoding.passes.collect_responses`; V = 1 view, or 2 with
        the mirror image, of which a protocol without flip takes the first.
    bins: P partitions by name, or an array (P, K) of metres, each bin beyond the protocol's near
        limit of 1 mm. protocols: names or `Protocol`s. names: the frames'; else 0 … N − 1.
    metrics: of `metrics.METRICS`. device: "cpu", or a CUDA device. threads: how many frames are
        scored at once on the CPU.
    Scores equal `metrics.evaluate` on the depth maps up to float32 rounding: 1e-5 (1e-3 for silog,
    which is in hundredths, unless its ratios hardly differ). A pixel whose ratio is within 1e-6 of
    a threshold of delta may fall on either side of it if rounding moved the prediction.
    """
    similarities = pixels.checked_similarities(similarities).cpu()
    n_frames, _, n_words = similarities.shape[:3]
    labels, partitions = _partitions(bins, n_words)
    if names is not None and len(names) != n_frames:
        raise DepthClipError(f"{len(names)} names for similarities of {n_frames} frames")
    for what, some in (("metric", metrics), ("temperature", temperatures), ("protocol", protocols)):
        if not len(some):
            raise DepthClipError(f"a sweep needs at least one {what}")
    for metric in metrics:
        resolve_metric(metric)
    for temperature in temperatures:
        logit_factor(temperature)
    resolved = [resolve_protocol(protocol) for protocol in protocols]
    for protocol in resolved:
        if (least := partitions.min()) <= protocol.min_depth:
            limit = f"{protocol.min_depth} m, the least prediction that counts"
            raise DepthClipError(f"a bin of {least} m does not exceed {limit}: use scoring.score")
    # Protocols that count the same pixels of the same prediction are scored once.
    flips = similarities.shape[1] == 2
    seen = [replace(p, region=p.overlap, flip=p.flip and flips) for p in resolved]
    plan = [(float(t), protocol) for t in temperatures for protocol in seen]
    distinct = list(dict.fromkeys(plan))
    order = [distinct.index(setting) for setting in plan]
    device = str(resolve_device(device))
    if threads < 1:
        raise DepthClipError(f"threads must be 1 or more, got {threads}")

    @lru_cache(maxsize=4 * len(distinct))
    def of_block(block: int, temperature: float, flip: bool) -> np.ndarray:
        frames = slice(block * BLOCK, (block + 1) * BLOCK)
        return pixels.cell_weights(similarities[frames], temperature, flip)

    def weights(position: int, temperature: float, flip: bool) -> np.ndarray:
        return of_block(position // BLOCK, temperature, flip)[position % BLOCK]

    def one_frame(position: int, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        own = partial(weights, position)
        values, counts = _score_frame(truth, own, partitions, distinct, metrics, device)
        return values[order], counts[order]

    threads = threads if device.startswith("cpu") else 1
    results = _in_threads(one_frame, pixels.paired(ground_truths, n_frames), threads)
    shape = (len(plan), len(partitions), n_frames, len(metrics))
    values, counts = np.empty(shape), np.empty((len(plan), n_frames), dtype=np.int64)
    bar = tqdm(results, "scoring", n_frames, unit="frame", disable=not progress)
    for position, (frame_values, frame_counts) in enumerate(bar):
        values[:, :, position], counts[:, position] = frame_values, frame_counts
    titles = [p if isinstance(p, str) else f"protocol {i}" for i, p in enumerate(protocols)]
    return Sweep(
        pd.MultiIndex.from_product([labels, temperatures, titles], names=LEVELS),
        list(range(n_frames) if names is None else names),
        tuple(metrics),
        # Settings in the order of the index: bins first.
        np.moveaxis(values, 1, 0).reshape(-1, n_frames, len(metrics)),
        np.tile(counts, (len(partitions), 1)),
    )


def _partitions(bins: object, n_words: int) -> tuple[list, np.ndarray]:
    """Names of the partitions and their bins, float64 (P, K), checked."""
    if not isinstance(bins, Mapping):
        bins = dict(enumerate(bins))
    try:
        partitions = np.array(list(bins.values()), dtype=np.float64)
    except (TypeError, ValueError):
        fault = "partitions must be numbers in metres, the same number in each"
        raise DepthClipError(fault) from None
    if partitions.ndim != 2 or not partitions.size or partitions.shape[1] != n_words:
        raise DepthClipError(
            f"partitions of shape {partitions.shape} for {n_words} words: "
            "give one or more, each with one bin per word"
        )
    for name, depths in zip(bins, partitions, strict=True):
        check_bins(depths, name)
    return list(bins), partitions


def _in_threads(work: Callable, items: Iterable[tuple], threads: int) -> Iterator:
    """work(*item) in order, a few items ahead at a time; the compiled sums run in parallel."""
    if threads == 1:
        yield from (work(*item) for item in items)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque()
        for item in items:
            ahead.append(pool.submit(work, *item))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _score_frame(
    truth: np.ndarray,
    weights: Callable[[float, bool], np.ndarray],
    partitions: np.ndarray,
    settings: Sequence[tuple[float, Protocol]],
    metrics: Sequence[str],
    device: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Metrics (S, P, M) and valid pixels (S,) of a frame, for settings of (temperature, protocol).

    weights: bin weights (K, h, w) for a temperature, with and without the flip.
    """
    values = np.full((len(settings), len(partitions), len(metrics)), np.nan)
    counts = np.zeros(len(settings), dtype=np.int64)
    alike: dict[tuple[float, Protocol], list[int]] = {}  # settings that differ only in alignment
    for index, (temperature, protocol) in enumerate(settings):
        alike.setdefault((temperature, replace(protocol, align=None)), []).append(index)
    pixels_of = cache(partial(pixels.counted, truth))
    for (temperature, protocol), indices in alike.items():
        known = pixels_of(replace(protocol, flip=True))
        counts[indices] = known.n_valid
        if not known.n_valid:
            continue
        cells = weights(temperature, protocol.flip)
        coefficients = partitions
        if len(partitions) < len(cells):  # fewer maps of depth than of weights
            cells = np.tensordot(partitions.astype(np.float32), cells, 1)
            coefficients = np.eye(len(partitions))
        maps = pixels.pixel_maps(cells, protocol)
        for index in indices:
            predictions = align(maps, coefficients, known, settings[index][1])
            values[index] = scores(predictions, metrics, device)
    return values, counts
