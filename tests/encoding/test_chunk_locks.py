"""Locks of chunks: one holder at a time, shared work, and what is left of a killed process."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from depthclip_core import file_locks
from depthclip_core.encoding import locks
from depthclip_core.encoding.locks import InUse, claim, hold, hold_whole, share
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.errors import DepthClipError

N_CHUNKS = 5
N_FRAMES = N_CHUNKS * CHUNK


@pytest.fixture
def array(tmp_path):
    return Store(tmp_path / "store").array({"a": 1}, N_FRAMES)


def values(chunk):
    return np.full(CHUNK, chunk, np.float32)


def write_claimed(claims):
    """What a pass does, without a network."""
    for one in claims:
        for array in one.arrays:
            array.write(one.chunk, values(one.chunk))
        one.let_go()


def left_locks(array):
    return sorted(path.name for path in array.folder.parent.glob("*.lock"))


@contextmanager
def elsewhere(holding):
    """Another thread, which counts as another process does, holds what `holding` yields."""
    there, release = threading.Event(), threading.Event()

    def run():
        with holding:
            there.set()
            release.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    assert there.wait(10)
    try:
        yield release.set
    finally:
        release.set()
        thread.join()


def python(script, *arguments, **options):
    """A Python of its own that runs the script."""
    head = (
        "import os, sys, signal, time, numpy as np\n"
        "from depthclip_core.encoding.store import *\n"
        "from depthclip_core.encoding.locks import *\n"
        f"array = Store(sys.argv[1]).array({{'a': 1}}, {N_FRAMES})\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


# --- one lock -------------------------------------------------------------------------------------


def test_lock_has_one_holder_and_leaves_nothing(tmp_path):
    first = file_locks.take(tmp_path / "a.lock")
    assert first.real and file_locks.take(tmp_path / "a.lock") is None
    first.let_go()
    assert list(tmp_path.iterdir()) == []
    with file_locks.take(tmp_path / "a.lock") as second:
        first.let_go()  # again: it must not end the lock of another
        assert second.real and file_locks.take(tmp_path / "a.lock") is None
    assert list(tmp_path.iterdir()) == []


COUNT = """
import os, sys
from pathlib import Path
from depthclip_core.file_locks import take
folder, rounds = Path(sys.argv[1]), 0
while rounds < 300:
    if (lock := take(folder / "a.lock")) is None:
        continue
    with lock:
        os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))  # fails for a second holder
        os.unlink(folder / "inside")
    rounds += 1
