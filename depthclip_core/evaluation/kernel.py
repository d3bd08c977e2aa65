"""Sums over the pixels of a frame for many predictions at once, compiled: most of a sweep's time.

A prediction is linear between two rows of cells, so a pixel costs one step between them, and its
ratio to the ground truth, q, one product. With r = max(q, 1) and s = min(q, 1) the terms need no
division: |q − 1| is r − s, and |ln q| the logarithm of r ÷ s, taken once of the product of many.
A pixel that does not count has q = 1: it adds nothing to a sum, and is counted as near.

Sums are float32 down the rows of a band and float64 across, always in the same order, so that
processors agree. A ratio that float32 cannot tell from a threshold is compared in float64.
"""

import math

import numpy as np
from numba import float32, float64, int64, njit, types

from depthclip_core.evaluation import terms as t

LANES = 16  # numbers in a line of the processor's cache: rows that start in one are read faster
BAND = 48  # rows of pixels, few enough to stay in the processor's cache for all predictions
AT_ONCE = 64  # predictions that go through the bands together
GROUP = 8  # rows of which ratios are multiplied, at most: the product must fit into float32
TIE = np.float32(1e-6)  # float32 may err on a ratio that is so near to a threshold
FACTORS = (1.25, 1.25**2, 1.25**3)
F1, F2, F3 = (np.float32(factor) for factor in FACTORS)
ZERO, ONE = np.float32(0), np.float32(1)
FRACTION, EXPONENT_OF_ONE = np.int32(0x7FFFFF), np.int32(0x3F800000)  # bits of a float32; of 1.0
LN2 = math.log(2)
LN2_32 = np.float32(LN2)
ROOT_OF_HALF = np.sqrt(np.float32(0.5)).view(np.int32)
C1, C3, C5, C7, C9 = (np.float32(2 / n) for n in (1, 3, 5, 7, 9))

SUMMED = (*t.WITHIN, t.ABS_REL, t.ABS_ERROR, t.SQ_REL, t.SQUARE_ERROR, t.ABS_LOG10, t.LOG)
FUSED = frozenset({*SUMMED, t.SQUARE_LOG})


def compiled(*signatures):
    """Compile for these signatures, without Python's lock; kept on disk where that is possible."""

    def compile_(function):
        options = {"nogil": True, "error_model": "numpy"}
        try:
            return njit(list(signatures), cache=True, **options)(function)
        except (RuntimeError, OSError):  # no folder for the cache, or one that cannot be written
            return njit(list(signatures), **options)(function)

    return compile_


def _copies(kind):
    """The signature of `copy_valid_depth` for ground truth of this type, also if read-only."""
    return int64(
        types.Array(kind, 2, "C", readonly=True), int64, int64, kind, kind, float32[:, ::1]
    )


@compiled(_copies(float32), _copies(float64))
def copy_valid_depth(truth, top, left, near, far, out):
    """Copy to out (H, W) the depths between near and far of truth, from row top and column left on;
    others become 0. Returns how many were copied; -1 if any of truth is negative, NaN or infinite.
    """
    good = np.zeros(truth.shape[1], np.int32)  # by column: sums along a row are slower
    for i in range(len(truth)):
        for j in range(good.size):
            good[j] += np.int32((truth[i, j] >= 0) & (truth[i, j] < np.inf))
    if good.sum() < truth.size:
        return -1
    n_valid = np.zeros(out.shape[1], np.int32)
    for i in range(out.shape[0]):
        row = truth[top + i, left : left + n_valid.size]
        for j in range(n_valid.size):
            valid = (row[j] > near) & (row[j] < far)
            out[i, j] = row[j] if valid else ZERO
            n_valid[j] += np.int32(valid)
    return n_valid.sum()


@njit(error_model="numpy")
def _ratio(above, below, w0, w1, g, inverse, near, far):
    """Prediction ÷ truth of a pixel; 1 where it does not count, because g is 0."""
    p = w0 * above + w1 * below
    p = p if p > near else near
    p = p if p < far else far
    return p * inverse if g > ZERO else ONE


