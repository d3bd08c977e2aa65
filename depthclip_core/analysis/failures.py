"""Where predictions fail: errors by distance, place, scene type, object and brightness.

Every image has the same weight, as in the protocol's mean over images: what is averaged is an
image's own mean over those of its pixels that belong to a class.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from depthclip_core.analysis import statistics
from depthclip_core.analysis.compared_maps import maps_by_frame, predicted_depths, unaligned
from depthclip_core.datasets import Dataset, Frame, as_dataset
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.evaluation import pixels
from depthclip_core.evaluation.metrics import finished, terms_of
from depthclip_core.evaluation.protocols import Protocol, protocol_for
from depthclip_core.evaluation.terms import WITHIN

EDGES = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)  # of intervals of distance, metres
SHADES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of intervals of brightness
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
TERMS = ("signed_rel", "abs_rel", "delta1")
SCORED = ("delta1", "abs_rel", "rmse")
FEWEST_PIXELS = 50  # of an image in a class; fewer say little
FEWEST_IMAGES = 5  # with a class; classes of fewer are left out


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of S systems on N frames, by classes of pixels.

    rows: a row per frame, columns (metric, system), metrics of SCORED. names: for each grouping,
    "distance", "cell", "brightness" and "object", those of its C classes; there are no objects
    where frames have no labels.
    counts: for each grouping the pixels (N, C). sums: (S, N, C, 3), of TERMS over them.
    """

    systems: tuple[str, ...]
    rows: pd.DataFrame
    names: Mapping[str, list[str]]
    counts: Mapping[str, np.ndarray]
    sums: Mapping[str, np.ndarray]

    def by(self, grouping: str, term: str, system: str) -> pd.DataFrame:
        """Mean of a term over each image's pixels of each class: a row per frame, NaN for few."""
        counts, names, sums = self._of(grouping)
        if term not in TERMS:
            raise unknown_name("term", term, TERMS)
        if system not in self.systems:
            raise unknown_name("system", system, self.systems)
        total = sums[self.systems.index(system), :, :, TERMS.index(term)]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(counts >= FEWEST_PIXELS, total / counts, np.nan)
        return pd.DataFrame(means, self.rows.index, names)

    def table(
        self,
        grouping: str,
        term: str,
        groups: Sequence,
        seed: int = 0,
        *,
        fewest: int = FEWEST_IMAGES,
        largest: int | None = None,
    ) -> pd.DataFrame:
        """Means over images, a row (class, system): mean, low, high, images, groups, and share.

        share: of all pixels of the grouping. Classes in fewer than `fewest` images, or than all
        scored images if these are fewer, are left out.
        largest: only so many of the classes, those with the largest share, the largest first.
        """
        counts, names, _ = self._of(grouping)
        fewest = min(fewest, max(1, int(self.rows.notna().all(axis=1).sum())))
        share = pd.Series(counts.sum(0) / max(1, counts.sum()), names)
        if largest is not None:
            share = share.sort_values(ascending=False, kind="stable")[:largest]
        parts = {}
        for system in self.systems:
            rows = self.by(grouping, term, system)
            for name, part in share.items():
                if rows[name].notna().sum() >= fewest:
                    found = statistics.intervals(rows[[name]], groups, seed=seed).iloc[0]
                    parts[name, system] = {**found, "share": part}
        columns = ["mean", "low", "high", "images", "groups", "share"]
        index = pd.MultiIndex.from_tuples(parts, names=[grouping, "system"])
        table = pd.DataFrame(list(parts.values()), index, columns)
        order = {name: i for i, name in enumerate(share.index)}
        table = table.astype({"images": int, "groups": int})
        return table.sort_index(level=0, key=lambda c: c.map(order), sort_remaining=False)

    def maps(self, term: str, system: str, grid: tuple[int, int]) -> np.ndarray:
        """Mean of a term over images at each cell (h, w); NaN where no image has its depth."""
        rows = self.by("cell", term, system).to_numpy()
        known = np.isfinite(rows)
        with np.errstate(invalid="ignore"):
            return (np.where(known, rows, 0).sum(0) / known.sum(0)).reshape(grid)

    def _of(self, grouping: str) -> tuple[np.ndarray, list[str], np.ndarray]:
        if grouping not in self.names:
            raise unknown_name("grouping", grouping, self.names)
        return self.counts[grouping], self.names[grouping], self.sums[grouping]


