"""The machine that is measured: its name, matrix peak and memory."""

import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import numpy as np
import pandas as pd
import psutil
import torch

from depthclip_core.checkout import commit
from depthclip_core.clip.towers import PRECISIONS
from depthclip_core.cores import usable_cores
from depthclip_core.devices import device_name, exact_gpu

GIBI = 2**30


def describe(device: torch.device) -> dict:
    """Device, date, versions and commit of a measurement."""
    return {
        "device": device_name(device),
        "kind": device.type,
        "cores": min(usable_cores(), psutil.cpu_count(logical=False) or usable_cores()),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / GIBI),
        "features": cpu_features(),
        "date": date.today().isoformat(),
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def cpu_features() -> list[str]:
    """The parts of the processor's instruction set that speed up matrix products."""
    kinds = {"amx": "_is_amx_tile_supported", "avx512_bf16": "_is_avx512_bf16_supported"}
    found = [n for n, test in kinds.items() if getattr(torch.cpu, test, lambda: False)()]
    return [torch.backends.cpu.get_cpu_capability(), *found]


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def compare(
    functions: Mapping[str, Callable[[], object]], device: torch.device, rounds: int
) -> pd.DataFrame:
    """Seconds of each function: every round runs each of them once, after a round to warm up.

    Returns a row for each: median, low and high (quartiles) seconds, and speedup, the first
    function's time over this one's, its median over rounds and its quartiles.
    """
    for function in functions.values():
        function()
    times = np.empty((rounds, len(functions)))
    for row in times:
        for index, function in enumerate(functions.values()):
            synchronise(device)
            start = time.perf_counter()
            function()
            synchronise(device)
            row[index] = time.perf_counter() - start
    columns = {}
    for label, values in (("seconds", times), ("speedup", times[:, :1] / times)):
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        columns |= {label: middle, f"{label}_low": low, f"{label}_high": high}
    return pd.DataFrame(columns, index=list(functions))


def matrix_peak(
    device: torch.device, precision: str, sides: Sequence[int] = (), rounds: int = 15
) -> float:
    """Operations per second of a large square matrix product, the best over sides and rounds."""
    best = 0.0
    for side in sides or ((4096, 8192, 16384) if device.type == "cuda" else (1024, 2048, 4096)):
        left, right = torch.randn(2, side, side, device=device).to(PRECISIONS[precision])
        with exact_gpu(device):
            for _ in range(rounds):
                synchronise(device)
                start = time.perf_counter()
                left @ right
                synchronise(device)
                best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best


@contextmanager
def memory_growth(every: float = 0.02):
    """Measure the growth of resident memory in a block: yields a dict, with "bytes" at its end."""
    result, stop = {}, threading.Event()

    def resident() -> int:
        return psutil.Process().memory_info().rss

    peak = before = resident()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(every):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield result
    finally:
        stop.set()
        watcher.join()
        result["bytes"] = max(peak, resident()) - before