@njit(error_model="numpy")
def _tie(r, s):
    """How far the ratio r ÷ s is from the nearest threshold, times s."""
    off1, off2, off3 = abs(r - F1 * s), abs(r - F2 * s), abs(r - F3 * s)
    off1 = off1 if off1 < off2 else off2
    return off1 if off1 < off3 else off3


@compiled(
    "void(f4[:,::1], i8[:,::1], f4[:,::1], f4[:,::1], f4[:,::1], f4, f4,"
    "f4[:,::1], i4[:,::1], f4[:,::1])"
)
def _add_rows(cells, between, shares, depth, inverse, near, far, sums, counts, products):
    """Add two rows of pixels to sums (4, W), counts (4, W) of near and tied, products (2, W)."""
    a1, b1 = cells[between[0, 0]], cells[between[0, 1]]
    a2, b2 = cells[between[1, 0]], cells[between[1, 1]]
    u1, v1, u2, v2 = shares[0, 0], shares[0, 1], shares[1, 0], shares[1, 1]
    g1, g2, i1, i2 = depth[0], depth[1], inverse[0], inverse[1]
    rel, error, rel_square, square = sums[0], sums[1], sums[2], sums[3]
    near1, near2, near3, ties = counts[0], counts[1], counts[2], counts[3]
    larger, smaller = products[0], products[1]
    for j in range(g1.size):
        q1 = _ratio(a1[j], b1[j], u1, v1, g1[j], i1[j], near, far)
        q2 = _ratio(a2[j], b2[j], u2, v2, g2[j], i2[j], near, far)
        r1 = q1 if q1 > ONE else ONE
        s1 = q1 if q1 < ONE else ONE
        r2 = q2 if q2 > ONE else ONE
        s2 = q2 if q2 < ONE else ONE
        near1[j] += np.int32(r1 < F1 * s1) + np.int32(r2 < F1 * s2)
        near2[j] += np.int32(r1 < F2 * s1) + np.int32(r2 < F2 * s2)
        near3[j] += np.int32(r1 < F3 * s1) + np.int32(r2 < F3 * s2)
        t1, t2 = _tie(r1, s1), _tie(r2, s2)
        t1 = t1 if t1 < t2 else t2
        ties[j] += np.int32(t1 < TIE)
        d1, d2 = r1 - s1, r2 - s2
        e1, e2 = d1 * g1[j], d2 * g2[j]
        rel[j] += d1 + d2
        error[j] += e1 + e2
        rel_square[j] += d1 * e1 + d2 * e2
        square[j] += e1 * e1 + e2 * e2
        larger[j] *= r1 * r2
        smaller[j] *= s1 * s2


@compiled("i8(f4[::1])")
def _take_exponents(products):
    """The sum of the products' binary exponents, which are taken from them; fractions stay."""
    bits = products.view(np.int32)
    total = 0
    for j in range(bits.size):
        total += (bits[j] >> 23) - 127
        bits[j] = (bits[j] & FRACTION) | EXPONENT_OF_ONE
    return total


@compiled(
    "void(i8, i8, i8, f4[:,:,::1], f8[::1], f8, i8[:,::1], f4[:,::1], f4[:,::1], f8, f8, i4[:,::1])"
)
def _count_exactly(
    j, top, bottom, maps, coefficients, shift, between, shares, depth, near, far, counts
):
    """Count the near pixels of a column of a few rows again, as `metrics.evaluate` decides them.

    Where one word answers alone a prediction is a bin, and ground truth is in whole millimetres:
    hundreds of pixels of a frame may lie on a threshold, told apart by their last digit.
    """
    for k in range(3):
        counts[k, j] = bottom % 2 if bottom == len(depth) else 0  # the row that was added
    for i in range(top, bottom):
        size = 1.0
        g = float(depth[i, j])
        if g > 0:
            p = shift
            for b in range(coefficients.size):
                step = shares[i, 0] * float(maps[b, between[i, 0], j])
                step += shares[i, 1] * float(maps[b, between[i, 1], j])
                p += coefficients[b] * step
            p = min(max(float(np.float32(p)), near), far)
            size = max(p / g, g / p)
        for k in range(3):
            if size < FACTORS[k]:
                counts[k, j] += 1