"""


def test_lock_never_has_two_holders_though_its_file_comes_and_goes(tmp_path):
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for run in runs:
        said = run.communicate(timeout=120)[1]
        assert run.returncode == 0, said
    assert list(tmp_path.iterdir()) == []


def test_lock_whose_file_was_replaced_is_not_held(tmp_path, monkeypatch):
    """As on NFS, where a removed file keeps its link while another process has it open."""
    path = tmp_path / "a.lock"
    acquire = file_locks.FileLock.acquire

    def acquire_the_file_before(self, *args, **options):
        found = acquire(self, *args, **options)
        path.rename(tmp_path / ".nfs0001")
        path.touch()
        return found

    monkeypatch.setattr(file_locks.FileLock, "acquire", acquire_the_file_before)
    assert file_locks.take(path) is None
    monkeypatch.undo()
    with file_locks.take(path) as lock:
        assert lock.real


# --- claims ---------------------------------------------------------------------------------------


def test_claim_is_refused_while_another_holds_the_chunk(array):
    with elsewhere(hold(array, 2)):
        assert claim([array], 2) is None
        other = claim([array], 3)
        assert other.arrays == [array]
        assert left_locks(array) == [f"{array.key}-00002.lock", f"{array.key}-00003.lock"]
        other.let_go()
    mine = claim([array], 2)
    assert mine.chunk == 2 and mine.held
    mine.let_go()
    assert not mine.held and left_locks(array) == []


def test_claim_of_several_arrays_is_whole_or_nothing(tmp_path):
    store = Store(tmp_path)
    arrays = [store.array({"a": i}, N_FRAMES) for i in range(4)]
    with elsewhere(hold(arrays[2], 0)):
        assert claim(arrays, 0) is None
        assert left_locks(arrays[0]) == [f"{arrays[2].key}-00000.lock"]
        arrays[2].write(0, values(0))
        one = claim(arrays, 0)  # what is there needs no lock
        assert one.arrays == [arrays[0], arrays[1], arrays[3]]
        one.let_go()


def test_claim_sees_what_the_holder_before_wrote(array, monkeypatch):
    take = locks.take

    def take_late(path):
        array.write(1, values(1))
        return take(path)

    monkeypatch.setattr(locks, "take", take_late)
    one = claim([array], 1)
    assert one.arrays == []
    one.let_go()


def test_claim_does_not_list_the_folder(array, monkeypatch):
    array.write(0, values(0))
    monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("lists a folder"))
    monkeypatch.setattr(os, "listdir", lambda *_: pytest.fail("lists a folder"))
    for chunk in (0, 1):
        claim([array], chunk).let_go()


# --- shared work ----------------------------------------------------------------------------------


def test_share_passes_over_held_chunks_and_comes_back(array):
    order = []

    def make(claims):
        for one in claims:
            order.append(one.chunk)
            array.write(one.chunk, values(one.chunk))
            one.let_go()
        release()

    with elsewhere(hold(array, 1)) as release:
        share([array], range(N_CHUNKS), make)
    assert order == [0, 2, 3, 4, 1] and array.complete
    assert left_locks(array) == []


def test_share_tells_which_chunks_were_found(array):
    array.write(3, values(3))
    found = []
    share([array], range(N_CHUNKS), write_claimed, found=found.append)
    assert found == [3] and array.complete


def test_share_lets_go_of_everything_after_an_error(array):
    def fail(claims):
        next(claims), next(claims)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        share([array], range(N_CHUNKS), fail)
    assert left_locks(array) == []


def test_share_waits_holding_nothing(array, monkeypatch):
    """Or two that wait for each other would wait for ever."""
    seen = []
    with elsewhere(hold(array, 4)) as release:

        def look(pause):
            seen.append(left_locks(array))
            release()

        monkeypatch.setattr(time, "sleep", look)
        share([array], range(N_CHUNKS), write_claimed)
    assert seen[0] == [f"{array.key}-00004.lock"]


@pytest.mark.parametrize("wait", [hold, share])
def test_waiting_for_an_idle_holder_ends(array, wait):
    """And goes on as long as chunks are written."""

    def run(patience):
        if wait is share:
            share([array], [4], write_claimed, patience=patience)
        else:
            with hold(array, 4, patience=patience):
                pass

    with elsewhere(hold(array, 4)) as release:

        def write_for_a_second():
            for _ in range(10):  # each well within patience
                array.write(0, values(0))
                time.sleep(0.1)
            release()

        writer = threading.Thread(target=write_for_a_second)
        writer.start()
        run(patience=0.9)
        writer.join()
    array.discard(4)
    with elsewhere(hold(array, 4)):
        with pytest.raises(DepthClipError, match="written nothing for 0 s: end that") as caught:
            run(patience=0.3)
    assert "\n" not in str(caught.value) and f"{array.key}-00004.lock" in str(caught.value)


@pytest.mark.parametrize(("progress", "says"), [(True, "waiting: another process"), (False, "")])
def test_waiting_for_another_process_is_announced(array, capsys, progress, says):
    with elsewhere(hold(array, 0)) as release:
        threading.Timer(0.4, release).start()
        with hold(array, 0, progress=progress):
            pass
    assert capsys.readouterr().err.splitlines() == (
        [f"{says} encodes the same frames"] * bool(says)
    )


def test_long_wait_is_announced_without_progress(array, capsys, monkeypatch):
    monkeypatch.setattr(locks, "SILENCE", 0.1)
    test_waiting_for_another_process_is_announced(array, capsys, False, "waiting: another process")


def test_errors_of_a_held_block_pass_through(array):
    with pytest.raises(FileNotFoundError, match="nowhere"), hold(array, 0):
        open("nowhere")
    assert left_locks(array) == []


def test_place_without_room_for_locks_is_one_clear_line(tmp_path):
    (tmp_path / "store").write_text("no folder")
    array = Store(tmp_path / "store").array({"a": 1}, 3)
    for holding in (hold(array, 0), hold_whole(array)):
        with pytest.raises(DepthClipError, match="cannot write to .*DEPTHCLIP_STORE"), holding:
            pass


# --- a whole array --------------------------------------------------------------------------------


def test_whole_array_is_held_only_if_no_chunk_is(array):
    with elsewhere(hold(array, 3)):
        with pytest.raises(InUse), hold_whole(array):
            pass
        assert left_locks(array) == [f"{array.key}-00003.lock"]
    with hold_whole(array):
        pass
    assert left_locks(array) == []


def test_no_chunk_is_claimed_while_the_whole_array_is_held(array):
    with elsewhere(hold_whole(array)) as release:
        assert claim([array], 0) is None
        with pytest.raises(InUse), hold_whole(array):
            pass
        threading.Timer(0.2, release).start()
        share([array], range(N_CHUNKS), write_claimed)
    assert array.complete and left_locks(array) == []


# --- processes ------------------------------------------------------------------------------------

TAKE_TURNS = """
def make(claims):
    for one in claims:
        print(one.chunk, flush=True)
        sys.stdin.readline()
        array.write(one.chunk, np.full(CHUNK, one.chunk, np.float32))
        one.let_go()

