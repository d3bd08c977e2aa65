"""The model of time and disk on many workers."""

import pytest

from depthclip_core.bench import scale
from depthclip_core.bench.scale import Costs, estimate
from depthclip_core.workbook.readme import write_between

FAST = Costs(task=1e-3, write=4e8, frame=7e-4)  # a GPU
SLOW = Costs(task=1e-3, write=4e8, frame=0.5)


def test_one_slow_worker_waits_for_its_network():
    found = estimate(1000, 1, "similarities, fp32", SLOW, disk=5e9)
    assert found.limit == "network" and found.seconds == pytest.approx(500)
    assert found.size == 1000 * 2 * 7 * 221 * 4


def test_workers_divide_the_network_until_the_disk_is_full():
    alone = estimate(1_000_000, 1, "vectors, fp32", FAST, disk=5e9)
    assert alone.limit == "writing" and alone.seconds == pytest.approx(alone.size / 4e8)
    many = estimate(1_000_000, 1000, "vectors, fp32", FAST, disk=5e9)
    assert many.limit == "writing" and many.seconds == pytest.approx(many.size / 5e9)
    half = estimate(1_000_000, 1000, "vectors, fp16", FAST, disk=5e9)
    assert half.seconds == pytest.approx(many.seconds / 2)


def test_with_many_fast_workers_the_scheduler_is_left():
    found = estimate(1_000_000, 1000, "similarities, fp32", FAST, disk=5e9)
    n_tasks = -(-62_500 // 15)  # blocks of 62,500 // 4,000 chunks
    assert found.limit == "scheduler" and found.seconds == pytest.approx(n_tasks * 1e-3)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "0.5 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (2 * 86400, "2 d")],
)
def test_durations_have_two_digits_and_a_unit(seconds, said):
    assert scale.duration(seconds) == said


def test_the_fastest_measured_machines_are_taken():
    def row(device, kind, **passes):
        found = [{"pass": f"ours, {name}", "seconds": value} for name, value in passes.items()]
        return {"machine": {"device": device, "kind": kind}, "passes": found}

    rows = {"a": row("A", "cpu", fp32=0.5), "b": row("B", "cpu", fp32=0.3, bf16=0.1)}
    rows["c"] = row("C", "cuda", fp32=0.005, fp16=0.0007)
    assert scale.networks(rows) == {"B, fp32": 0.3, "C, fp16": 0.0007}


def test_the_page_shows_a_line_for_each_question(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("\n".join(["before", *scale.MARKS, "after"]))
    row = {"task_s": 1e-3, "write_bytes_s": 4e8, "read_bytes_s": 8e8}
    row["machine"] = {"device": "A", "date": "2026-02-03"}
    write_between(page, scale.MARKS, scale.markdown(row, {"A, fp32": 0.5}, 5e9))
    lines = page.read_text().splitlines()
    assert lines[0] == "before" and lines[-1] == "after"
    assert len([line for line in lines if line.startswith("| ")]) == 2 + 2 * len(scale.KEPT)
    assert "% (one chunk) to 0.0002 % (a full block) on A, fp32." in page.read_text()
    assert lines[3].startswith("| --- |")
    assert "6.9 h (network)" in page.read_text()  # 50,000 frames of 0.5 s
