import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.analysis import word_responses
from depthclip_core.plots import map_plots, scene_plots, style, word_plots
from depthclip_core.settings import RELEASED_WINDOW

matplotlib.use("Agg")
WORDS, BINS = ("near", "middle", "far"), (1.0, 2.0, 3.0)


@pytest.fixture(autouse=True)
def in_style():
    with plt.style.context(str(style.STYLE)):
        yield
    plt.close("all")


@pytest.fixture
def curves():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(3), (8, 5, 5)).transpose(0, 3, 1, 2)
    depths = rng.uniform(1, 8, (8, 5, 5))
    return word_responses.response_curves(weights, depths, WORDS, groups=range(8))


def titles(figure):
    return [ax.get_title(loc) for ax in figure.axes for loc in ("left", "right")]


def annotations(ax):
    return [text.get_text() for text in ax.texts]


def test_semantic_bins_show_patches_and_depths():
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[56 + 32 : 56 + 64, 60 + 64 : 60 + 96] = 255  # cell (1, 2) and nothing else
    weights = np.zeros((3, 13, 17))
    weights[[0, 2], 1, 2] = 0.25, 0.75
    weights[1, 12, 16] = 1
    cells, ground_truths = [(1, 2), (12, 16)], [2.4, np.nan]
    figure = word_plots.semantic_bins(
        rgb, RELEASED_WINDOW, weights, WORDS, BINS, cells, ground_truths, "sample, frame 1"
    )
    assert figure.get_suptitle() == "sample, frame 1"
    assert "predicted 2.50 m, true 2.40 m" in titles(figure)
    assert "predicted 2.00 m, true not known" in titles(figure)
    _, first, bars, last, _ = figure.axes
    assert first.images[0].get_array().shape == (32, 32, 3)
    assert (first.images[0].get_array() == 255).all()
    assert (last.images[0].get_array() == 0).all()
    assert [bar.get_width() for bar in bars.patches] == [0.25, 0, 0.75]


