"""How far a score moves when one choice of the method changes and all else stays.

Choices before the network (pixels, precision) need a pass of their own. All later ones are answered
from the vectors and similarities that are stored. N frames, K words, h × w cells.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import torch
import torch.nn.functional as F

from depthclip_core.analysis.alternatives import (
    Setting,
    Settings,
    default_setting,
    depth_shares,
    spaced_bins,
    with_words_between,
)
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import holm, in_words, intervals, sign_flip_test, verdicts
from depthclip_core.cores import usable_cores
from depthclip_core.evaluation.metrics import evaluate, resolve_metric
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.evaluation.scoring import fit
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.depth import weighted_depth

THREADS = min(2, usable_cores())  # settings that are scored at once; compiled sums run in parallel
KINDS = ("given", "fitted")


def scored(run: Run, setting: Setting, metric: str) -> pd.DataFrame:
    """A metric of each frame with the given bins and with bins fitted in the same setting.

    Columns "given" and, if the setting refits, "fitted": medians on the train split, as from
    `scoring.fit`. A row per frame, NaN where it has no valid pixel.
    """
    resolve_metric(metric)
    how = {"temperature": setting.temperature, "protocol": setting.protocol}
    bins = {"given": setting.bins}
    if setting.refits:
        bins["fitted"] = fit(run.train, setting.train, **how)
    if not setting.align_corners:
        return pd.DataFrame({kind: _unaligned(run, setting, b, metric) for kind, b in bins.items()})
    settings = ([setting.temperature], [setting.protocol])
    truths = run.frames.ground_truths()
    found = sweep(truths, setting.similarities, bins, *settings, metrics=[metric])
    return pd.DataFrame({kind: found.rows(bins=kind)[metric] for kind in bins})


def all_scored(run: Run, settings: Mapping, metric: str) -> dict:
    """`scored` for each setting by its name, a few at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        rows = pool.map(lambda setting: scored(run, setting, metric), settings.values())
        return dict(zip(settings, rows, strict=True))


def _unaligned(run: Run, setting: Setting, bins: Sequence[float], metric: str) -> list[float]:
    """A metric of each frame, upsampled with align_corners=False, which the sweep does not do."""
    protocol, scores = setting.protocol, []
    weights = cell_weights(setting.similarities, setting.temperature, protocol.flip)
    cells = weighted_depth(torch.from_numpy(weights), bins)[:, None]
    for own, truth in zip(cells, run.frames.ground_truths(), strict=True):
        depth = F.interpolate(own[None], protocol.window.shape, mode="bilinear")[0]
        scores.append(evaluate(depth.numpy(), truth[None], protocol)[metric].iloc[0])
    return scores


def tornado(run: Run, settings: Settings, metric: str, seed: int = 0) -> pd.DataFrame:
    """What each alternative changes: its metric minus the default's on the same images.

    Rows: (bins, choice, alternative), bins given or fitted. Columns: mean, the metric itself;
    change, low and high, with a 95 % interval over groups of images; p of a sign-flip test,
    corrected by Holm's method for the alternatives of the same bins; verdict, as
    `statistics.compare`. Fitted bins are fitted again in each setting, and compared with the
    default's fitted bins.
    """
    rows = all_scored(run, settings | {"default": default_setting(run)}, metric)
    reference, groups, tables = rows.pop("default"), run.frames.groups, {}
    for kind in KINDS:
        own = pd.DataFrame({name: table[kind] for name, table in rows.items() if kind in table})
        changes = own.sub(reference[kind], axis=0)
        table = intervals(changes, groups, seed=seed).rename(columns={"mean": "change"})
        p = holm(pd.Series({n: sign_flip_test(changes[n], groups, seed=seed) for n in changes}))
        table = table.assign(p=p, verdict=verdicts(table, [resolve_metric(metric).sign] * len(p)))
        table.insert(0, "mean", own.mean())
        tables[kind] = table[["mean", "change", "low", "high", "p", "verdict"]]
    return pd.concat(tables, names=["bins", "choice", "alternative"])


def temperature_curve(
    run: Run, temperatures: Sequence[float], metric: str, seed: int = 0
) -> pd.DataFrame:
    """A metric at each temperature, with the run's bins and with bins fitted at each temperature.

    Rows: (bins, temperature). Columns: mean, low and high, as from `statistics.intervals`.
    """
    base = default_setting(run)
    settings = {t: replace(base, temperature=t) for t in temperatures}
    return _curves(run, all_scored(run, settings, metric), ["bins", "temperature"], seed)


def number_curve(run: Run, numbers: Sequence[int], metric: str, seed: int = 0) -> pd.DataFrame:
    """A metric for each number of words, with bins that are given, spaced or fitted.

    Words are in even steps along the run's list, see `similarities_between`; given bins likewise.
    Rows: (bins, words), bins "given", "even", "log", "quantile" (`spaced_bins`) and "fitted".
    Columns: mean, low and high, as from `statistics.intervals`.
    """
    base, shares = default_setting(run), depth_shares(run)
    settings = {n: with_words_between(run, base, n) for n in numbers}
    rows = all_scored(run, settings, metric)
    for number, setting in settings.items():
        how = ([setting.temperature], [setting.protocol])
        bins, truths = spaced_bins(shares, number), run.frames.ground_truths()
        found = sweep(truths, setting.similarities, bins, *how, metrics=[metric], threads=THREADS)
        spaced = {kind: found.rows(bins=kind)[metric] for kind in bins}
        rows[number] = rows[number].assign(**spaced)
    return _curves(run, rows, ["bins", "words"], seed)


def _curves(
    run: Run, rows: Mapping[float, pd.DataFrame], names: Sequence[str], seed: int
) -> pd.DataFrame:
    """Intervals of each column of the tables (N frames each), by column and the tables' keys."""
    joined = pd.concat(rows, axis=1).swaplevel(axis=1)
    kinds = list(dict.fromkeys(joined.columns.get_level_values(0)))
    table = intervals(joined, run.frames.groups, seed=seed)[["mean", "low", "high"]]
    return table.loc[kinds].rename_axis(names)


def overview(table: pd.DataFrame) -> pd.DataFrame:
    """For each kind of bins how many alternatives there are, how many change the score, how much.

    table: as from `tornado`. Columns: alternatives; p < 0.05, how many differ from the default by
    the corrected p; median and largest size of their changes.
    """
    columns = {
        "alternatives": table["p"].groupby("bins", sort=False).count(),
        "p < 0.05": (table["p"] < 0.05).groupby("bins", sort=False).sum(),
        "median size": table["change"].abs().groupby("bins", sort=False).median(),
        "largest size": table["change"].abs().groupby("bins", sort=False).max(),
    }
    return pd.DataFrame(columns)


def largest_change(table: pd.DataFrame, bins: str) -> str:
    """In words the alternative that changes most with these bins, "given" or "fitted".

    table: as from `tornado`.
    """
    own = table.xs(bins).dropna(subset="change")
    if own.empty:
        return f"unknown with {bins} bins"
    name = own["change"].abs().idxmax()
    row = own.loc[name]
    change = in_words(row, signed=True, of="change")
    return f"{change} with {bins} bins ({name[0]}: {name[1]})"
