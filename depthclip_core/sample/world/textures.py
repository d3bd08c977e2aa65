"""World-scale textures: a bank of tileable patterns in metres, sampled through mip levels.

A pattern is 1024 x 1024 texels of 2.5 mm (it repeats after 2.56 m). Each texel holds two numbers:
``mix`` (0..1, from a material's first colour to its second) and ``shade`` (a factor near 1). A
plank, tile or weave therefore has the same size wherever the material appears. Mip levels average
away detail finer than a pixel's footprint, so that distant surfaces do not alias.
"""

from functools import lru_cache

import numpy as np

from depthclip_core.sample.world import DATA

TEXELS = 1024
TEXEL_M = 0.0025
PERIOD_M = TEXELS * TEXEL_M
SHADE_LOW, SHADE_SPAN = 0.2, 1.6
MOTTLE = 0.09  # standard deviation of the mottle on every surface's shade

KINDS: tuple[str, ...] = tuple(DATA["patterns"])


def kind_index(name: str) -> int:
    """The index of a pattern in ``KINDS``, as materials store it."""
    return KINDS.index(name)


def _noise(
    seed: int, slope: float, stretch: float = 1, low: float = 1, high: float = 512
) -> np.ndarray:
    """Tileable noise (1024, 1024), standard deviation 1, spectrum 1/f^slope.

    ``low`` and ``high`` limit the frequencies, in cycles per pattern; a ``stretch`` above 1 makes
    the noise long along u.
    """
    rng = np.random.default_rng([77, seed])
    spectrum = np.fft.rfft2(rng.standard_normal((TEXELS, TEXELS)).astype(np.float32))
    fy = np.fft.fftfreq(TEXELS, 1 / TEXELS)[:, None]
    fx = np.fft.rfftfreq(TEXELS, 1 / TEXELS)[None] * stretch
    f = np.hypot(fx, fy)
    keep = (f >= low) & (f <= high)
    spectrum *= np.where(keep, 1 / np.maximum(f, 1) ** slope, 0)
    out = np.fft.irfft2(spectrum, s=(TEXELS, TEXELS))
    return (out / out.std()).astype(np.float32)


