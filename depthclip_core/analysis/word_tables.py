"""Tables of which word answers where, for several heads; see `word_responses` for the numbers.

N frames of h × w cells, K words. weights: (N, K, h, w) bin weights; depths: (N, h, w) true depths
of the cells, metres, NaN where not known; groups: the room of each frame.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis import word_responses
from depthclip_core.analysis.position import seen_beyond_position
from depthclip_core.analysis.statistics import intervals


def order_table(
    weights: Mapping[str, np.ndarray],
    bins: Sequence[float],
    depths: np.ndarray,
    groups: Sequence,
) -> pd.DataFrame:
    """Are words in the order of depth? Rows (method, ranked, compared) of `rank_correlation`.

    ranked: "winning word", its place in the list, which needs no bins, or "predicted depth".
    """
    tables = {}
    for method, weight in weights.items():
        orders = {"winning word": word_responses.winners(weight)}
        orders["predicted depth"] = predicted_cells(weight, bins)
        for ranked, order in orders.items():
            tables[method, ranked] = word_responses.rank_correlation(order, depths, groups)
    return pd.concat(tables, names=["method", "ranked", "compared"])


def predicted_cells(weights: np.ndarray, bins: Sequence[float]) -> np.ndarray:
    """Depths of the cells (N, h, w) from bin weights, metres.

    Rounded to micrometres, so that cells of equal depth tie in a ranking on every processor.
    """
    return np.einsum("nkhw,k->nhw", weights.astype(np.float64), bins).round(6)


def position_table(
    weights: Mapping[str, np.ndarray],
    bins: Sequence[float],
    depths: np.ndarray,
    blind: Mapping[str, np.ndarray],
    groups: Sequence,
) -> pd.DataFrame:
    """What each method sees beyond position: rows (blind map, method, correlation), `intervals` of
    the columns of `seen_beyond_position`.

    blind: the depths of each blind map's cells (h, w), metres.
    """
    tables = {}
    for name, cells in blind.items():
        for method, weight in weights.items():
            rows = seen_beyond_position(predicted_cells(weight, bins), depths, cells)
            tables[name, method] = intervals(rows, groups)
    return pd.concat(tables, names=["blind map", "method", "correlation"])


def strongest(curves: pd.DataFrame, bins: Sequence[float]) -> pd.DataFrame:
    """A row for each word of `response_curves`: its bin, and where its mean weight is largest.

    Columns: the bin; the depth interval, and the mean depth of its cells, metres; the mean weight
    with its 95 % interval; groups, the rooms with such cells.
    """
    if curves.empty:
        return pd.DataFrame()
    table = curves.loc[curves.groupby("word", sort=False)["mean"].idxmax()].set_index("word")
    table.insert(0, "bin (m)", list(bins))
    names = {"interval": "strongest at (m)", "depth": "mean depth (m)", "mean": "mean weight"}
    return table.drop(columns=["cells", "images"]).rename(columns=names)


def words_of_views(
    similarities: Tensor, words: Sequence[str], cells: Sequence[tuple[int, int]], temperature: float
) -> pd.DataFrame:
    """The winning word of some cells of one frame, in the image and in its mirror image.

    similarities: (2, K, h, w) of the frame. The mirror image's cells are named as the image's.
    """
    image, mirrored = _winners_of_views(similarities[None], temperature)
    rows = {f"cell {c}": [words[image[0][c]], words[mirrored[0][c]]] for c in map(tuple, cells)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["image", "mirror image"])


def views_apart(similarities: Tensor, temperature: float) -> float:
    """Share of cells in which image and mirror image choose different words.

    similarities: (N, 2, K, h, w).
    """
    image, mirrored = _winners_of_views(similarities, temperature)
    return float((image != mirrored).mean())


def _winners_of_views(similarities: Tensor, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Winning words (N, h, w) of both views, the mirror image's mirrored back."""
    views = (similarities[:, [view]] for view in (0, 1))
    image, mirrored = (word_responses.mean_weights(view, temperature) for view in views)
    return word_responses.winners(image), word_responses.winners(mirrored)[..., ::-1]


def words_by_temperature(similarities: Tensor, temperatures: Sequence[float]) -> pd.DataFrame:
    """How many words answer in a cell, a row per temperature, for one view and for the average.

    bits: mean entropy over cells. words: 2 to its power, the effective number of words.
    """
    rows = {}
    for temperature in temperatures:
        weights = (word_responses.mean_weights(similarities, temperature, f) for f in (False, True))
        bits = [float(word_responses.entropy(weight).mean()) for weight in weights]
        rows[temperature] = [number for b in bits for number in (b, 2**b)]
    columns = pd.MultiIndex.from_product([["image alone", "flip average"], ["bits", "words"]])
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("temperature")
