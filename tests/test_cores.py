"""Processors are counted by what a process may use: affinity and control groups."""

import os
import subprocess
import sys

import pytest

from depthclip_core import cores
from depthclip_core.cores import usable_cores


@pytest.fixture(autouse=True)
def eight(monkeypatch):
    """A machine with 8 processors that this process may all use."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def machine(root, groups: str, **files: str):
    """Write proc/self/cgroup, and files below sys/fs/cgroup ("__" stands for "/")."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


CASES = {
    "no control groups": (8, "", {}),
    "v2, no limit": (8, "0::/\n", {"cpu_dot_max": "max 100000\n"}),
    "v2, container": (3, "0::/\n", {"cpu_dot_max": "300000 100000\n"}),
    "v2, part of a core": (1, "0::/\n", {"cpu_dot_max": "20000 100000\n"}),
    "v2, rounded up": (2, "0::/\n", {"cpu_dot_max": "150000 100000\n"}),
    "v2, more than there is": (8, "0::/\n", {"cpu_dot_max": "6400000 100000\n"}),
    "v2, group": (2, "0::/a/b\n", {"a__b__cpu_dot_max": "200000 100000\n"}),
    "v2, group above": (
        2,
        "0::/a/b\n",
        {"a__b__cpu_dot_max": "max 100000\n", "a__cpu_dot_max": "200000 100000\n"},
    ),
    "v2, path of the host": (4, "0::/host/x\n", {"cpu_dot_max": "400000 100000\n"}),
    "v2, path outside": (4, "0::/../x\n", {"cpu_dot_max": "400000 100000\n"}),
    "v1": (
        2,
        "4:cpu,cpuacct:/docker/x\n3:cpuset:/\n",
        {
            "cpu,cpuacct__docker__x__cpu_dot_cfs_quota_us": "200000\n",
            "cpu,cpuacct__docker__x__cpu_dot_cfs_period_us": "100000\n",
        },
    ),
    "v1, mounted as cpu": (
        5,
        "4:cpuacct,cpu:/docker/x\n",
        {"cpu__cpu_dot_cfs_quota_us": "250000\n", "cpu__cpu_dot_cfs_period_us": "50000\n"},
    ),
    "v1, no limit": (
        8,
        "4:cpu:/\n",
        {"cpu__cpu_dot_cfs_quota_us": "-1\n", "cpu__cpu_dot_cfs_period_us": "100000\n"},
    ),
    "not understood": (8, "nonsense\n0::\n4:cpu:/\n", {"cpu_dot_max": "a b c\n"}),
    "empty": (8, "0::/\n", {"cpu_dot_max": ""}),
    "no period": (8, "0::/\n", {"cpu_dot_max": "100000 0\n"}),
}


@pytest.mark.parametrize(("expected", "groups", "files"), CASES.values(), ids=CASES.keys())
def test_limits_of_control_groups_are_kept(tmp_path, expected, groups, files):
    assert usable_cores(machine(tmp_path, groups, **files)) == expected


def test_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable_cores(tmp_path) == 2
    machine(tmp_path, "0::/\n", cpu_dot_max="100000 100000")
    assert usable_cores(tmp_path) == 1


def test_systems_without_affinity_count_the_machine(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_pinned_process_counts_one():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += f"from {cores.__name__} import usable_cores; print(usable_cores())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"


def test_nothing_else_counts_processors():
    """One place decides; whoever counts the machine's own processors says why here."""
    package = cores.Path(cores.__file__).parent
    counting = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "cpu_count(" in path.read_text("utf-8") or "getaffinity" in path.read_text("utf-8")
    }
    assert counting == {"cores.py", "bench/machine.py"}, "the benchmark describes a machine"
