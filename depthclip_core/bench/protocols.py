"""What a search over protocols costs: saved maps of a whole test split under hundreds of them."""

import time
from collections.abc import Sequence

import numpy as np

from depthclip_core.datasets import FrameList, open_dataset
from depthclip_core.rescoring.explain import space_of
from depthclip_core.rescoring.scores import score_maps
from depthclip_core.settings import MAX_DEPTH

NYU_TEST = 654


class Repeated(Sequence):
    """Some things again and again, to a length."""

    def __init__(self, some: Sequence, length: int):
        self.some, self.length = some, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int):
        return self.some[index % len(self.some)]


def search_of_protocols(n_frames: int = NYU_TEST, n_different: int = 16, threads: int = 2) -> dict:
    """Seconds to score maps of the sample's frames, repeated, under all compositions of a search.

    Frames and maps are in memory, so that what is timed is the scoring and not the disk.
    cpu_seconds: of all threads; far below `threads` times seconds, the machine was busy.
    """
    frames = [open_dataset("sample", "test")[i] for i in range(min(n_different, n_frames))]
    maps = [np.clip(f.depth**0.8 + 0.2, 0, MAX_DEPTH).astype(np.float32) for f in frames]
    dataset, space = FrameList(Repeated(frames, n_frames)), space_of(FrameList(frames), maps)
    score_maps(dataset[:1], maps[:1], space[:1])  # compiles, or reads what is compiled
    start, cpu = time.perf_counter(), time.process_time()
    score_maps(dataset, Repeated(maps, n_frames), space, workers=threads)
    return {
        "frames": n_frames,
        "compositions": len(space),
        "threads": threads,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
    }
