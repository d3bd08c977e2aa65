import itertools

import numpy as np
import pytest

from depthclip_core.analysis import image_oracles


def test_best_scale_is_best():
    rng = np.random.default_rng(2)
    for _ in range(5):
        p, g = rng.uniform(0.5, 5, (2, 60))
        found = image_oracles.best_scale(p, g)

        def correct(s, p=p, g=g):
            return (np.maximum(s * p / g, g / (s * p)) < 1.25).mean()

        # The number changes only where a pixel's ratio meets an end: try both sides of each.
        ends = np.concatenate([g / p * 1.25, g / p / 1.25])
        tried = max(correct(s) for s in np.concatenate([ends * (1 - 1e-9), ends * (1 + 1e-9)]))
        assert correct(found) == pytest.approx(tried)
    assert image_oracles.best_scale(np.array([2.0, 4.0]), np.array([1.0, 2.0])) == pytest.approx(
        0.5
    )


def test_bounded_least_squares():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(50, 3)), np.array([0.5, 2.0, 4.0])
    gram = a.T @ a
    np.testing.assert_allclose(image_oracles.bounded_least_squares(gram, gram @ b, (0.1, 10)), b)
    bounded = image_oracles.bounded_least_squares(gram, gram @ b, (1.0, 3.0))

    def error(x):
        return x @ gram @ x - 2 * x @ gram @ b

    steps = np.linspace(1, 3, 21)
    assert bounded.min() >= 1 and bounded.max() <= 3
    assert error(bounded) <= min(error(np.array(x)) for x in itertools.product(steps, repeat=3))


def test_most_within_finds_bins_that_were_used():
    rng = np.random.default_rng(4)
    weights = rng.dirichlet([0.3] * 3, 400).T
    g = np.array([0.8, 2.5, 6.0]) @ weights
    start = np.array([1.0, 2.0, 3.0])

    def correct(bins):
        p = bins @ weights
        return (np.maximum(p / g, g / p) < 1.25).mean()

    found = image_oracles.most_within(weights, g, start, (1e-3, 10.0))
    assert correct(found) > 0.99 > correct(start)
    # No single bin can be bettered.
    for word in range(3):
        for value in np.linspace(0.01, 10, 300):
            other = found.copy()
            other[word] = value
            assert correct(other) <= correct(found) + 1e-12


def test_most_within_never_gets_worse_and_keeps_the_limits():
    rng = np.random.default_rng(6)
    for _ in range(10):
        weights, g = rng.dirichlet([1] * 3, 100).T, rng.uniform(0.5, 9, 100)
        start = rng.uniform(1, 3, 3)
        found = image_oracles.most_within(weights, g, start, (1.0, 3.0))
        before, after = (
            (np.maximum(b @ weights / g, g / (b @ weights)) < 1.25).mean() for b in (start, found)
        )
        assert after >= before and found.min() >= 1 and found.max() <= 3
