"""Several processes that encode the same frames: each does a part, and nothing else differs."""

import errno
import random

import numpy as np
import pytest
from shared_passes import N_CHUNKS, encode_at_once

from depthclip_core.encoding.locks import hold_whole
from depthclip_core.encoding.store import Store
from depthclip_core.file_locks import WITHOUT_LOCKS

HEADS = ["attention", "released", "value"]
EVERY_CHUNK = [[head, chunk] for head in HEADS for chunk in range(N_CHUNKS)]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """What one process makes, by head and chunk."""
    folder = tmp_path_factory.mktemp("serial")
    ((written, warned),) = encode_at_once(folder, {"heads": HEADS})
    assert sorted(written) == EVERY_CHUNK and warned == []
    return contents(folder)


def arrays(folder):
    return {array.settings["head"]: array for array in Store(folder / "store").arrays()}


def contents(folder):
    return {
        (head, chunk): array.read(chunk)
        for head, array in arrays(folder).items()
        for chunk in array.present()
    }


def check_equal(folder, serial):
    found = contents(folder)
    assert found.keys() == serial.keys()
    assert all(np.array_equal(found[place], serial[place]) for place in serial)
    left = {path.name for path in (folder / "store").iterdir()}
    assert left == {array.key for array in arrays(folder).values()}, "locks or others are left"
    assert not any(array.temporaries() for array in arrays(folder).values())


@pytest.mark.parametrize("n", [2, 3])
def test_processes_share_the_work(tmp_path, serial, n):
    found = encode_at_once(tmp_path, *n * [{"heads": HEADS}])
    assert all(written for written, _ in found), "each wrote some"
    assert sorted(place for written, _ in found for place in written) == EVERY_CHUNK
    check_equal(tmp_path, serial)


def test_processes_with_overlapping_heads_end(tmp_path, serial):
    """Each waits for chunks that the others hold, in another order of heads."""
    pairs = [["value", "released"], ["released", "attention"], ["attention", "value"]]
    found = encode_at_once(tmp_path, *({"heads": pair} for pair in pairs))
    assert sorted(place for written, _ in found for place in written) == EVERY_CHUNK
    check_equal(tmp_path, serial)


def test_killed_processes_lose_only_their_chunks(tmp_path, serial):
    """Killed at seeded moments two at a time, and then one beside another that goes on."""
    moments = random.Random(0)
    for n_chunks in (1, 7, 11):
        before = modified(tmp_path)
        moment = [n_chunks, moments.uniform(0, 0.05)]
        encode_at_once(tmp_path, *2 * [{"heads": HEADS, "kill_at": moment}])
        after = modified(tmp_path)
        assert n_chunks <= len(after) < len(serial), "killed in the middle, as meant"
        assert before.items() <= after.items(), "what was whole is not made again"
        for head, chunk in after:
            assert np.array_equal(arrays(tmp_path)[head].read(chunk), serial[head, chunk])
    missing = serial.keys() - modified(tmp_path).keys()
    victim = {"heads": HEADS, "kill_at": [len(after), 0]}
    killed, (written, _) = encode_at_once(tmp_path, victim, {"heads": HEADS})
    assert killed is None and set(map(tuple, written)) <= missing
    for array in arrays(tmp_path).values():
        with hold_whole(array):
            array.discard_temporaries()
    check_equal(tmp_path, serial)


def modified(folder):
    """When each chunk was written."""
    if not (folder / "store").exists():
        return {}
    return {
        (head, chunk): array.path(chunk).stat().st_mtime_ns
        for head, array in arrays(folder).items()
        for chunk in array.present()
    }


@pytest.mark.parametrize("number", sorted(WITHOUT_LOCKS), ids=errno.errorcode.get)
def test_processes_without_file_locks_make_the_same(tmp_path, serial, number):
    """The work may be done twice, and each says so once."""
    found = encode_at_once(tmp_path, *2 * [{"heads": HEADS, "errno": number}])
    for written, warned in found:
        assert written
        (line,) = warned
        assert line.startswith(f"{tmp_path / 'store'} is on a file system without locks: ")
        assert "\n" not in line
    assert {tuple(place) for written, _ in found for place in written} == serial.keys()
    check_equal(tmp_path, serial)
