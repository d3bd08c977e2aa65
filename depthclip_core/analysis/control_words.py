"""Control vocabularies: how much of the score of distance words is due to their meaning.

A list of words can score well because it means distance, because its bins suit the rooms, or
because any seven directions of CLIP's space carry some information. Other words, other orders of
the same words, and bins fitted to each word separate the three.
"""

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import combinations, permutations
from types import MappingProxyType

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used
from torch import Tensor

from depthclip_core.analysis.statistics import partial_rank_correlation
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import checked_similarities
from depthclip_core.settings import MAX_DEPTH, PROMPTS, published_name

_file = resources.files("depthclip_core.analysis") / "control_words.toml"
_data = tomllib.loads(_file.read_text(encoding="utf-8"))
CONTROLS = MappingProxyType({name: tuple(words) for name, words in _data["words"].items()})
VOCABULARIES = MappingProxyType({**PROMPTS, **CONTROLS})  # the paper's lists first
QUARTILES = ("25 %", "median", "75 %")
LARGEST = 8  # words of which all orders are tried: 40,320


def vocabularies(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """All lists of seven words, and under "given" these words if none of the lists is the same.

    Raises `DepthClipError` unless there are seven.
    """
    name = published_name(words, VOCABULARIES)
    if name in VOCABULARIES:
        return dict(VOCABULARIES)
    if len(words) != 7:
        raise DepthClipError(f"give seven words to compare with the other lists, not {len(words)}")
    return {**VOCABULARIES, name: tuple(words)}


def even_bins(n_words: int = 7) -> tuple[float, ...]:
    """Centres of equal parts of 0–10 m, as Auty & Mikolajczyk's: 0.714, 2.143 … 9.286 for seven."""
    return tuple(float(b) for b in (np.arange(n_words) + 0.5) * MAX_DEPTH / n_words)


def auty_scores() -> pd.DataFrame:
    """Auty & Mikolajczyk's scores of words without training, rel and δ1, in their own setting."""
    table = pd.DataFrame(_data["published"]["rows"], _data["published"]["metrics"]).T
    return table.rename_axis("words")


def orders(bins: Sequence[float]) -> np.ndarray:
    """All orders of K ≤ 8 bins, (K!, K), the given one first: the same depths for other words."""
    if not 0 < len(bins) <= LARGEST:
        raise DepthClipError(f"cannot list all orders of {len(bins)} bins: give 1 to {LARGEST}")
    return np.array(list(permutations(bins)), dtype=np.float64)


def where_words_win(depths: np.ndarray, similarities: Tensor, words: Sequence[str]) -> pd.DataFrame:
    """For each word the cells where it is the most similar one, and their true depth.

    depths: (N, h, w) of `word_responses.cell_depths`. similarities: (N, V, K, h, w), of which the
    first view, the image itself, is used. Columns: cells, and 25 %, median and 75 % of their
    depths, metres.
    """
    depth, winner = _winners(depths, similarities)
    rows = {}
    for k, word in enumerate(words):
        own = depth[winner == k]
        quartiles = np.quantile(own, [0.25, 0.5, 0.75]) if own.size else [np.nan] * 3
        rows[word] = {"cells": own.size, **dict(zip(QUARTILES, quartiles, strict=True))}
    return pd.DataFrame(rows).T.astype({"cells": int}).rename_axis("word")


def order_in_images(depths: np.ndarray, similarities: Tensor, blind: np.ndarray) -> pd.Series:
    """Rank correlation of the words' order, near to far, with depth; arguments as above.

    blind: (h, w), depth of cells that position alone predicts (`position.blind_maps`), metres.
    cells: of depth and winning word, cell by cell, all images together; blind map: of depth and the
    blind map, which has seen no image; given the blind map: the partial correlation of cells. NaN
    if fewer than two words win anywhere.
    """
    depth, winner = _winners(depths, similarities)
    at = _placed(blind, depths.shape)[np.isfinite(depths)]
    partial = partial_rank_correlation(winner, depth, at) if len(depth) else np.nan
    names = ["cells", "blind map", "given the blind map"]
    return pd.Series([_spearman(winner, depth), _spearman(at, depth), partial], names)


def order_beside_both(
    depths: np.ndarray, similarities: Tensor, blind: Mapping[str, np.ndarray]
) -> pd.Series:
    """`order_in_images` with the blind map by "position", and what is left given that by "row"."""
    order, by_row = (order_in_images(depths, similarities, blind[k]) for k in ("position", "row"))
    order["given the blind map by row"] = by_row["given the blind map"]
    return order


def agreement(
    similarities: Mapping[str, Tensor], depths: Mapping[str, Sequence[float]], blind: np.ndarray
) -> pd.DataFrame:
    """How far lists of words agree on the depth of a cell, a row for each two of them.

    similarities: of each list (N, V, K, h, w), whose first view, the image itself, is used. depths:
    metres of each list's K words, so that the winning word stands for a depth. blind: as in
    `order_in_images`. Columns: ratio, the median over cells of the larger of the two depths ÷ the
    smaller; within 1.25, the share of cells in which it is below 1.25; rank correlation,
    Spearman's, over all cells; given the blind map, what is left of it when position is known. NaN
    if one does not vary.
    """
    won = {
        name: np.asarray(depths[name])[checked_similarities(s)[:, 0].argmax(1).cpu().numpy()]
        for name, s in similarities.items()
    }
    rows = {}
    for one, other in combinations(won, 2):
        ratio = np.maximum(won[one] / won[other], won[other] / won[one])
        at, pair = _placed(blind, ratio.shape).ravel(), (won[one].ravel(), won[other].ravel())
        partial = partial_rank_correlation(*pair, at)
        rows[one, other] = [np.median(ratio), (ratio < 1.25).mean(), _spearman(*pair), partial]
    names = pd.MultiIndex.from_tuples(rows, names=["list", "other list"])
    columns = ["ratio", "within 1.25", "rank correlation", "given the blind map"]
    return pd.DataFrame(list(rows.values()), names, columns)


def cosines(text: Tensor) -> pd.DataFrame:
    """Cosine similarity of every two of K text vectors (K, D) of length 1, a row each.

    Columns: first, second, places in the list; cosine; neighbours, whether they are next to each
    other.
    """
    matrix = (text @ text.T).double().cpu().numpy()
    first, second = np.triu_indices(len(matrix), 1)
    columns = {"first": first, "second": second, "cosine": matrix[first, second]}
    return pd.DataFrame(columns | {"neighbours": second - first == 1})


def cosine_table(text: Mapping[str, Tensor]) -> pd.DataFrame:
    """`cosines` of each list in a row: smallest and mean of all pairs, mean of neighbours, largest.

    first and last: of the two words at the ends, between which `text_positions` measures.
    """
    rows = {}
    for name, vectors in text.items():
        table = cosines(vectors)
        ends = table["cosine"][(table["first"] == 0) & (table["second"] == len(vectors) - 1)]
        of_all, near = table["cosine"], table["cosine"][table["neighbours"]]
        rows[name] = [of_all.min(), of_all.mean(), near.mean(), of_all.max(), ends.iloc[0]]
    columns = ["smallest", "mean", "mean of neighbours", "largest", "first and last"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def text_positions(text: Tensor) -> np.ndarray:
    """Positions of K text vectors (K, D) along the axis from the first (0) to the last (1)."""
    vectors = text.double().cpu().numpy()
    axis = vectors[-1] - vectors[0]
    return (vectors - vectors[0]) @ axis / (axis @ axis)


def order_in_text(text: Tensor) -> pd.Series:
    """Rank correlation of K words' order with their position on the axis from first to last.

    The axis goes through the words at the ends, so any order correlates somewhat: chance is the
    share of all K! orders, each along its own axis, that reach at least the same correlation.
    text: (K, D), K at most 8.
    """
    if len(text) < 3:
        raise DepthClipError(f"cannot test the order of {len(text)} words: give 3 to {LARGEST}")
    vectors = text.double().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise DepthClipError("text vectors hold NaN or infinite values")
    gram = vectors @ vectors.T
    order = orders(range(len(gram))).astype(int)
    along = np.take_along_axis(gram[order[:, -1]] - gram[order[:, 0]], order, axis=1)
    ranks = along.argsort(axis=1).argsort(axis=1)
    distance = ((ranks - np.arange(len(gram))) ** 2).sum(axis=1)  # the first order is as given
    rho = 1 - 6 * distance / (len(gram) * (len(gram) ** 2 - 1))
    return pd.Series({"correlation": rho[0], "chance": np.mean(distance <= distance[0])})


def _placed(blind: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A blind map (h, w) for every image, (N, h, w); rounded, so that noise does not break ties."""
    if blind.shape != shape[1:]:
        raise DepthClipError(f"a blind map of {blind.shape} cells for images of {shape[1:]}")
    return np.broadcast_to(np.asarray(blind, dtype=np.float64).round(6), shape)


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    varies = len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0
    return float(scipy.stats.spearmanr(x, y).statistic) if varies else np.nan


def _winners(depths: np.ndarray, similarities: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Depth of every cell with known depth, of all frames, and which word wins there."""
    winner = checked_similarities(similarities)[:, 0].argmax(1).cpu().numpy()
    if winner.shape != depths.shape:
        raise DepthClipError(f"similarities at {winner.shape} cells for depths at {depths.shape}")
    if np.isinf(depths).any():
        raise DepthClipError("depths of cells are infinite: mark unknown depth with NaN")
    measured = np.isfinite(depths)
    return depths[measured], winner[measured]
