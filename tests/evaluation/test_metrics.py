import naive
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import depthclip_core as dc
from depthclip_core.evaluation.metrics import METRICS, in_symbols, pooled_correlation
from depthclip_core.evaluation.protocols import PROTOCOLS

positive = hnp.arrays(np.float64, 50, elements=st.floats(0.01, 10))


def world(seed=0, n=2):
    """Depth maps and ground truth with holes, far pixels and pixels just at the limits."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.3, 11, (n, 480, 640)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.2] = 0
    truth[:, 100, 100:110] = 5e-4
    truth[:, 100, 110:120] = 10
    depth = (truth[:, 56:472, 60:604] * rng.uniform(0.5, 1.6, (n, 416, 544))).astype(np.float32)
    depth[:, :3] = 0  # no prediction there
    depth[:, 5, :9] = 12
    return depth, truth


def test_evaluate_matches_plain_loops():
    depth, truth = world()
    rows = dc.evaluate(depth, truth)
    for frame in range(len(depth)):
        expected = naive.scores(depth[frame], truth[frame])
        assert rows.loc[frame].to_dict() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["marigold", "median-scaled"])
def test_alignment_follows_mask_and_precedes_clamp(name):
    depth, truth = world(n=2)
    depth[0, 10, :50] = 60  # clamped after it has been fitted, and bends the fit
    rows = dc.evaluate(depth, truth, name)
    for frame in range(2):
        p, g = [], []
        for row in range(56, 471):
            for column in range(60, 601):
                prediction, t = (
                    float(depth[frame, row - 56, column - 60]),
                    truth[frame, row, column],
                )
                if prediction > 1e-3 and 1e-3 < t < 10:
                    p.append(prediction)
                    g.append(float(t))
        p, g = np.array(p), np.array(g)
        if name == "marigold":
            design = np.column_stack([p, np.ones_like(p)])
            p = design @ np.linalg.lstsq(design, g, rcond=None)[0]
        else:
            p = p * (np.median(g) / np.median(p))
        assert p.max() > 10
        p = np.clip(p, 1e-3, 10)
        expected = {metric: f(p, g) for metric, f in METRICS.items()} | {"n_pixels": len(p)}
        assert rows.loc[frame].to_dict() == pytest.approx(expected, abs=1e-9)


def test_aligned_protocols_ignore_scale_and_shift():
    _, truth = world()
    truth = np.where((truth > 0.01) & (truth < 9), truth, 0)
    seen = truth[:, 56:472, 60:604].astype(np.float64)
    scaled = dc.evaluate(seen * 0.3, truth, "median-scaled")
    shifted = dc.evaluate(np.where(seen > 0, seen * 0.3 + 1, 0), truth, "marigold")
    for rows in (scaled, shifted):
        assert (rows["delta1"] == 1).all()
        assert rows["rmse"].to_numpy() == pytest.approx(0, abs=1e-5)
    empty = dc.evaluate(seen, np.zeros_like(truth), "marigold")
    assert empty["rmse"].isna().all()


def test_evaluate_columns_match_contract():
    columns = "delta1 delta2 delta3 abs_rel log10 rmse mae sq_rel rmse_log silog n_pixels"
    assert list(dc.evaluate(*world()).columns) == columns.split()


def test_metrics_of_a_tiny_example():
    p, g = np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 5.0])
    got = {name: metric(p, g) for name, metric in METRICS.items()}
    assert got["delta1"] == pytest.approx(1 / 3)  # 5/4 is not below 1.25
    assert got["delta2"] == pytest.approx(2 / 3)
    assert got["abs_rel"] == pytest.approx((0 + 1 + 0.2) / 3)
    assert got["rmse"] == pytest.approx(np.sqrt(2 / 3))
    assert got["mae"] == pytest.approx(2 / 3)
    assert got["sq_rel"] == pytest.approx((1 + 0.2) / 3)
    assert got["log10"] == pytest.approx((np.log10(2) + np.log10(1.25)) / 3)


def test_whole_frame_scores_like_its_window():
    depth, truth = world()
    canvas = np.zeros_like(truth)
    canvas[:, 56:472, 60:604] = depth
    assert dc.evaluate(canvas, truth).equals(dc.evaluate(depth, truth))


def test_perfect_prediction_and_scaled_silog():
    _, truth = world()
    truth = np.where((truth > 0.01) & (truth < 9), truth, 0)
    perfect = dc.evaluate(truth[:, 56:472, 60:604], truth)
    assert (perfect[["delta1", "delta2", "delta3"]] == 1).all(axis=None)
    assert (perfect[["abs_rel", "log10", "rmse", "mae", "sq_rel", "silog"]] == 0).all(axis=None)
    scaled = dc.evaluate(truth[:, 56:472, 60:604] * np.float32(1.1), truth)
    assert scaled["silog"].to_numpy() == pytest.approx(0, abs=1e-3)
    assert scaled["abs_rel"].to_numpy() == pytest.approx(0.1, abs=1e-6)


@given(positive, positive)
def test_identities_between_metrics(p, g):
    got = {name: metric(p, g) for name, metric in METRICS.items()}
    assert 0 <= got["delta1"] <= got["delta2"] <= got["delta3"] <= 1
    assert got["mae"] <= got["rmse"] * (1 + 1e-12)
    mean_log = np.mean(np.log(p) - np.log(g))
    assert got["rmse_log"] ** 2 == pytest.approx((got["silog"] / 100) ** 2 + mean_log**2, abs=1e-9)
    swapped = {name: metric(g, p) for name, metric in METRICS.items()}
    for symmetric in ("delta1", "delta2", "delta3", "log10", "rmse", "mae", "rmse_log", "silog"):
        assert got[symmetric] == pytest.approx(swapped[symmetric], abs=1e-9)


@given(positive, positive, st.floats(0.1, 10))
def test_relative_metrics_ignore_units(p, g, scale):
    for name in ("abs_rel", "log10", "rmse_log"):
        assert METRICS[name](p * scale, g * scale) == pytest.approx(METRICS[name](p, g), abs=1e-9)


def test_empty_frame_is_nan_and_counted():
    depth, truth = world(n=3)
    truth[1] = 0
    rows = dc.evaluate(depth, truth, names=["a", "b", "c"])
    assert rows.loc["b", "n_pixels"] == 0
    assert rows.loc["b"].drop("n_pixels").isna().all()
    mean = dc.summarise(rows)
    assert (mean["n_frames"], mean["n_empty"]) == (2, 1)
    assert mean["rmse"] == pytest.approx(rows.loc[["a", "c"], "rmse"].mean())


def test_pooled_correlation_matches_numpy():
    depth, truth = world(n=3)
    truth[1] = 0
    pairs = []
    for d, t in zip(depth, truth, strict=True):
        canvas = np.zeros((480, 640))
        canvas[56:472, 60:604] = d
        mask = PROTOCOLS["released"].valid_mask(t, canvas)
        pairs.append(np.clip([canvas[mask], t[mask]], 1e-3, 10))
    expected = np.corrcoef(np.concatenate(pairs, axis=1).astype(np.float64))[0, 1]
    got = pooled_correlation(zip(depth, truth, strict=True))
    assert got == pytest.approx(expected, abs=1e-9)
    assert np.isnan(pooled_correlation([(depth[1], truth[1])]))


def poisoned(array, value):
    array = array.copy()
    array[1, 7, 9] = value
    return array


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda d, t: dc.evaluate(poisoned(d, np.nan), t), "depth .* frame 1, row 7, column 9"),
        (lambda d, t: dc.evaluate(poisoned(d, -1), t), "depth holds 1 .*-1"),
        (lambda d, t: dc.evaluate(d, poisoned(t, -0.5)), "ground truth holds 1"),
        (lambda d, t: dc.evaluate(d, poisoned(t, np.inf)), "ground truth holds 1"),
        (lambda d, t: dc.evaluate(d[:, :-1], t), r"shape \(B, 416, 544\) or \(B, 480, 640\)"),
        (lambda d, t: dc.evaluate(d[0], t[0]), "shape"),
        (lambda d, t: dc.evaluate(d[:1], t), "1 predictions for 2"),
        (lambda d, t: dc.evaluate(d.astype(str), t), "dtype"),
        (lambda d, t: dc.evaluate(d, t, protocol="relased"), "did you mean 'released'"),
        (lambda d, t: dc.evaluate(d, t, names=["one"]), "1 names"),
    ],
)
def test_bad_input_raises_one_line(call, says):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call(*world())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_of_non_finite_pixels_are_not_finite(metric, value):
    """A comparison with NaN is false: delta would count the pixel as one that is wrong."""
    pixels, bad = np.array([1.0, 2.0, 3.0]), np.array([1.1, value, 3.1])
    with np.errstate(all="ignore"):
        assert not np.isfinite(METRICS[metric](bad, pixels))
        assert not np.isfinite(METRICS[metric](pixels, bad))


def test_summarise_skips_only_empty_frames():
    depth, truth = world(n=3)
    truth[1] = 0
    rows = dc.evaluate(depth, truth)
    assert dc.summarise(rows)["delta1"] == rows.loc[[0, 2], "delta1"].mean()
    rows.loc[2, "delta1"] = np.nan  # with valid pixels
    mean = dc.summarise(rows)
    assert np.isnan(mean["delta1"]) and np.isfinite(mean["delta2"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1])
def test_pooled_correlation_raises_like_evaluate(value):
    depth, truth = world()
    with pytest.raises(dc.DepthClipError, match="depth holds 1 NaN"):
        pooled_correlation(zip(poisoned(depth, value), truth, strict=True))
    with pytest.raises(dc.DepthClipError, match="ground truth holds 1 NaN"):
        pooled_correlation(zip(depth, poisoned(truth, value), strict=True))
    with pytest.raises(dc.DepthClipError, match="shape"):
        pooled_correlation([(depth[0, :-1], truth[0])])


def test_tables_to_read_have_titles_at_every_level():
    rows = pd.MultiIndex.from_product([["all", "office"], ["delta1", "rmse"]])
    table = in_symbols(pd.DataFrame(1.0, rows, ["abs_rel", "frames"]))
    assert list(table.index.get_level_values(1)) == ["δ1", "rmse (m)"] * 2
    assert list(table.index.get_level_values(0)) == ["all", "all", "office", "office"]
    assert list(table.columns) == ["rel", "frames"]
