"""Where predictions fail: errors by class of pixels, by place in the image, and of order."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.plots.map_plots import depth_bar
from depthclip_core.plots.style import ANSWER_COLOURS, ERROR_COLOURS, MARKS, name_rows

LABELS = {
    "signed_rel": "relative error",
    "abs_rel": "size of the relative error",
    "delta1": "δ1",
}


def show_by_class(ax: Axes, table: pd.DataFrame, term: str, xlabel: str, title: str = "") -> None:
    """A line for each system over classes in their order, with intervals.

    table: from `Errors.table`, rows (class, system), columns mean, low and high.
    """
    names, systems = _classes_and_systems(table, 0.14)
    for i, (system, (x, rows)) in enumerate(systems.items()):
        ax.vlines(x, rows["low"], rows["high"], color=f"C{i}", lw=1.5, alpha=0.8)
        ax.plot(
            x, rows["mean"], MARKS[i % len(MARKS)] + "-", color=f"C{i}", ms=4, lw=1, label=system
        )
    if term == "signed_rel":
        ax.axhline(0, color="0.4", lw=0.8, zorder=0)
    elif term == "delta1":
        ax.set(ylim=(0, 1.3), yticks=np.arange(0, 1.1, 0.2))  # room for the legend above
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlabel=xlabel, ylabel=LABELS[term], title=title)
    ax.grid(axis="y", color="0.92")
    ax.legend()


def show_classes(ax: Axes, table: pd.DataFrame, label: str, title: str = "") -> None:
    """A dot with its interval for each system, a row for each class; see `show_by_class`.

    An empty table is said to be so.
    """
    if table.empty:
        ax.text(0.5, 0.5, "no class has enough images", ha="center", transform=ax.transAxes)
        ax.set(xticks=[], yticks=[], title=title)
        return
    names, systems = _classes_and_systems(table, 0.22)
    for i, (system, (y, rows)) in enumerate(systems.items()):
        ax.hlines(y, rows["low"], rows["high"], color=f"C{i}", lw=1.5, alpha=0.8)
        ax.plot(rows["mean"], y, MARKS[i % len(MARKS)], color=f"C{i}", ms=4, label=system)
    name_rows(ax, names)
    ax.axvline(0, color="0.4", lw=0.8, zorder=0)
    ax.set(xlabel=label, title=title)


def _classes_and_systems(
    table: pd.DataFrame, apart: float
) -> tuple[list[str], dict[str, tuple[np.ndarray, pd.DataFrame]]]:
    """The classes of a table (class, system), and for each system where its marks stand and rows.

    apart: the distance of two systems' marks; that of two classes is 1.
    """
    classes, systems = (list(dict.fromkeys(table.index.get_level_values(i))) for i in (0, 1))
    middle = np.arange(len(classes)) - (len(systems) - 1) / 2 * apart
    rows = {system: table.xs(system, level=1).reindex(classes) for system in systems}
    return classes, {s: (middle + i * apart, rows[s]) for i, s in enumerate(systems)}


def show_places(ax: Axes, cells: np.ndarray, term: str, limit: float, title: str = "") -> AxesImage:
    """A map of the mean error by cell (h, w): signed from −limit to limit, else from 0 to limit."""
    signed = term == "signed_rel"
    colours = ERROR_COLOURS if signed else ANSWER_COLOURS
    shown, low = np.ma.masked_invalid(cells), -limit if signed else 0
    image = ax.imshow(shown, cmap=colours, vmin=low, vmax=limit)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return image


def show_place_row(
    figure: Figure, axes: Sequence[Axes], maps: Mapping[str, np.ndarray], term: str
) -> None:
    """Maps of a term by name, from `Errors.maps`, on one scale with its bar: a panel for each."""
    limit = places_limit(list(maps.values()))
    for ax, (name, cells) in zip(axes, maps.items(), strict=True):
        image = show_places(ax, cells, term, limit, name)
    depth_bar(figure, image, axes, LABELS[term], "neither")


def places_limit(maps: Sequence[np.ndarray]) -> float:
    """The end of a scale of maps of errors: their largest size, in tenths, at most 1."""
    largest = max((np.nanmax(np.abs(m)) for m in maps if np.isfinite(m).any()), default=1.0)
    return float(np.clip(np.ceil(largest * 10) / 10, 0.1, 1.0))


def show_order(
    ax: Axes, metric: str, metric_table: pd.DataFrame, order_table: pd.DataFrame, title: str = ""
) -> None:
    """Systems by a metric (across) and by pairs in the wrong order (up), with both intervals.

    Both tables: rows systems, columns mean, low and high.
    """
    for i, system in enumerate(metric_table.index):
        x, y = metric_table.loc[system], order_table.loc[system]
        ax.hlines(y["mean"], x["low"], x["high"], color=f"C{i}", lw=1.5)
        ax.vlines(x["mean"], y["low"], y["high"], color=f"C{i}", lw=1.5)
        ax.plot(x["mean"], y["mean"], MARKS[i % len(MARKS)], color=f"C{i}", ms=6, label=system)
    right = np.nanmax(metric_table[["mean", "high"]].to_numpy())
    top = np.nanmax(order_table[["mean", "high"]].to_numpy())
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    better = "higher" if METRICS[metric].higher_is_better else "lower"
    ax.set(xlim=(0, right * 1.15), ylim=(0, top * 1.45), title=title)
    ax.set(
        xlabel=f"{METRICS[metric].title} ({better} is better)", ylabel="pairs in the wrong order"
    )
    ax.legend(loc="upper left")
