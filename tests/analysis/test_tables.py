import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import depthclip_core as dc
from depthclip_core.analysis import published, tables
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import metrics
from depthclip_core.evaluation.baselines import READINGS, lower_bound
from depthclip_core.evaluation.sweep import Sweep, sweep
from depthclip_core.settings import BINS, PUBLISHED_METRICS

METRICS = list(PUBLISHED_METRICS)
SCENES = ["bathroom", "classroom", "bathroom", None, "office", "bathroom"]
WHY = ["the frames are not NYU Depth v2's"]


def made_sweep(scenes=SCENES, seed=0, empty=2):
    """Random scores of the five partitions; frame `empty` has no valid pixel."""
    n = len(scenes)
    values = np.random.default_rng(seed).uniform(0.1, 0.9, (len(BINS), n, len(METRICS)))
    counts = np.full((len(BINS), n), 100)
    if empty is not None:
        values[:, empty], counts[:, empty] = np.nan, 0
    index = pd.MultiIndex.from_product(
        [BINS, [0.1], ["released"]], names=["bins", "temperature", "protocol"]
    )
    return Sweep(index, [f"{i:04d}" for i in range(n)], tuple(METRICS), values, counts)


@pytest.fixture(scope="module")
def bounds():
    """Bounds that are the paper's row, with a spread of nearly nothing."""
    printed = published.results().loc["lower bound", METRICS].astype(float).to_numpy()
    one = pd.DataFrame({"ours": printed, "spread": 1e-6}, METRICS)
    return pd.concat(dict.fromkeys(READINGS, one), names=["reading", "metric"])


FRAMES = {"all": 654, "bathroom": 58, "classroom": 23}  # of NYU's test split


def judged(bounds, partitions=None, prompts=None, why=()):
    ours = published.partitions() if partitions is None else partitions
    scenes = ours.index.get_level_values("scene")
    ours = ours.assign(n_frames=[FRAMES[scene] for scene in scenes])
    words = published.prompts() if prompts is None else prompts
    return tables.ledger(ours, words, bounds, why)


def test_scene_means_match_a_loop():
    made = made_sweep()
    table = tables.scene_means(made, SCENES)
    kinds = ["all", "bathroom", "classroom", "office"]
    assert list(table.index) == [(kind, bins) for kind in kinds for bins in BINS]
    for (kind, bins), row in table.iterrows():
        frames = [i for i, s in enumerate(SCENES) if kind in ("all", s) and i != 2]
        values = made.values[list(BINS).index(bins)]
        expected = [sum(values[i, m] for i in frames) / len(frames) for m in range(len(METRICS))]
        np.testing.assert_allclose(row[METRICS].astype(float), expected, rtol=1e-12)
        assert row["n_frames"] == len(frames)
    assert table["few"].all()
    assert table.loc["bathroom", "n_frames"].tolist() == [2] * 5  # the empty one is not counted


def test_fewer_than_ten_frames_are_few():
    table = tables.scene_means(made_sweep(["office"] * 10, empty=None), ["office"] * 10)
    assert not table["few"].any()
    table = tables.scene_means(made_sweep(["office"] * 10), ["office"] * 10)
    assert table["few"].all()


def test_frames_without_scenes_give_only_overall_mean():
    table = tables.scene_means(made_sweep(), [None] * 6)
    assert set(table.index.get_level_values("scene")) == {"all"}


def test_scene_means_need_scenes_and_one_protocol():
    with pytest.raises(DepthClipError, match="2 scenes for a sweep of 6 frames"):
        tables.scene_means(made_sweep(), ["office"] * 2)
    two = made_sweep()
    labels = [(b, 0.1, "bts" if i else "released") for i, b in enumerate(BINS)]
    index = pd.MultiIndex.from_tuples(labels, names=two.settings.names)
    two = Sweep(index, two.frames, two.metrics, two.values, two.n_pixels)
    with pytest.raises(DepthClipError, match="2 protocols"):
        tables.scene_means(two, SCENES)


