"""Processes that encode the same frames at once, forked from one that has loaded the network.

`encode_at_once` starts it; each of them then runs `work`. They have one thread, so that a fork
takes no other along and results are equal to the bit.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

import depthclip_core as dc
from depthclip_core.datasets.base import Dataset
from depthclip_core.encoding.passes import encode
from depthclip_core.encoding.store import CHUNK, Store, StoredArray

N_CHUNKS = 6


class Noise(Dataset):
    """Frames of noise, each from its own seed."""

    title = "noise"
    names = property(lambda self: [f"{i:05d}" for i in range(len(self))])

    def __len__(self):
        return N_CHUNKS * CHUNK - 5

    def read_frame(self, index):
        rgb = np.random.default_rng(index).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        return dc.Frame(name=f"{index:05d}", rgb=rgb)

    def identity(self, checksums):
        return {"title": "noise"}


def encode_at_once(folder, *workers, timeout=300):
    """Have each worker encode `Noise` into the store of a folder, all at the same time.

    workers: dicts of `heads`; `kill_at`, a number of chunks in the store after which it is killed,
    and seconds; `errno`, what file locks answer. If none is killed, none encodes before all have
    claimed chunks. Returns for each the (head, chunk) that it wrote and the warnings it gave; None
    if it was killed.
    """
    run = subprocess.run(
        [sys.executable, __file__, str(folder), json.dumps(workers)],
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def work(folder, worker, number, n_waited_for, encoder):
    """Encode, and return what was written and warned of."""
    if "errno" in worker:

        def refuse(*_):
            raise OSError(worker["errno"], os.strerror(worker["errno"]))

        fcntl.flock = refuse
    written, write, features = [], StoredArray.write, encoder.features

    def noted_write(self, chunk, values, **provenance):
        write(self, chunk, values, **provenance)
        written.append((self.settings["head"], chunk))

    def features_once_all_have_claimed(images):
        (folder / f"claimed.{number}").touch()
        while len(list(folder.glob("claimed.*"))) < n_waited_for:
            time.sleep(0.01)
        return features(images)

    StoredArray.write, encoder.features = noted_write, features_once_all_have_claimed
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encode(Noise(), encoder, worker["heads"], store=Store(folder / "store"), progress=False)
    return written, [str(warning.message) for warning in caught]


def main(folder, workers):
    encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
    encoder.features(encoder.normalise(Noise()[0].rgb[None]))  # loads the network
    for claimed in folder.glob("claimed.*"):
        claimed.unlink()
    n_waited_for = 0 if any("kill_at" in worker for worker in workers) else len(workers)
    children = []
    for number, worker in enumerate(workers):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                found = work(folder, worker, number, n_waited_for, encoder)
                (folder / f"found.{number}").write_text(json.dumps(found))
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        children.append(child)
    found = []
    for number, (child, worker) in enumerate(zip(children, workers, strict=True)):
        if "kill_at" in worker:
            n_chunks, seconds = worker["kill_at"]
            while len(list(folder.glob("store/*/chunk-*.h5"))) < n_chunks:
                time.sleep(0.005)
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == (-signal.SIGKILL if "kill_at" in worker else 0), f"ended with {status}"
        path = folder / f"found.{number}"
        found.append(None if "kill_at" in worker else json.loads(path.read_text()))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
