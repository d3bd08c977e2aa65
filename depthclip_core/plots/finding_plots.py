"""The evidence for each claim at a glance: functions of data, in the workbook's style."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from depthclip_core.plots.style import WIDTH, name_rows

# Blue and orange differ for all readers, and so do their marks.
MARKS = {
    "holds": ("C0", "o"),
    "does not hold": ("C1", "s"),
    "no telling": ("0.45", "D"),
    "too few rooms": ("0.7", "x"),
}


def evidence(tables: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Mean and interval for each claim, a panel for each name, coloured by verdict.

    tables: columns claim, mean, low, high and verdict, with the same claims; rows without a mean
    are left out.
    """
    tables = {name: table[table["mean"].notna()] for name, table in tables.items()}
    n_rows = max(len(table) for table in tables.values())
    size = (WIDTH, 0.33 * n_rows + 1.5)
    figure, axes = plt.subplots(
        1, len(tables), sharey=True, sharex=True, squeeze=False, figsize=size
    )
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        for place, row in enumerate(table.itertuples()):
            colour, mark = MARKS[row.verdict]
            if np.isfinite(row.low):
                ax.plot([row.low, row.high], [place, place], color=colour, lw=1.6)
            ax.plot(row.mean, place, mark, color=colour, ms=5)
        name_rows(ax, list(table["claim"]))
        ax.axvline(0, color="0.3", lw=0.8)
        ax.set(title=name, xlabel="difference (see the table)")
    for verdict, (colour, mark) in MARKS.items():
        axes[0, 0].plot([], [], mark, color=colour, ms=5, label=verdict)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(title)
    return figure
