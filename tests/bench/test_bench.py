"""The benchmark measures what it says, and docs/speed.md shows its stored rows."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core import bench
from depthclip_core.bench import latency, machine, passes, plain, protocols, questions
from depthclip_core.method.pipeline import respond
from depthclip_core.method.similarities import bin_weights
from depthclip_core.settings import BINS, PROMPTS, RELEASED_WINDOW

CPU = torch.device("cpu")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "speed.md"


@pytest.fixture(scope="module")
def resnet(tiny_models):
    """Of RN50's kind, and small."""
    return passes.seeded_encoder("tiny-RN", CPU, "fp32")


@pytest.fixture(scope="module")
def picture():
    blocks = np.random.default_rng(3).integers(0, 255, (15, 20, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((32, 32, 1), np.uint8))


def test_released_loop_matches_the_pipeline(resnet, picture):
    """The loop that speed is measured against does no less: it gives the same depth."""
    text = resnet.text_vectors(PROMPTS["original"])
    with torch.inference_mode():
        loop = plain.released_depth(picture, resnet.visual, text, torch.tensor(BINS["original"]))
    ours = dc.predict_depth(picture[None], resnet, crop=RELEASED_WINDOW)[0]
    difference = np.abs(loop.numpy() - ours)
    assert difference.mean() < 3e-5 and difference.max() < 1e-3
    assert np.ptp(ours) > 0.05


def test_plain_scores_match_evaluate(resnet, picture):
    truth = np.random.default_rng(0).uniform(0, 11, (480, 640)).astype(np.float32)
    depth = dc.predict_depth(picture[None], resnet, crop=RELEASED_WINDOW)
    expected = dc.evaluate(depth, truth[None]).iloc[0]
    straight = plain.released_scores(depth[0], truth)
    assert straight == pytest.approx(expected[list(straight)].to_dict(), abs=1e-5)
    text = resnet.text_vectors(PROMPTS["original"])
    with torch.inference_mode():
        similarities = respond(picture[None], resnet, text, ["released"], crop=RELEASED_WINDOW)[
            "released"
        ]
    weights = bin_weights(similarities[0])
    cells = (weights[0] + weights[1].flip(-1)) / 2
    bins = torch.tensor([BINS["original"], BINS["class-dependent-4"]])
    scores = plain.vectorised_scores(cells, bins, torch.from_numpy(truth))
    assert scores.shape == (2, 6)
    np.testing.assert_allclose(scores[0], list(straight.values()), atol=1e-4)


def test_seeded_weights_repeat_and_their_cells_differ(resnet, picture):
    again = passes.seeded_encoder("tiny-RN", CPU, "fp32")
    assert again.identity == resnet.identity
    features = resnet.features(resnet.normalise(picture[None, :96, :160])).cells
    assert features.std(dim=(2, 3)).mean() > 0.05 * features.std()


def test_operations_count_the_networks():
    """RN50 at 416 x 544: 24.2 G multiplications with their additions."""
    assert passes.operations("RN50") == pytest.approx(48.4e9, rel=0.01)


def test_compare_alternates_and_takes_ratios_of_rounds(monkeypatch):
    calls, clock = [], [0.0]
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])

    def work(name, seconds):
        calls.append(name)
        clock[0] += seconds * len(calls)  # a machine that gets slower

    functions = {"long": lambda: work("long", 8), "short": lambda: work("short", 1)}
    table = machine.compare(functions, CPU, 5)
    assert calls == ["long", "short"] * 6
    assert table.loc["long", "speedup"] == 1
    assert table.loc["short", "speedup"] == pytest.approx(8 * 7 / 8)
    assert (table["seconds_low"] <= table["seconds"]).all()


def test_memory_growth_sees_memory_that_was_given_back():
    with machine.memory_growth(every=0.001) as memory:
        block = np.ones(30_000_000)
        time.sleep(0.5)  # on a busy machine the watching thread may have to wait for its turn
        del block
    assert 150e6 < memory["bytes"] < 400e6
    with machine.memory_growth() as memory:
        pass
    assert memory["bytes"] < 20e6


def test_describe_names_the_machine():
    about = machine.describe(CPU)
    assert about["kind"] == "cpu" and about["cores"] >= 1 and len(about["date"]) == 10
    assert about["commit"]
    assert machine.matrix_peak(CPU, "fp32", sides=[128], rounds=3) > 0


def test_generated_frames_differ():
    frames = questions.GeneratedFrames(1000)
    seen = {frames[i].rgb.tobytes() for i in (0, 1, 479, 480, 481, 999)}
    assert len(seen) == 6 and frames[0].rgb.shape == (480, 640, 3)


@pytest.mark.slow
def test_growth_and_ablation_on_a_small_scale():
    options = {"network": "sample", "size": (96, 128), "heads": ["value"], "words": None}
    row = questions.encode_alone(device="cpu", count=70, **options)
    assert row["frames"] == 70 and row["frames_per_second"] == pytest.approx(70 / row["seconds"])
    assert row["store_mib"] == pytest.approx(70 * 2 * 256 * 12 * 4 / 2**20, rel=0.05)
    assert 0 < row["memory_mib"] < 500
    (row,) = questions.growth_of_partitions(CPU, [3], rounds=1)
    assert row["partitions"] == 3 and row["plain_per_second"] > 0 and row["ours_per_second"] > 0
    result = questions.ablation("RN50", CPU, 1)
    assert result["settings"] == 8 and result["largest_difference"] < 1e-3


