"""Passes and sweeps by several workers: the bits of one process, whatever happens to workers."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depthclip_core.cluster import passes
from depthclip_core.cluster.clients import connected
from depthclip_core.cluster.questions import Question
from depthclip_core.cluster.tasks import ATTEMPTS, completed
from depthclip_core.cluster.work import Work, blocks
from depthclip_core.errors import DepthClipError

pytestmark = pytest.mark.slow


def contents(arrays) -> list[bytes]:
    return [array.path(chunk).read_bytes() for array in arrays for chunk in range(array.n_chunks)]


@pytest.fixture
def serial(work, tmp_path):
    """The files that one process writes for the same work."""
    return lambda: contents(replace(work, store=str(tmp_path / "serial")).checked().encode(False))


def test_workers_fill_the_store_with_the_same_bytes(client, work, serial):
    both = replace(work, heads=("value", "released"))
    arrays = passes.encode(client, both, progress=False)
    assert [array.settings["head"] for array in arrays] == ["value", "released"]
    assert contents(arrays[:1]) == serial()
    assert not list(Path(work.store).glob("*.lock"))


def test_similarities_alone_are_the_same_bytes(client, work, tmp_path):
    near = replace(work, words=("near", "far"))
    alone = replace(near, store=str(tmp_path / "alone")).checked()
    assert contents(passes.encode(client, near, progress=False)) == contents(alone.encode(False))


def test_what_is_there_is_not_made_again(client, work):
    (array,) = passes.encode(client, work, progress=False)
    array.discard(3)
    before = {path: path.stat().st_mtime_ns for path in map(array.path, array.present())}
    passes.encode(client, work, progress=False)
    assert array.complete
    assert {path: path.stat().st_mtime_ns for path in before} == before


def kill_one(client, store: str, done: threading.Event) -> None:
    """Kill a worker process once a chunk has been written."""
    pids = list(client.run(os.getpid).values())
    while not done.is_set() and not list(Path(store).glob("*/chunk-*.h5")):
        time.sleep(0.005)
    os.kill(pids[0], signal.SIGKILL)


def test_a_killed_worker_of_four_costs_only_time(work, serial):
    with connected("local:4", announce=False) as client:
        done = threading.Event()
        killer = threading.Thread(target=kill_one, args=(client, work.store, done))
        killer.start()
        arrays = passes.encode(client, work, progress=False)
        done.set()
        killer.join()
    assert contents(arrays) == serial()


def fail_on_the_first(address_file: str) -> str:
    """Fail on the worker that comes first, whoever it is, and succeed on any other."""
    from distributed import get_worker

    address, file = get_worker().address, Path(address_file)
    if not file.exists():
        file.write_text(address)
    if file.read_text() == address:
        raise RuntimeError("this machine is not well")
    return address


def test_a_task_that_fails_is_tried_on_another_worker(client, tmp_path):
    file = tmp_path / "first"
    ((place, address),) = completed(client, fail_on_the_first, [(str(file),)])
    assert place == 0 and address != file.read_text()


def always_fail(number: int) -> None:
    raise ValueError(f"no {number}")


def test_a_task_that_keeps_failing_is_one_line(client):
    with pytest.raises(DepthClipError, match=f"ValueError: no 7 .tried {ATTEMPTS} times, last on"):
        list(completed(client, always_fail, [(7,)]))


def end_worker() -> None:
    os._exit(1)


def test_a_task_that_ends_every_worker_is_one_line():
    import dask

    said = "every worker that began a certain task has ended"
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        with connected("local:1", announce=False) as client:
            with pytest.raises(DepthClipError, match=said):
                list(completed(client, end_worker, [()]))


def test_a_scheduler_that_ends_is_one_line():
    from distributed import LocalCluster

    options = {"n_workers": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(host="127.0.0.1", protocol="tcp://", **options) as cluster:
        with connected(cluster.scheduler_address, announce=False) as client:
            timer = threading.Timer(0.5, cluster.close)
            timer.start()
            with pytest.raises(DepthClipError, match="is lost .*run again to go on"):
                list(completed(client, time.sleep, [(60,)]))
            timer.join()


def test_a_photograph_that_cannot_be_read_is_one_line(client, photos, work, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, path in enumerate(sorted(photos.iterdir())[:40]):
        (folder / path.name).write_bytes(path.read_bytes()[: 200 if number == 33 else None])
    with pytest.raises(DepthClipError) as caught:
        passes.encode(client, replace(work, data=str(folder)), progress=False)
    assert "033.png" in str(caught.value) and "\n" not in str(caught.value)


def test_workers_that_would_compute_something_else_refuse(client, work, monkeypatch):
    checked = work.checked()
    with passes._opened(client, checked) as (name, _):
        from depthclip_core.cluster.workers import make_chunks

        with pytest.raises(DepthClipError, match="would compute something else than the others"):
            list(completed(client, make_chunks, [(name, ["0" * 16], [0])]))


def test_a_store_that_is_not_shared_is_said(client, work, monkeypatch):
    monkeypatch.setattr(passes.StoredArray, "complete", property(lambda array: False))
    with pytest.raises(
        DepthClipError, match="this process does not find it all: share that folder"
    ):
        passes.encode(client, work, progress=False)


def test_a_sweep_by_workers_is_bit_equal(client, tmp_path):
    work = Work(heads=("value",), words=("close", "far"), store=str(tmp_path / "s"), device="cpu")
    bins = {"a": (1.0, 3.0), "b": (0.8, 4.5), "c": (2.0, 2.5)}
    question = Question((0.1, 1.0), ("released", "bts"))
    found = passes.sweep(client, work, bins, question, progress=False)
    alone = work.checked().sweep(bins, question, progress=False)
    assert found.settings.equals(alone.settings) and found.frames == alone.frames
    assert len(found.settings) == 12 and found.metrics == alone.metrics
    np.testing.assert_array_equal(found.values, alone.values, strict=True)
    np.testing.assert_array_equal(found.n_pixels, alone.n_pixels, strict=True)
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"words": None}, "a sweep needs words, and one head"),
        ({"heads": ("value", "released")}, "a sweep needs words, and one head"),
        ({"heads": ("values",)}, "unknown head 'values'"),
        ({"heads": ()}, "a sweep needs words, and one head"),
        ({"encoder": "RN50"}, "RN50 without weights has random ones"),
        ({"words": ("near", "")}, "non-empty words"),
        ({"dataset": "nyx"}, "unknown data set 'nyx'"),
        ({"data": "/nowhere"}, "nowhere"),
    ],
)
def test_work_that_cannot_be_done_is_one_line(client, work, given, said):
    wrong = replace(work, **({"words": ("near", "far")} | given))
    with pytest.raises(DepthClipError, match=said):
        passes.sweep(client, wrong, {"a": (1.0, 2.0)}, Question(), progress=False)


@pytest.mark.parametrize("heads", ["value", ()])
def test_heads_are_a_list(heads):
    with pytest.raises(DepthClipError, match=r"heads is a list of names such as \['value'\]"):
        Work(heads=heads).checked()


def test_paths_are_whole_wherever_workers_are(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("own.pt").write_bytes(b"")
    work = Work("photos", data="photos", encoder="RN50", weights="own.pt", store="store").checked()
    assert work.data == str(tmp_path / "photos") and work.store == str(tmp_path / "store")
    assert work.weights == str(tmp_path / "own.pt")
    assert replace(work, weights="openai").checked().weights == "openai"


@pytest.mark.parametrize(
    ("n_chunks", "n_workers", "sizes"),
    [(0, 2, []), (5, 2, [1] * 5), (100, 2, [12] * 8 + [4]), (62_500, 1, [64] * 976 + [36])],
)
def test_blocks_keep_all_workers_busy(n_chunks, n_workers, sizes):
    made = blocks(range(n_chunks), n_workers)
    assert [len(block) for block in made] == sizes
    assert [chunk for block in made for chunk in block] == list(range(n_chunks))


def test_photographs_of_two_sizes_are_one_line(client, work, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, side in enumerate((64, 96)):
        Image.new("RGB", (side, 64)).save(folder / f"{number}.png")
    with pytest.raises(DepthClipError, match="must have one size"):
        passes.encode(client, replace(work, data=str(folder)), progress=False)
