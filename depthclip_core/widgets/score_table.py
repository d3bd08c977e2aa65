"""A table of one frame's metrics by each head, with the initial settings and with the current."""

import asyncio
from collections.abc import Callable, Mapping

import pandas as pd
from ipywidgets import HTML

from depthclip_core.evaluation.metrics import METRICS


class ScoreTable(HTML):
    """Metrics in columns; for each head a row "at first" and a row "now". Empty without scores.

    metrics: the shown numbers, a row for each (head, "at first" or "now").
    """

    def show(self, at_first: Mapping[str, pd.Series], now: Mapping[str, pd.Series]) -> None:
        """Metrics of each head, by its name."""
        rows = {(name, "at first"): scores for name, scores in at_first.items()}
        rows |= {(name, "now"): scores for name, scores in now.items()}
        self.metrics = pd.DataFrame(rows).T.sort_index(sort_remaining=False)
        titled = self.metrics.rename(columns={name: METRICS[name].title for name in self.metrics})
        style = {"float_format": "{:.3f}".format, "na_rep": "–", "border": 0}
        self.value = titled.to_html(**style)


def soon(action: Callable[[], None]) -> None:
    """Do something when the kernel has time: after the cell that shows a widget; else at once."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # no kernel
        action()
    else:
        loop.call_soon(action)
