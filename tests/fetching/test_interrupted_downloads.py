"""Downloads that are interrupted, and continue."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fetched_files import CONTENT, SOURCE, files
from file_server import send

ROOT = Path(__file__).resolve().parents[2]


# --- interruptions ------------------------------------------------------------------------------

RUN = """
import sys
from dataclasses import replace
from depthclip_core.cli import fetch as command, main
from depthclip_core.fetching import sources
sources.SPLITS = replace(sources.SPLITS, checksum=sys.argv[1], size=int(sys.argv[2]))
sys.argv[1:3] = []
main.main()
"""


def started(server, folder: Path) -> subprocess.Popen:
    """`depthclip fetch splits` of the server's file, in a process of its own."""
    command = [sys.executable, "-c", RUN, SOURCE.checksum, str(SOURCE.size), "fetch", "splits"]
    own = {"PYTHONPATH": str(ROOT), "DEPTHCLIP_SPLITS_URL": server.address}
    return subprocess.Popen(
        [*command, "--out", str(folder)],
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_download_continues(server, tmp_path, name):
    server.script = [send(block=20_000, pause=0.2)]
    process, part = started(server, tmp_path), tmp_path / ".splits.mat.download" / "part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    said, failed = process.communicate(timeout=60)
    if name != "SIGKILL":
        assert process.returncode == 128 + getattr(signal, name)
        assert failed.splitlines() == [
            "depthclip: interrupted: the same command continues the download"
        ]
    assert part.stat().st_size and not (tmp_path / "splits.mat").exists()
    again = started(server, tmp_path)
    said, failed = again.communicate(timeout=60)
    assert again.returncode == 0 and failed == "", failed
    assert "splits.mat is there now; its md5 is the published one" in said
    assert (tmp_path / "splits.mat").read_bytes() == CONTENT and files(tmp_path) == ["splits.mat"]
    assert "Range" in server.requests[-1] and not list(tmp_path.glob(".*"))
