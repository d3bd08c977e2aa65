"""A dashboard of its own on 127.0.0.1, started as a user starts it."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import lab as jupyter

# Its description names a cell only when the picture is drawn.
SHOWN = ".depthclip-picture img[alt*=row]"


@contextmanager
def serve(folder: Path, *options: str):
    """Run `depthclip dashboard` with options: yields its process and its address with the token.

    Its settings, its temporary files and its log lie in the folder, and so does its store.
    """
    (folder / "temporary").mkdir(exist_ok=True)
    environment = os.environ | {
        "DEPTHCLIP_STORE": str(folder / "store"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(jupyter.ROOT), os.environ.get("PYTHONPATH", "")]),
        "TMPDIR": str(folder / "temporary"),
    }
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{kind}_DIR"] = str(folder / kind.lower())
    command = [sys.executable, "-m", "depthclip_core.cli", "dashboard", *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\w{40,}", line)
            assert found, line + (folder / "log").read_text()
            yield process, found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            process.stdout.close()
