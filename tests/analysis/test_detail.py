import numpy as np
import pytest
import torch

from depthclip_core.analysis.detail import best_cells, depth_edges, detail, gradient_energy
from depthclip_core.datasets import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.method.depth import upsample

FRAME, WINDOW = (480, 640), (416, 544)


def frame(truth, name="0001"):
    return Frame(name, np.zeros((*FRAME, 3), np.uint8), truth, truth)


def of_cells(cells):
    """A frame's depth that is a map of cells, upsampled into the window."""
    truth = np.zeros(FRAME, np.float32)
    truth[56:472, 60:604] = upsample(torch.from_numpy(cells)[None], WINDOW)[0].numpy()
    return truth


def best_on_grid(truth):
    """The best map of the grid, upsampled to the window."""
    cells = torch.from_numpy(best_cells(truth)).float()
    return upsample(cells[None], WINDOW)[0].numpy()


def test_gradient_energy_counts_pairs_of_known_pixels():
    rng = np.random.default_rng(0)
    depth, known = rng.uniform(1, 5, (6, 7)), rng.uniform(size=(6, 7)) < 0.7
    naive = 0.0
    for i in range(6):
        for j in range(7):
            for k, m in ((i + 1, j), (i, j + 1)):
                if k < 6 and m < 7 and known[i, j] and known[k, m]:
                    naive += (depth[i, j] - depth[k, m]) ** 2
    assert gradient_energy(depth, known) == pytest.approx(naive, rel=1e-12)
    assert gradient_energy(np.where(known, depth, np.nan), known) == pytest.approx(naive)
    assert gradient_energy(np.full((4, 4), 2.0), np.full((4, 4), True)) == 0


def test_best_cells_recover_cells_despite_holes():
    cells = np.random.default_rng(1).uniform(1, 5, (13, 17)).astype(np.float32)
    truth = of_cells(cells)
    truth[np.random.default_rng(2).uniform(size=FRAME) < 0.3] = 0
    best = best_on_grid(truth)
    measured = truth[56:471, 60:601] > 0
    np.testing.assert_allclose(
        best[:415, :541][measured], truth[56:471, 60:601][measured], atol=1e-4
    )


def test_best_cells_are_a_minimum():
    rng = np.random.default_rng(3)
    truth = of_cells(rng.uniform(1, 5, (30, 40)).astype(np.float32))
    best = best_on_grid(truth)
    least = evaluate(best[None], truth[None])["rmse"][0]
    for _ in range(5):
        other = of_cells(rng.normal(0, 0.05, (13, 17)).astype(np.float32))[56:472, 60:604]
        assert evaluate((best + other)[None], truth[None])["rmse"][0] > least


def test_detail_matches_evaluate():
    rng = np.random.default_rng(4)
    truth = of_cells(rng.uniform(1, 5, (40, 50)).astype(np.float32))
    other = of_cells(rng.uniform(1, 5, (13, 17)).astype(np.float32))[56:472, 60:604]
    perfect = truth[56:472, 60:604]
    rows = detail([frame(truth, "a"), frame(truth, "b")], [perfect, other])
    assert list(rows.index) == ["a", "b"]
    assert rows.loc["a", ["pearson", "gradient_energy_ratio"]].to_numpy() == pytest.approx([1, 1])
    assert rows.loc["a", "rmse"] == 0
    expected = evaluate(np.stack([other, best_on_grid(truth)]), np.stack([truth, truth]))["rmse"]
    assert rows.loc["b", ["rmse", "grid_rmse"]].to_numpy() == pytest.approx(expected, rel=1e-6)
    pixels = [m[:415, :541].astype(float).ravel() for m in (other, perfect)]
    assert rows.loc["b", "pearson"] == pytest.approx(np.corrcoef(pixels)[0, 1], rel=1e-6)
    assert rows.loc["b", "grid_rmse"] < rows.loc["b", "rmse"]
    assert 0 < rows.loc["b", "grid_gradient_energy_ratio"] < 1


def test_detail_of_empty_frames_and_flat_maps_is_nan():
    truth = of_cells(np.random.default_rng(5).uniform(1, 5, (13, 17)).astype(np.float32))
    flat = np.full(WINDOW, 2.0, np.float32)
    rows = detail([frame(np.zeros(FRAME, np.float32)), frame(truth)], [flat, flat])
    assert rows.iloc[0].isna().all()
    assert np.isnan(rows["pearson"].iloc[1]) and rows["gradient_energy_ratio"].iloc[1] == 0
    with pytest.raises(DepthClipError, match="has shape"):
        detail([frame(truth)], [np.ones(FRAME)])


def test_edges_of_the_truth_are_found_and_of_a_flat_map_are_chance():
    depths = np.ones((1, 4, 6))
    depths[:, :, 3:] = 2  # one edge down the middle: 4 of the 38 pairs of neighbours
    true = depth_edges(depths, depths).iloc[0]
    assert true.tolist() == pytest.approx([1, 1, 1, 4 / 38])
    flat = depth_edges(np.ones_like(depths), depths).iloc[0]
    assert np.isnan(flat["precision"]) and flat["recall"] == 0
    assert flat["average precision"] == pytest.approx(flat["chance"]) == pytest.approx(4 / 38)
    faint = depth_edges(depths**0.1, depths).iloc[0]  # the right order, too little contrast
    assert faint["recall"] == 0 and faint["average precision"] == 1


def test_edges_match_pairs_counted_one_by_one():
    rng = np.random.default_rng(0)
    maps, depths = rng.uniform(1, 4, (2, 3, 5, 4))
    depths[1, 2] = np.nan
    depths[2] = 1.5
    rows = depth_edges(maps, depths, 1.4)
    for i in range(2):
        pairs = []
        for r, c in np.ndindex(5, 4):
            for below, right in ((1, 0), (0, 1)):
                if r + below < 5 and c + right < 4:
                    at = (r, c), (r + below, c + right)
                    ratios = [
                        max(v[at[0]] / v[at[1]], v[at[1]] / v[at[0]]) for v in (maps[i], depths[i])
                    ]
                    if np.isfinite(ratios[1]):
                        pairs.append(ratios)
        shown, edge = (np.array(pairs) > 1.4).T
        assert rows["precision"][i] == pytest.approx((shown & edge).sum() / shown.sum())
        assert rows["recall"][i] == pytest.approx((shown & edge).sum() / edge.sum())
        ranked = edge[np.argsort(-np.array(pairs)[:, 0])]
        average = np.mean([ranked[: k + 1].mean() for k in np.flatnonzero(ranked)])
        assert rows["average precision"][i] == pytest.approx(average)
    assert rows.iloc[2].isna().all()
    with pytest.raises(DepthClipError, match="ratio above 1"):
        depth_edges(maps, depths, 1.0)
    with pytest.raises(DepthClipError, match="equal shape"):
        depth_edges(maps[:1], depths)
