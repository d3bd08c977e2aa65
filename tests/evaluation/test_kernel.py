"""The compiled sums against plain loops over pixels, in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthclip_core.evaluation import frame_scores
from depthclip_core.evaluation.frame_scores import Predictions
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.pixels import PixelMaps, Truth
from depthclip_core.evaluation.terms import WITHIN

EVERY = tuple(METRICS)
NEAR, FAR = 1e-3, 10.0


def frame(depth):
    """A truth of these depths (H, W), 0 where a pixel does not count."""
    depth = np.asarray(depth, dtype=np.float32)
    return Truth(depth, np.count_nonzero(depth))


def between_rows(columns, height):
    """Maps (B, h, W) stretched to a height, corners aligned."""
    columns = np.asarray(columns, dtype=np.float32)
    place = np.arange(height) * (columns.shape[1] - 1) / max(1, height - 1)
    above = np.minimum(place.astype(np.int64), max(0, columns.shape[1] - 2))
    below = np.minimum(above + 1, columns.shape[1] - 1)
    share = (place - above).astype(np.float32)
    return PixelMaps(columns, np.stack([above, below], 1), np.stack([1 - share, share], 1))


def predicted(maps, truth, coefficients=None, shift=None, limits=(NEAR, FAR)):
    coefficients = np.eye(len(maps.columns)) if coefficients is None else np.asarray(coefficients)
    shift = np.zeros(len(coefficients)) if shift is None else np.asarray(shift)
    return Predictions(maps, coefficients, shift, truth, limits)


def by_loops(predictions):
    """The metrics (P, M), pixel after pixel."""
    maps, truth = predictions.maps, predictions.truth
    rows = []
    for coefficients, shift in zip(predictions.coefficients, predictions.shift, strict=True):
        p, g = [], []
        for i, j in np.argwhere(truth.valid_mask):
            depth = shift
            for c, column in zip(coefficients, maps.columns, strict=True):
                ends = column[maps.between[i], j].astype(float)
                depth += c * float(ends @ maps.shares[i].astype(float))
            p.append(
                min(max(float(np.float32(depth)), predictions.limits[0]), predictions.limits[1])
            )
            g.append(float(truth.depth[i, j]))
        rows.append([METRICS[name](np.array(p), np.array(g)) for name in EVERY])
    return np.array(rows)


def assert_same(predictions, atol=1e-5):
    got = frame_scores.scores(predictions, EVERY)
    np.testing.assert_allclose(got, by_loops(predictions), rtol=1e-5, atol=atol)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 4), st.integers(0, 99))
def test_kernel_matches_loops_for_any_shape(height, width, n_predictions, seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.3, 9.5, (height, width)) * (rng.random((height, width)) > 0.2)
    depth[0, 0] = 2.0
    maps = between_rows(rng.uniform(0.5, 9, (3, rng.integers(1, 6), width)), height)
    coefficients = rng.dirichlet(np.ones(3), n_predictions)
    got = frame_scores.scores(predicted(maps, frame(depth), coefficients), EVERY)
    expected = by_loops(predicted(maps, frame(depth), coefficients))
    # silog is a difference of two means: of few pixels it cancels.
    silog = EVERY.index("silog")
    np.testing.assert_allclose(np.delete(got, silog, 1), np.delete(expected, silog, 1), 2e-5, 1e-6)
    np.testing.assert_allclose(got[:, silog], expected[:, silog], 1e-3, 0.1)


def test_kernel_scores_more_predictions_than_go_at_once():
    rng = np.random.default_rng(0)
    maps = between_rows(rng.uniform(0.5, 9, (4, 5, 12)), 30)
    depth = rng.uniform(0.3, 9.5, (30, 12))
    assert_same(predicted(maps, frame(depth), rng.dirichlet(np.ones(4), 130)))


def test_one_pixel_is_scored():
    maps = between_rows(np.full((1, 1, 1), 2.0), 1)
    got = frame_scores.scores(predicted(maps, frame([[1.0]])), ["abs_rel", "rmse", "log10", "mae"])
    assert got[0] == pytest.approx([1, 1, np.log10(2), 1])


def test_frame_without_valid_pixels_is_nan():
    maps = between_rows(np.ones((2, 3, 4)), 5)
    assert np.isnan(frame_scores.scores(predicted(maps, frame(np.zeros((5, 4)))), EVERY)).all()


def test_pixels_that_do_not_count_change_nothing():
    rng = np.random.default_rng(1)
    columns, depth = rng.uniform(1, 9, (3, 4, 20)), rng.uniform(1, 9, (17, 20))
    alone = frame_scores.scores(predicted(between_rows(columns, 17), frame(depth)), EVERY)
    wide = np.concatenate([columns, columns], axis=2)
    holes = np.concatenate([depth, 0 * depth], axis=1)
    beside = frame_scores.scores(predicted(between_rows(wide, 17), frame(holes)), EVERY)
    np.testing.assert_allclose(beside, alone, rtol=1e-6)


@pytest.mark.parametrize("height", [8, 9, 50])
def test_ratios_on_a_threshold_are_decided_as_in_float64(height):
    """Bins and truth of which ratios are thresholds exactly, and one float32 beside them."""
    bins = np.float32([2.0, 2.5, 3.0])
    exact = np.float32([1.6, 2.0, 2.4, 2.5, 3.125, 3.2, 3.75, 1.28, 3.90625])
    around = np.concatenate(
        [np.nextafter(exact, np.float32(0)), exact, np.nextafter(exact, np.float32(9))]
    )
    depth = np.resize(around, (height, len(around)))
    maps = between_rows(np.ones((1, 4, depth.shape[1])), height)
    predictions = predicted(maps, frame(depth), bins[:, None].astype(float))
    deltas = frame_scores.scores(predictions, ["delta1", "delta2", "delta3"])
    np.testing.assert_array_equal(deltas, by_loops(predictions)[:, :3])


@pytest.mark.parametrize("limits", [(NEAR, FAR), (1e-3, 80.0), (2.0, 3.0)])
def test_predictions_are_clamped_to_the_limits(limits):
    rng = np.random.default_rng(2)
    maps = between_rows(rng.uniform(0.0, 12, (2, 4, 15)), 40)
    truth = frame(rng.uniform(limits[0], limits[1], (40, 15)))
    assert_same(predicted(maps, truth, [[1.0, 0], [1, 2]], [0.0, -3], limits))


def test_products_of_extreme_ratios_fit_into_float32():
    depth = np.where(np.arange(64)[:, None] % 16 < 8, 1.01e-3, 9.99) * np.ones((1, 6))
    maps = between_rows(np.stack([np.full((2, 6), 10.0), np.full((2, 6), 1.01e-3)]), 64)
    predictions = predicted(maps, frame(depth))
    np.testing.assert_allclose(
        frame_scores.scores(predictions, EVERY), by_loops(predictions), rtol=1e-5
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_not_finite_are_refused(value):
    columns = np.ones((2, 3, 4))
    columns[1, 2, 3] = value
    with pytest.raises(frame_scores.DepthClipError, match="NaN or infinite"):
        predicted(between_rows(columns, 5), frame(np.ones((5, 4))))


def test_terms_are_averaged_plainly_where_none_is_fused(monkeypatch):
    rng = np.random.default_rng(3)
    maps = between_rows(rng.uniform(1, 9, (3, 4, 15)), 20)
    predictions = predicted(maps, frame(rng.uniform(1, 9, (20, 15))), shift=[0, 0.1, -0.1])
    fused = frame_scores.scores(predictions, EVERY)
    monkeypatch.setattr("depthclip_core.evaluation.kernel.FUSED", frozenset(WITHIN[:1]))
    np.testing.assert_allclose(frame_scores.scores(predictions, EVERY), fused, 1e-5, 1e-6)


SCORE = """
import sys
import numpy as np, torch
from depthclip_core.evaluation.sweep import sweep
assert "numba" not in sys.modules, "numba is imported before it is needed"
rng = np.random.default_rng(0)
similarities = torch.from_numpy(rng.normal(0.2, 2e-3, (1, 2, 3, 5, 6))).float()
truth = rng.uniform(1, 9, (1, 480, 640)).astype(np.float32)
print(sweep(truth, similarities, [[1.0, 2, 3]]).means().to_json())
"""


@pytest.mark.slow
def test_kernel_works_with_any_cache_folder_and_without(tmp_path):
    """Numbers are the same with a new, a used and an impossible cache; nothing is on stderr."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    answers = set()
    for folder in (tmp_path / "new", tmp_path / "new", blocked / "below"):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
        command = [sys.executable, "-c", SCORE]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0 and not ran.stderr, ran.stderr
        answers.add(ran.stdout)
    assert len(answers) == 1
    assert list((tmp_path / "new").rglob("*.nbc"))