def test_rows_round_trip(tmp_path):
    about = {"device": "A (B) c-9", "kind": "cpu", "cores": 2}
    row = {"format": bench.FORMAT, "machine": about, "value": np.float32(1.5)}
    path = bench.save(row, tmp_path)
    assert path.name == "a-b-c-9-2-cores.json"
    assert bench.load(tmp_path) == {path.stem: row | {"value": 1.5}}
    (tmp_path / "old.json").write_text(json.dumps({"format": 0}))
    assert len(bench.load(tmp_path)) == 1
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(dc.DepthClipError, match="broken.json is not a benchmark row"):
        bench.load(tmp_path)


def test_the_chosen_row_is_the_first_unless_named(tmp_path):
    with pytest.raises(dc.DepthClipError, match="no machine has been measured yet"):
        bench.chosen(folder=tmp_path)
    for name in ("b", "a"):
        row = {"format": bench.FORMAT, "is": name} | dict.fromkeys(bench.NEEDED)
        (tmp_path / f"{name}.json").write_text(json.dumps(row))
    part = {"format": bench.FORMAT} | dict.fromkeys(bench.NEEDED - {"frames", "million"})
    (tmp_path / "0.json").write_text(json.dumps(part))  # a machine lent for minutes
    with pytest.raises(dc.DepthClipError, match="only a part: it lacks frames, million"):
        bench.chosen("0", tmp_path)
    assert bench.chosen(folder=tmp_path)["is"] == "a"
    assert bench.chosen("b", tmp_path)["is"] == "b"
    with pytest.raises(dc.DepthClipError, match="machine"):
        bench.chosen("c", tmp_path)


def test_search_of_protocols_counts_frames_and_compositions():
    row = protocols.search_of_protocols(n_frames=3, n_different=2, threads=1)
    assert row["frames"] == 3 and row["compositions"] >= 300
    assert 0 < row["cpu_seconds"] and 0 < row["seconds"] < 60


def test_stored_rows_keep_what_the_notebook_says():
    """The ablation gives the same metrics both ways, and memory stays below 2 GiB."""
    for row in bench.load().values():
        limit = 1e-3 if row["machine"]["kind"] == "cpu" else 2e-3  # fp32, and fp16
        assert row["ablation"]["largest_difference"] < limit
        if "frames" in row:
            assert max(one["memory_mib"] for one in row["frames"]) < 2048


def test_steps_can_be_chosen(monkeypatch):
    for name in ("ablation", "growth_of_partitions"):
        monkeypatch.setattr(questions, name, lambda *args, name=name, **options: name)
    row = bench.run(device="cpu", steps=["partitions", "ablation"])
    assert list(row) == ["format", "encoder", "machine", "ablation", "partitions"]
    with pytest.raises(dc.DepthClipError, match="unknown step 'pass'.*did you mean 'passes'"):
        bench.run(device="cpu", steps=["pass"])


def test_page_shows_stored_rows():
    rows = bench.load()
    assert rows, "make bench, then commit data/benchmarks"
    assert bench.markdown(rows) in PAGE.read_text(encoding="utf-8")


def test_waits_are_stored_and_shown(tmp_path):
    times = {"press a preset": range(1, 102), "next frame": [30.0, 10.0, 20.0]}
    about = {"device": "A <b>", "kind": "cpu", "cores": 2, "date": "2026-01-31"}
    bench.save(latency.row_of(times, about, "Chromium 1"), tmp_path / "latency")
    rows = bench.load(tmp_path / "latency")
    assert list(rows) == ["a-b-2-cores"] and bench.load(tmp_path) == {}
    (preset, frame) = rows["a-b-2-cores"]["waits"]
    assert (preset["median_ms"], preset["p95_ms"], preset["count"]) == (51, 96, 101)
    assert (frame["median_ms"], frame["count"]) == (20, 3)
    page = tmp_path / "page.md"
    page.write_text(f"{latency.MARKS[0]}\n{latency.MARKS[1]}\n", encoding="utf-8")
    latency.write_table(page, rows)
    last = "| next frame | 20 | 29 | A &#60;b&#62;, 2 cores | 2026-01-31 |"
    assert page.read_text(encoding="utf-8").splitlines()[-2] == last


def test_page_shows_stored_waits():
    assert latency.markdown(bench.load(latency.rows_folder())) in PAGE.read_text(encoding="utf-8")


def test_table_is_written_between_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{bench.MARKS[0]}\nold\n{bench.MARKS[1]}\nafter\n", encoding="utf-8")
    rows = bench.load()
    for _ in range(2):
        bench.write_table(page, rows)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert text.count(bench.markdown(rows)) == 1
    page.write_text("no marks")
    with pytest.raises(dc.DepthClipError, match="has no marks"):
        bench.write_table(page, rows)
