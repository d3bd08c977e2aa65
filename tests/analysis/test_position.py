"""Maps that know position only, and what is left when they are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from depthclip_core.analysis import position
from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.protocols import PROTOCOLS
from depthclip_core.settings import Window

rng = np.random.default_rng(0)
FRAME, WINDOW = (20, 24), Window(2, 18, 4, 22)
PROTOCOL = replace(PROTOCOLS["released"], frame=FRAME, window=WINDOW, region=WINDOW)


def holed(n, share=0.3):
    truths = rng.uniform(0.5, 9.5, (n, *FRAME)).astype(np.float32)
    truths[rng.random(truths.shape) < share] = 0
    return truths


@pytest.mark.parametrize("n", [1, 2, 9])
def test_blind_maps_are_medians_of_valid_pixels(n):
    truths = holed(n)
    truths[:, 5, 7] = 0  # no frame has depth here
    truths[0, 9, 9] = 10.5  # beyond the far limit
    found = position.blind_maps(truths, PROTOCOL)
    part = truths[:, *WINDOW.slices]
    valid = np.where((part > 1e-3) & (part < 10), part, np.nan)
    rows = [np.nanmedian(valid[:, i]) for i in range(WINDOW.shape[0])]
    for (i, j), value in np.ndenumerate(found["position"]):
        column = valid[:, i, j]
        expected = np.nanmedian(column) if np.isfinite(column).any() else rows[i]
        assert value == pytest.approx(expected, abs=2e-4)
    np.testing.assert_allclose(found["row"], np.repeat(np.array(rows)[:, None], 18, 1), atol=2e-4)


def test_rows_without_depth_take_the_nearest_row():
    truths = np.full((1, *FRAME), 0, np.float32)
    truths[0, 10] = 3
    for depth in position.blind_maps(truths, PROTOCOL).values():
        np.testing.assert_allclose(depth, 3, atol=2e-4)
    with pytest.raises(DepthClipError, match="no frame has a valid pixel"):
        position.blind_maps(np.zeros((2, *FRAME)), PROTOCOL)


def test_blind_scores_are_those_of_evaluate():
    truths = holed(3)
    depth = position.blind_maps(truths, PROTOCOL)["position"]
    found = position.blind_scores(depth, truths, PROTOCOL)
    np.testing.assert_allclose(found, evaluate(np.repeat(depth[None], 3, 0), truths, PROTOCOL))


def test_cell_medians_match_those_of_the_truth():
    truth = rng.uniform(1, 9, FRAME)
    (expected,) = cell_depths([truth], (4, 3), PROTOCOL)
    np.testing.assert_allclose(position.cell_medians(truth[WINDOW.slices], (4, 3)), expected)


def test_a_prediction_that_knows_position_only_is_told_from_one_that_sees():
    blind = np.linspace(1, 4, 60).reshape(6, 10)
    truths = blind * rng.uniform(0.8, 1.25, (40, 6, 10))
    fixed = np.repeat(blind[None], 40, 0) * rng.uniform(0.95, 1.05, (40, 6, 10))
    sees = truths * rng.uniform(0.95, 1.05, truths.shape)
    by_position, by_sight = (
        position.seen_beyond_position(p, truths, blind).mean() for p in (fixed, sees)
    )
    assert by_position["rho"] > 0.8 and by_sight["rho"] > 0.8
    for column in ("rho given the blind map", "rho of residuals"):
        assert abs(by_position[column]) < 0.08 and by_sight[column] > 0.8


def test_rows_match_ranks_written_out():
    blind, truth = rng.uniform(1, 4, (2, 4, 5))
    truth[0, :2] = np.nan
    predicted = rng.uniform(1, 4, (4, 5))
    row = position.seen_beyond_position(predicted[None], truth[None], blind).iloc[0]
    known = np.isfinite(truth)
    p, d, b = (rankdata(v[known]) for v in (predicted, truth, blind))
    assert row["rho"] == pytest.approx(np.corrcoef(p, d)[0, 1])
    assert row["rho of the blind map"] == pytest.approx(np.corrcoef(b, d)[0, 1])
    left = [v - np.polyval(np.polyfit(b, v, 1), b) for v in (p, d)]
    assert row["rho given the blind map"] == pytest.approx(np.corrcoef(*left)[0, 1])
    ratio = [rankdata((v / blind)[known]) for v in (predicted, truth)]
    assert row["rho of residuals"] == pytest.approx(np.corrcoef(*ratio)[0, 1])


def test_images_without_enough_cells_are_nan():
    depths = np.full((2, 3, 3), np.nan)
    depths[1, 0] = [1, 2, 3]
    rows = position.seen_beyond_position(np.ones((2, 3, 3)), depths, np.ones((3, 3)))
    assert rows.isna().all(axis=None)
    with pytest.raises(DepthClipError, match=r"predictions \(2, 3, 3\)"):
        position.seen_beyond_position(np.ones((2, 3, 3)), depths, np.ones((3, 4)))