def test_paper_best_partitions_disagree():
    best = tables.best_partitions(published.partitions())
    assert set(best.loc["bathroom"]) == {"class-dependent-3"}
    assert best.loc["classroom"].to_dict() == {
        "delta1": "class-dependent-1",
        "delta2": "class-dependent-4",
        "delta3": "class-dependent-4",
        "abs_rel": "original",
        "log10": "class-dependent-4",
        "rmse": "class-dependent-4",
    }
    others = [metric for metric in METRICS if metric != "abs_rel"]
    assert set(best.loc["all", others]) == {"original"}
    assert best.loc["all", "abs_rel"] == "class-dependent-3"


def test_best_partitions_match_a_loop():
    table = tables.scene_means(made_sweep(), SCENES)
    table.loc["office", METRICS] = np.nan
    best = tables.best_partitions(table)
    assert list(best.columns) == METRICS
    assert set(best.loc["office"]) == {"–"}
    for metric in METRICS:
        column = table.loc["bathroom", metric]
        extreme = max(column) if metrics.METRICS[metric].higher_is_better else min(column)
        assert column[best.loc["bathroom", metric]] == extreme


def test_gains_match_printed_but_for_one_rounding():
    ours, printed = tables.gains(published.partitions()), published.gains()
    assert list(ours.index) == list(printed.index)
    off = (ours - printed).abs() > 1e-9
    assert [tuple(cell) for cell in np.argwhere(off.to_numpy())] == [(1, METRICS.index("abs_rel"))]
    assert ours.loc["classroom", "abs_rel"].item() == pytest.approx(0.089)


def test_gains_of_a_missing_scene_are_nan():
    table = tables.scene_means(made_sweep(), SCENES)
    found = tables.gains(table, {"bathroom": "class-dependent-1", "kitchen": "class-dependent-2"})
    numbers = table[METRICS]
    expected = numbers.loc["bathroom", "class-dependent-1"] - numbers.loc["bathroom", "original"]
    np.testing.assert_allclose(found.loc["bathroom", METRICS].iloc[0], expected)
    assert found["n_frames"].tolist() == [2, 0] and found["few"].all()
    assert found.loc["kitchen", METRICS].isna().all(axis=None)
    with pytest.raises(DepthClipError, match="class-dependent-4"):
        tables.gains(table, {"bathroom": "class-dependent-44"})


def test_differences_follow_printed_rows():
    printed = published.partitions()
    ours = (printed + 0.01).drop(index="classroom", level="scene").iloc[::-1].assign(n_frames=3)
    found = tables.differences(ours, printed)
    assert found.index.equals(printed.index) and list(found.columns) == METRICS
    assert found.loc["classroom"].isna().all(axis=None)
    np.testing.assert_allclose(found.loc["bathroom"], 0.01)


@pytest.fixture(scope="module")
def ground_truths():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.5, 6, (6, 480, 640)).astype(np.float32)
    truth[2] = 0
    return truth


def test_lower_bounds_match_closed_form_within_spread(ground_truths):
    found = tables.lower_bounds(iter(ground_truths))
    pd.testing.assert_frame_equal(found, tables.lower_bounds(ground_truths))
    exact = lower_bound(ground_truths)[METRICS].mean()
    ours = found.loc["pixel"]
    # The mean of two draws.
    assert ((ours["ours"] - exact).abs() < 4 * ours["spread"] / np.sqrt(2)).all()
    assert (ours["spread"] < 0.01).all()


@pytest.mark.slow
def test_lower_bound_spread_matches_many_draws(ground_truths):
    some = ground_truths[:2]
    draws = [lower_bound(some, "cell", seed=seed)[METRICS].mean() for seed in range(40)]
    spread = tables.lower_bounds(np.tile(some, (20, 1, 1))).loc["cell", "spread"] * np.sqrt(20)
    # A standard deviation from 40 draws is known to 11 %, and so is one from 40 pairs.
    np.testing.assert_allclose(spread, np.std(draws, axis=0, ddof=1), rtol=0.35)


