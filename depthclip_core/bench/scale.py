"""What large data sets cost on 1 to 1,000 workers: a model from what was measured.

`python -m depthclip_core.bench.scale docs/cluster.md` shows the stored rows; with --measure it
measures this machine first and stores its row in data/benchmarks/cluster/.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthclip_core import bench
from depthclip_core.bench import machine, save
from depthclip_core.cluster.clients import connected
from depthclip_core.cluster.tasks import completed
from depthclip_core.cluster.work import MOST_CHUNKS, blocks
from depthclip_core.devices import resolve_device
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.files import temporary_folder
from depthclip_core.text import as_markup, size_text
from depthclip_core.workbook.readme import write_between

MARKS = ("<!-- scale: depthclip_core.bench.scale -->", "<!-- end -->")
CELLS, WIDTH, WORDS, VIEWS = 13 * 17, 1024, 7, 2  # of RN50 on NYU's frames
KEPT = {  # numbers a frame, and bytes of each
    "vectors, fp32": (VIEWS * WIDTH * CELLS, 4),
    "vectors, fp16": (VIEWS * WIDTH * CELLS, 2),
    "similarities, fp32": (VIEWS * WORDS * CELLS, 4),
}
FRAMES = (50_000, 1_000_000)
WORKERS = (1, 10, 100, 1000)
TASKS = 1000  # to time


@dataclass(frozen=True)
class Costs:
    """What was measured: seconds a task of the scheduler; bytes a second that one process writes,
    with checksums; seconds a frame of the network."""

    task: float
    write: float
    frame: float


@dataclass(frozen=True)
class Estimate:
    """Seconds of a pass, bytes on disk, and what limits it: "network", "writing", "scheduler"."""

    seconds: float
    size: float
    limit: str


def estimate(n_frames: int, n_workers: int, kept: str, costs: Costs, disk: float) -> Estimate:
    """A pass of one head over n_frames by n_workers.

    Each worker writes a chunk while it computes the next, and the scheduler works beside them: the
    slowest of them sets the pace. kept: of `KEPT`. disk: bytes a second of the shared file system.
    """
    numbers, width = KEPT[kept]
    size = float(n_frames * numbers * width)
    n_tasks = len(blocks(range(-(-n_frames // CHUNK)), n_workers))
    busy = {
        "network": n_frames * costs.frame / n_workers,
        "writing": size / min(n_workers * costs.write, disk),
        "scheduler": n_tasks * costs.task,
    }
    limit = max(busy, key=busy.get)
    return Estimate(busy[limit], size, limit)


def measure() -> dict:
    """This machine's row: seconds a task with two workers, and bytes a second into a store."""
    row = {"format": bench.FORMAT, "machine": machine.describe(resolve_device("cpu"))}
    with connected("local:2", announce=False) as client:
        list(completed(client, int, [(1,)] * 100))
        began = time.perf_counter()
        list(completed(client, int, [(1,)] * TASKS))
        row["task_s"] = (time.perf_counter() - began) / TASKS
    numbers, _ = KEPT["vectors, fp32"]
    values = np.random.default_rng(0).standard_normal((CHUNK, numbers), dtype=np.float32)
    with temporary_folder() as folder:
        array = Store(folder).array({"kind": "vectors"}, 20 * CHUNK)
        began = time.perf_counter()
        for chunk in range(array.n_chunks):
            array.write(chunk, values)
        row["write_bytes_s"] = array.size / (time.perf_counter() - began)
        began = time.perf_counter()
        for chunk in range(array.n_chunks):
            array.read(chunk)
        row["read_bytes_s"] = array.size / (time.perf_counter() - began)
    return row


def rows_folder() -> Path:
    """Where the rows lie: beside those of the other benchmarks."""
    return bench.rows_folder() / "cluster"


def networks(rows: Mapping[str, dict]) -> dict[str, float]:
    """Seconds a frame of the fastest processor's fp32 and of the fastest GPU's fp16, measured."""
    found: dict[str, float] = {}
    for kind, wanted in (("cpu", "ours, fp32"), ("cuda", "ours, fp16")):
        known = {
            f"{row['machine']['device']}, {wanted.split(', ')[1]}": one["seconds"]
            for row in rows.values()
            for one in row["passes"]
            if one["pass"] == wanted and (row["machine"]["kind"] == "cpu") == (kind == "cpu")
        }
        if known:
            name = min(known, key=known.get)
            found[name] = known[name]
    return found


def lines(row: Mapping, seconds: Mapping[str, float], disk: float) -> Iterator[Sequence[str]]:
    """The table's lines: frames, what is kept, its size, and the time by number of workers."""
    for worker, frame in seconds.items():
        costs = Costs(row["task_s"], row["write_bytes_s"], frame)
        for n_frames in FRAMES:
            for kept in KEPT:
                found = [estimate(n_frames, n, kept, costs, disk) for n in WORKERS]
                times = [f"{duration(one.seconds)} ({one.limit})" for one in found]
                yield [f"{n_frames:,}", worker, kept, size_text(found[0].size), *times]


def markdown(row: Mapping, seconds: Mapping[str, float], disk: float) -> str:
    """The table of docs/cluster.md."""
    workers = [f"{n:,} worker{'s' if n > 1 else ''}" for n in WORKERS]
    columns = ["frames", "a worker", "kept of a head", "on disk", *workers]
    table = [map(as_markup, line) for line in (columns, *lines(row, seconds, disk))]
    table.insert(1, ["---"] * len(columns))
    return "\n".join([*(f"| {' | '.join(line)} |" for line in table), "", *overheads(row, seconds)])


def overheads(row: Mapping, seconds: Mapping[str, float]) -> Iterator[str]:
    """What the scheduler adds to a task of one chunk and of a full block, a line for each kind."""
    yield f"Measured on {as_markup(row['machine']['device'])}, {row['machine']['date']}:"
    yield f"a task costs the scheduler {1000 * row['task_s']:.1f} ms; one process writes"
    yield f"{size_text(row['write_bytes_s'])} a second into a store, and reads"
    yield f"{size_text(row['read_bytes_s'])}. The scheduler adds to a task"
    for place, (worker, frame) in enumerate(seconds.items()):
        one, full = (100 * row["task_s"] / (n * CHUNK * frame) for n in (1, MOST_CHUNKS))
        end = "." if place + 1 == len(seconds) else ","
        yield f"{one:.2g} % (one chunk) to {full:.1g} % (a full block) on {as_markup(worker)}{end}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: two digits and a unit."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else "over 100 d"
    return f"{seconds:.2g} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, help="its table is renewed")
    parser.add_argument("--measure", action="store_true", help="measure this machine first")
    parser.add_argument("--disk", type=float, default=5e9, help="bytes a second of the file system")
    given = parser.parse_args()
    if given.measure:
        print("stored", save(measure(), rows_folder()))
    row = next(iter(bench.load(rows_folder()).values()))
    table = markdown(row, networks(bench.load()), given.disk)
    write_between(given.document, MARKS, table)


if __name__ == "__main__":
    main()
