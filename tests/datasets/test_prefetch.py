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
def test_read_ahead_keeps_order_and_uses_worker_threads(workers):
    threads = set()

    def read(item):
        threads.add(threading.get_ident())
        time.sleep(0.002 * (item % 3))  # later ones are often done first
        return item * item

    assert list(read_ahead(read, range(20), workers)) == [i * i for i in range(20)]
    assert threading.get_ident() not in threads and len(threads) <= workers


def test_read_ahead_is_bounded():
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


def test_read_ahead_raises_errors_in_order():
    def read(item):
        if item == 2:
            raise dc.DepthClipError("frame 2 is damaged")
        return item

    results = read_ahead(read, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(dc.DepthClipError, match="frame 2 is damaged"):
        next(results)


def test_rgb_batch_rejects_different_sizes():
    frames = as_dataset([frame(0), frame(1), frame(2, (5, 6))])
    assert frames.rgb_batch([0, 1]).shape == (2, 4, 6, 3)
    with pytest.raises(dc.DepthClipError, match="frame 2 has 5 x 6 pixels and others 4 x 6"):
        frames.rgb_batch(range(3))


def test_rgb_and_depth_read_alone_match_the_frame():
    for preprocessed in (False, True):
        frames = dc.open_dataset("sample", "test", released_preprocessing=preprocessed)
        whole = frames[3]
        np.testing.assert_array_equal(frames.rgb_batch([3])[0], whole.rgb)
        np.testing.assert_array_equal(frames.ground_truth(3), whole.raw_depth)
