"""`python tests/bench/many_chunks.py [N]`: what the store's commands cost on N chunks.

The chunks are whole, with one number a frame, so that what is measured is the cost of a file.
"""

import sys
import time
from collections.abc import Iterator

import numpy as np
from tqdm.auto import tqdm
from typer.testing import CliRunner

from depthclip_core.cli.main import app
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.files import temporary_folder

N_CHUNKS = 100_000


def measure(n_chunks: int = N_CHUNKS) -> Iterator[tuple[str, float, float]]:
    """Each command on an array of so many chunks, its seconds, and those of the processor."""
    with temporary_folder() as folder:
        array = Store(folder).array({"kind": "many chunks"}, n_chunks * CHUNK)
        for chunk in tqdm(range(n_chunks), desc="writing", unit="chunk"):
            array.write(chunk, np.full(CHUNK, chunk, np.float32))
        commands = {
            "store list": ["list"],
            "store verify KEY": ["verify", array.key],
            "store prune": ["prune"],
            "store prune KEY --dry-run": ["prune", array.key, "--dry-run"],
            "store prune KEY": ["prune", array.key],
        }
        for name, arguments in commands.items():
            call = ["store", *arguments, "--folder", str(folder)]
            start, worked = time.perf_counter(), time.process_time()
            CliRunner().invoke(app, call, catch_exceptions=False)
            yield name, time.perf_counter() - start, time.process_time() - worked


def main(n_chunks: int) -> None:
    for name, seconds, worked in measure(n_chunks):
        print(f"{name:28}{seconds:8.2f} s, of the processor {worked:8.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else N_CHUNKS)
