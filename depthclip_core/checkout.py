"""Which commit and which versions are in use, for the records that runs leave."""

import subprocess
from importlib import metadata
from pathlib import Path
from platform import python_version

PACKAGES = ("depthclip-workbook", "torch", "open_clip_torch", "numpy")


def commit() -> str:
    """The checkout's commit, marked if files differ from it; "unknown" without git."""

    def git(*words: str) -> str:
        command = ["git", "-C", Path(__file__).resolve().parents[1], *words]
        run = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return run.stdout.strip() if run.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        # Compare only code: a benchmark writes rows and figures.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "depthclip_core")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (head or "unknown") + (" and changes" if changed else "")


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that decide the numbers; None if not installed."""
    found: dict[str, str | None] = {"python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