def test_show_counts_writes_counts_and_colours_shares():
    _, ax = plt.subplots()
    counts = pd.DataFrame([[3, 0, 5], [1, 0, 5]], index=["near", "far"], columns=list("abc"))
    word_plots.show_counts(ax, counts)
    colours = np.ma.filled(ax.collections[0].get_array().astype(float), np.nan)
    np.testing.assert_allclose(colours, [[0.75, np.nan, 0.5], [0.25, np.nan, 0.5]])
    assert ax.collections[0].get_clim() == (0, 1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["near", "far"]
    assert {"3", "1", "5"} <= set(annotations(ax))


def test_counts_figure_has_a_panel_per_method():
    counts = pd.DataFrame([[3, 1], [1, 1]], index=["near", "far"], columns=["a", "b"])
    counts = counts.rename_axis("winning word").rename_axis("true depth (m)", axis=1)
    figure = word_plots.counts_figure({"one": counts, "two": counts}, "t")
    first, second = figure.axes[:2]
    assert (first.get_title("left"), second.get_title("left")) == ("one", "two")
    assert annotations(first) == ["3", "1", "1", "1"]
    assert first.get_xlabel() == "" and figure.get_suptitle() == "t"
    alone = word_plots.counts_figure({"one": counts}, "t")
    assert alone.axes[0].get_xlabel() == "true depth (m)"


def test_response_panels_show_curve_interval_and_bin(curves):
    figure = word_plots.response_panels(curves, BINS, "sample")
    assert [t for t in titles(figure) if t] == [f"“{word}”" for word in WORDS]
    for ax, word, metres in zip(figure.axes, WORDS, BINS, strict=True):
        by_label = {line.get_label(): line for line in ax.lines}
        curve = curves[curves["word"] == word]
        np.testing.assert_allclose(by_label["mean weight"].get_ydata(), curve["mean"])
        np.testing.assert_allclose(by_label["mean weight"].get_xdata(), curve["depth"])
        assert set(by_label["the word's bin"].get_xdata()) == {metres}
        assert len(ax.collections) == 1
    assert figure.axes[0].get_ylabel() == "bin weight"


def test_show_entropies_marks_the_maximum():
    _, ax = plt.subplots()
    word_plots.show_entropies(ax, {"one": np.array([[0.0, 1.0], [2.0, 2.0]])}, n_words=4)
    line, most = ax.lines
    pairs = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    assert {0.0: 0.25, 1.0: 0.5, 2.0: 1.0}.items() <= pairs.items()
    assert set(most.get_xdata()) == {2.0}
    assert ax.get_xlim()[1] > 2


def test_photos_and_depths_share_one_scale():
    rgb = np.zeros((48, 64, 3), np.uint8)
    pairs = [("a, 0001", rgb, np.full((48, 64), 5.0)), ("b, 0002", rgb, np.full((48, 64), 1.0))]
    figure = map_plots.photos_and_depths(pairs, "sample, test")
    assert "RGB image, a, 0001" in titles(figure)
    limits = {image.get_clim() for ax in figure.axes[2:4] for image in ax.images}
    assert limits == {(0, 5)}


def test_show_boxes_draws_quantiles_and_flags_few():
    _, ax = plt.subplots()
    quantiles = pd.DataFrame([[1, 2, 3, 4, 5]], index=["office"], columns=scene_plots.BOX)
    counts = pd.DataFrame({"images": [3], "few": [True]}, index=["office"])
    scene_plots.show_boxes(ax, quantiles, counts)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["office, n = 3 (few)"]
    box = ax.patches[0].get_path().vertices[:, 0]
    assert (box.min(), box.max()) == (2, 4)
    ends = {float(x) for line in ax.lines for x in line.get_xdata()}
    assert ends == {1, 2, 3, 4, 5}


def test_show_densities_draws_shares_per_step():
    _, ax = plt.subplots()
    shares = pd.DataFrame([[0.5, 0.25, 0.25]], index=["a"], columns=[0.1, 0.2, 9.9])
    scene_plots.show_densities(ax, shares, step=1)
    values, edges, _ = ax.patches[0].get_data()
    assert values[[0, -1]].tolist() == [0.75, 0.25]
    assert edges[[0, 1, -1]].tolist() == [0, 1, 10]


def test_doubtful_numbers_are_in_brackets():
    _, ax = plt.subplots()
    table = pd.DataFrame([[1.0, 2.5], [3.0, 4.0]], index=["fixed", "a"], columns=["x", "y"])
    doubtful = pd.DataFrame([[False, True]], index=["a"], columns=["x", "y"])
    scene_plots.show_table(ax, table, "depth (m)", (0, 4), doubtful=doubtful)
    assert annotations(ax) == ["1.00", "2.50", "3.00", "(4.00)"]
    assert ax.collections[0].get_clim() == (0, 4)


def test_orders_name_their_lists_once_and_mark_the_listed_order():
    columns = ["as listed", "best", "5 %", "median", "95 %", "worst", "as good"]
    values = [[1.1, 1.0, 1.05, 1.2, 1.4, 1.5, 0.1], [1.3, 0.9, 1.0, 1.1, 1.4, 1.6, 0.8]]
    table = pd.DataFrame(values, ["original", "sizes"], columns)
    figure = word_plots.orders_figure({"a": table, "b": table}, "orders")
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["original", "sizes"]
    assert not any(text.get_visible() for text in second.get_yticklabels())
    assert first.collections[-1].get_offsets()[:, 0].tolist() == [1.1, 1.3]
    assert [text.get_text() for text in figure.legends[0].texts] == [
        "all orders", "90 % of them", "their median", "the listed order",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [1, 9, 10])
def test_where_figure_has_a_panel_for_each_list(n):
    row = {"cells": [3, 0], "25 %": [0.5, np.nan], "median": [1, np.nan], "75 %": [2, np.nan]}
    tables = {f"list {i}": pd.DataFrame(row, ["near", "far"]) for i in range(n)}
    figure = word_plots.where_figure(tables, np.array([1.0, np.nan, 3.2]), "where")
    assert titles(figure)[::2] == list(tables)
    assert {ax.get_xlim() for ax in figure.axes} == {(0.0, 4.0)}
    empty = word_plots.where_figure(tables, np.array([np.nan]), "where")
    assert empty.axes[0].get_xlim() == (0.0, 10.0)
