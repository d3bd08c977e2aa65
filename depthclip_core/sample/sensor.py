"""The sample's depth sensor: simulated noise of a structured-light camera.

All arithmetic is on integers, with random bits from a generator whose raw output is fixed, so that
every processor gives the same millimetres.
"""

import numpy as np

# A Kinect's focal length (580 pixels) x baseline (75 mm) x steps per pixel of disparity (8).
STEPS_MM = 580 * 75 * 8
# The noise is the sum of two random bytes; its standard deviation, 104.5, is a tenth of a step.
MEAN, PER_STEP = 255, 1045
FARTHEST_MM = 10_000


def measure(millimetres: np.ndarray, holes: np.ndarray, seed: int) -> np.ndarray:
    """Depth as the sensor reports it, (H, W) uint16 millimetres, 0 in holes.

    millimetres: true depth (H, W), integers from 1 to 10,000. holes: (H, W) bool. The sensor rounds
    slightly noisy disparity to whole steps and reports the depth of that step, so that its error
    grows with the square of depth.
    """
    depth = millimetres.astype(np.int32)
    bits = np.random.PCG64(seed).random_raw(-(-depth.size // 4)).astype("<u8")
    pairs = bits.view("<u2")[: depth.size].reshape(depth.shape)
    noise = (pairs & 255).astype(np.int32) + (pairs >> 8) - MEAN
    # floor(STEPS_MM / depth + noise / PER_STEP + 1/2), then the depth of that step, rounded
    doubled = 2 * PER_STEP * STEPS_MM + (2 * noise + PER_STEP) * depth  # fits into 31 bits
    steps = doubled.astype(np.uint32) // (2 * PER_STEP * depth).astype(np.uint32)
    steps = np.maximum(steps, 1)
    seen = np.minimum((2 * STEPS_MM + steps) // (2 * steps), FARTHEST_MM)
    return np.where(holes, 0, seen).astype(np.uint16)
