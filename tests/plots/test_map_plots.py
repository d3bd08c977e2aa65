import warnings
from io import BytesIO

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from PIL import Image

import depthclip_core as dc
from depthclip_core import bench
from depthclip_core.bench import plots as bench_plots
from depthclip_core.plots import map_plots, scene_plots, score_plots, style, word_plots
from depthclip_core.settings import Window

matplotlib.use("Agg")
WORDS, BINS = ("near", "far"), (1.0, 3.0)
NAMES = {
    "a $x_$ b.jpg": "a $x_$ b.jpg",
    "cost $5^ and $6_.jpg": "cost $5^ and $6_.jpg",
    r"\$ \frac{": r"\$ \frac{",
    "__init__*.jpg": "__init__*.jpg",
    "写真.jpg": "□□.jpg",
    "हिन्दी": "□" * 6,
    "صورة": "صورة",
    "😀": "😀",
    "a\x00\x07b\ufeffc\udcff": "a  b\ufffdc\ufffd",
}


@pytest.fixture(autouse=True)
def in_style(monkeypatch):
    monkeypatch.setattr(Text, "set_text", Text.set_text)  # what `use_style` sets is taken back
    with matplotlib.rc_context(), pd.option_context("display.html.use_mathjax", True):
        style.use_style()
        yield
    plt.close("all")


def titles(figure):
    return [ax.get_title(loc) for ax in figure.axes for loc in ("left", "center")]


def test_save_figure_writes_png_and_pdf_named_for_both(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_FIGURES", str(tmp_path / "new"))
    figure, ax = plt.subplots()
    ax.plot([0, 1])
    assert style.save_figure(figure, "00_pipeline", "line") is None  # a cell would echo it
    png = tmp_path / "new" / "00_pipeline_line.png"
    assert Image.open(png).size[0] > 100
    assert png.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    first = {path.name: path.read_bytes() for path in png.parent.iterdir()}
    assert len(first) == 2  # and no half-written file beside them
    style.save_figure(figure, "00_pipeline", "line")
    assert {path.name: path.read_bytes() for path in png.parent.iterdir()} == first


def test_failed_figure_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_FIGURES", str(tmp_path))
    figure, _ = plt.subplots()
    style.save_figure(figure, "a", "b")
    png = tmp_path / "a_b.png"
    before = png.read_bytes()

    def fail(file, **options):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        style.save_figure(figure, "a", "b")
    assert png.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_depth_maps_share_limits_and_show_holes():
    _, ax = plt.subplots()
    depth = np.array([[0.0, 1.0], [np.nan, 4.0]])
    image = map_plots.show_depth(ax, depth, (0, 5), "depth")
    assert image.get_clim() == (0, 5)
    assert image.get_array().mask.tolist() == [[True, False], [True, False]]
    assert ax.get_title("left") == "depth"


def test_depth_limits_cover_every_map():
    near, far = np.full((4, 4), 1.2), np.full((4, 4), 4.6)
    assert map_plots.depth_limits(near) == (0, 1.5)
    assert map_plots.depth_limits(near, far) == (0, 5)
    assert map_plots.depth_limits(np.zeros((2, 2))) == (0, 10)


def test_predictions_and_errors_share_scales():
    truth = np.array([[0.0, 2.0], [np.nan, 4.0]])
    maps = {"one": np.full((2, 2), 3.0), "two": np.full((2, 2), 1.0)}
    figure = map_plots.predictions_and_errors(maps, truth, "sample")
    left, right, left_2, right_2 = (ax.images[0] for ax in figure.axes[:4])
    assert left.get_clim() == left_2.get_clim() == (0, 4)
    assert right.get_clim() == right_2.get_clim() == (-3, 3)
    assert right.get_array().filled(9).tolist() == [[9, 1], [9, -1]]
    assert right_2.get_array().filled(9).tolist() == [[9, -1], [9, -3]]
    assert {"one", "two", "one − ground truth"} <= set(titles(figure))
    unknown = map_plots.predictions_and_errors(maps, np.zeros((2, 2)), "photos")
    assert unknown.axes[1].images[0].get_array().mask.all()


def test_show_grid_covers_window_and_marks_cells():
    _, ax = plt.subplots()
    map_plots.show_grid(ax, Window(56, 472, 60, 604), (13, 17), [(0, 0), (12, 16)])
    assert len(ax.lines) == 14 + 18
    first, last = ax.patches
    assert first.get_xy() == (60, 56) and (first.get_width(), first.get_height()) == (32, 32)
    assert last.get_xy() == (604 - 32, 472 - 32)


def test_semantic_bins_show_predicted_and_true_depth():
    weights = np.array([[[0.25, 0]], [[0.75, 1]]])
    photo, marked = np.zeros((32, 64, 3), np.uint8), [(0, 0), (0, 1)]
    cells = (weights, WORDS, BINS, marked, [2.0, np.nan])
    figure = word_plots.semantic_bins(photo, Window(0, 32, 0, 64), *cells, "sample")
    _, _, first, _, second = figure.get_axes()
    assert first.get_title(loc="right") == "predicted 2.50 m, true 2.00 m"
    assert second.get_title(loc="right") == "predicted 3.00 m, true not known"
    assert [bar.get_width() for bar in first.patches] == [0.25, 0.75]
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["near  1.00 m", "far  3.00 m"]


def test_contours_are_drawn_only_at_depths_that_occur():
    depth = np.tile(np.linspace(1, 4, 30), (20, 1))
    depth[:3] = 0  # missing
    _, ax = plt.subplots()
    map_plots.show_contours(ax, depth, [0.5, 1.5, 3, 6], (0, 5))
    assert sorted(text.get_text() for text in ax.texts) == ["1.5 m", "3 m"]
    (lines,) = ax.collections
    assert lines.get_clim() == (0, 5) and list(lines.levels) == [1.5, 3]
    at = lines.get_paths()[0].vertices[:, 0]
    np.testing.assert_allclose(at, 29 * (1.5 - 1) / 3)
    _, ax = plt.subplots()
    map_plots.show_contours(ax, np.zeros((4, 4)), [1], (0, 5))
    assert not ax.collections


def test_show_intervals_draws_rows_and_reference():
    table = pd.DataFrame({"mean": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 3.0]}, ["a", "b"])
    _, ax = plt.subplots()
    score_plots.show_intervals(ax, table, pd.Series({"best constant": 1.2}), "rmse")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    (bars,) = ax.collections
    assert [s[:, 0].tolist() for s in bars.get_segments()] == [[0.5, 1.5], [1.5, 3.0]]
    assert ax.lines[0].get_xdata().tolist() == [1, 2] and ax.lines[1].get_xdata() == [1.2, 1.2]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row on top


