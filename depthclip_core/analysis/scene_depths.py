"""Distributions of true depth by scene type, and the bins that fit each of them.

Every image has the same weight, as in the protocol's mean over images, whatever its number of valid
pixels. Only pixels that the protocol counts are used.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.analysis.statistics import LEVEL, holm, label_test
from depthclip_core.analysis.tables import FEW
from depthclip_core.analysis.word_responses import mean_weights
from depthclip_core.datasets import Frame, as_dataset
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.fitting import medians, word_histograms
from depthclip_core.evaluation.pixels import counted
from depthclip_core.evaluation.protocols import Protocol, resolve_protocol
from depthclip_core.evaluation.scoring import positions_of
from depthclip_core.settings import TEMPERATURE

STEP = 0.01  # metres, the histograms' resolution


def depth_histograms(
    ground_truths: Iterable[np.ndarray], protocol: str | Protocol = "released"
) -> pd.DataFrame:
    """Share of each image's valid pixels by depth: a row per image, a column per STEP.

    ground_truths: (480, 640) each, metres, holes 0. Columns are the middles of the steps, metres; a
    row sums to 1, or is NaN for an image without a valid pixel.
    """
    protocol = resolve_protocol(protocol)
    size = round(protocol.max_depth / STEP)
    rows = []
    for truth in ground_truths:
        known = counted(truth, protocol)
        place = np.minimum((known.values / STEP).astype(np.int64), size - 1)
        shares = np.bincount(place, minlength=size).astype(np.float64)
        rows.append(shares / known.n_valid if known.n_valid else np.full(size, np.nan))
    return pd.DataFrame(rows, columns=pd.Index((np.arange(size) + 0.5) * STEP, name="depth (m)"))


def by_scene(histograms: pd.DataFrame, scenes: Sequence[str]) -> pd.DataFrame:
    """Mean of the images' histograms for each scene type, sorted by median depth."""
    shares = histograms.dropna().groupby(_index(histograms, scenes)).mean()
    if shares.empty:
        raise DepthClipError("no distribution of depth: no frame has a valid pixel")
    return shares.loc[quantiles(shares, [0.5])[0.5].sort_values(kind="stable").index]


def image_counts(histograms: pd.DataFrame, scenes: Sequence[str]) -> pd.DataFrame:
    """For each scene type, how many images have depth, and whether they are fewer than FEW."""
    counts = _index(histograms, scenes)[histograms.notna().all(axis=1)].value_counts()
    return pd.DataFrame({"images": counts, "few": counts < FEW}).rename_axis("scene")


