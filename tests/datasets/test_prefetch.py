import threading
import time

import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.datasets import as_dataset
from depthclip_core.datasets.prefetch import read_ahead


def frame(value=0, shape=(4, 6), **more):
    return dc.Frame(name=f"{value}", rgb=np.full((*shape, 3), value, np.uint8), **more)


@pytest.mark.parametrize("workers", [1, 3])
def test_reading_ahead_keeps_the_order_and_runs_in_other_threads(workers):
    threads = set()

    def read(item):
        threads.add(threading.get_ident())
        time.sleep(0.002 * (item % 3))  # later ones are often done first
        return item * item

    assert list(read_ahead(read, range(20), workers)) == [i * i for i in range(20)]
    assert threading.get_ident() not in threads and len(threads) <= workers


def test_reading_ahead_is_ahead_but_bounded():
    read, begun = [], threading.Event()

    def note(item):
        read.append(item)
        if len(read) == 2:
            begun.set()
        return item

    results = read_ahead(note, range(100), workers=1)
    assert next(results) == 0
    assert begun.wait(5)  # the second is read while the first is looked at
    time.sleep(0.05)
    assert len(read) <= 3
    results.close()
    assert len(read) <= 3


def test_what_reading_raises_comes_in_its_turn():
    def read(item):
        if item == 2:
            raise dc.DepthClipError("frame 2 is damaged")
        return item

    results = read_ahead(read, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(dc.DepthClipError, match="frame 2 is damaged"):
        next(results)


def test_frames_of_several_sizes_are_refused_and_named():
    frames = as_dataset([frame(0), frame(1), frame(2, (5, 6))])
    assert frames.rgb_batch([0, 1]).shape == (2, 4, 6, 3)
    with pytest.raises(dc.DepthClipError, match="frame 2 has 5 x 6 pixels and others 4 x 6"):
        frames.rgb_batch(range(3))


def test_parts_of_a_frame_read_alone_are_those_of_the_frame():
    for preprocessed in (False, True):
        frames = dc.open_dataset("sample", "test", released_preprocessing=preprocessed)
        whole = frames[3]
        np.testing.assert_array_equal(frames.rgb_batch([3])[0], whole.rgb)
        np.testing.assert_array_equal(frames.ground_truth(3), whole.raw_depth)