def test_show_rooms_draws_readings_and_printed_value():
    curves = pd.DataFrame({"pixel": [5.0, 3.0], "cell": [4.0, 2.0]}, [1.0, 5.0])
    _, ax = plt.subplots()
    score_plots.show_rooms(ax, curves, 2.934, "rmse (m)", 6)
    assert [line.get_label() for line in ax.lines] == [
        "random pixel",
        "random cell",
        "printed by the paper",
    ]
    assert ax.lines[1].get_ydata().tolist() == [4, 2]


def test_word_maps_share_one_scale():
    cells = np.arange(8.0).reshape(2, 2, 2)
    figure = map_plots.word_maps(cells, WORDS, "similarity", "sample, frame 1")
    assert figure.get_suptitle() == "sample, frame 1"
    images = [ax.images[0] for ax in figure.axes[:2]]
    assert {image.get_clim() for image in images} == {(0, 7)}
    assert titles(figure)[0] == "near"


@pytest.mark.parametrize("known", [True, False])
def test_pipeline_with_and_without_truth(known):
    rgb, depth = np.zeros((64, 96, 3), np.uint8), np.full((64, 96), 2.0)
    truth = np.full((64, 96), 3.0) if known else None
    weights = np.full((2, 2, 3), 0.5)
    whole = map_plots.pipeline(
        rgb, Window(0, 64, 0, 96), weights, WORDS, BINS, depth, truth, "sample"
    )
    assert any("ground truth" in t for t in titles(whole)) == known
    assert "“near”\n= 1.00 m" in written(whole)
    numbers = [t[0] for t in written(whole) if t[:3] in ("1  ", "2  ", "3  ", "4  ")]
    assert sorted(numbers) == list("1234")[: 3 + known]


