"""A cheap depth camera: exposure and border of its colour image, holes in its depth map."""

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, zoom

from depthclip_core.sample.world.camera import FX, HEIGHT, WIDTH

BASELINE_M = 0.075  # from the infrared projector to its camera
BORDER = (7, 474, 7, 632)  # first and last rows and columns that carry colour in NYU's frames


def photograph(light: np.ndarray, rng: Generator) -> np.ndarray:
    """Turn linear light (480, 640, 3) into an NYU-like frame (480, 640, 3) uint8."""
    level = light.mean(-1)
    exposure = rng.uniform(0.13, 0.3) / max(float(np.median(level)), 1e-4)
    exposure = min(exposure, 1.6 / max(float(np.percentile(level, 85)), 1e-4))
    warm = rng.normal(0, 0.07)
    white = np.array([1 + warm, 1 + rng.normal(0, 0.02), 1 - warm], np.float32)
    out = light * (exposure * white).astype(np.float32)
    # A soft shoulder, then a gamma of 2.2.
    out = np.where(out > 0.6, 0.6 + 0.4 * np.tanh((out - 0.6) / 0.55), out)
    out = np.sqrt(np.maximum(out, 0)) * np.maximum(out, 1e-6) ** np.float32(-0.0455)
    blur = rng.uniform(0.45, 0.75)
    out = np.stack([gaussian_filter(out[..., i], blur, truncate=2.5) for i in range(3)], -1)
    grey = out.mean(-1, keepdims=True)
    out = grey + (out - grey) * np.float32(rng.uniform(0.82, 1.08))
    y = (np.arange(HEIGHT, dtype=np.float32)[:, None] / HEIGHT - 0.5) ** 2
    x = (np.arange(WIDTH, dtype=np.float32)[None] / WIDTH - 0.5) ** 2
    out *= (1 - np.float32(rng.uniform(0.05, 0.3)) * (x + y))[..., None]
    noise = rng.standard_normal((HEIGHT, WIDTH), np.float32)[..., None]
    tint = rng.standard_normal((HEIGHT // 2, WIDTH // 2, 3), np.float32).repeat(2, 0).repeat(2, 1)
    out += np.float32(rng.uniform(0.004, 0.011)) * noise + np.float32(0.004) * tint
    frame = np.rint(out.clip(0, 1) * 255).astype(np.uint8)
    frame[border_mask(rng)] = 255
    return frame


def border_mask(rng: Generator) -> np.ndarray:
    """True on the white border, (480, 640) bool; its edge is ragged by a pixel or two."""

    def ragged(n: int) -> np.ndarray:
        steps = np.zeros(n, int)
        for at in rng.integers(0, n, 3):
            steps[at:] += rng.integers(-1, 2)
        return steps.clip(-1, 1)

    top, bottom, left, right = BORDER
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    mask = (rows < top + ragged(WIDTH)) | (rows > bottom + ragged(WIDTH))
    mask |= columns < left + ragged(HEIGHT)[:, None]
    return mask | (columns > right + ragged(HEIGHT)[:, None])


def holes(
    depth: np.ndarray, blind: np.ndarray, slant: np.ndarray, bright: np.ndarray, rng: Generator
) -> np.ndarray:
    """Where the depth sensor measures nothing, (480, 640) bool.

    All maps are (480, 640). depth: true planar depth, metres. blind: fraction of pixels that the
    material loses. slant: cosine of the angle between normal and ray. bright: linear reflectance.
    """
    disparity = FX * BASELINE_M / np.maximum(depth, 0.1)
    # The projector is on the right, so its shadows lie to the left of nearer things.
    column = np.arange(WIDTH, dtype=np.float32)[None] - disparity
    ahead = np.minimum.accumulate(column[:, ::-1], 1)[:, ::-1]
    lost = column > ahead + 0.75
    coarse = rng.standard_normal((HEIGHT // 16 + 1, WIDTH // 16 + 1), np.float32)
    cloud = zoom(coarse, 16, order=1)[:HEIGHT, :WIDTH]
    cloud = cloud + 0.35 * rng.standard_normal((HEIGHT, WIDTH), np.float32)
    dark = np.clip((0.03 - bright) / 0.03, 0, 1) * 0.3
    far = np.clip((depth - 7.2) / 3.2, 0, 1) ** 1.5
    grazing = np.clip((0.16 - slant) / 0.16, 0, 1)
    odds = 1 - (1 - np.clip(blind + dark, 0, 1)) * (1 - far) * (1 - 0.8 * grazing)
    # The cloud has mean 0; a threshold near the quantile of the odds makes the holes patches.
    lost |= cloud > 1.7 * (1 - 2 * odds) + 0.25
    lost |= (depth < 0.5) | (depth >= 9.99)
    top, bottom, left, right = 3 + rng.integers(0, 8, 4)
    wobble, rows = rng.integers(0, 3, (2, WIDTH)), np.arange(HEIGHT)[:, None]
    lost |= (rows < top + wobble[0]) | (rows >= HEIGHT - bottom - wobble[1])
    lost[:, :left] = lost[:, WIDTH - right :] = True
    return lost
