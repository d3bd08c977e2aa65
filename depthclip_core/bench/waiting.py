"""How long a user waits: for an import, a command, the README's lines, all notebooks, the tests."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from depthclip_core.files import temporary_folder
from depthclip_core.settings import checkout_folder

LEFT_OUT = "OMP_NUM_THREADS DEPTHCLIP_FIGURES MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES".split()


def waits() -> list[dict]:
    """Run each command of a checkout in a process of its own, and measure it.

    Returns a row for each, as `timed` does, with `what` was run; no rows outside a checkout.
    Notebooks run two at a time, first with an empty store, then with what that left.
    """
    root = checkout_folder()
    if root is None:
        return []
    with temporary_folder() as folder:
        environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        environment["DEPTHCLIP_STORE"] = f"{folder}/store"
        asked = commands(root, folder).items()
        return [{"what": what, **timed(command, root, environment)} for what, command in asked]


def commands(root: Path, folder: Path) -> dict[str, list[str]]:
    """What a user of the checkout in `root` runs; results go into `folder`."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    python, depthclip = [sys.executable, "-c"], [sys.executable, "-m", "depthclip_core.cli"]
    notebooks = [str(path.relative_to(root)) for path in sorted(root.glob("notebooks/0*.ipynb"))]
    run = [*depthclip, "run", *notebooks, "--workers", "2", "--kernel", "python3"]
    explorers = "import depthclip_core.widgets.explorers"
    chosen = {
        explorers: [*python, explorers],
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
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    before = os.times()
    status = subprocess.run(command, cwd=folder, env=environment, **silent).returncode
    after = os.times()
    cpu_seconds = sum(after[2:4]) - sum(before[2:4])  # of children, as user and as system
    return {"seconds": after.elapsed - before.elapsed, "cpu_seconds": cpu_seconds, "status": status}