def draw(figure):
    """As a PNG and as a PDF; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("png", "pdf"):
            figure.savefig(BytesIO(), format=kind, dpi=60)


def written(figure):
    return {text.get_text() for text in figure.findobj(Text)} - {""}


def named(name):
    """A figure with a name in every kind of place."""
    figure, axes = plt.subplots(1, 2, figsize=(6, 3))
    shares = pd.DataFrame([[0.5, 0.5], [0.2, 0.8]], index=[name, "b"], columns=[0.5, 1.5])
    scene_plots.show_densities(axes[0], shares)
    table = pd.DataFrame([[1.0, 2.0]], index=[name], columns=[name, "c"])
    scene_plots.show_table(axes[1], table, name, (0, 2))
    axes[0].set_title(name)
    axes[0].annotate(name, (0, 0))
    axes[0].set_xlabel(name)
    figure.suptitle(name)
    return figure


@pytest.mark.parametrize("name", NAMES)
def test_undrawable_characters_are_replaced(name):
    figure = named(name)
    draw(figure)
    assert figure.get_suptitle() == NAMES[name]
    (entries,) = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    assert [entry.get_text() for entry in entries.get_texts()] == [NAMES[name], "b"]
    ticks = [*figure.axes[1].get_xticklabels(), *figure.axes[1].get_yticklabels()]
    assert [tick.get_text() for tick in ticks] == [NAMES[name], "c", NAMES[name]]


@pytest.mark.slow
@settings(max_examples=30)
@given(st.text(st.characters(exclude_characters="\n"), min_size=1, max_size=20))
@example("$\\frac{1}{$ \ufeff\u202e\ud800\u200d\u0301")
def test_any_name_can_be_drawn(name):
    figure, ax = plt.subplots(figsize=(2, 2))
    ax.set_title(name)
    ax.set_yticks([0], [name])
    draw(figure)
    plt.close(figure)


@given(st.text())
def test_drawable_text_is_unchanged(text):
    clean = style.drawable(text)
    assert style.drawable(clean) == clean
    assert len(clean.split("\n")) == len(text.split("\n"))


def test_figures_show_names_verbatim():
    rgb, depth = np.zeros((64, 96, 3), np.uint8), np.full((64, 96), 2.0)
    window, weights = Window(0, 64, 0, 96), np.full((2, 2, 3), 0.5)
    name = "a $x_$ 写"
    figure = map_plots.pipeline(rgb, window, weights, (name, "b"), BINS, depth, depth, name)
    draw(figure)
    assert {"a $x_$ □", "“a $x_$ □”\n= 1.00 m"} <= written(figure)


def test_logarithmic_axes_use_plain_numbers():
    (row, *_) = bench.load().values()
    stages = pd.DataFrame(row["stages"]).set_index("stage")
    growth = pd.DataFrame(row["frames"]).set_index("frames")[["seconds"]]
    curves = pd.DataFrame({"depth": [1, 5], "low": 0.1, "high": 0.3, "mean": 0.2, "word": "a"})
    columns = ["metric", "verdict", "published", "ours"]
    ledger = pd.DataFrame(
        [["rmse", "agrees", 1.2, 1.3], ["rel", "agrees", 0.2, 0.3]], None, columns
    )
    figure, axes = plt.subplots(3, figsize=(7, 8))
    bench_plots.show_stages(axes[0], stages)
    bench_plots.show_growth(axes[1], growth.index, growth, "frames", "seconds", "log")
    score_plots.show_against(axes[2], ledger.replace("rel", "abs_rel"), scale="log")
    for drawn in (figure, word_plots.response_panels(curves, [1.0], "a")):
        draw(drawn)
        assert not [text for text in written(drawn) if "$" in text]


def test_frames_figure_shows_seconds_and_memory():
    grown = pd.DataFrame({"seconds": [1.0, 8.0], "memory_mib": [170.0, 200.0]}, [64, 654])
    figure = bench_plots.frames_figure(grown, "frames")
    drawn = [ax.lines[0].get_ydata().tolist() for ax in figure.axes]
    assert drawn == [[1, 8], [170, 200]]
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "linear"]


def test_tables_do_not_use_mathjax():
    html = pd.DataFrame({"a": ["$x$ <b>"]})._repr_html_()
    assert "mathjax_ignore" in html and "$x$ &lt;b&gt;" in html


def test_save_figure_keeps_foreign_files(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_FIGURES", str(tmp_path))
    figure, _ = plt.subplots()
    for _ in range(2):  # its own figures are drawn again
        style.save_figure(figure, "a", "b")
    for name in ("c_d.png", "c_d.pdf"):
        (tmp_path / name).write_bytes(b"mine")
        with pytest.raises(dc.DepthClipError, match=f"{name} was not drawn by the workbook"):
            style.save_figure(figure, "c", "d")
        assert (tmp_path / name).read_bytes() == b"mine"
        (tmp_path / name).unlink()


def test_contact_sheet_has_a_row_per_frame():
    rgb, depth = np.zeros((6, 8, 3), np.uint8), np.full((6, 8), 2.0)
    figure = map_plots.contact_sheet([("a", rgb, depth), ("b", rgb, None)], "two frames")
    shown = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert [title for title in shown if title] == ["a", "depth (grey: not measured)", "b"]
    assert any(ax.get_ylabel() == "depth (m)" for ax in figure.axes)
    assert map_plots.contact_sheet([("b", rgb, None)], "no depth").axes