def test_lower_bounds_need_a_valid_pixel():
    with pytest.raises(DepthClipError, match="no frame has a valid pixel"):
        tables.lower_bounds(np.zeros((1, 480, 640), np.float32))


def test_ledger_has_every_printed_number(bounds):
    table = judged(bounds)
    counts = table.groupby("table", sort=False).size().to_dict()
    assert counts == {"Table 1": 24, "partitions": 90, "gains": 18, "prompts": 24}
    columns = ["table", "row", "metric", "frames"]
    columns += ["published", "ours", "difference", "tolerance", "verdict"]
    assert list(table.columns) == columns
    frames = table.set_index("row")["frames"]
    assert set(frames["classroom, original"]) == {23} and set(frames["prompt-1"]) == {654}
    assert not table.duplicated(["table", "row", "metric"]).any()
    at = table.set_index(["table", "row", "metric"])["published"]
    assert at["partitions", "classroom, class-dependent-4", "rmse"] == 1.544
    assert at["gains", "bathroom, class-dependent-3", "delta1"] == 0.092
    assert at["Table 1", "lower bound, per cell", "log10"] == 0.323
    assert at["prompts", "prompt-2", "abs_rel"] == 0.385


def test_paper_numbers_agree_with_themselves(bounds):
    table = judged(bounds)
    nothing = (table["table"] == "gains") & table["row"].str.startswith("all")
    assert set(table.loc[~nothing, "verdict"]) == {"agrees"}
    assert set(table.loc[nothing, "verdict"]) == {"not printed"}
    assert (table.loc[nothing, "ours"] == 0).all()


@pytest.mark.slow
@given(st.floats(-3, 3), st.sampled_from(METRICS))
def test_verdict_follows_tolerance(bounds, times, metric):
    moved = published.partitions()
    moved.loc[("bathroom", "class-dependent-1"), metric] += times * tables.tolerances(58)[metric]
    table = judged(bounds, moved)
    here = (table["row"] == "bathroom, class-dependent-1") & (table["metric"] == metric)
    expected = "agrees" if abs(times) <= 1 else "differs"
    assert table.loc[here, "verdict"].tolist() == [expected]
    assert (table.loc[~here, "verdict"] != "differs").all()  # and nothing else moved


def test_far_numbers_differ(bounds):
    table = judged(bounds * [3.0, 1], published.partitions() * 1.5, published.prompts() * 1.5)
    printed = table[table["published"].notna()]
    assert set(printed.loc[printed["table"] != "gains", "verdict"]) == {"differs"}


def test_gains_are_judged_by_our_own_rows(bounds):
    """Both rows of a gain may be off by as much: the gain is right."""
    table = judged(bounds, published.partitions() + 0.1)
    gains = table[(table["table"] == "gains") & table["published"].notna()]
    assert set(gains["verdict"]) == {"agrees"}
    assert set(table.loc[table["table"] == "partitions", "verdict"]) == {"differs"}


def test_lower_bound_readings_are_judged_within_their_spread(bounds):
    apart = bounds.copy()
    apart.loc[("pixel", "rmse"), "ours"] = 3.6
    apart.loc[("cell", "rmse")] = [2.944, 0.01]  # a hundredth off, and as much is chance
    table = judged(apart).set_index(["row", "metric"])["verdict"]
    assert table["lower bound, per pixel", "rmse"] == "differs"
    assert table["lower bound, per cell", "rmse"] == "agrees"


def test_incomparable_run_passes_nothing(bounds):
    assert set(judged(bounds, why=WHY)["verdict"]) == {"not comparable"}


def test_missing_numbers_are_not_measured(bounds):
    ours = published.partitions().drop(index="classroom", level="scene")
    table = judged(bounds, ours, published.prompts().drop(index="prompt-3"))
    missing = table["row"].str.startswith("classroom") | (table["row"] == "prompt-3")
    assert set(table.loc[missing, "verdict"]) == {"not measured"}
    assert "not measured" not in set(table.loc[~missing, "verdict"])
    assert set(table["verdict"]) <= set(tables.VERDICTS)
    ours.loc[("bathroom", "class-dependent-1"), "rmse"] = np.inf
    verdicts = judged(bounds, ours).set_index(["row", "metric"])["verdict"]
    assert verdicts["bathroom, class-dependent-1", "rmse"] == "not measured"