def quantiles(shares: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """Depth in metres (± STEP / 2) below which a share of each row's pixels lies, by level.

    NaN for rows that are not finite or have no pixels.
    """
    below, middles = shares.to_numpy().cumsum(axis=1), shares.columns.to_numpy()
    total = below[:, -1:]
    found = {level: middles[(below >= level * total).argmax(axis=1)] for level in levels}
    known = np.isfinite(total) & (total > 0)
    return pd.DataFrame(found, index=shares.index).where(np.repeat(known, len(found), axis=1))


def distances(shares: pd.DataFrame) -> pd.DataFrame:
    """Wasserstein-1 distance between every two rows, metres: how far depth must move on average."""
    middles, rows = shares.columns.to_numpy(), shares.to_numpy()
    table = [[scipy.stats.wasserstein_distance(middles, middles, a, b) for b in rows] for a in rows]
    return pd.DataFrame(table, shares.index, shares.index.rename(None))


def distance_tests(
    histograms: pd.DataFrame, scenes: Sequence[str], groups: Sequence, draws: int = 2000
) -> pd.DataFrame:
    """Whether each two scene types are farther apart than chance: a row per pair, farthest first.

    Rooms (groups) of the two types are dealt again between them, with all of their images, in all
    ways if there are at most `draws`. Columns: distance, of `distances`, metres; rooms; least_p,
    the smallest p that so many rooms can give; p; holm, p corrected for the number of pairs; and
    verdict, which is "cannot be told" if even least_p would not pass the correction.
    """
    scene, rooms = _index(histograms, scenes), pd.Series(list(groups), histograms.index, dtype=str)
    images = histograms.dropna()
    # On one grid the distance is the area between the cumulative distributions.
    below = pd.DataFrame(images.to_numpy().cumsum(axis=1), images.index)
    rows = {}
    for one, other in combinations(sorted(scene[images.index].unique()), 2):
        own = scene[images.index].isin([one, other])
        labels, room = scene[images.index][own].to_numpy(), rooms[images.index][own]
        values = below[own.to_numpy()].to_numpy()

        def distance(dealt: np.ndarray, values=values, one=one) -> float:
            first = dealt == one
            return np.abs(values[first].mean(0) - values[~first].mean(0)).sum() * STEP

        of_one = room[labels == one].nunique()
        deals = math.comb(room.nunique(), of_one)
        least = (1 + (2 * of_one == room.nunique())) / deals if deals <= draws else 1 / (draws + 1)
        p = label_test(distance, labels, room, draws=draws)
        rows[one, other] = [distance(labels), room.nunique(), least, p]
    names = pd.MultiIndex.from_tuples(rows, names=["scene", "other scene"])
    table = pd.DataFrame(list(rows.values()), names, ["distance", "rooms", "least_p", "p"])
    table = table.astype({"rooms": int}).assign(holm=holm(table["p"]))
    cases = [table["least_p"] * len(table) > 1 - LEVEL, table["holm"] <= 1 - LEVEL]
    verdict = np.select(cases, ["cannot be told", "more than chance"], "no telling")
    return table.assign(verdict=verdict).sort_values("distance", ascending=False, kind="stable")


def spread_test(histograms: pd.DataFrame, scenes: Sequence[str], groups: Sequence) -> float:
    """p that the scene types' median depths are as far apart if types are dealt anew to groups.

    One question for all types together, where `distance_tests` asks of every pair. The statistic is
    the sum of squares between types of the images' median depths. groups: the room of each image.
    """
    middles = quantiles(histograms, [0.5])[0.5]
    seen = middles.notna().to_numpy()
    kinds = pd.factorize(_index(histograms, scenes).astype(str)[seen])[0]
    from_mean = middles[seen].to_numpy() - middles[seen].mean()

    def spread(dealt: np.ndarray) -> float:
        return float((np.bincount(dealt, from_mean) ** 2 / np.bincount(dealt)).sum())

    return label_test(spread, kinds, np.array(list(groups), dtype=str)[seen])


def typical_frame(histograms: pd.DataFrame, scenes: Sequence[str], scene: str) -> int:
    """The position of the frame whose median depth is nearest to its scene type's."""
    images = histograms.iloc[positions_of(scenes, scene)].dropna()
    if images.empty:
        raise DepthClipError(f"no frame of scene {scene!r} has a valid pixel")
    middle = quantiles(images.mean().to_frame(scene).T, [0.5])[0.5].iloc[0]
    return int((quantiles(images, [0.5])[0.5] - middle).abs().idxmin())


def wanted_bins(
    frames: Sequence[Frame],
    similarities: Tensor,
    scenes: Sequence[str],
    words: Sequence[str],
    temperature: float = TEMPERATURE,
    protocol: str | Protocol = "released",
) -> pd.DataFrame:
    """The median depth of each word in each scene type, metres, fitted on these very frames.

    Rows: "all", then the scene types by name. similarities: (N, V, K, h, w), as stored. Pixels of a
    scene's images are pooled; a word without weight in a scene gets the scene's median.
    """
    if not len(frames) == len(similarities) == len(scenes):
        given = f"{len(similarities)} responses and {len(scenes)} scenes"
        raise DepthClipError(f"{given} for {len(frames)} frames")
    ground_truths = as_dataset(frames).ground_truths()
    histograms = word_histograms(ground_truths, {"words": similarities}, temperature, protocol)
    totals = dict.fromkeys(["all", *sorted(set(scenes))], 0.0)
    for scene, histogram in zip(scenes, histograms, strict=True):
        for name in ("all", scene):
            totals[name] = totals[name] + histogram["words"]
    rows = {scene: medians(total) for scene, total in totals.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(words)).rename_axis("scene")


def word_shares(
    similarities: Tensor,
    scenes: Sequence[str],
    words: Sequence[str],
    temperature: float = TEMPERATURE,
) -> pd.DataFrame:
    """Each word's share of all bin weight in the cells of a scene type's images, rows sum to 1.

    similarities: (N, V, K, h, w).
    """
    shares = pd.DataFrame(mean_weights(similarities, temperature).mean((2, 3)), columns=list(words))
    return shares.groupby(pd.Index(scenes, name="scene")).mean()


def bin_distances(
    wanted: pd.DataFrame, fixed: Sequence[float], shares: pd.DataFrame
) -> pd.DataFrame:
    """How far the bins fitted to each scene type lie from one set of bins, metres.

    wanted: as from `wanted_bins`. fixed: K bins in metres. shares: as from `word_shares`, by which
    the words count. Columns: "to the fixed bins", and "to one set", the row "all" of `wanted`.
    """
    own, sets = (
        wanted.loc[shares.index],
        {"to the fixed bins": fixed, "to one set": wanted.loc["all"]},
    )
    away = {name: (own - np.asarray(bins)).abs() * shares for name, bins in sets.items()}
    return pd.DataFrame({name: table.sum(axis=1) for name, table in away.items()})


def _index(histograms: pd.DataFrame, scenes: Sequence[str]) -> pd.Series:
    if len(scenes) != len(histograms):
        raise DepthClipError(f"{len(scenes)} scenes for {len(histograms)} histograms")
    return pd.Series(list(scenes), index=histograms.index, name="scene")
