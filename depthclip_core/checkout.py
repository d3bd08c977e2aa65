"""Which commit and which versions are in use, for the records that runs leave."""

import subprocess
from importlib import metadata
from platform import python_version

from depthclip_core.settings import checkout_folder

PACKAGES = ("depthclip-workbook", "torch", "open_clip_torch", "numpy")


def commit() -> str:
    """The checkout's commit, marked if files differ from it; "unknown" without git."""

    folder = checkout_folder()  # an installed package may lie in another project's checkout
    if not folder:
        return "unknown"

    def git(*words: str) -> str:
        command = ["git", "-C", folder, *words]
        run = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return run.stdout.strip() if run.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        # Compare only code: a benchmark writes rows and figures.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "depthclip_core")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (head or "unknown") + (" and changes" if changed else "")


def described() -> str:
    """The version and, where it is known, the commit: "depthclip 0.1.0, commit 0123456789ab"."""
    head, number = commit(), versions()["depthclip-workbook"]
    shown = f"depthclip {number or 'of unknown version'}"
    return shown if head.startswith("unknown") else f"{shown}, commit {head}"


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that decide the numbers; None if not installed."""
    found: dict[str, str | None] = {"python": python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found
