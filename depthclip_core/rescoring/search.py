"""Which protocols give the numbers that somebody reports for a set of maps."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from depthclip_core.crops import crops_for
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import OPTIONS, Composition, nearest_name, space
from depthclip_core.evaluation.metrics import METRICS, resolve_metric

# What papers and tables call the metrics; compared in lower case, without "_" and spaces.
ALIASES = {
    **{metric.replace("_", ""): metric for metric in METRICS},
    **{f"{delta}{n}": f"delta{n}" for delta in ("δ", "d", "a", "δ<1.25^") for n in (1, 2, 3)},
    "δ<1.25": "delta1",
    **{"rel": "abs_rel", "rms": "rmse", "logrmse": "rmse_log"},
}
SAME = 1e-6  # scores that differ by less, relatively, are those of the same pixels


@dataclass(frozen=True)
class Reported:
    """A number as printed: its value and how many decimals it has."""

    value: float
    decimals: int

    def misses(self, values: np.ndarray) -> np.ndarray:
        """By how many units of the last digit values miss it; at most a half is rounding."""
        return np.abs(values - self.value) * 10**self.decimals


def read_reported(numbers: str | Mapping[str, str | float]) -> dict[str, Reported]:
    """Reported numbers by metric.

    numbers: text like "delta1=0.895,rmse=0.364", or a mapping of metrics to numbers; give texts to
    keep trailing zeros, which count as digits. Metrics may have the names of papers and tables,
    such as δ1, rel or AbsRel. Raises `DepthClipError` for unknown metrics, for what is no number,
    and for percentages.
    """
    if isinstance(numbers, str):
        pairs = [part.partition("=") for part in numbers.split(",") if part.strip()]
        names = [name.strip() for name, _, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise DepthClipError(f"{twice!r} is reported twice")
        numbers = {name: value for name, (_, _, value) in zip(names, pairs, strict=True)}
    if not numbers:
        raise DepthClipError("no numbers are reported: give some, as in delta1=0.895,rmse=0.364")
    read: dict[str, Reported] = {}
    for name, value in numbers.items():
        metric = resolve_metric(ALIASES.get(re.sub(r"[_ ]", "", name).lower(), name)).name
        if metric in read:
            raise DepthClipError(f"{metric!r} is reported twice")
        read[metric] = _reported(name, value)
        if metric.startswith("delta") and read[metric].value > 1:
            fault = f"{name}={value} is no share from 0 to 1"
            raise DepthClipError(f"{fault}: write a percentage such as 89.5 as 0.895")
    return read


def _reported(name: str, value: str | float) -> Reported:
    text = str(value).strip()
    if not re.fullmatch(r"\d*\.?\d+|\d+\.", text):
        raise DepthClipError(f"{name}={text} is no number: write it as in {name}=0.895")
    return Reported(float(text), len(text.partition(".")[2]))


def search_space(
    shape: tuple[int, int],
    max_depth: float,
    *,
    truths: Sequence[str] = ("raw",),
    resized: bool = False,
    mirrored: bool = False,
    fixed: Mapping[str, object] | None = None,
) -> list[Composition]:
    """The compositions that a search tries for frames of a shape: hundreds.

    Without an alignment, every combination; with one, those with no holes among the pixels that
    count, and no truth in whole millimetres. truths: the kinds of truth that the data has. resized:
    whether maps have another size than the truth. mirrored: whether maps of the mirror images are
    there. fixed: switches that are known, each with its option.
    """
    caps = [max_depth, 50.0] if max_depth == 80 else [max_depth]
    common = {
        "truth": list(truths),
        "crop": [name for name in crops_for(shape) if name != "depthclip-window"],
        "resize": list(OPTIONS["resize"]) if resized else ["map, corners aligned"],
        "max_depth": caps,
        "average": list(OPTIONS["average"]),
        "flip": list(OPTIONS["flip"]) if mirrored else ["as saved"],
    }
    measured = [kind for kind in truths if kind != "millimetres"] or list(truths)
    fitted = {
        "align": ["median", "least squares", "disparity"],
        "over": ["image", "set"],
        "clamp": list(OPTIONS["clamp"]),
    }
    kinds = [
        {"valid": list(OPTIONS["valid"]), "clamp": ["after", "none"]},
        # Whole millimetres change no more than the last digits: they are tried without alignment.
        {"valid": ["between"], "truth": measured} | fitted,
        {"valid": ["measured"], "truth": measured[:1]} | fitted,
    ]
    known = {switch: [option] for switch, option in (fixed or {}).items()}
    made = [one for kind in kinds for one in space(**(common | kind | known))]
    if aligned := (fixed or {}).get("align"):
        made = [one for one in made if one.align == aligned]
    return list(dict.fromkeys(made))


def search(
    table: pd.DataFrame, compositions: Sequence[Composition], reported: Mapping[str, Reported]
) -> pd.DataFrame:
    """The compositions, nearest to the reported numbers first: a row for each.

    table: the maps' scores under them in order, as from `Scores.table`. Columns: composition; the
    reported metrics; off: by how many units of the last digit the worst of them misses, at most 0.5
    if all are met; met: whether they are; same: compositions whose scores are equal in all metrics,
    which these maps cannot tell apart, share a number.
    """
    table = table[[*METRICS]].reset_index(drop=True)
    misses = np.array([number.misses(table[name]) for name, number in reported.items()])
    table["off"] = np.where(np.isnan(misses), np.inf, misses).max(0)
    # A number in the middle between two digits may be printed as either.
    table["met"] = table["off"] <= 0.5 * (1 + 1e-6)
    table["same"] = classes(table[[*METRICS]].to_numpy())
    table.insert(0, "composition", list(compositions))
    kept = ["composition", *reported, "off", "met", "same"]
    # Equal scores stand together. First among them, and among all that match, stands the one with
    # the fewest switches set: how near a match is to the middle of its rounding means nothing.
    away = [len(Composition().changes(replace(one, max_depth=10.0))) for one in compositions]
    order = table.assign(away=away, rounded=table["off"].round(6).where(~table["met"], 0))
    order["simplest"] = order.groupby("same")["away"].transform("min")
    order = order.sort_values(
        ["met", "rounded", "simplest", "same", "away"], ascending=[False, True, True, True, True]
    )
    return table.loc[order.index, kept].reset_index(drop=True)


def classes(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 for rows (n, m) of scores, equal for equal rows up to rounding; in order."""
    order = np.lexsort(values.T[::-1])
    found, number = np.empty(len(values), int), -1
    for place, index in enumerate(order):
        previous = values[order[place - 1]] if place else None
        close = place and np.allclose(values[index], previous, rtol=SAME, atol=1e-9, equal_nan=True)
        number += not close
        found[index] = number
    first = pd.unique(found)
    return pd.Series(found).map({kind: rank for rank, kind in enumerate(first)}).to_numpy()


def verdict(found: pd.DataFrame, named: Mapping[str, Composition]) -> str:
    """One sentence: how many compositions give the numbers, or which comes nearest."""
    met = found[found["met"]]
    candidates = [
        nearest_name(one, named) for one in (met if len(met) else found[:1])["composition"]
    ]
    name, changes = min(candidates, key=lambda candidate: len(candidate[1]))
    but = "".join(f", with {switch} {after!r}" for switch, (_, after) in changes.items())
    if not len(met):
        return (
            f"None of the {len(found)} compositions gives these numbers; the nearest, {name}{but}, "
            f"misses one by {found['off'].iloc[0]:.1f} units of its last digit."
        )
    give = "gives" if len(met) == 1 else "give"
    return (
        f"{len(met)} of {len(found)} compositions {give} these numbers ({met['same'].nunique()} "
        f"that these maps can tell apart); the nearest to a named protocol is {name}{but}."
    )
