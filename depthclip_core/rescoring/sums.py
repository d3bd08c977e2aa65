"""Sums of a metric's terms over the pixels of a frame, compiled.

Sums are float32 down the rows of `LANES` pixels and float64 across, always in the same order, so
that processors agree. A ratio that float32 cannot tell from a threshold is compared in float64.
"""

import numpy as np
from numba import njit

from depthclip_core.evaluation import terms as t
from depthclip_core.evaluation.kernel import FACTORS, compiled

LANES = 512  # pixels that are summed side by side
TIE = np.float32(2e-6)  # float32 may err on a ratio that is so near to a threshold
F1, F2, F3 = (np.float32(factor) for factor in FACTORS)
ZERO, ONE = np.float32(0), np.float32(1)
LN2 = np.float32(np.log(2))
LOG10_E = 1 / np.log(10)
ROOT_OF_HALF = np.sqrt(np.float32(0.5)).view(np.int32)
C1, C3, C5, C7, C9 = (np.float32(2 / n) for n in (1, 3, 5, 7, 9))

SUMMED = (
    *t.WITHIN, t.ABS_ERROR, t.SQUARE_ERROR, t.ABS_REL, t.SQ_REL, t.LOG, t.ABS_LOG10, t.SQUARE_LOG
)  # fmt: skip


@compiled("void(f4[::1], f8, f8, b1, f8, f8, f4[::1])")
def aligned(p, scale, shift, inverse, low, high, out):
    """Write to out (n,) the aligned and clamped predictions scale · p + shift; inverse: of 1 / p,
    turned back."""
    lowest, highest = np.float32(low), np.float32(high)
    factor, offset = np.float32(scale), np.float32(shift)
    for j in range(p.size):
        if inverse:
            x = factor / p[j] + offset
            q = ONE / x if x > ZERO else highest
        else:
            q = factor * p[j] + offset
        q = q if q > lowest else lowest
        out[j] = q if q < highest else highest


@njit(error_model="numpy")
def _off(larger, smaller):
    """How far a ratio larger ÷ smaller is from each threshold, times smaller."""
    return abs(larger - F1 * smaller), abs(larger - F2 * smaller), abs(larger - F3 * smaller)


@compiled("void(f4[::1], f4[::1], f4[:,::1], i4[:,::1], f4[:,::1])")
def _add_row(q, g, sums, near, work):
    """Add a row of pixels to sums (7, LANES) and near (4, LANES): counts of δ1 to δ3 and ties."""
    ratio, exponent = work[0], work[1]
    for j in range(q.size):
        r = q[j] / g[j]
        ratio[j] = r
        larger = r if r > ONE else ONE  # the larger of r and 1 / r is larger ÷ smaller
        smaller = r if r < ONE else ONE
        near[0, j] += np.int32(larger < F1 * smaller)
        near[1, j] += np.int32(larger < F2 * smaller)
        near[2, j] += np.int32(larger < F3 * smaller)
        off1, off2, off3 = _off(larger, smaller)
        off1 = off1 if off1 < off2 else off2
        off1 = off1 if off1 < off3 else off3
        near[3, j] = np.int32(off1 < TIE)
        rel, error = larger - smaller, abs(q[j] - g[j])
        sums[0, j] += error
        sums[1, j] += error * error
        sums[2, j] += rel
        sums[3, j] += rel * error
    bits = ratio.view(np.int32)
    for j in range(q.size):  # ratio = fraction · 2^exponent, the fraction between √½ and √2
        twos = (bits[j] - ROOT_OF_HALF) >> 23
        bits[j] -= twos << 23
        exponent[j] = twos
    for j in range(q.size):
        x = (ratio[j] - ONE) / (ratio[j] + ONE)
        y = x * x
        series = x * (C1 + y * (C3 + y * (C5 + y * (C7 + y * C9))))  # 2 artanh x = ln fraction
        log = series + exponent[j] * LN2
        sums[4, j] += log
        sums[5, j] += abs(log)
        sums[6, j] += log * log


@compiled("void(f4, f4, f8[::1])")
def _decide_exactly(q, g, extra):
    """Add to extra (3,) what the counts of a pixel near a threshold are wrong by."""
    ratio = q / g
    larger = ratio if ratio > ONE else ONE
    smaller = ratio if ratio < ONE else ONE
    a, b = np.float64(q), np.float64(g)  # `float` would leave float32 as it is
    exact = max(a / b, b / a)
    for k in range(3):
        extra[k] += 1.0 if exact < FACTORS[k] else 0.0
        extra[k] -= 1.0 if larger < np.float32(FACTORS[k]) * smaller else 0.0