@compiled(
    "void(f4[:,:,::1], f4[:,:,::1], f8[:,::1], f8[::1], i8[:,::1], f4[:,::1], f4[:,::1],"
    "f8, f8, i8, f8[:,::1])"
)
def term_sums(cells, maps, coefficients, shift, between, shares, depth, near, far, group, out):
    """Sums of `SUMMED`, (P, 9), for P predictions of one frame.

    cells: (P, h, W), coefficients (P, B) · maps (B, h, W) + shift (P,). between, shares: (H, 2),
    as in `PixelMaps`. depth: ground truth (H, W), 0 where a pixel does not count. near, far: limits
    of predictions. group: an even number of rows whose ratios are multiplied.
    """
    n_rows, n_columns = depth.shape
    near32, far32 = np.float32(near), np.float32(far)
    products = np.ones((len(cells), 2, n_columns), np.float32)
    exponents = np.zeros((len(cells), 2), np.int64)
    sums = np.empty((4, n_columns), np.float32)
    counts = np.empty((4, n_columns), np.int32)
    # A band of the frame. Rows go in pairs: an odd last one with one that does not count.
    g, inverse = np.zeros((BAND, n_columns), np.float32), np.zeros((BAND, n_columns), np.float32)
    two, share = np.zeros((BAND, 2), np.int64), np.zeros((BAND, 2), np.float32)
    out[:] = 0
    for band in range(0, n_rows, BAND):
        end = min(band + BAND, n_rows)
        for i in range(band, end + (end - band) % 2):
            if i == end:
                g[i - band], inverse[i - band], two[i - band], share[i - band] = ZERO, ZERO, 0, ZERO
                continue
            two[i - band], share[i - band] = between[i], shares[i]
            for j in range(depth.shape[1]):
                g[i - band, j] = depth[i, j]
                inverse[i - band, j] = ONE / depth[i, j]
        for p in range(len(cells)):
            sums[:] = 0
            for top in range(band, end, group):
                bottom = min(top + group, end)
                counts[:] = 0
                for i in range(top - band, bottom - band, 2):
                    _add_rows(
                        cells[p], two[i : i + 2], share[i : i + 2], g[i : i + 2],
                        inverse[i : i + 2], near32, far32, sums, counts, products[p],
                    )  # fmt: skip
                for k in range(2):
                    exponents[p, k] += _take_exponents(products[p, k])
                for j in np.flatnonzero(counts[3]):
                    _count_exactly(
                        j, top, bottom, maps, coefficients[p], shift[p],
                        between, shares, depth, near, far, counts,
                    )  # fmt: skip
                for k in range(3):
                    out[p, k] += counts[k].sum()
            for k in range(4):
                for j in range(n_columns):
                    out[p, 3 + k] += sums[k, j]
    for p in range(len(cells)):
        larger, smaller = LN2 * exponents[p, 0], LN2 * exponents[p, 1]
        for j in range(n_columns):
            larger += math.log(products[p, 0, j])
            smaller += math.log(products[p, 1, j])
        out[p, 7], out[p, 8] = larger - smaller, larger + smaller
        for k in range(3):
            out[p, k] -= n_columns * (n_rows + n_rows % 2) - depth.size  # what was added


