"""Depth maps scored under many compositions at once, from sums over each frame's pixels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from depthclip_core.datasets import Dataset, Frame, as_dataset
from depthclip_core.datasets.prefetch import read_ahead
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition, resolve_composition
from depthclip_core.evaluation.metrics import METRICS, finished, terms_of
from depthclip_core.rescoring.frames import IDENTITY, UnderCompositions, alignment_key, set_fit
from depthclip_core.rescoring.sums import SUMMED
from depthclip_core.text import printable

Protocols = Iterable[str | Composition]


@dataclass(frozen=True, eq=False)
class Scores:
    """Sums over each of N frames under each composition, from which every score follows.

    sums: by composition without its average, (N, T) float64, the sums of `terms` over the n pixels
    that count; pixels: (N,) n; wanted: (N,) how many had a prediction been everywhere.
    """

    names: list[str]
    scenes: list[str | None]
    groups: list[str | None]
    terms: tuple
    sums: Mapping[Composition, np.ndarray]
    pixels: Mapping[Composition, np.ndarray]
    wanted: Mapping[Composition, np.ndarray]

    def rows(self, protocol: str | Composition) -> pd.DataFrame:
        """A row per frame: the metrics, n_pixels, coverage and scene; NaN without a pixel.

        coverage: the share of the pixels that count which have a prediction.
        """
        key = self._key(protocol)
        counts = {"n_pixels": self.pixels[key], "coverage": self._coverage(key)}
        table = self._by_image(key) | counts | {"scene": self.scenes}
        return pd.DataFrame(table, pd.Index(self.names, name="frame"))

    def mean(self, protocol: str | Composition) -> pd.Series:
        """The metrics averaged as the composition says; with n_frames, n_empty and coverage."""
        key, average = self._key(protocol), resolve_composition(protocol).average
        scored = self.pixels[key] > 0
        if average == "pixels":
            total = self.sums[key][scored].sum(0) / (self.pixels[key].sum() or np.nan)
            means = finished(METRICS, dict(zip(self.terms, total, strict=True)))
        else:
            means = {
                name: _mean(values[scored], average == "nan-mean")
                for name, values in self._by_image(key).items()
            }
        counts = {"n_frames": scored.sum(), "n_empty": (~scored).sum()}
        coverage = _mean(self._coverage(key), leave_out=True)
        return pd.Series(means | counts | {"coverage": coverage}, dtype=float)

    def table(self, protocols: Mapping[str, Composition] | Sequence[Composition]) -> pd.DataFrame:
        """`mean` under each composition, a row each; by name, or in order."""
        if not isinstance(protocols, Mapping):
            protocols = dict(enumerate(protocols))
        rows = [self.mean(one) for one in protocols.values()]
        return pd.DataFrame(rows, list(protocols))

    def drawn(self, protocol: str | Composition, metric: str, times: np.ndarray) -> np.ndarray:
        """A metric of the pixels of all frames, frame i taken times[…, i] times; (draws, N) →
        (draws,). It is what `mean` gives for the average "pixels" if every frame is taken once.
        """
        key = self._key(protocol)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (times @ self.sums[key] / (times @ self.pixels[key])[:, None]).T
            return finished(METRICS, dict(zip(self.terms, means, strict=True)))[metric]

    def _key(self, protocol: str | Composition) -> Composition:
        """By what the sums under a composition are kept."""
        key = _without_average(resolve_composition(protocol))
        if key not in self.sums:
            raise DepthClipError("these maps were not scored under that composition")
        return key

    def _by_image(self, key: Composition) -> dict[str, np.ndarray]:
        """Each metric of each frame, (N,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self.sums[key] / self.pixels[key][:, None]).T
            return finished(METRICS, dict(zip(self.terms, means, strict=True)))

    def _coverage(self, key: Composition) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.pixels[key] / self.wanted[key]