@compiled("i8(f4[::1], f4[::1], f8, f8, b1, f8, f8, f8[::1])")
def term_sums(p, g, scale, shift, inverse, low, high, out):
    """Sums of `SUMMED` over n pixels, out (10,): truths g > 0 (n,) and predictions q, which are
    p > 0 (n,) as `aligned` moves them. Returns how many of q are not above 0: out holds only if
    none is.
    """
    sums, near = np.zeros((7, LANES), np.float32), np.zeros((4, LANES), np.int32)
    work, q = np.ones((2, LANES), np.float32), np.ones(LANES, np.float32)
    extra, useless = np.zeros(3), 0
    whole = p.size // LANES * LANES
    for start in range(0, whole, LANES):
        row = g[start : start + LANES]
        aligned(p[start : start + LANES], scale, shift, inverse, low, high, q)
        for j in range(LANES):
            useless += np.int32(not q[j] > ZERO)
        _add_row(q, row, sums, near, work)
        for j in range(LANES):
            if near[3, j]:
                _decide_exactly(q[j], row[j], extra)
    if whole < p.size:  # the rest, with pixels that add nothing
        rest, row = p.size - whole, np.ones(LANES, np.float32)
        row[:rest], q[:] = g[whole:], ONE
        aligned(p[whole:], scale, shift, inverse, low, high, q[:rest])
        for j in range(rest):
            useless += np.int32(not q[j] > ZERO)
        _add_row(q, row, sums, near, work)
        for j in range(rest):
            if near[3, j]:
                _decide_exactly(q[j], row[j], extra)
        for k in range(3):
            extra[k] -= LANES - rest
    out[:] = 0
    for k in range(3):
        for j in range(LANES):
            out[k] += near[k, j]
        out[k] += extra[k]
    for k in range(7):
        for j in range(LANES):
            out[3 + k] += sums[k, j]
    out[8] *= LOG10_E
    return useless


@compiled("f8(i4[::1], i8[::1], i8)")
def _kth(bits, upper, k):
    """The k-th smallest of floats, from 0, given how many have each upper half."""
    below, half = 0, 0
    while below + upper[half] <= k:
        below += upper[half]
        half += 1
    lower = np.zeros(1 << 16, np.int64)
    for j in range(bits.size):
        if bits[j] >> 16 == half:
            lower[bits[j] & 0xFFFF] += 1
    rest = 0
    while below + lower[rest] <= k:
        below += lower[rest]
        rest += 1
    found = np.empty(1, np.int32)
    found[0] = (half << 16) | rest
    return np.float64(found.view(np.float32)[0])


@compiled("f8(f4[::1])")
def median(values):
    """The median of n positive numbers, as `np.median` gives it in float64; NaN of none.

    Bit patterns of positive floats are in the order of the floats: the first pass counts their
    upper halves, the second the lower halves of those in the middle.
    """
    if not values.size:
        return np.nan
    bits = values.view(np.int32)
    upper = np.zeros(1 << 16, np.int64)
    for j in range(bits.size):
        upper[bits[j] >> 16] += 1
    low, high = (bits.size - 1) // 2, bits.size // 2
    first = _kth(bits, upper, low)
    return (first + (first if high == low else _kth(bits, upper, high))) / 2


@compiled("UniTuple(i8, 2)(f4[::1], f4[::1], f4, f4, i8, f4[::1], b1[::1])")
def _count_row(depth, truth, near, far, valid, clipped, kept):
    """Write, for a row of pixels (W,), the clipped truth and whether a pixel counts and has a
    prediction. Returns the last two numbers of `gather`, for the row."""
    wanted, between = np.int32(0), np.int32(0)
    for j in range(truth.size):
        t = truth[j]
        inside = (near < t) & (t < far)
        counts = inside | (valid == 2) | ((valid == 1) & (t > ZERO))
        t = t if t > near else near
        clipped[j] = t if t < far else far
        kept[j] = counts & (depth[j] > ZERO)
        wanted += np.int32(counts)
        between += np.int32(inside)
    return wanted, between


@compiled("UniTuple(i8, 3)(f4[:,::1], f4[:,::1], UniTuple(i8, 4), f4, f4, i8, f4[::1], f4[::1])")
def gather(depth, truth, part, near, far, valid, p, g):
    """Write predictions and truths of the pixels that count to p and g, in order.

    depth, truth: (H, W). part: top, bottom, left and right of the pixels that may count, for all of
    which p and g have space. valid: 0 for truths between near and far, 1 for all measured ones, 2
    for holes too; truths are clipped to the limits. Returns how many were written, how many count
    with or without a prediction, and how many of these lie between the limits.
    """
    top, bottom, left, right = part
    n = wanted = between = 0
    width = max(right - left, 0)
    clipped, kept = np.empty(width, np.float32), np.empty(width, np.bool_)
    for i in range(top, bottom):
        row = depth[i, left:right]
        more, inside = _count_row(row, truth[i, left:right], near, far, valid, clipped, kept)
        wanted, between = wanted + more, between + inside
        # Written always and kept by counting on: holes are at random, so a branch is slow.
        for j in range(row.size):
            p[np.uint64(n)], g[np.uint64(n)] = row[j], clipped[j]
            n += np.int64(kept[j])
    return n, wanted, between


@compiled("f8[::1](f4[::1], f4[::1], b1)")
def moment_sums(p, g, inverse):
    """n and the sums of p, g, p² and pg; inverse: of 1 / p and 1 / g."""
    out = np.zeros(5)
    for j in range(p.size):
        x, y = np.float64(p[j]), np.float64(g[j])
        if inverse:
            x, y = 1 / x, 1 / y
        out[1] += x
        out[2] += y
        out[3] += x * x
        out[4] += x * y
    out[0] = p.size
    return out
