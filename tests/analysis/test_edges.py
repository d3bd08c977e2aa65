import numpy as np
import pandas as pd
import pytest

import depthclip_core as dc
from depthclip_core.analysis import edges, position
from depthclip_core.analysis.detail import depth_edges
from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.evaluation.pixels import interpolation
from depthclip_core.evaluation.scoring import predictions

METHODS = ["DepthCLIP", "DepthCLIP + value head"]


@pytest.fixture(scope="module")
def runs(nyu_folder):
    return dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu").both_heads


@pytest.fixture(scope="module")
def blind(runs):
    run = runs[METHODS[0]]
    return position.blind_maps(run.train.ground_truths(), run.protocol)


def details(**columns):
    table = pd.DataFrame(columns, dtype=float)
    return {"ours": table, edges.BLIND: table * 0.5}


def test_cells_are_those_of_the_predicted_maps(runs, blind):
    maps = edges.cell_maps(runs, blind)
    assert list(maps) == [*METHODS, edges.BLIND, edges.BY_ROW, edges.BRIGHTNESS, edges.BEST]
    for name, run in runs.items():
        how = (run.similarities(), run.bins, run.temperature, run.protocol)
        down, across = (interpolation(a, b) for a, b in zip(run.grid, (416, 544), strict=True))
        upsampled = down @ maps[name][0] @ across.T
        np.testing.assert_allclose(upsampled, next(predictions(*how)), atol=1e-4)
    assert (maps[edges.BLIND] == maps[edges.BLIND][0]).all()
    by_row = maps[edges.BY_ROW]
    assert (by_row == by_row[:1, :, :1]).all() and (maps[edges.BLIND] != by_row).any()


def test_brightness_is_the_middle_of_a_cells_grey(runs):
    run = runs[METHODS[0]]
    light = edges.brightness(run)
    assert light.shape == (len(run.frames), *run.grid)
    part = run.frames.rgb(1)[run.frames[1].window.slices][:32, :32].astype(float)
    grey = 0.299 * part[..., 0] + 0.587 * part[..., 1] + 0.114 * part[..., 2]
    assert light[1, 0, 0] == pytest.approx(np.median(grey) / 255 + edges.DARK)


def test_best_map_shows_edges_best_and_scores_are_those_of_depth_edges(runs, blind):
    scores, run = edges.edge_scores(runs, blind), runs[METHODS[1]]
    true = cell_depths(run.frames.ground_truths(), run.grid, protocol=run.protocol)
    expected = depth_edges(edges.cell_maps(runs, blind)[METHODS[1]], true)
    pd.testing.assert_frame_equal(scores[METHODS[1]], expected)
    means = {name: rows[edges.RANKED].mean() for name, rows in scores.items()}
    assert max(means, key=means.get) == edges.BEST


def test_differences_from_the_blind_map_are_paired():
    rng = np.random.default_rng(0)
    floor = pd.DataFrame({edges.RANKED: rng.uniform(0.1, 0.2, 12)})
    scores = {"ours": floor + 0.1 + 0.001 * rng.normal(size=(12, 1)), edges.BLIND: floor}
    scores["worse"] = floor - 0.05
    table = edges.above(scores, edges.BLIND, range(12))
    assert table.loc["ours", "mean"] == pytest.approx(0.1, abs=1e-3)
    assert list(table.index) == ["ours", "worse"]
    assert list(table["verdict"]) == ["better", "worse"]
    few = edges.above(scores, edges.BLIND, [0] * 12)
    assert list(few["verdict"]) == ["too few groups"] * 2
    assert edges.ranking_intervals(scores, range(12)).loc[edges.BLIND, "mean"] < 0.2


def test_map_details_hold_both_heads_and_the_blind_map(runs, blind):
    found = edges.map_details(runs, blind["position"])
    assert list(found) == [*METHODS, edges.BLIND]
    grid = [table["grid_rmse"] for table in found.values()]
    assert (grid[0] == grid[1]).all() and (grid[0] == grid[2]).all()


def test_order_table_counts_known_frames_only():
    table = edges.order_table(details(pearson=[-0.5, 0.6, 0.8, np.nan]))
    assert table.loc["ours"].tolist() == pytest.approx([0.05, 0.6, 0.7, 2 / 3, 1 / 3])
    assert table.loc[edges.BLIND, "above 0.5"] == 0


def test_blur_table_shares_the_error_out():
    columns = {"gradient_energy_ratio": [0.2, 0.4, 9], "grid_gradient_energy_ratio": [0.1, 0.3, 9]}
    columns |= {"rmse": [2, 4, np.nan], "grid_rmse": [1, 1, np.nan]}
    ours = {"ours": details(**columns)["ours"]}
    table = edges.blur_table(ours)
    assert table.loc["ours"].tolist() == pytest.approx([0.3, 3, 0.1])
    assert table.loc[edges.BEST].tolist() == pytest.approx([0.2, 1, 1])


def test_contrast_is_the_paired_mean():
    ours = details(
        gradient_energy_ratio=np.arange(8) / 10, grid_gradient_energy_ratio=np.full(8, 0.1)
    )
    table = edges.contrast_above_grid(ours, range(8))
    assert table.loc["ours", "mean"] == pytest.approx(0.25)
    assert table.loc["ours", "low"] < 0.25 < table.loc["ours", "high"]
