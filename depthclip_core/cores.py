"""How many processors this process may use, which can be fewer than the machine has."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

V2_LIMIT = "cpu.max"  # "200000 100000": microseconds of processor time in each period, or "max"
V1_QUOTA, V1_PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"


def usable_cores(root: Path = Path("/")) -> int:
    """Processors that this process may use, at least 1.

    That is the smallest of what the machine has, the affinity of the process (taskset, Slurm), and
    the limits of its control groups on Linux (containers, Kubernetes, systemd), rounded up.
    root: where proc/ and sys/ lie.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _limits(root))]))


def _limits(root: Path) -> Iterator[float]:
    """Processors by each control group that this process is in, and by those above."""
    for folder, inner in _groups(root):
        # In a container the path may be the host's, and the group is then mounted as the folder.
        for group in (inner, *inner.parents):
            limit = _v2_limit(folder / group) or _v1_limit(folder / group)
            if limit:
                yield limit


def _groups(root: Path) -> Iterator[tuple[Path, Path]]:
    """The folders that control processor time, each with the group's path in it."""
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "-", "")
        inner = Path(path.lstrip("/"))
        if ".." in inner.parts:  # the group lies outside of what is mounted
            inner = Path()
        if not controllers:
            yield mounted, inner
        elif "cpu" in controllers.split(","):
            for name in dict.fromkeys((controllers, "cpu")):
                yield mounted / name, inner


def _v2_limit(group: Path) -> float | None:
    return _ratio(*_read(group / V2_LIMIT).split()[:2])


def _v1_limit(group: Path) -> float | None:
    return _ratio(_read(group / V1_QUOTA).strip(), _read(group / V1_PERIOD).strip())


def _ratio(quota: str = "", period: str = "") -> float | None:
    """Processors; None without a limit ("max", -1) and for what is not understood."""
    known = quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0
    return int(quota) / int(period) if known else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