@compiled("void(f4[::1], f4[::1], f4, f4, f4[::1], f4, f4, f4[:,::1])")
def _add_row_of_square_logs(above, below, w0, w1, g, near, far, work):
    """Add (ln q)² of a row of pixels to work[2]; work (3, W) is space besides."""
    q, exponent, total = work[0], work[1], work[2]
    for j in range(g.size):
        p = w0 * above[j] + w1 * below[j]
        p = p if p > near else near
        p = p if p < far else far
        q[j] = p / g[j] if g[j] > ZERO else ONE
    bits = q.view(np.int32)
    for j in range(q.size):  # q = fraction · 2^exponent, the fraction between √½ and √2
        twos = (bits[j] - ROOT_OF_HALF) >> 23
        bits[j] -= twos << 23
        exponent[j] = twos
    for j in range(q.size):
        x = (q[j] - ONE) / (q[j] + ONE)
        y = x * x
        series = x * (C1 + y * (C3 + y * (C5 + y * (C7 + y * C9))))  # 2 artanh x = ln fraction
        log = series + exponent[j] * LN2_32
        total[j] += log * log


@compiled("void(f4[:,:,::1], i8[:,::1], f4[:,::1], f4[:,::1], f8, f8, f8[::1])")
def square_log_sums(cells, between, shares, depth, near, far, out):
    """Sums of (ln q)² (P,); arguments as in `term_sums`."""
    n_rows, n_columns = len(depth), cells.shape[2]
    work = np.ones((3, n_columns), np.float32)  # a ratio of 1 in columns that were added
    out[:] = 0
    for band in range(0, n_rows, BAND):
        for p in range(len(cells)):
            work[2] = 0
            for i in range(band, min(band + BAND, n_rows)):
                _add_row_of_square_logs(
                    cells[p, between[i, 0]], cells[p, between[i, 1]], shares[i, 0], shares[i, 1],
                    depth[i], np.float32(near), np.float32(far), work,
                )  # fmt: skip
            for j in range(n_columns):
                out[p] += work[2, j]


@compiled("void(f8[:,:,::1], i8[:,::1], f4[:,::1], f4[:,::1], f8, f8[:,::1])")
def add_to_histogram(columns, between, shares, depth, step, out):
    """Add each pixel's values, between rows of columns (h, W, K), to the row of out (D, K) that its
    depth falls into; depth (H, W) is 0 where a pixel does not count."""
    for i in range(depth.shape[0]):
        w0, w1 = float(shares[i, 0]), float(shares[i, 1])
        above, below = columns[between[i, 0]], columns[between[i, 1]]
        for j in range(depth.shape[1]):
            if depth[i, j] > ZERO:
                place = min(int(depth[i, j] / step), len(out) - 1)
                for k in range(out.shape[1]):
                    out[place, k] += w0 * above[j, k] + w1 * below[j, k]


@compiled("void(i8[:,::1], f4[:,::1], f4[:,::1], f8[:,:,::1])")
def pair_sums(between, shares, depth, out):
    """Add to out (7, h, W), over the pixels of each column between rows of cells r and r + 1 that
    count, with a and b their shares and g the depth: a², ab, b², a, b, ag, bg."""
    for i in range(depth.shape[0]):
        a, b = float(shares[i, 0]), float(shares[i, 1])
        r = between[i, 0]
        for j in range(depth.shape[1]):
            g = float(depth[i, j])
            counts = 1.0 if g > 0 else 0.0
            out[0, r, j] += a * a * counts
            out[1, r, j] += a * b * counts
            out[2, r, j] += b * b * counts
            out[3, r, j] += a * counts
            out[4, r, j] += b * counts
            out[5, r, j] += a * g
            out[6, r, j] += b * g


@compiled("f4[:,:,::1](f8[:,::1], f4[:,:,::1], f8[::1])")
def combined(coefficients, maps, shift):
    """coefficients (P, B) · maps (B, h, W) + shift (P,), W rounded up to a multiple of `LANES`.

    BLAS would use threads of its own.
    """
    width = (maps.shape[2] + LANES - 1) // LANES * LANES
    out = np.empty((len(coefficients), maps.shape[1], width), np.float32)
    for p in range(len(coefficients)):
        out[p] = np.float32(shift[p])
        for b in range(len(maps)):
            factor = np.float32(coefficients[p, b])
            for i in range(maps.shape[1]):
                for j in range(maps.shape[2]):
                    out[p, i, j] += factor * maps[b, i, j]
    return out
