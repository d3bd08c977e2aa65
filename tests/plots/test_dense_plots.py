import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from depthclip_core.plots import dense_plots, style

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def in_style():
    with plt.style.context(str(style.STYLE)):
        yield
    plt.close("all")


def table(shift):
    mean = pd.Series({"released": 0.4, "value": 0.7}) + shift
    return pd.DataFrame({"mean": mean, "low": mean - 0.05, "high": mean + 0.05})


def test_show_heads_draws_every_resolution_beside_the_cloud():
    _, ax = plt.subplots()
    scores = {"1×": table(0), "2×": table(0.1)}
    dense_plots.show_heads(ax, scores, (0.3, 0.4, 0.5), "δ1", "heads")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["released", "value"]
    names = ax.get_legend_handles_labels()[1]
    assert names == ["random heads, 5 to 95 %", "random heads, median", "input 1×", "input 2×"]
    dots = [line for line in ax.lines if line.get_marker() in "os"]
    np.testing.assert_allclose(dots[1].get_xdata(), [0.5, 0.8])
    assert dots[0].get_ydata()[0] < 0 < dots[1].get_ydata()[0]
    band = ax.patches[0]
    assert (band.get_x(), band.get_width()) == pytest.approx((0.3, 0.2))


def test_show_heads_takes_intervals_that_are_unknown():
    figure, ax = plt.subplots()
    unknown = table(0).assign(low=np.nan, high=np.nan)
    dense_plots.show_heads(ax, {"1×": unknown}, (0.3, 0.4, 0.5), "δ1")
    figure.draw_without_rendering()


def test_show_cloud_names_the_heads_on_its_axis():
    figure, ax = plt.subplots()
    cloud = {"projections": np.linspace(0, 1, 20), "channels": np.linspace(0.2, 0.9, 20)}
    marks = pd.Series({"released": 0.4, "value": 1.5, "absent": np.nan})
    dense_plots.show_cloud(ax, cloud, marks, "ρ", "cloud")
    figure.draw_without_rendering()
    names = [text.get_text() for text in ax.texts]
    assert names[:2] == ["released", "value"]
    assert ax.get_xlim()[0] < 0 and ax.get_xlim()[1] > 1.5
    assert ax.get_legend_handles_labels()[1] == ["random projections", "random channels"]


def test_show_cloud_takes_equal_values():
    figure, ax = plt.subplots()
    same = {"projections": np.full(5, 0.2)}
    dense_plots.show_cloud(ax, same, pd.Series({"value": 0.2}), "ρ")
    figure.draw_without_rendering()


def rows(systems):
    keys = pd.MultiIndex.from_product(
        [systems, ["given", "fitted"], ["x", "y"]], names=["system", "bins", "frame"]
    )
    values = np.arange(len(keys) * 2.0).reshape(-1, 2)
    return pd.DataFrame(values, keys, ["delta1", "partial"])


def test_measures_and_clouds_share_one_legend():
    figure, axes = plt.subplots(1, 2)
    heads = rows(["released", "value"])
    means = heads.groupby(["system", "bins"]).mean().stack().to_frame("mean")
    means = means.assign(low=means["mean"] - 1, high=means["mean"] + 1)
    index = pd.MultiIndex.from_product([["given", "fitted"], ["delta1", "partial"]])
    quantiles = pd.DataFrame({"5 %": 1.0, "50 %": 2.0, "95 %": 3.0}, index)
    dense_plots.show_measures(axes, {"1×": means}, quantiles, ["delta1", "partial"])
    dots = [line for line in axes[1].lines if line.get_marker() == "o"]
    # Fitted bins, second measure: the mean of its two frames.
    np.testing.assert_allclose(dots[0].get_xdata(), [6, 14])
    assert len(figure.legends) == 1 and axes[0].get_xlabel() == "δ1 ↑"

    figure, axes = plt.subplots(1, 2)
    cloud = {"projections": rows([f"projections {i}" for i in range(4)])}
    dense_plots.show_clouds(axes, cloud, heads, ["delta1", "partial"])
    figure.draw_without_rendering()
    assert len(figure.legends) == 1
    assert [text.get_text() for text in axes[0].texts] == ["released", "value"]


def test_label_says_which_end_is_better():
    assert dense_plots.label("rmse") == "rmse (m) ↓"
    assert dense_plots.label("partial").endswith("↑")
