"""The house keeps its floors: contracts of import-linter in pyproject.toml, and what loads what."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_imports_go_one_way():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    ran = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert "0 broken" in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("depthclip_core", {"torch", "open_clip", "pandas", "matplotlib", "h5py"}),
        ("depthclip_core.settings", {"torch", "open_clip", "pandas", "matplotlib", "h5py"}),
        ("depthclip_core.datasets", {"torch", "open_clip", "matplotlib", "embreex", "trimesh"}),
        (
            "depthclip_core.widgets.explorers",
            {"open_clip", "torchvision", "timm", "scipy.stats", "seaborn", "numba", "sympy"},
        ),
        (
            "depthclip_core.widgets.dashboard",
            {"open_clip", "torchvision", "scipy.optimize", "scipy.stats", "numba", "sympy"},
        ),
        (
            "depthclip_core.cli.main",
            {"torch", "open_clip", "matplotlib", "papermill", "distributed"},
        ),
        ("depthclip_core.fetching.fetch", {"torch", "open_clip", "matplotlib"}),
        ("depthclip_core.encoding.passes", {"open_clip", "timm", "matplotlib", "scipy.stats"}),
        (
            "depthclip_core.workbook.runs",
            {"torch", "open_clip", "pandas", "matplotlib", "papermill"},
        ),
        ("depthclip_core.clip.encoders", {"embreex", "trimesh", "matplotlib"}),
    ],
)
def test_a_room_loads_only_what_it_needs(imported, absent):
    code = f"import sys, {imported}; print(*{absent!r} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []
