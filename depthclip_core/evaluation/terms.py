"""Terms: what one pixel adds to a metric, and, where it is known, the mean of that for noise.

p is the prediction and g the ground truth: positive arrays that broadcast, in metres. The value of
a pixel that is not finite is not finite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Term:
    """A function of one pixel's prediction and truth; a metric is made of means of such terms.

    of: (p, g) → the term. mean_of_noise: (g, a, b) → its mean over p uniform in (a, b), for each g
    between a and b. Without one, the lower bound of a metric with this term is drawn.
    """

    of: Callable[[np.ndarray, np.ndarray], np.ndarray]
    mean_of_noise: Callable[[np.ndarray, float, float], np.ndarray] | None = None


def within(factor: float) -> Term:
    """Whether max(p/g, g/p) < factor, as 1 or 0."""

    def of(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        near = np.maximum(p / g, g / p) < factor
        # A comparison with NaN is false: the pixel would count as wrong.
        return np.where(np.isfinite(p - g), near, np.nan)

    def mean_of_noise(g: np.ndarray, a: float, b: float) -> np.ndarray:
        return (np.minimum(b, g * factor) - np.maximum(a, g / factor)) / (b - a)

    return Term(of, mean_of_noise)


def _mean_power(n: int) -> Callable:
    """The mean of |p − g|ⁿ over p uniform in (a, b), n 1 or 2."""
    power = [np.square, lambda x: x * x * x][n - 1]  # `**` takes logarithms from 3 on
    return lambda g, a, b: (power(g - a) + power(b - g)) / (n + 1) / (b - a)


def _integral_mean(integral: Callable) -> Callable:
    """The mean over p uniform in (a, b) of a term, from its antiderivative in p."""
    return lambda g, a, b: (integral(b, g) - integral(a, g)) / (b - a)


def _log_integral(p: np.ndarray | float, g: np.ndarray) -> np.ndarray:
    """Antiderivative of ln p − ln g in p."""
    return p * np.log(p) - p - p * np.log(g)


def _log_square_integral(p: float, g: np.ndarray) -> np.ndarray:
    """Antiderivative of (ln p − ln g)² in p."""
    log = np.log(p) - np.log(g)
    return p * (log**2 - 2 * log + 2)


def _mean_abs_log10(g: np.ndarray, a: float, b: float) -> np.ndarray:
    ends = _log_integral(a, g) + _log_integral(b, g)
    return (ends - 2 * _log_integral(g, g)) / np.log(10) / (b - a)


_mean_error, _mean_square = _mean_power(1), _mean_power(2)
WITHIN = tuple(within(1.25**power) for power in (1, 2, 3))
ABS_REL = Term(lambda p, g: np.abs(p - g) / g, lambda g, a, b: _mean_error(g, a, b) / g)
SQ_REL = Term(lambda p, g: (p - g) ** 2 / g, lambda g, a, b: _mean_square(g, a, b) / g)
ABS_ERROR = Term(lambda p, g: np.abs(p - g), _mean_error)
SQUARE_ERROR = Term(lambda p, g: (p - g) ** 2, _mean_square)
ABS_LOG10 = Term(lambda p, g: np.abs(np.log10(p) - np.log10(g)), _mean_abs_log10)
LOG = Term(lambda p, g: np.log(p) - np.log(g), _integral_mean(_log_integral))
SQUARE_LOG = Term(lambda p, g: (np.log(p) - np.log(g)) ** 2, _integral_mean(_log_square_integral))
