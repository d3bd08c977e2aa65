"""Protocols: how systems change places between them, and what moves a score from one to another."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.plots.score_plots import label
from depthclip_core.plots.style import MARKS, name_rows

BETTER, WORSE = "C0", "C1"
DASHES = ("-", "--", ":", "-.")


def show_ranks(ax: Axes, scores: pd.DataFrame, metric: str, title: str = "") -> None:
    """The rank of systems (rows) under protocols (columns), a line for each, the best on top.

    The score stands in each point. Systems with equal scores stand side by side at the better rank.
    """
    ranks = (-METRICS[metric].sign * scores).rank(method="first")
    x = np.arange(scores.shape[1])
    for number, (system, places) in enumerate(ranks.iterrows()):
        style = {"color": f"C{number % 8}", "ls": DASHES[number // 8 % len(DASHES)]}
        ax.plot(x, places, lw=2.2, marker=MARKS[number % len(MARKS)], ms=5, zorder=2, **style)
        for at, (place, score) in enumerate(zip(places, scores.loc[system], strict=True)):
            box = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": style["color"], "lw": 1.2}
            text = "–" if np.isnan(score) else f"{score:.2f}"
            where = {"ha": "center", "va": "center", "zorder": 3}
            if np.isfinite(place):
                ax.text(at, place, text, bbox=box, **where)
    last = ranks.iloc[:, -1].fillna(len(ranks))
    ax.set_xticks(x, scores.columns, rotation=35, ha="right", rotation_mode="anchor")
    ax.set(xlim=(-0.5, len(x) - 0.5), title=title, ylabel=f"rank by {label(metric)}")
    ax.set_ylim(len(ranks) + 0.5, 0.5)
    ax.set_yticks(range(1, len(ranks) + 1))
    names = ax.secondary_yaxis("right")
    names.set_yticks(last.to_numpy(), [f" {name}" for name in last.index])
    names.tick_params(length=0)
    for colour, text in enumerate(names.get_yticklabels()):
        text.set_color(f"C{colour % 8}")


def show_shares(
    ax: Axes, table: pd.DataFrame, ends: tuple[float, float], metric: str, title: str = ""
) -> None:
    """Steps from a score to another, a bar for each switch, as long as its share of the gap.

    table: from `differences.shares`. ends: the scores before and after. Blue steps are better,
    orange ones worse. A thin line reaches over all effects that the switch has, whichever others
    are set before it, from where its bar starts.
    """
    sign, at = METRICS[metric].sign, ends[0]
    ax.plot(ends[0], 0, "D", color="0.3", ms=6)
    reached = [*ends]
    for row, step in enumerate(table.itertuples(), start=1):
        colour = BETTER if sign * step.share >= 0 else WORSE
        ax.barh(row, step.share, left=at, color=colour, alpha=0.6, height=0.55)
        ax.plot([at + step.least, at + step.most], [row, row], color="0.25", lw=1.2, marker="|")
        reached += [at + step.least, at + step.most, at + step.share]
        ax.plot([at + step.share] * 2, [row, row + 1], color="0.6", lw=0.8, ls=":")
        text = f"{step.share:+.3f}".replace("-", "\N{MINUS SIGN}")
        ax.annotate(
            text,
            (max(at, at + step.share, at + step.most), row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
        at += step.share
    ax.plot(ends[1], len(table) + 1, "D", color="0.3", ms=6)
    steps = [f"{s.Index}: {s.before} → {s.after}" for s in table.itertuples()]
    name_rows(ax, ["before", *steps, "after"])
    ax.locator_params(axis="x", nbins=4)
    room = 0.12 * (np.ptp(reached) or 0.1)
    ax.set(xlim=(min(reached) - room, max(reached) + 3.5 * room))
    ax.set(title=title, xlabel=label(metric))
