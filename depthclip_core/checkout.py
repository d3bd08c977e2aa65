"""The commit of the running workbook, for the records of runs."""

import subprocess
from pathlib import Path


def commit() -> str:
    """The checkout's commit, marked if files differ from it; "unknown" without git."""

    def git(*words: str) -> str:
        folder = Path(__file__).resolve().parents[1]
        run = subprocess.run(
            ["git", "-C", folder, *words], capture_output=True, text=True, timeout=10
        )
        return run.stdout.strip() if run.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        # Compare only code: a benchmark writes rows and figures.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "depthclip_core")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (head or "unknown") + (" and changes" if changed else "")