def test_tolerances_exceed_rounding_and_observed_moves():
    few, many = tables.tolerances(23), tables.tolerances(654)
    assert (many > 2 * tables.ROUNDING).all()
    for moves in tables.MOVED.values():
        assert (3 * np.array(moves) / np.sqrt(23) + tables.ROUNDING <= few).all()
    # Tight enough to tell the paper's rows from each other: its four prompts by their δ1.
    apart = np.diff(np.sort(published.prompts()["delta1"])).min()
    assert many["delta1"] < apart + tables.ROUNDING
    np.testing.assert_allclose(
        (few - tables.ROUNDING) / (many - tables.ROUNDING), (654 / 23) ** 0.5
    )
    assert tables.tolerances(0).isna().all()


@pytest.mark.slow
def test_observed_moves_are_reproduced(tmp_path):
    store, frames = Store(tmp_path), dc.open_dataset("sample", "test")

    def rows(precision):
        clip = dc.load_encoder("sample", None, "cpu", precision)
        found = collect_responses(
            frames, clip, "original", ["released"], store=store, progress=False
        )
        ground_truths = map(frames.raw_depth, range(len(frames)))
        scores = sweep(ground_truths, found["released"], BINS)
        return np.stack([scores.rows(bins)[METRICS] for bins in BINS])  # (partitions, N, metrics)

    moved = np.sqrt(((rows("bf16") - rows("fp32")) ** 2).mean(axis=1)).max(axis=0)
    np.testing.assert_allclose(moved, tables.MOVED["bf16 for fp32"], rtol=0.1, atol=5e-5)


def test_changes_by_scene_leaves_out_scenes_without_change():
    change = pd.Series([0.0, 0, 1, 2, 3, 4], list("uvwxyz"))
    rooms = [1, 2, 3, 3, 4, 5]
    table = tables.changes_by_scene(change, ["a", "a", "b", "b", "b", "b"], rooms)
    assert table.index.tolist() == ["b"]
    assert table.loc["b"].tolist() == [4, 3, 2.5, 2 / 2**3]  # all of one sign


def test_class_tables_are_the_papers_with_the_gain_last():
    printed = published.partitions()
    found = tables.class_tables(printed, published.gains())
    kinds = list(found.index.get_level_values("scene").unique())
    assert kinds == ["bathroom", "classroom", "all"]
    for kind, named in (("bathroom", "class-dependent-3"), ("classroom", "class-dependent-4")):
        own = found.loc[kind]
        assert list(own.index) == [*BINS, f"gain of {named}"]
        assert own.iloc[-1].equals(published.gains().loc[(kind, named)].rename(own.index[-1]))
    assert list(found.loc["all"].index) == list(BINS)
    assert found.drop(index=[found.index[5], found.index[11]]).equals(printed)


def test_class_tables_of_a_run_compute_their_gains():
    table = tables.scene_means(made_sweep(), SCENES)
    found = tables.class_tables(table)
    gain = table.loc[("classroom", "class-dependent-4"), METRICS]
    gain = gain - table.loc[("classroom", "original"), METRICS]
    np.testing.assert_allclose(
        found.loc[("classroom", "gain of class-dependent-4")], gain.astype(float)
    )
    without = tables.class_tables(table.drop("bathroom", level="scene"))
    assert without.loc["bathroom"].isna().all(axis=None)


def test_differences_are_shown_only_without_reasons_against_them():
    printed = published.partitions()
    assert tables.differences_or_reasons(printed, printed, []).eq(0).all(axis=None)
    reasons = tables.differences_or_reasons(printed, printed, WHY)
    assert reasons["why no differences are shown"].tolist() == WHY
