"""Edges, order and contrast of both heads' maps, beside others that set the scale.

The blind maps show what needs no image, the brightness of the photograph what needs no depth, and
the best map of the grid what no map of so few cells can show. Maps come by the name of their
method; N frames, h × w cells.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from depthclip_core.analysis import word_responses
from depthclip_core.analysis.detail import best_cells, depth_edges, detail
from depthclip_core.analysis.failures import LUMA
from depthclip_core.analysis.position import cell_medians
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import intervals, verdicts
from depthclip_core.evaluation import scoring

BLIND, BY_ROW = "blind map by position", "blind map by row"
BRIGHTNESS, BEST = "brightness of the photograph", "best map of the grid"
DARK = 0.05  # of white: added to brightness, so that steps between dark cells stay small
RANKED = "average precision"


def brightness(run: Run) -> np.ndarray:
    """Median brightness of the photograph in each cell (N, h, w), from DARK to 1 + DARK."""
    rows, columns = run.frames[0].window.slices
    light = (
        run.frames.rgb(i)[rows, columns] @ np.array(LUMA) / 255 for i in range(len(run.frames))
    )
    return np.stack([cell_medians(each, run.grid) for each in light]) + DARK


def cell_maps(runs: Mapping[str, Run], blind: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps of the cells (N, h, w): of each run, BLIND, BY_ROW and BEST in metres, and BRIGHTNESS.

    runs: on the same frames. blind: of `position.blind_maps`. A frame without valid pixels has the
    protocol's least depth as its best map.
    """
    maps = {}
    for name, run in runs.items():
        weights = word_responses.mean_weights(run.similarities(), run.temperature)
        maps[name] = np.einsum("nkhw,k->nhw", weights, run.bins)
    run = next(iter(runs.values()))
    for name, key in ((BLIND, "position"), (BY_ROW, "row")):
        maps[name] = np.stack([cell_medians(blind[key], run.grid)] * len(run.frames))
    maps[BRIGHTNESS] = brightness(run)
    best = [best_cells(d, run.grid, run.protocol) for d in run.frames.ground_truths()]
    maps[BEST] = np.maximum(best, run.protocol.min_depth)
    return maps


def edge_scores(
    runs: Mapping[str, Run], blind: Mapping[str, np.ndarray]
) -> dict[str, pd.DataFrame]:
    """`detail.depth_edges` of each of `cell_maps`, a row per frame."""
    run = next(iter(runs.values()))
    true = word_responses.cell_depths(run.frames.ground_truths(), run.grid, protocol=run.protocol)
    return {name: depth_edges(maps, true) for name, maps in cell_maps(runs, blind).items()}


def ranking_intervals(scores: Mapping[str, pd.DataFrame], groups: Sequence) -> pd.DataFrame:
    """Mean average precision of each method over frames, with intervals by group."""
    table = {name: intervals(rows[[RANKED]], groups) for name, rows in scores.items()}
    return pd.concat(table).droplevel(1)


def above(scores: Mapping[str, pd.DataFrame], reference: str, groups: Sequence) -> pd.DataFrame:
    """Average precision minus a reference's on the same frames: intervals and verdicts.

    reference: the name of a map in the scores, such as BLIND or BRIGHTNESS.
    """
    floor = scores[reference][[RANKED]]
    others = {name: rows[[RANKED]] - floor for name, rows in scores.items() if name != reference}
    table = ranking_intervals(others, groups)
    return table.assign(verdict=verdicts(table, [1] * len(table)))


def map_details(runs: Mapping[str, Run], blind: np.ndarray) -> dict[str, pd.DataFrame]:
    """`detail.detail` of each run's maps and of the blind map by position, a row per frame."""
    found = {}
    for name, run in runs.items():
        how = (run.temperature, run.protocol)
        maps = scoring.predictions(run.similarities(), run.bins, *how)
        found[name] = detail(run.frames, maps, run.grid, run.protocol)
    run = next(iter(runs.values()))
    found[BLIND] = detail(run.frames, [blind] * len(run.frames), run.grid, run.protocol)
    return found


def order_table(details: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Quartiles over frames of the correlation inside a frame, and the shares above 0.5, below 0.

    A row per method; frames without a correlation do not count.
    """
    rows = {}
    for name, table in details.items():
        known = table["pearson"].dropna()
        quartiles = known.quantile([0.25, 0.5, 0.75])
        rows[name] = [*quartiles, (known > 0.5).mean(), (known < 0).mean()]
    columns = ["25 %", "median", "75 %", "above 0.5", "below 0"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def blur_table(details: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How sharp and how wrong maps are, a row per method and for BEST.

    Columns: the medians over frames of the gradient energy, as a share of the truth's, and of the
    rmse in metres; and the share of the squared error of all frames that is the grid's, as BEST
    makes it too.
    """
    rows = {}
    for name, table in details.items():
        known = table.dropna(subset=["rmse", "grid_rmse"])
        of_grid = (known["grid_rmse"] ** 2).sum() / (known["rmse"] ** 2).sum()
        rows[name] = [*known[["gradient_energy_ratio", "rmse"]].median(), of_grid]
    # The grid's best map is the same for all methods.
    rows[BEST] = [*known[["grid_gradient_energy_ratio", "grid_rmse"]].median(), 1.0]
    columns = ["gradient energy", "rmse (m)", "share of error"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def contrast_above_grid(details: Mapping[str, pd.DataFrame], groups: Sequence) -> pd.DataFrame:
    """Gradient energy minus the grid's best map's, both as shares of the truth's: intervals."""
    found = {}
    for name, table in details.items():
        above = table["gradient_energy_ratio"] - table["grid_gradient_energy_ratio"]
        found[name] = intervals(above.to_frame(), groups)
    return pd.concat(found).droplevel(1)
