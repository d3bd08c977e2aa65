"""Depth maps scored under many compositions at once, from sums over each frame's pixels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from depthclip_core.datasets import Dataset, Frame, as_dataset
from depthclip_core.datasets.prefetch import read_ahead
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import METRICS, finished, terms_of
from depthclip_core.rescoring.compositions import Composition, resolve_composition
from depthclip_core.rescoring.frames import SetMoments, UnderCompositions, alignment_key
from depthclip_core.rescoring.sums import SUMMED

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
        key = _without_average(resolve_composition(protocol))
        if key not in self.sums:
            raise DepthClipError("these maps were not scored under that composition")
        n, wanted = self.pixels[key], self.wanted[key]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self.sums[key] / n[:, None]).T
            table = finished(METRICS, dict(zip(self.terms, means, strict=True)))
            counts = {"n_pixels": n, "coverage": n / wanted, "scene": self.scenes}
        return pd.DataFrame(table | counts, pd.Index(self.names, name="frame"))

    def mean(self, protocol: str | Composition) -> pd.Series:
        """The metrics averaged as the composition says; with n_frames, n_empty and coverage."""
        composition = resolve_composition(protocol)
        rows = self.rows(composition)
        scored = rows[rows["n_pixels"] > 0]
        if composition.average == "pixels":
            key = _without_average(composition)
            total = self.sums[key][self.pixels[key] > 0].sum(0) / max(self.pixels[key].sum(), 1)
            metrics = pd.Series(finished(METRICS, dict(zip(self.terms, total, strict=True))))
            metrics = metrics if len(scored) else metrics * np.nan
        else:
            metrics = scored[[*METRICS]].mean(skipna=composition.average == "nan-mean")
        counts = {"n_frames": len(scored), "n_empty": len(rows) - len(scored)}
        return pd.concat([metrics, pd.Series(counts | {"coverage": rows["coverage"].mean()})])

    def table(self, protocols: Mapping[str, Composition]) -> pd.DataFrame:
        """`mean` under each of the named compositions, a row each."""
        return pd.DataFrame({name: self.mean(one) for name, one in protocols.items()}).T


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
    opened = partial(_open, frames, maps, mirrored)
    fits = _set_fits(opened, len(frames), wanted, workers, progress)
    terms = (*SUMMED, *(term for term in terms_of(METRICS) if term not in SUMMED))
    found = {one: [] for one in wanted}
    for sums in progress(
        read_ahead(partial(_sums, opened, wanted, fits, terms), range(len(frames)), workers)
    ):
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
    other = None if mirrored is None else mirrored[index]
    return UnderCompositions(frames, index, maps[index], other)


def _sums(opened, compositions, fits, terms, index: int) -> list[np.ndarray]:
    """For each composition: how many pixels count, how many should, and the sums of the terms."""
    frame = opened(index)
    return [frame.sums(one, terms, fits.get(alignment_key(one))) for one in compositions]


def _set_fits(opened, n_frames: int, compositions, workers: int, progress) -> dict:
    """Scale and shift of each alignment over the set, by its key."""
    keys = {
        alignment_key(one): one for one in compositions if one.over == "set" and one.align != "none"
    }
    if not keys:
        return {}
    moments = {key: SetMoments(one.align) for key, one in keys.items()}

    def of_frame(index: int) -> dict:
        frame = opened(index)
        return {key: frame.moments(one) for key, one in keys.items()}

    for found in progress(read_ahead(of_frame, range(n_frames), workers)):
        for key, values in found.items():
            moments[key].add(values)
    return {key: one.fit() for key, one in moments.items()}


def _without_average(composition: Composition) -> Composition:
    return replace(composition.canonical, average="image")
