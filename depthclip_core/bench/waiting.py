"""How long a user waits: for an import, a command, the README's lines, all notebooks, the tests."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from depthclip_core.settings import checkout_folder

MADE_BY_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")


def waits(workers: int = 2) -> list[dict]:
    """Run each command of a checkout in a process of its own, and measure it.

    Returns a row for each, as `timed` does, with `what` was run; no rows outside a checkout.
    Notebooks run `workers` at a time, first with an empty store, then with what that left.
    """
    root = checkout_folder()
    if root is None:
        return []
    with TemporaryDirectory(prefix="depthclip-waiting-") as folder:
        left_out = {"OMP_NUM_THREADS", "DEPTHCLIP_FIGURES", *MADE_BY_MAKE}
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment["DEPTHCLIP_STORE"] = f"{folder}/store"
        return [
            {"what": what, **timed(command, root, environment)}
            for what, command in commands(root, folder, workers).items()
        ]


def commands(root: Path, folder: str, workers: int) -> dict[str, list[str]]:
    """What a user of the checkout in `root` runs; results go into `folder`."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    python, depthclip = [sys.executable, "-c"], [sys.executable, "-m", "depthclip_core.cli"]
    notebooks = [str(path.relative_to(root)) for path in sorted(root.glob("notebooks/0*.ipynb"))]
    run = [*depthclip, "run", *notebooks, "--workers", str(workers), "--kernel", "python3"]
    chosen = {
        "import depthclip_core.widgets.explorers": [
            *python,
            "import depthclip_core.widgets.explorers",
        ],
        "depthclip --help": [*depthclip, "--help"],
        "README, five lines": [*python, re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1]],
        "all notebooks, first run": [*run, "--out", f"{folder}/first"],
        "all notebooks, second run": [*run, "--out", f"{folder}/second"],
    }
    if (root / ".venv" / ".installed").exists():  # otherwise make would install gigabytes first
        chosen |= {f"make {target}": ["make", target] for target in ("unit", "test")}
    return chosen


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> dict:
    """Run a command: its seconds, CPU seconds (with those of its children) and exit status."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "status": process.returncode,
    }
