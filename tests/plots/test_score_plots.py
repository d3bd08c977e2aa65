import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.analysis import published
from depthclip_core.plots import scene_plots, score_plots, style
from depthclip_core.settings import BINS, PUBLISHED_METRICS

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def in_style():
    with plt.style.context(str(style.STYLE)):
        yield
    plt.close("all")


def scores(kinds, interval=True):
    rows = published.partitions().loc["classroom"]["rmse"].to_frame("mean")
    if interval:
        rows = rows.assign(low=rows["mean"] - 0.1, high=rows["mean"] + 0.1)
    return pd.concat({kind: rows for kind in kinds}, names=["scene", "bins"])


def ledger(verdict="agrees"):
    rows = [
        ("Table 1", "DepthCLIP", "delta1", 0.394, 0.4, verdict),
        ("Table 1", "DepthCLIP", "rmse", 1.167, 1.16, verdict),
        ("gains", "all, original", "delta1", np.nan, 0.0, "not printed"),
        ("gains", "bathroom, class-dependent-3", "delta1", 0.092, 0.3, verdict),
    ]
    return pd.DataFrame(rows, columns=["table", "row", "metric", "published", "ours", "verdict"])


def labels(ax):
    return [tick.get_text() for tick in ax.get_yticklabels()]


def test_label_has_name_unit_and_direction():
    assert score_plots.label("delta1") == "δ1 ↑"
    assert score_plots.label("rmse") == "rmse (m) ↓"


def test_interval_panels_have_a_panel_per_metric_with_its_lines():
    table = pd.DataFrame({"mean": [0.4, 0.5], "low": [0.3, np.nan], "high": [0.5, np.nan]})
    spread = pd.concat({m: table.set_axis(["a", "b"]) for m in PUBLISHED_METRICS})
    references = pd.DataFrame({"blind map": 0.41, "best constant": 0.37}, PUBLISHED_METRICS)
    references.loc["rmse"] = 1.2, 1.3
    figure = score_plots.interval_panels(spread, references, "sample, test")
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == ["δ1 ↑", "δ2 ↑", "δ3 ↑", "rel ↓", "log10 ↓", "rmse (m) ↓"]
    drawn = [[line.get_xdata()[0] for line in ax.lines[1:]] for ax in figure.axes]
    assert drawn == [[0.41, 0.37]] * 5 + [[1.2, 1.3]]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["blind map", "best constant"]


def test_room_panels_draw_each_reading():
    index = pd.MultiIndex.from_product([["pixel", "cell"], [1.0, 4.0]], names=["reading", "depth"])
    rooms = pd.DataFrame({"delta1": [0.1, 0.2, 0.3, 0.4], "rmse": [4.0, 3, 2, 1]}, index)
    printed = pd.Series({"delta1": 0.14, "rmse": 2.934})
    figure = score_plots.room_panels(rooms, printed, "rooms")
    for ax, values in zip(figure.axes, (rooms["delta1"], rooms["rmse"]), strict=True):
        drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines[:2]}
        expected = {"random per pixel": "pixel", "random per cell": "cell"}
        assert drawn == {name: values[reading].tolist() for name, reading in expected.items()}


def test_show_partitions_draws_bins_in_metres():
    _, ax = plt.subplots()
    scene_plots.show_partitions(ax, BINS, "bins")
    assert labels(ax) == list(BINS)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    for dots, bins in zip(ax.collections, BINS.values(), strict=True):
        assert dots.get_offsets()[:, 0].tolist() == list(bins)
    assert ax.get_xlim()[1] > 4 and ax.get_xlabel() == "bin (m)"


def test_show_depths_draws_rows_in_metres():
    _, ax = plt.subplots()
    table = pd.DataFrame(
        {"5 %": [1.0, 2], "median": [1.5, 3], "95 %": [2.0, 5]}, index=["bathroom", "classroom"]
    )
    scene_plots.show_depths(ax, table, "depths")
    assert labels(ax) == ["bathroom", "classroom"] and ax.get_xlim() == (0, 5.25)
    lines, dots = ax.collections
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [[1, 2], [2, 5]]
    assert dots.get_offsets().tolist() == [[1.5, 0], [3, 1]]


@pytest.mark.parametrize(("metric", "best"), [("rmse", 4), ("delta1", 3)])
def test_show_scores_fills_the_best(metric, best):
    _, ax = plt.subplots()
    score_plots.show_scores(ax, scores(["classroom"]).loc["classroom"], metric)
    filled = [not np.allclose(dot.get_facecolor(), 1) for dot in ax.collections]
    assert filled == [row == best for row in range(5)]
    assert len(ax.lines) == 5 + 1  # intervals, and the original's line
    assert ax.lines[-1].get_xdata()[0] == 1.826


@pytest.mark.parametrize("n", [1, 9, 17])
def test_scores_by_scene_has_a_panel_per_scene(n):
    kinds = [f"scene {i}" for i in range(n)]
    frames = pd.Series(range(n), kinds)
    figure = score_plots.scores_by_scene(scores(kinds, n < 9), frames, "rmse", "sample, test")
    assert [ax.get_title("left") for ax in figure.axes] == [
        f"scene {i}, {i} frames" for i in range(n)
    ]
    assert figure.get_suptitle() == "sample, test"
    assert len({ax.get_xlim() for ax in figure.axes}) == 1


@pytest.mark.parametrize("verdict", ["agrees", "differs", "not comparable"])
def test_ours_against_printed_shows_verdicts(verdict):
    figure = score_plots.ours_against_printed(ledger(verdict), "sample")
    assert [ax.get_title("left") for ax in figure.axes] == ["deltas", "errors", "gains"]
    drawn = [np.vstack([dots.get_offsets() for dots in ax.collections]) for ax in figure.axes]
    assert [points[np.isfinite(points).all(1)].tolist() for points in drawn] == [
        [[0.394, 0.4]],
        [[1.167, 1.16]],
        [[0.092, 0.3]],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"verdict: {verdict}"]
    expected = matplotlib.colors.to_rgba(score_plots.VERDICT_COLOURS[verdict])
    assert tuple(figure.axes[0].collections[0].get_edgecolor()[0]) == expected


def test_show_against_without_numbers_is_empty():
    _, ax = plt.subplots()
    score_plots.show_against(ax, ledger().iloc[2:3], "gains")
    assert not ax.collections and ax.get_title("left") == "gains"


def test_changes_show_each_step_by_scene_with_its_rooms():
    index = pd.MultiIndex.from_product(
        [["all images", "bathroom"], ["first", "second"]], names=["scene", "step"]
    )
    table = pd.DataFrame(
        {
            "mean": [0.1, 0.02, -0.1, 0.3],
            "low": [0.05, -0.1, np.nan, np.nan],
            "high": [0.2, 0.1, np.nan, np.nan],
            "images": [64, 64, 8, 8],
            "groups": [32, 32, 4, 4],
        },
        index,
    ).astype(object)
    figure = scene_plots.steps_figure({"a": table, "b": table}, "change in δ1 ↑", "title")
    first, second = figure.axes
    assert labels(first) == ["all images: 64 in 32", "bathroom: 8 in 4"]
    assert (first.get_title("left"), second.get_title("left")) == ("a", "b")
    dots = [part for part in first.collections if len(part.get_offsets()) == 2]
    assert [d.get_offsets()[:, 0].tolist() for d in dots] == [[0.1, -0.1], [0.02, 0.3]]
    assert [text.get_text() for text in figure.legends[0].texts] == ["first", "second"]
