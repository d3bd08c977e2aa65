import naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import depthclip_core as dc
from depthclip_core.evaluation import frame_scores, gpu
from depthclip_core.evaluation.frame_scores import align
from depthclip_core.evaluation.metrics import METRICS
from depthclip_core.evaluation.pixels import cell_weights, counted, pixel_maps
from depthclip_core.evaluation.protocols import PROTOCOLS, Protocol
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.method.similarities import bin_weights
from depthclip_core.settings import BINS, PUBLISHED_METRICS, Window

DELTAS = {"delta1": 1.25, "delta2": 1.25**2, "delta3": 1.25**3}
EVERY = tuple(METRICS)
FRAME, WINDOW, REGION = (40, 50), Window(3, 37, 4, 47), Window(1, 36, 6, 50)
# Protocols on frames so small that hundreds of cases take seconds.
SMALL = {
    f"{align} {flip}": Protocol(FRAME, WINDOW, REGION, 1e-3, 10, align, flip)
    for align in (None, "median", "least-squares")
    for flip in (True, False)
}


def world(seed=0, n=3, n_words=4, views=2, grid=(5, 6), frame=FRAME):
    """Truth with holes, far pixels and an empty frame; similarities whose softmax is lively."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.3, 11, (n, *frame)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.2] = 0
    truth[n // 2] = 0 if n > 1 else truth[0]
    truth[0, 5, 10:20] = 5e-4
    similarities = torch.from_numpy(rng.normal(0.2, 2e-3, (n, views, n_words, *grid))).float()
    return truth, similarities


def partitions(n, n_words, seed=0, high=9.0):
    return np.random.default_rng(seed).uniform(0.4, high, (n, n_words))


def by_evaluate(truth, similarities, bins, temperature, protocol):
    """Rows by the slow way, and for each delta the share of pixels that lie on its threshold."""
    protocol = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
    views = similarities if protocol.flip else similarities[:, :1]
    depth = depth_maps(views, list(bins), protocol.window.shape, temperature)
    rows = dc.evaluate(depth, truth, protocol)
    border = {name: [] for name in DELTAS}
    for d, t in zip(depth, truth, strict=True):
        canvas = np.zeros(protocol.frame)
        canvas[protocol.window.slices] = d
        mask = protocol.valid_mask(t, canvas)
        p, g = canvas[mask], t[mask].astype(np.float64)
        if len(p) and protocol.align == "median":
            p = p * np.median(g) / np.median(p)
        elif len(p) and protocol.align:
            scale, shift = np.polyfit(p, g, 1) if np.ptp(p) > 1e-5 else (0, g.mean())
            p = p * scale + shift
        p = np.clip(p, 1e-3, 10)
        ratio = np.maximum(p / g, g / p)
        for name, threshold in DELTAS.items():
            on = np.abs(ratio / threshold - 1) < (1e-5 if protocol.align else 2e-6)
            border[name].append(on.mean() if len(p) else 0)
    return rows, border


def assert_same(got, expected, border):
    assert got["n_pixels"].tolist() == expected["n_pixels"].tolist()
    for metric in got.columns.drop("n_pixels"):
        a, b = got[metric].to_numpy(), expected[metric].to_numpy()
        assert (np.isnan(a) == np.isnan(b)).all()
        slack = np.array(border[metric]) if metric in DELTAS else 0
        units = 100 if metric == "silog" else 1
        assert (np.abs(a - b)[~np.isnan(a)] <= (1e-5 * units + slack + 0 * a)[~np.isnan(a)]).all()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 3),
    n_words=st.integers(1, 9),
    views=st.integers(1, 2),
    n_partitions=st.sampled_from([1, 2, 5, 30]),
    temperature=st.sampled_from([0.02, 0.1, 1.0]),
    protocol=st.sampled_from(list(SMALL)),
    high=st.sampled_from([9.0, 14.0]),
)
def test_sweep_matches_evaluate(seed, n, n_words, views, n_partitions, temperature, protocol, high):
    truth, similarities = world(seed, n, n_words, views)
    bins = partitions(n_partitions, n_words, seed, high)
    got = sweep(
        truth, similarities, bins, [temperature], [SMALL[protocol]], metrics=EVERY, threads=1
    )
    for index in {0, n_partitions - 1}:
        arguments = (truth, similarities, bins[index], temperature, SMALL[protocol])
        assert_same(got.rows(bins=index), *by_evaluate(*arguments))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_sweep_matches_evaluate_at_full_size(protocol):
    truth, similarities = world(3, 2, 7, 2, (13, 17), (480, 640))
    bins = dict(BINS)
    got = sweep(truth, similarities, bins, protocols=[protocol], metrics=EVERY, threads=2)
    arguments = (truth, similarities, bins["class-dependent-2"], 0.1, protocol)
    assert_same(got.rows(bins="class-dependent-2"), *by_evaluate(*arguments))


def test_sweep_matches_plain_loops():
    truth, similarities = world(4, 1, 3, 2, (3, 4), (480, 640))
    bins = [1.0, 2.5, 4.0]
    views = [bin_weights(similarities[0], 0.1)[v].double().numpy() for v in (0, 1)]
    cells = [naive.cell_depths(view.transpose(1, 2, 0), bins) for view in views]
    depth = naive.upsample(naive.flip_average(*cells), 416, 544)
    got = sweep(truth, similarities, {"b": bins}, metrics=EVERY).rows().iloc[0]
    expected = naive.scores(depth, truth[0])
    assert got.to_dict() == pytest.approx(expected, abs=1e-5)


def test_settings_together_match_each_alone():
    truth, similarities = world(5)
    bins = {"a": [1.0, 2, 3, 4], "b": [2.0, 2.5, 3, 9]}
    temperatures, protocols = [0.05, 0.1, 0.5], list(SMALL.values())
    got = sweep(iter(truth), similarities, bins, temperatures, protocols, names=["x", "y", "z"])
    assert got.values.shape == (2 * 3 * 6, 3, 6)
    assert got.metrics == PUBLISHED_METRICS
    for name in bins:
        for temperature in temperatures:
            for index, protocol in enumerate(protocols):
                one = {name: bins[name]}
                alone = sweep(truth, similarities, one, [temperature], [protocol]).rows()
                rows = got.rows(name, temperature, f"protocol {index}")
                assert list(rows.index) == ["x", "y", "z"]
                np.testing.assert_allclose(rows, alone, atol=1e-6)


def test_equivalent_protocols_score_the_same():
    truth, similarities = world(6, 1, 7, 2, (13, 17), (480, 640))
    got = sweep(truth, similarities, BINS, protocols=["released", "adabins", "bts"]).means()
    by_name = [got.xs(name, level="protocol") for name in ("released", "adabins", "bts")]
    assert by_name[0].equals(by_name[1])
    assert not np.allclose(by_name[0], by_name[2], atol=1e-4)  # no flip
    one_view = sweep(truth, similarities[:, :1], BINS, protocols=["released", "bts"]).means()
    assert one_view.xs("released", level="protocol").equals(one_view.xs("bts", level="protocol"))
    assert one_view.xs("bts", level="protocol").equals(by_name[2])


def test_means_match_summarise():
    truth, similarities = world(7)
    got = sweep(
        truth, similarities, partitions(3, 4), protocols=list(SMALL.values()), metrics=EVERY
    )
    for setting, mean in got.means().iterrows():
        expected = dc.summarise(got.rows(*setting))
        assert list(mean.index) == list(expected.index)
        assert mean.to_dict() == pytest.approx(expected.to_dict(), abs=1e-12)
    assert got.means()["n_empty"].eq(1).all()
    empty = sweep(
        np.zeros_like(truth), similarities, partitions(3, 4)[:1], protocols=[*SMALL.values()]
    )
    assert empty.means()["delta1"].isna().all()


def test_threads_do_not_change_scores():
    truth, similarities = world(8, 9)
    results = [
        sweep(
            truth, similarities, partitions(6, 4), protocols=list(SMALL.values()), threads=threads
        )
        for threads in (1, 2, 5)
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result.values, results[0].values)


def test_frames_are_read_one_at_a_time():
    truth, similarities = world(9, 30)
    read = []

    def reading():
        for index, frame in enumerate(truth):
            read.append(index)
            yield frame
            assert len(read) - 1 == index

    seen = sweep(
        reading(), similarities, partitions(1, 4), protocols=[SMALL["None True"]], threads=2
    )
    assert read == list(range(30)) and len(seen.frames) == 30


@pytest.mark.parametrize("protocol", SMALL)
@pytest.mark.parametrize("high", [9.0, 14.0])
def test_gpu_path_matches_the_kernel(protocol, high, monkeypatch):
    sums = gpu.fused_sums
    monkeypatch.setattr(gpu, "fused_sums", lambda p, terms, device: sums(p, terms, "cpu"))
    protocol = SMALL[protocol]
    truth, similarities = world(10)
    pixels = counted(truth[0], protocol)
    bins = partitions(7, 4, 0, high)
    maps = pixel_maps(cell_weights(similarities[0], 0.1, protocol.flip), protocol)
    predictions = align(maps, bins, pixels, protocol)
    values, on_gpu = (frame_scores.scores(predictions, EVERY, device) for device in ("cpu", "cuda"))
    pixel = 1.01 / pixels.n_valid  # one on the threshold
    for index, metric in enumerate(EVERY):
        tolerance = pixel if metric.startswith("delta") else 2e-6
        np.testing.assert_allclose(values[:, index], on_gpu[:, index], 2e-6, tolerance)


def test_extreme_ratios_fit_into_float32():
    """Products of eight ratios: 10 m where 1 mm is true, and the reverse."""
    truth, similarities = world(11)
    truth[0], truth[2] = 1.01e-3, 9.99
    bins = np.array([[10.0, 10, 10, 10], [1.01e-3] * 4])
    protocol = SMALL["None True"]
    metrics = [metric for metric in EVERY if metric != "silog"]  # no spread: all cancels
    got = sweep(truth, similarities, bins, protocols=[protocol], metrics=metrics)
    for index in (0, 1):
        expected, _ = by_evaluate(truth, similarities, bins[index], 0.1, protocol)
        expected = expected[[*metrics, "n_pixels"]]
        np.testing.assert_allclose(got.rows(bins=index), expected, rtol=2e-6, atol=1e-6)


def test_threshold_ties_match_evaluate():
    """One word to a patch, bins of which thresholds of delta are whole millimetres."""
    rng = np.random.default_rng(0)
    word = np.kron(rng.integers(0, 3, (2, 1, 4, 5)), np.ones((1, 1, 4, 4), dtype=int))[
        ..., :13, :17
    ]
    one_hot = np.moveaxis(np.eye(3)[word], -1, 2).astype(np.float32)
    truth = rng.choice([1.6, 2.0, 2.4, 2.5, 3.125, 3.2, 3.75], (2, 480, 640)).astype(np.float32)
    bins = [2.0, 2.5, 3.0]
    got = sweep(truth, torch.from_numpy(one_hot), {"b": bins}).rows()
    expected, border = by_evaluate(truth, torch.from_numpy(one_hot), bins, 0.1, "released")
    assert min(border["delta1"]) > 0.1
    assert np.abs(got["delta1"] - expected["delta1"]).max() < 0.01 * min(border["delta1"])


def test_few_valid_pixels_match_evaluate():
    truth, similarities = world(12, 1, 7, 2, (13, 17), (480, 640))
    mask = np.zeros(truth.shape, dtype=bool)
    mask[0, 200, 300:303] = True
    truth = np.where(mask, np.float32(2.7), 0)
    got = sweep(truth, similarities, {"b": BINS["original"]}, metrics=EVERY).rows()
    assert got["n_pixels"].item() == 3
    assert_same(got, *by_evaluate(truth, similarities, BINS["original"], 0.1, "released"))


SIM = world()[1]
TRUTH = world()[0]
GOOD = partitions(1, 4)
SMALLEST = [SMALL["None True"]]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sweep(TRUTH[:2], SIM, GOOD, protocols=SMALLEST), "3 frames for 2 ground"),
        (lambda: sweep([*TRUTH, TRUTH[0]], SIM, GOOD, protocols=SMALLEST), "3 frames for more"),
        (lambda: sweep(TRUTH, SIM, GOOD), r"shape \(40, 50\).*\(480, 640\)"),
        (lambda: sweep(TRUTH, SIM[0], GOOD), r"\(N, V, K, h, w\)"),
        (lambda: sweep(TRUTH, SIM, GOOD[:, :2]), r"\(1, 2\) for 4 words"),
        (lambda: sweep(TRUTH, SIM, {"a": [1, 2, 3, 4], "b": [1, 2]}), "same number"),
        (lambda: sweep(TRUTH, SIM, {"a": [1, 2, -3, 4]}), "partition 'a' must be positive"),
        (lambda: sweep(TRUTH, SIM, {"a": [1, 2, 5e-4, 4]}), "use scoring.score"),
        (lambda: sweep(TRUTH, SIM, GOOD, metrics=["delta4"]), "did you mean 'delta"),
        (lambda: sweep(TRUTH, SIM, GOOD, protocols=["btss"]), "did you mean 'bts'"),
        (lambda: sweep(TRUTH, SIM, GOOD, [0.0], SMALLEST), "temperature"),
        (lambda: sweep(0 * TRUTH, SIM, GOOD, [np.nan], SMALLEST), "positive and finite, got nan"),
        (lambda: sweep(TRUTH, SIM, GOOD, [0.1, np.inf], SMALLEST), "positive and finite, got inf"),
        (
            lambda: sweep(TRUTH, SIM, {"a": [1, 2, np.nan, 4]}),
            "partition 'a' must be positive",
        ),
        (
            lambda: sweep(TRUTH, SIM, {"a": [1, 2, np.inf, 4]}),
            "partition 'a' must be positive",
        ),
        (lambda: sweep(TRUTH, SIM * np.nan, GOOD), "similarities of frame 0 hold NaN or infinite"),
        (lambda: sweep(TRUTH, SIM / 0, GOOD), "similarities of frame 0 hold NaN or infinite"),
        (lambda: sweep(TRUTH, -SIM / 0, GOOD), "similarities of frame 0 hold NaN or infinite"),
        (lambda: sweep(TRUTH + np.inf, SIM, GOOD, protocols=SMALLEST), "NaN, infinite or negative"),
        (lambda: sweep(TRUTH, SIM, GOOD, names=["a"]), "1 names for"),
        (lambda: sweep(TRUTH - 1, SIM, GOOD, protocols=SMALLEST), "negative"),
        (lambda: sweep(TRUTH, SIM, partitions(2, 4), protocols=SMALLEST).rows(), "2 bins: say"),
        (lambda: sweep(TRUTH, SIM, GOOD, protocols=SMALLEST).rows(bins="x"), "0 settings of"),
    ],
)
def test_bad_input_raises_one_line(call, says):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["maps", "bins"])
@pytest.mark.parametrize("align_by", [None, "median", "least-squares"])
def test_non_finite_predictions_raise(value, where, align_by):
    protocol = SMALL[f"{align_by} True"]
    cells, bins = cell_weights(world(13)[1][0], 0.1, protocol.flip), partitions(3, 4)
    (cells if where == "maps" else bins)[1, 2] = value
    pixels = counted(TRUTH[0], protocol)
    with (
        np.errstate(all="ignore"),
        pytest.raises(dc.DepthClipError, match="predictions hold NaN or infinite values"),
    ):
        align(pixel_maps(cells, protocol), bins, pixels, protocol)