def score_maps(
    frames: Sequence[Frame],
    maps: Sequence[np.ndarray],
    protocols: Protocols,
    *,
    mirrored: Sequence[np.ndarray] | None = None,
    workers: int = 2,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Scores:
    """Score depth maps under compositions, each frame read once, or twice for an alignment "set".

    maps: of each frame in order, (h, w) metres of any size, 0 or NaN where there is no prediction.
    mirrored: the maps predicted for the mirror images, which the flip "averaged" needs.
    progress: wraps the walk over frames, as tqdm does. Sums are equal to `Term.of` over pixels to
    about 1e-6 of themselves. Raises `DepthClipError` for numbers of maps that differ from that of
    the frames, and for what a composition needs and the frames lack.
    """
    wanted = list(dict.fromkeys(_without_average(resolve_composition(p)) for p in protocols))
    frames = as_dataset(frames)
    for kind, given in (("maps", maps), ("mirrored maps", mirrored)):
        if given is not None and len(given) != len(frames):
            raise DepthClipError(f"{len(given)} {kind} for {len(frames)} frames")
    if mirrored is None and any(one.flip == "averaged" for one in wanted):
        fault = "the flip 'averaged' needs the maps of the mirror images"
        raise DepthClipError(f"{fault}: give them, or choose the flip 'as saved'")
    opened, every = partial(_open, frames, maps, mirrored), range(len(frames))
    fits = _fits(opened, every, wanted, workers, progress)
    terms = (*SUMMED, *(term for term in terms_of(METRICS) if term not in SUMMED))
    found = {one: [] for one in wanted}
    sums_of = partial(_sums, opened, wanted, fits, terms)
    for sums in progress(read_ahead(sums_of, every, workers)):
        for one, values in zip(wanted, sums, strict=True):
            found[one].append(values)
    arrays = {
        one: np.array(rows).reshape(len(frames), len(terms) + 2) for one, rows in found.items()
    }
    return Scores(
        frames.names,
        frames.scenes,
        frames.groups,
        terms,
        {one: array[:, 2:] for one, array in arrays.items()},
        {one: array[:, 0].astype(np.int64) for one, array in arrays.items()},
        {one: array[:, 1].astype(np.int64) for one, array in arrays.items()},
    )


def _open(frames: Dataset, maps, mirrored, index: int) -> UnderCompositions:
    depth, other = maps[index], None if mirrored is None else mirrored[index]
    try:
        return UnderCompositions(frames, index, depth, other)
    except DepthClipError as error:
        raise DepthClipError(f"frame {printable(frames.names[index])}: {error}") from None


def _sums(opened, compositions, fits, terms, index: int) -> list[np.ndarray]:
    """For each composition: how many pixels count, how many should, and the sums of the terms."""
    frame = opened(index)
    return [
        frame.sums(one, terms, fits[alignment_key(one), one.over][index]) for one in compositions
    ]


def _fits(opened, indices: range, compositions, workers: int, progress) -> dict:
    """Scale and shift of each alignment for each frame, by the alignment's key and "over"."""
    aligned = {alignment_key(one): one for one in compositions if one.align != "none"}
    fits = {(alignment_key(one), "image"): [IDENTITY] * len(indices) for one in compositions}
    if not aligned:
        return fits

    def of_frame(index: int) -> list[tuple]:
        frame = opened(index)
        return [frame.moments(one) for one in aligned.values()]

    found = zip(*progress(read_ahead(of_frame, indices, workers)), strict=True)
    for (key, one), moments in zip(aligned.items(), found, strict=False):
        fits[key, "image"] = [set_fit([some], one.align) for some in moments]
        fits[key, "set"] = [set_fit(moments, one.align)] * len(indices)
    return fits


def _without_average(composition: Composition) -> Composition:
    return replace(composition.canonical, average="image")


def _mean(values: np.ndarray, leave_out: bool) -> float:
    """The mean of values, NaN of none; NaN among them is left out, or makes the mean NaN."""
    values = values[~np.isnan(values)] if leave_out else values
    return float(values.mean()) if values.size else np.nan
