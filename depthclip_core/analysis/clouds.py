"""Clouds of scores: what many random draws reach, beside the system that they stand in for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from depthclip_core.analysis import statistics
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import METRICS, resolve_metric
from depthclip_core.settings import PUBLISHED_METRICS

QUANTILES = {"5 %": 0.05, "median": 0.5, "95 %": 0.95}


@dataclass(frozen=True, eq=False)
class Clouds:
    """Scores of nulls beside those of what they stand in for; metrics are the published six.

    own: (N, 6), of the run's words or channels on N images. blind: (N, 6), of the constant depth
    that is best by each metric on the train split. clouds: for each null (L, N, 6) of L draws.
    groups: the images' rooms.
    """

    own: np.ndarray
    blind: np.ndarray
    clouds: dict[str, np.ndarray]
    groups: Sequence

    def means(self, metric: str) -> dict[str, np.ndarray]:
        """The metric's mean over images of each draw, (L,) for each null."""
        place = _place(metric)
        return {name: np.nanmean(cloud[:, :, place], axis=1) for name, cloud in self.clouds.items()}

    def table(self, metric: str) -> pd.DataFrame:
        """A row per null: draws, quantiles of their means over images, own, best constant.

        "as good as own": the share of draws that score at least as well as the run's own.
        """
        sign, place = resolve_metric(metric).sign, _place(metric)
        own, blind = (np.nanmean(rows[:, place]) for rows in (self.own, self.blind))
        rows = {}
        for name, means in self.means(metric).items():
            quantiles = {label: np.quantile(means, at) for label, at in QUANTILES.items()}
            reached = np.mean(sign * means >= sign * own)
            others = {"own": own, "best constant": blind, "as good as own": reached}
            rows[name] = {"draws": len(means), **quantiles, **others}
        return pd.DataFrame(rows).T.astype({"draws": int}).rename_axis("null")

    def interval(self, metric: str, seed: int = 0) -> pd.Series:
        """Own's mean over images with its interval by room: mean, low and high."""
        rows = pd.DataFrame({metric: self.own[:, _place(metric)]})
        return statistics.intervals(rows, self.groups, seed=seed).loc[metric]

    def drawn(self, metric: str, seed: int = 0) -> dict[str, object]:
        """What `null_plots.show_clouds` draws: clouds, own and blind."""
        blind = float(np.nanmean(self.blind[:, _place(metric)]))
        return {"clouds": self.means(metric), "own": self.interval(metric, seed), "blind": blind}

    def shares(self, metric: str, seed: int = 0) -> pd.DataFrame:
        """For each null the share of own's gain over the best constant that it reaches on average.

        Columns share, low, high; see `gain_share`.
        """
        place = _place(metric)
        own, blind = self.own[:, place], self.blind[:, place]
        rows = {
            name: gain_share(cloud[:, :, place], own, blind, self.groups, metric, seed=seed)
            for name, cloud in self.clouds.items()
        }
        return pd.DataFrame(rows).T.rename_axis("null")

    def differences(self, metric: str, seed: int = 0) -> pd.DataFrame:
        """Own minus the mean of each null's draws on the same images: `statistics.compare`."""
        place = _place(metric)
        own = pd.DataFrame({metric: self.own[:, place]})
        rows = {
            name: statistics.compare(
                own, pd.DataFrame({metric: cloud[:, :, place].mean(0)}), self.groups, seed
            ).iloc[0]
            for name, cloud in self.clouds.items()
        }
        return pd.DataFrame(rows).T.rename_axis("null")


def _place(metric: str) -> int:
    if metric not in PUBLISHED_METRICS:
        raise DepthClipError(f"{metric!r} is not one of {', '.join(PUBLISHED_METRICS)}")
    return PUBLISHED_METRICS.index(metric)


def gain_share(
    null: np.ndarray,
    own: np.ndarray,
    blind: np.ndarray,
    groups: Sequence,
    metric: str,
    *,
    draws: int = statistics.DRAWS,
    level: float = statistics.LEVEL,
    seed: int = 0,
) -> pd.Series:
    """Mean gain of a null over a blind baseline, as a share of the own system's gain.

    null: a metric (L, N) of L draws on N images. own, blind: (N,). The interval (low, high) is from
    a bootstrap of groups and, independently, of the null's draws. Images with NaN are left out.
    The bounds are NaN for fewer than `statistics.FEWEST_GROUPS` groups, and where own's gain is not
    clear of zero, since a share of nothing can be anything; the share is NaN unless that gain is
    positive.
    """
    sign = METRICS[metric].sign
    scored = np.isfinite(own) & np.isfinite(blind) & np.isfinite(null).all(0)
    gain_null = sign * (null - blind)[:, scored]
    gain_own = sign * (own - blind)[scored]
    groups = np.asarray(groups, dtype=str)[scored]
    if not (scored.any() and gain_own.mean() > 0):
        return pd.Series({"share": np.nan, "low": np.nan, "high": np.nan})
    share, ends = gain_null.mean() / gain_own.mean(), (np.nan, np.nan)
    if len(np.unique(groups)) >= statistics.FEWEST_GROUPS:
        images = statistics.redraws(groups, draws, seed)
        lists = np.random.default_rng([seed, 1]).multinomial(
            len(null), np.full(len(null), 1 / len(null)), draws
        )
        of_own = images @ gain_own
        of_null = np.einsum("dl,dl->d", lists, images @ gain_null.T) / len(null)
        if np.quantile(of_own, (1 - level) / 2) > 0:
            ends = np.quantile(of_null / of_own, [(1 - level) / 2, (1 + level) / 2])
    return pd.Series({"share": share, "low": ends[0], "high": ends[1]})
