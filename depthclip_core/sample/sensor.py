"""The sample's depth sensor: what a structured-light camera measures of a true depth.

Whole numbers only, from a generator whose raw bits are fixed, so that every processor measures the
same millimetres.
"""

import numpy as np

# Focal length (580 pixels) x baseline (75 mm) x steps per pixel of disparity (8), as a Kinect's.
STEPS_MM = 580 * 75 * 8
# A sum of eight random bytes has mean 1020 and standard deviation 209: a tenth of a step.
MEAN, PER_STEP = 1020, 2090
FARTHEST_MM = 10_000


def measure(millimetres: np.ndarray, holes: np.ndarray, seed: int) -> np.ndarray:
    """Depth as the sensor reports it, (H, W) uint16 millimetres, 0 in holes.

    millimetres: true depth (H, W), whole, from 1. holes: (H, W) bool. The sensor finds the nearest
    whole step of disparity, with a little noise, and reports the depth of that step: its error
    grows with the square of depth.
    """
    depth = millimetres.astype(np.int64)
    bits = np.random.PCG64(seed).random_raw(depth.size).reshape(depth.shape)
    noise = sum((bits >> np.uint64(8 * byte)) & np.uint64(255) for byte in range(8))
    noise = noise.astype(np.int64) - MEAN
    # floor(STEPS_MM / depth + noise / PER_STEP + 1/2), then the depth of that step, rounded
    doubled = 2 * PER_STEP * STEPS_MM + 2 * noise * depth + PER_STEP * depth
    steps = np.maximum(doubled // (2 * PER_STEP * depth), 1)
    seen = np.minimum((2 * STEPS_MM + steps) // (2 * steps), FARTHEST_MM)
    return np.where(holes, 0, seen).astype(np.uint16)