def _per_cell(seed: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A uniform random number for each cell (row, column)."""
    table = np.random.default_rng([78, seed]).random((64, 64)).astype(np.float32)
    return table[rows % 64, columns % 64]


def _joint(position: np.ndarray, pitch: float, width: float) -> np.ndarray:
    """1 inside joints of ``width`` metres that repeat every ``pitch`` metres, else 0."""
    return ((position % pitch) < width).astype(np.float32)


def _build() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The full-size patterns by name: mix and shade, each broadcastable to (1024, 1024)."""
    # Open axes: a pattern along one axis stays a single row or column, which is far cheaper.
    u = (np.arange(TEXELS) * TEXEL_M).astype(np.float32)[None, :]
    v = u.T
    blotch = _noise(1, 1.6, low=2, high=60)  # cloudy, 10 cm .. 1 m
    fractal = _noise(2, 1.0, low=2)  # equal power in every octave
    grain = _noise(3, 0.15, low=90, high=420)  # 6 mm .. 3 cm
    coarse = _noise(4, 0.5, low=24, high=130)  # 2 .. 10 cm
    fibre = _noise(5, 0.85, stretch=14, low=6)  # long along u
    streak = _noise(6, 0.7, stretch=40, low=20)
    # Wear, dust and brushwork: a mottle of 3 to 6 cm on every surface. Its apparent size tells how
    # far away even a plain surface is.
    mottle = 1 + MOTTLE * _noise(13, 0.0, low=43, high=85)
    out = {}

    def put(name: str, mix: np.ndarray, shade: np.ndarray) -> None:
        out[name] = (np.clip(mix, 0, 1), shade * mottle)

    put("plaster", 0.5 + 0.18 * blotch, 1 + 0.05 * blotch + 0.055 * coarse + 0.05 * grain)
    stripe, thin = _joint(u, 0.16, 0.08), _joint(u + 0.02, 0.08, 0.0075)
    put("stripes_wall", 0.75 * stripe + 0.25 * thin, 1 + 0.04 * blotch + 0.045 * grain)
    du, dv = (u % 0.128) - 0.064, ((v + 0.064 * (np.floor(u / 0.128) % 2)) % 0.128) - 0.064
    r, a = np.hypot(du, dv), np.arctan2(dv, du)
    flower = (r < 0.03 + 0.016 * np.cos(5 * a)).astype(np.float32)
    put("motif_wall", 0.85 * flower - 0.5 * (r < 0.012), 1 + 0.05 * blotch + 0.045 * grain)
    row = np.floor(v / 0.08).astype(int)
    shift = u + (row % 2) * 0.128
    mortar = np.maximum(_joint(v, 0.08, 0.0125), _joint(shift, 0.256, 0.0125))
    tone = _per_cell(1, row, np.floor((shift % PERIOD_M) / 0.256).astype(int))
    put("brick", mortar, 0.75 + 0.45 * tone + 0.12 * fractal + 0.1 * grain)
    row = np.floor(v / 0.128).astype(int)
    shift = u + _per_cell(2, row, row * 0) * PERIOD_M
    column = np.floor((shift % PERIOD_M) / 1.28).astype(int)
    tone = _per_cell(3, row, column)
    gap = np.maximum(_joint(v, 0.128, 0.0055), _joint(shift, 1.28, 0.0055))
    shade = (0.82 + 0.34 * tone + 0.1 * fibre + 0.05 * grain) * (1 - 0.6 * gap)
    put("planks", 0.5 * tone + 0.28 + 0.16 * fibre, shade)
    bu, bv = np.floor(u / 0.32).astype(int), np.floor(v / 0.32).astype(int)
    turn = (bu + bv) % 2 == 0
    turned_fibre = np.where(turn, fibre, fibre.T)
    along, across = np.where(turn, u, v), np.where(turn, v, u)
    strip = np.floor(across / 0.064).astype(int)
    tone = _per_cell(4, strip, bu + 8 * bv)
    gap = np.maximum(_joint(across, 0.064, 0.004), _joint(along, 0.32, 0.004))
    shade = (0.8 + 0.38 * tone + 0.08 * turned_fibre) * (1 - 0.5 * gap)
    put("parquet", 0.6 * tone + 0.2 + 0.1 * turned_fibre, shade)
    tiles = ("tile_small", 0.16, 0.006, 5), ("tile_large", 0.32, 0.0085, 6)
    for name, pitch, joint, seed in (*tiles, ("checker", 0.32, 0.006, 7)):
        cu, cv = np.floor(u / pitch).astype(int), np.floor(v / pitch).astype(int)
        gap = np.maximum(_joint(u, pitch, joint), _joint(v, pitch, joint))
        tone = _per_cell(seed, cv, cu)
        mix = (cu + cv) % 2 if name == "checker" else np.maximum(gap, 0.06 * (fractal + 1))
        shade = 0.93 + 0.16 * tone + 0.05 * fractal + 0.03 * grain
        put(name, mix.astype(np.float32), shade * (1 - 0.45 * gap))
    put("carpet", 0.5 + 0.15 * coarse + 0.2 * grain, 1 + 0.06 * blotch + 0.16 * grain)
    ring = np.sin(2 * np.pi * (v / 0.032) + 2.0 * _noise(8, 1.3, stretch=7, low=2, high=40))
    put("wood", 0.45 + 0.2 * ring + 0.14 * streak, 1 + 0.09 * ring + 0.1 * streak + 0.05 * blotch)
    thread = np.sin(2 * np.pi * u / 0.0128) * np.sin(2 * np.pi * v / 0.0128)
    shade = 1 + 0.09 * thread + 0.07 * blotch + 0.07 * coarse + 0.06 * grain
    put("weave", 0.5 + 0.25 * thread + 0.1 * coarse, shade)
    bands = [_joint(x, 0.128, 0.048) + 0.8 * _joint(x + 0.03, 0.128, 0.0075) for x in (u, v)]
    put("plaid", 0.45 * (bands[0] + bands[1]), 1 + 0.06 * blotch + 0.07 * grain)
    put("stripes", ((v % 0.064) < 0.026) * 0.9, 1 + 0.06 * blotch + 0.08 * grain)
    vein = np.exp(-np.abs(_noise(9, 1.3, low=2, high=90)) * 7)
    put("marble", 0.75 * vein + 0.1 * fractal + 0.1, 1 + 0.06 * blotch + 0.03 * grain)
    put("granite", 0.5 + 0.32 * grain + 0.16 * coarse, 1 + 0.1 * grain + 0.05 * blotch)
    # On a book, v runs up the spine: bands and a block of lettering repeat every 0.32 m.
    at = v % 0.32
    bars = ((at > 0.024) & (at < 0.036)) | ((at > 0.15) & (at < 0.157))
    letters = ((at > 0.05) & (at < 0.135)) & (coarse + 0.6 * grain > 0.5)
    put("spine", (bars | letters) * 0.9, 1 + 0.06 * blotch + 0.05 * streak.T + 0.04 * grain)
    put("leather", 0.4 + 0.25 * coarse, 1 + 0.06 * coarse + 0.07 * blotch + 0.04 * grain)
    put("smooth", 0.3 + 0.12 * blotch, 1 + 0.035 * blotch + 0.025 * coarse + 0.02 * grain)
    put("metal", 0.4 + 0.2 * streak, 1 + 0.09 * streak + 0.06 * blotch)
    patch = _noise(10, 1.8, low=5, high=80)
    put("picture", 0.5 + 0.42 * patch + 0.1 * coarse, 1 + 0.25 * _noise(11, 1.5, low=6, high=120))
    line = (v % 0.02 < 0.011) & (_noise(12, 0.3, stretch=3, low=30, high=200) > -0.6)
    line &= (u % 0.32 > 0.02) & (u % 0.32 < 0.29) & (v % 0.256 > 0.03)
    put("print", line * 0.85, 1 + 0.05 * blotch + 0.02 * grain)
    qu, qv = np.abs((u % 0.32) - 0.16), np.abs((v % 0.32) - 0.16)
    diamond = (np.abs(((qu + qv) % 0.08) - 0.04) < 0.016) | (qu + qv < 0.035)
    put("rug", diamond * 0.85 + 0.06 * coarse, 1 + 0.06 * blotch + 0.13 * grain)
    put("leaf", 0.5 + 0.3 * coarse, 1 + 0.2 * coarse)
    dot = np.hypot((u % 0.064) - 0.032, (v % 0.064) - 0.032) < 0.015
    put("dots", dot * 0.9, 1 + 0.06 * blotch + 0.08 * grain)
    gap = np.maximum(_joint(u, 0.32, 0.004), _joint(v, 0.32, 0.004))
    shade = (1 + 0.05 * blotch + 0.05 * coarse + 0.03 * grain) * (1 - 0.22 * gap)
    put("vinyl", 0.3 + 0.25 * (coarse + grain > 1.2) + 0.1 * fractal, shade)
    return out


@lru_cache(maxsize=1)
def _bank() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Packed texels of all kinds and mip levels, flat; offset and size of each level."""
    sizes = [TEXELS >> k for k in range(9)]
    areas = np.array([len(KINDS) * n * n for n in sizes])
    offsets = np.concatenate([[0], np.cumsum(areas)[:-1]])
    bank = np.empty(areas.sum(), np.uint16)
    patterns = _build()
    for number, name in enumerate(KINDS):
        mix, shade = (np.broadcast_to(x, (TEXELS, TEXELS)) for x in patterns.pop(name))
        mix, shade = mix * np.float32(255), (shade - SHADE_LOW) * np.float32(255 / SHADE_SPAN)
        for offset, size in zip(offsets, sizes, strict=False):
            if size < TEXELS:
                mix, shade = (
                    0.25 * (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2])
                    for x in (mix, shade)
                )
            packed = (shade + 0.5).clip(0, 255).astype(np.uint16) << 8
            packed |= (mix + 0.5).clip(0, 255).astype(np.uint16)
            start = offset + number * size * size
            bank[start : start + size * size] = packed.ravel()
    return bank, offsets.astype(np.int32), np.array(sizes, np.int32)


def sample(
    kind: np.ndarray, u: np.ndarray, v: np.ndarray, footprint: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mix and shade, both (n,) float32, at surface coordinates in metres.

    Parameters
    ----------
    kind : (n,) int, index into ``KINDS``
    u, v : (n,) float, metres along the surface
    footprint : (n,) float, metres of surface that a pixel covers
    """
    bank, offsets, sizes = _bank()
    level = np.rint(np.log2(np.maximum(footprint / TEXEL_M, 1))).astype(np.int32)
    level = np.minimum(level, len(sizes) - 1)
    size = sizes[level]
    scale = size.astype(np.float32) * np.float32(1 / PERIOD_M)
    x, y = u * scale - 0.5, v * scale - 0.5
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    mask = size - 1
    x0, y0 = x0.astype(np.int32), y0.astype(np.int32)
    xa, xb = x0 & mask, (x0 + 1) & mask
    base = offsets[level] + kind * size * size
    ya, yb = base + (y0 & mask) * size, base + ((y0 + 1) & mask) * size
    weights = ((1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy)
    mix, shade = np.zeros((2, len(u)), np.float32)
    for w, index in zip(weights, (ya + xa, ya + xb, yb + xa, yb + xb), strict=False):
        texel = bank[index]
        mix += w * (texel & 255)
        shade += w * (texel >> 8)
    return mix * np.float32(1 / 255), shade * np.float32(SHADE_SPAN / 255) + SHADE_LOW
