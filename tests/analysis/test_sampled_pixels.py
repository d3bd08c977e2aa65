import numpy as np
import pytest

from depthclip_core.analysis.sampled_pixels import Splits, sample_pixels
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import fitting
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.method.depth import upsample
from depthclip_core.settings import PUBLISHED_METRICS

GRID = (13, 17)


@pytest.fixture(scope="module")
def truths():
    """Four smooth scenes with holes; the last has no valid pixel."""
    rows, columns = np.mgrid[0:480, 0:640] / 480
    maps = [1 + a * rows + b * columns for a, b in ((3, 1), (1, 2), (4, 0.5))]
    maps = [np.where(columns > 0.9 + 0.1 * i, m, 0) for i, m in enumerate(maps)]
    return np.array([*maps, np.zeros((480, 640))], dtype=np.float32)


@pytest.fixture(scope="module")
def similarities():
    import torch

    return torch.rand(4, 2, 3, *GRID, generator=torch.Generator().manual_seed(0)) / 500


def test_pixels_are_the_interpolated_ones(truths):
    import torch

    pixels = sample_pixels(truths, GRID, n=50)
    cells = np.random.default_rng(1).random((4, 1, *GRID), dtype=np.float32)
    whole = upsample(torch.from_numpy(cells), (416, 544)).numpy()
    values, counts = np.unique(whole[0], return_counts=True)
    found = pixels.at(cells)[0, 0]
    nearest = np.abs(found[:, None] - values[counts == 1]).min(axis=1)
    assert nearest.max() < 1e-5
    assert np.isnan(pixels.depth[3]).all() and pixels.n_valid[3] == 0
    assert set(pixels.depth[0]) <= set(truths[0].ravel().astype(np.float64))


def test_scores_approach_those_of_all_pixels(truths):
    import torch

    cells = 1 + 4 * np.random.default_rng(2).random((4, *GRID), dtype=np.float32)
    exact = evaluate(upsample(torch.from_numpy(cells), (416, 544)).numpy(), truths)
    found = sample_pixels(truths, GRID, n=4000).scores(cells)
    expected = exact[list(PUBLISHED_METRICS)].to_numpy()
    np.testing.assert_allclose(found[:3], expected[:3], atol=0.02)
    assert np.isnan(found[3]).all()


def test_medians_approach_those_of_all_pixels(truths, similarities):
    pixels = sample_pixels(truths, GRID, n=3000)
    found = pixels.medians(cell_weights(similarities, 0.1, True))
    expected = fitting.fit_bins(truths, similarities)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_medians_match_a_plain_loop(truths):
    weights = np.random.default_rng(3).random((4, 2, *GRID), dtype=np.float32)
    pixels = sample_pixels(truths, GRID, n=20)
    maps, found = pixels.at(weights), []
    for word in range(2):
        pairs = sorted(
            (pixels.depth[i, j], maps[i, word, j] * pixels.n_valid[i])
            for i in range(3)
            for j in range(20)
        )
        half, total = sum(w for _, w in pairs) / 2, 0.0
        for depth, weight in pairs:
            total += weight
            if total >= half:
                found.append(depth)
                break
    assert pixels.medians(weights) == pytest.approx(found)


def test_silent_word_gets_the_median_of_all(truths):
    weights = np.zeros((4, 2, *GRID), dtype=np.float32)
    weights[:, 0] = 1
    first, second = sample_pixels(truths, GRID, n=20).medians(weights)
    assert first == second


def test_score_lists_matches_a_loop(truths, similarities):
    splits = Splits(*(sample_pixels(truths, GRID, n=20, seed=seed) for seed in (0, 1)))
    parts, lists = (similarities, similarities.flip(0)), np.array([[0, 1], [2, 0]])
    found = splits.score_lists(*parts, lists)
    for words, scores in zip(lists, found, strict=True):
        learn, test = (splits.weights(part[:, :, list(words)]) for part in parts)
        depth = sum(b * test[:, k] for k, b in enumerate(splits.train.medians(learn)))
        np.testing.assert_allclose(scores, splits.test.scores(depth), atol=1e-4)
    given = splits.score_lists(*parts, lists, bins=(2.0, 2.0))
    flat = splits.test.scores(np.full((4, *GRID), 2.0))
    np.testing.assert_allclose(given[0], flat, atol=1e-4)


def test_bad_arguments_raise(truths):
    with pytest.raises(DepthClipError, match="use sweep.sweep"):
        sample_pixels(truths, GRID, "marigold")
    with pytest.raises(DepthClipError, match="at least one pixel"):
        sample_pixels(truths, GRID, n=0)
    with pytest.raises(DepthClipError, match="no frames"):
        sample_pixels([], GRID)
    pixels = sample_pixels(truths[3:], GRID, n=5)
    with pytest.raises(DepthClipError, match="no frame has a valid pixel"):
        pixels.medians(np.ones((1, 2, *GRID)))
    with pytest.raises(DepthClipError, match="maps must be of shape"):
        pixels.scores(np.ones((2, *GRID)))