def collect_errors(
    frames: Sequence[Frame],
    systems: Mapping[str, Iterable[np.ndarray]],
    grid: tuple[int, int],
    protocol: str | Protocol = "released",
) -> Errors:
    """Read every frame and each system's map of it once.

    systems: by name, a map (H, W) of the protocol's window for each frame in order, metres. grid:
    rows and columns of cells. Raises `DepthClipError` for maps of other shapes or another number,
    and for a protocol that aligns.
    """
    if not systems:
        raise DepthClipError("there are no systems to compare: give one or more")
    frames, protocol = as_dataset(frames), unaligned(protocol_for(frames, protocol))
    keys, names = _keys(frames, grid, protocol)
    shape = {name: (len(frames), len(classes)) for name, classes in names.items()}
    counts = {name: np.zeros(size) for name, size in shape.items()}
    sums = {name: np.zeros((len(systems), *size, len(TERMS))) for name, size in shape.items()}
    rows = []
    for position, maps in enumerate(maps_by_frame(frames, systems)):
        known = pixels.counted(frames.ground_truth(position), protocol)
        if not known.n_valid:
            rows.append([np.nan] * (len(SCORED) * len(systems)))
            continue
        g = known.values.astype(np.float64)
        found = [predicted_depths(each, known, protocol) for each in maps]
        scores = [_scores(p, g) for p in found]
        terms = [_terms(p, g) for p in found]
        rows.append([score[metric] for metric in SCORED for score in scores])
        for name in names:
            place = keys[name](position, known)
            n = shape[name][1]
            place = np.where((place >= 0) & (place < n), place, n)  # one more class: of no class
            counts[name][position] = np.bincount(place, minlength=n + 1)[:n]
            for system, values in enumerate(terms):
                for t, term in enumerate(values):
                    own = np.bincount(place, term, minlength=n + 1)[:n]
                    sums[name][system, position, :, t] = own
    columns = pd.MultiIndex.from_product([SCORED, list(systems)], names=["metric", "system"])
    table = pd.DataFrame(rows, frames.names, columns)
    return Errors(tuple(systems), table, names, counts, sums)


def place_table(errors: Errors, grid: tuple[int, int]) -> pd.DataFrame:
    """Means of `Errors.maps` over the upper, middle and lower third of the rows of cells.

    A row (term, system) for the two relative errors; NaN for a third without known cells.
    """
    thirds, rows = np.arange(grid[0]) * 3 // grid[0], {}
    for term in ("signed_rel", "abs_rel"):
        for system in errors.systems:
            cells = errors.maps(term, system, grid)
            parts = [pd.Series(cells[thirds == third].ravel()).mean() for third in range(3)]
            rows[term, system] = parts
    table = pd.DataFrame(rows, ["upper third", "middle third", "lower third"]).T
    return table.rename_axis(["term", "system"])


def worst_frames(values: Sequence[float], n: int) -> list[int]:
    """Positions of the n largest values, the largest first; NaN are left out."""
    values = np.asarray(values, dtype=np.float64)
    ranked = np.argsort(-values, kind="stable")  # NaN last
    return ranked[np.isfinite(values[ranked])][:n].tolist()


def scene_table(
    rows: pd.DataFrame, scenes: Sequence[str | None], groups: Sequence, seed: int = 0
) -> pd.DataFrame:
    """Means of each system by scene type: a row (scene, system) with mean, low, high and images.

    rows: a row per frame, columns systems, as `Errors.rows` of one metric. Frames of unknown scene
    type do not count, unless none is known: then all are of the type "not known".
    """
    names = np.array([scene or "" for scene in scenes], dtype=object)
    if not any(names):
        names[:] = "not known"
    groups, parts = np.asarray(groups, dtype=object), {}
    for scene in sorted(set(names) - {""}):
        own = names == scene
        if len(kept := rows[own].dropna()):
            table = statistics.intervals(rows[own], groups[own], seed=seed)
            parts[scene] = table.assign(images=len(kept))
    if not parts:
        raise DepthClipError("there are no errors by scene type: no frame with one was scored")
    return pd.concat(parts, names=["scene", "system"])


