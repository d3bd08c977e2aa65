"""make works where paths contain spaces."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path):
    """A folder with this Makefile and a space in its name."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).touch()
    (folder / "notebooks").mkdir()
    (folder / "depthclip_core").mkdir()
    return folder


def make(folder, *arguments):
    return subprocess.run(
        ["make", "-C", str(folder), "--no-print-directory", *arguments],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )


def fake_python(path: Path) -> Path:
    """A Python that writes its arguments into calls.txt, one a line, with a line for each call."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\nprintf "%s|" "$@" >> calls.txt\necho >> calls.txt\n')
    path.chmod(0o755)
    return path


def installed(folder: Path, where: Path | None = None) -> None:
    """A set-up that make takes for finished, and that was made for a folder."""
    fake_python(folder / ".venv/bin/python")
    (folder / ".venv/.installed").write_text(f"{where or folder}\n")


def calls(folder: Path) -> list[list[str]]:
    path = folder / "calls.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split("|")[:-1] for line in lines]


def test_nyu_may_lie_behind_spaces(folder, tmp_path):
    mat = tmp_path / "my data" / "nyu_depth_v2_labeled.mat"
    mat.parent.mkdir()
    mat.touch()
    missing = make(folder, "nyu-given", f"NYU={mat}")
    assert missing.returncode and "splits.mat beside it, does not exist" in missing.stderr
    mat.with_name("splits.mat").touch()
    assert make(folder, "nyu-given", f"NYU={mat}").returncode == 0


def test_nyu_and_weights_reach_the_run_as_one_word_each(folder, tmp_path):
    installed(folder)
    mat = tmp_path / "my data" / "nyu_depth_v2_labeled.mat"
    mat.parent.mkdir()
    for path in (mat, mat.with_name("splits.mat")):
        path.touch()
    ran = make(folder, "reproduce", f"NYU={mat}", "WEIGHTS=my weights/RN50.pt")
    assert ran.returncode == 0, ran.stderr
    (words,) = calls(folder)
    assert str(mat) in words and "my weights/RN50.pt" in words


def test_outputs_of_maintainers_may_lie_behind_spaces(folder):
    installed(folder)
    (folder / ".venv/.workshop").touch()
    for target in ("render", "pretrain"):
        assert make(folder, target, "OUT=my results/made").returncode == 0
        assert calls(folder)[-1][-1] == "my results/made"


def test_jupyterlab_gets_the_folder_as_one_word(folder):
    installed(folder)
    assert make(folder, "lab", "LAB=--no-browser --port=9999").returncode == 0
    (words,) = calls(folder)
    assert f"--ServerApp.root_dir={folder}" in words and words[-2:] == [
        "--no-browser",
        "--port=9999",
    ]


def test_a_notebook_with_a_space_in_its_name_is_left_alone(folder):
    installed(folder)
    for name in ("00_a.ipynb", "01 my copy.ipynb"):
        (folder / "notebooks" / name).touch()
    ran = make(folder, "run")
    assert ran.returncode == 0, ran.stderr
    assert [w for w in calls(folder)[0] if w.endswith(".ipynb")] == ["notebooks/00_a.ipynb"]


def test_python_may_lie_behind_spaces(folder, tmp_path):
    python = fake_python(tmp_path / "my tools" / "python3")
    make(folder, "lock", f"PYTHON={python}")
    assert calls(folder)[0][0] == "-c" and calls(folder)[1] == ["-m", "venv", ".venv"]


@pytest.mark.parametrize(("of", "kept"), [("my checkout", True), ("my", False)])
def test_a_set_up_of_another_folder_is_seen(folder, of, kept):
    """Also where the names share words, which make would compare one by one."""
    installed(folder, folder.with_name(of))
    planned = make(folder, "--dry-run", "lab")
    assert ("installing requirements.lock" not in planned.stdout) == kept, planned.stdout
