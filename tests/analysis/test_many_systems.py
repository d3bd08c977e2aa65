import numpy as np
import pytest
import scipy
import torch

import depthclip_core as dc
from depthclip_core.analysis import many_systems, statistics
from depthclip_core.analysis.word_responses import mean_weights
from depthclip_core.evaluation import fitting
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.pixels import counted, overlap_interpolation
from depthclip_core.method.depth import upsample
from depthclip_core.settings import PUBLISHED_METRICS

GRID = (3, 4)


@pytest.fixture(scope="module")
def run():
    return dc.open_run("sample", device="cpu")


def test_score_maps_match_evaluate_on_any_grid(run):
    frames, rng = run.frames[[0, 9]], np.random.default_rng(0)
    maps = [rng.uniform(1, 5, (2, *grid)).astype(np.float32) for grid in (GRID, (6, 5), GRID)]
    found = many_systems.score_maps(frames.ground_truths(), maps, run.protocol)
    assert found.shape == (3, 2, 6)
    truths = np.stack(list(frames.ground_truths()))
    for s, each in enumerate(maps):
        depth = upsample(torch.from_numpy(each), run.protocol.window.shape).numpy()
        expected = evaluate(depth, truths, run.protocol)[list(PUBLISHED_METRICS)]
        np.testing.assert_allclose(found[s], expected, rtol=1e-4, atol=1e-5)


def test_score_maps_leave_frames_without_depth_nan(run):
    truths = [np.zeros(run.protocol.frame, np.float32), run.frames.ground_truth(0)]
    found = many_systems.score_maps(truths, [np.ones((2, *GRID))], run.protocol)
    assert np.isnan(found[0, 0]).all() and np.isfinite(found[0, 1]).all()


def test_order_within_matches_scipy_and_statistics():
    rng = np.random.default_rng(1)
    cells, position = rng.uniform(1, 5, (3, *GRID)), rng.uniform(1, 5, GRID)
    cells[0, 0, :2] = np.nan
    maps = [cells + rng.normal(size=cells.shape) for _ in range(2)]
    maps = [np.where(np.isnan(m), 1.0, m) for m in maps]
    found = many_systems.order_within(maps, cells, position)
    assert found.shape == (2, 3, 2)
    for s, i in np.ndindex(2, 3):
        known = np.isfinite(cells[i])
        x, y, z = (np.round(v, 5) for v in (maps[s][i][known], cells[i][known], position[known]))
        assert found[s, i, 0] == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
        assert found[s, i, 1] == pytest.approx(statistics.partial_rank_correlation(x, y, z))


def test_order_within_is_nan_where_nothing_varies():
    cells, position = np.arange(24.0).reshape(2, *GRID), np.arange(12.0).reshape(GRID)
    cells[1] = np.nan
    cells[1, 0, :2] = 1, 2
    flat = np.full((2, *GRID), 3.0)
    found = many_systems.order_within([flat, flat + 1e-8 * cells.clip(0)], cells, position)
    assert np.isnan(found).all()  # rounding is no order; two cells are too few
    # The truth is the position map: nothing is left once it is known.
    (first, _) = many_systems.order_within([cells], cells, position)[0]
    assert first[0] == pytest.approx(1) and np.isnan(first[1])


def test_order_within_averages_finer_grids():
    coarse = np.random.default_rng(2).uniform(1, 5, (1, *GRID))
    fine = np.repeat(np.repeat(coarse, 2, axis=1), 2, axis=2)
    fine[:, ::2] += 0.3
    fine[:, 1::2] -= 0.3
    found = many_systems.order_within([coarse, fine], coarse, np.arange(12.0).reshape(GRID))
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)


@pytest.mark.parametrize("grid", [(13, 17), (6, 5), (1, 1)])
def test_cell_histograms_share_each_pixel_among_its_cells(run, grid):
    truth = counted(run.frames.ground_truth(0), run.protocol)
    found, depths = many_systems.cell_histograms(truth, grid, run.protocol)
    assert found.shape == (grid[0] * grid[1], len(depths)) and (np.diff(depths) > 0).all()
    assert found.sum() == pytest.approx(truth.n_valid, rel=1e-5)
    down, across = overlap_interpolation(grid, run.protocol)
    for cell in {0, grid[0] * grid[1] // 2}:
        share = np.outer(down[:, cell // grid[1]], across[:, cell % grid[1]])
        expected = np.bincount(
            (truth.values.astype(float) / 0.001).astype(int), share[truth.valid_mask], 10_000
        )
        np.testing.assert_allclose(found[cell], expected[depths], atol=1e-2, rtol=1e-4)


def test_fit_systems_matches_fit_medians_on_several_grids(run):
    torch.manual_seed(1)
    frames = run.train[[0, 5, 40]]
    similarities = {"a": torch.rand(3, 2, 7, 13, 17) / 50, "b": torch.rand(3, 2, 7, 6, 8) / 50}
    similarities["c"] = torch.rand(3, 2, 7, 13, 17) / 50
    weights = {name: mean_weights(each) for name, each in similarities.items()}
    found = many_systems.fit_systems(frames.ground_truths, weights, run.protocol)
    assert list(found) == ["a", "b", "c"]
    for name, each in similarities.items():
        expected = fitting.fit_bins(frames.ground_truths(), each, protocol=run.protocol)
        np.testing.assert_allclose(found[name], expected, atol=0.0011)