def scene_test(
    values: pd.Series, scenes: Sequence[str | None], groups: Sequence, seed: int = 0
) -> float:
    """p of the question whether an error depends on the scene type, by permuting types of groups.

    values: of each frame; NaN frames do not count. The statistic is the variance between the types'
    means. NaN for fewer than two types.
    """
    known = values.notna().to_numpy() & np.array([scene is not None for scene in scenes])
    own, labels = values.to_numpy()[known], np.asarray(scenes, dtype=object)[known].astype(str)
    if len(set(labels)) < 2:
        return np.nan

    def between(labels: np.ndarray) -> float:
        _, place = np.unique(labels, return_inverse=True)
        n = np.bincount(place)
        means = np.bincount(place, own) / n
        return float(n @ (means - own.mean()) ** 2 / len(own))

    return statistics.label_test(between, labels, np.asarray(groups)[known], seed=seed)


def brightness_correlation(
    errors: Errors, frames: Sequence[Frame], grid: tuple[int, int], system: str
) -> pd.Series:
    """For each frame, Spearman's correlation of its cells' brightness with their relative error.

    Their distance is taken out (`statistics.partial_rank_correlation`). NaN for a frame of fewer
    than ten cells with depth, or where one of the three does not vary.
    """
    frames, rows = as_dataset(frames), errors.by("cell", "abs_rel", system).to_numpy()
    protocol = protocol_for(frames, "released")
    place, found = _cell_of(grid, protocol).ravel(), []
    for position, error in enumerate(rows):
        known = pixels.counted(frames.ground_truth(position), protocol)
        counts = np.bincount(place, known.valid_mask.ravel(), minlength=error.size)
        depth = np.bincount(place, known.depth.ravel(), minlength=error.size)
        use = np.isfinite(error)
        if use.sum() < 10:
            found.append(np.nan)
            continue
        light = _cell_brightness(frames.rgb(position), grid, protocol).ravel()[use]
        given = depth[use] / counts[use]
        found.append(statistics.partial_rank_correlation(light, error[use], given))
    return pd.Series(found, errors.rows.index, name="correlation")


def _keys(frames: Dataset, grid: tuple[int, int], protocol: Protocol) -> tuple[dict, dict]:
    """For each grouping a function (position, truth) → class of each valid pixel, and its names."""
    cell, part = _cell_of(grid, protocol), protocol.overlap
    shades, n_cells = np.array(SHADES[1:-1]), grid[0] * grid[1]

    def distance(position: int, known: pixels.Truth) -> np.ndarray:
        return np.searchsorted(EDGES, known.values, side="right") - 1

    def brightness(position: int, known: pixels.Truth) -> np.ndarray:
        light = _cell_brightness(frames.rgb(position), grid, protocol).ravel()
        return np.searchsorted(shades, light, side="right")[cell[known.valid_mask]]

    keys = {
        "distance": distance,
        "cell": lambda position, known: cell[known.valid_mask],
        "brightness": brightness,
    }
    names = {
        "distance": [f"{near:g}–{far:g} m" for near, far in pairwise(EDGES)],
        "cell": [str(i) for i in range(n_cells)],
        "brightness": [f"{dark:g}–{light:g}" for dark, light in pairwise(SHADES)],
    }
    names["object"] = list(frames.object_names)

    def thing(position: int, known: pixels.Truth) -> np.ndarray:
        if not names["object"]:
            return np.full(known.n_valid, -1)
        labels = frames.labels(position)
        return labels[part.slices][known.valid_mask].astype(np.int64) - 1

    return keys | {"object": thing}, names


def _cell_of(grid: tuple[int, int], protocol: Protocol) -> np.ndarray:
    """The number of the cell of each pixel of a `Truth`, (H, W), counted row by row."""
    row, column = (np.arange(n) * g // n for n, g in zip(protocol.window.shape, grid, strict=True))
    return (row[:, None] * grid[1] + column)[protocol.seen]


def _cell_brightness(rgb: np.ndarray, grid: tuple[int, int], protocol: Protocol) -> np.ndarray:
    """Mean luma of each cell (h, w), 0 black to 1 white, of a frame (H, W, 3)."""
    light, cell = rgb[protocol.overlap.slices] @ np.array(LUMA) / 255, _cell_of(grid, protocol)
    n = np.bincount(cell.ravel(), minlength=grid[0] * grid[1])
    return (np.bincount(cell.ravel(), light.ravel(), n.size) / np.maximum(n, 1)).reshape(grid)


def _terms(p: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, ...]:
    """TERMS of each pixel, (n,) each."""
    signed = (p - g) / g
    return signed, np.abs(signed), WITHIN[0].of(p, g)


def _scores(p: np.ndarray, g: np.ndarray) -> dict[str, float]:
    return finished(SCORED, {term: term.of(p, g).mean() for term in terms_of(SCORED)})
