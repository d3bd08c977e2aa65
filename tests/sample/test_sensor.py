import numpy as np

from depthclip_core.sample.sensor import measure

# Recorded on the machine that rendered the sample.
RECORDED = [
    [500, 531, 562, 593],
    [3625, 3663, 3702, 3702],
    [6824, 6824, 6824, 6824],
    [9943, 9943, 9943, 9943],
]
DEPTHS = np.arange(500, 10_000, dtype=np.uint16).reshape(100, 95)
SEEN = np.zeros(DEPTHS.shape, bool)


def test_error_is_about_one_disparity_step():
    seen = measure(DEPTHS, SEEN, 7).astype(float)
    step = DEPTHS.astype(float) ** 2 / (580 * 75 * 8)  # millimetres of depth per step
    error = (seen - DEPTHS) / step
    assert seen.max() <= 10_000
    within = DEPTHS < 9_900  # beyond, the far limit clips
    assert np.abs(error[within]).max() < 1.3
    # In steps, rounding has a standard deviation of 1/√12 and the noise one of 0.1.
    assert abs(error[within].std() - np.hypot(12**-0.5, 0.1)) < 0.02
    assert abs(error[within].mean()) < 0.02


def test_only_holes_are_zero():
    holes = np.random.default_rng(0).random(DEPTHS.shape) < 0.3
    assert np.array_equal(measure(DEPTHS, holes, 1) == 0, holes)


def test_seed_gives_the_same_millimetres_on_every_machine():
    one = measure(DEPTHS, SEEN, 3)
    assert one.dtype == np.uint16
    assert np.array_equal(one, measure(DEPTHS, SEEN, 3))
    assert (one != measure(DEPTHS, SEEN, 4)).mean() > 0.05
    assert one[::33, ::31].tolist() == RECORDED