share([array], range(array.n_chunks), make)
print("done", flush=True)
"""


def test_two_processes_share_the_work(array):
    folder = array.folder.parent
    first, second = (python(TAKE_TURNS, folder, stdin=subprocess.PIPE) for _ in range(2))
    assert sorted(run.stdout.readline() for run in (first, second)) == ["0\n", "1\n"]
    made = {"0", "1"}
    for run in (first, second):
        run.stdin.write(N_CHUNKS * "go on\n")
        run.stdin.flush()
    for run in (first, second):
        rest, _ = run.communicate(timeout=60)
        assert run.returncode == 0 and rest.endswith("done\n")
        taken = rest.split()[:-1]
        assert not made & set(taken), "no chunk is made twice"
        made |= set(taken)
    assert made == {str(chunk) for chunk in range(N_CHUNKS)}
    assert [array.read(chunk)[0] for chunk in range(N_CHUNKS)] == [0, 1, 2, 3, 4]
    assert left_locks(array) == []


def test_process_killed_before_renaming_costs_one_chunk(array):
    script = """
def make(claims):
    one = next(claims)
    array.write(one.chunk, np.zeros(CHUNK, np.float32))
    one.let_go()
    os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
    array.write(next(claims).chunk, np.ones(CHUNK, np.float32))

share([array], range(array.n_chunks), make)
"""
    assert python(script, array.folder.parent).wait() == -signal.SIGKILL
    (leftover,) = array.temporaries()
    assert leftover.stat().st_size > CHUNK * 4, "killed in the middle, as meant"
    assert array.missing() == [1, 2, 3, 4] and left_locks(array) == [f"{array.key}-00001.lock"]
    share([array], array.missing(), write_claimed, patience=0)
    assert [array.read(chunk)[0] for chunk in range(N_CHUNKS)] == [0, 1, 2, 3, 4]
    assert array.temporaries() == [], "the next writer of the chunk removes what was left"
    assert left_locks(array) == []


def test_lock_left_by_a_killed_process_is_removed_with_the_array(array):
    script = "with hold(array, 7 % array.n_chunks): os.kill(os.getpid(), signal.SIGKILL)"
    assert python(script, array.folder.parent).wait() == -signal.SIGKILL
    script = "with hold_whole(array): os.kill(os.getpid(), signal.SIGKILL)"
    assert left_locks(array) == [f"{array.key}-00002.lock"]
    assert python(script, array.folder.parent).wait() == -signal.SIGKILL
    assert left_locks(array) == [f"{array.key}-00002.lock", f"{array.key}.lock"]
    claim([array], 0).let_go()
    assert left_locks(array) == [f"{array.key}-00002.lock"], "the array's lock was left as well"
    with hold_whole(array):
        pass
    assert left_locks(array) == []
