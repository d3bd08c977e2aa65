"""The files of the project agree: versions, pins, commands, links, sizes, citation."""

import datetime
import os
import re
import subprocess
import sys
import time
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from depthclip_core.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGE_DATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"][
    "package-data"
]["*"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")

MEGABYTE = 1_000_000
# Patterns, so that this file does not contain what it forbids.
REGISTRY_HOSTS = re.compile(
    r"\bpy[p]i\.org|python[h]osted\.org|\banaconda[.]org|download\.py[t]orch|npm[j]s\.",
    re.IGNORECASE,
)


def kept_files() -> list[Path]:
    """Every file that git tracks or would add."""
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def pins() -> dict[str, list[Requirement]]:
    """The pins of the lock by name; a name may have several, for different Pythons or systems."""
    found: dict[str, list[Requirement]] = {}
    for line in LOCK.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def version(pin: Requirement) -> str:
    (only,) = pin.specifier
    assert only.operator == "==", f"not a pin: {pin}"
    return only.version


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make independently of the make that may have started these tests."""
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", "-C", str(ROOT), "--no-print-directory", *arguments]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False
    )


# --- the lock ---------------------------------------------------------------------------------


def test_lock_satisfies_pyproject():
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["test"], *extras["dev"], *extras["cluster"]]
    for requirement in map(Requirement, asked):
        locked = pins().get(canonicalize_name(requirement.name), [])
        assert locked, f"{requirement} is not in the lock: make lock"
        for pin in locked:
            assert version(pin) in requirement.specifier, f"{pin} is not {requirement}: make lock"


def test_lock_pins_everything_and_contains_no_address():
    assert all(version(pin) for several in pins().values() for pin in several)
    assert not any(pin.url for several in pins().values() for pin in several)
    assert not re.search(r"://|\bhttps?:", LOCK)
    assert not re.search(r"^\s*-", LOCK, re.MULTILINE), "an option line, such as an index"
    assert str(ROOT) not in LOCK


def test_dependencies_are_bounded():
    for requirement in map(Requirement, PROJECT["dependencies"]):
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators in ({"=="}, {">=", "<"}), f"{requirement} needs both bounds"


def test_conda_installs_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["channels"] == ["conda-forge"]
    *conda, with_pip = environment["dependencies"]
    assert with_pip == {"pip": ["-r requirements.lock", "-e ."]}
    python = next(entry.removeprefix("python=") for entry in conda if entry.startswith("python="))
    assert python in SpecifierSet(PROJECT["requires-python"])
    assert set(conda) == {f"python={python}", "pip"}, "versions belong into pyproject.toml"


def test_data_files_are_packaged():
    package = ROOT / "depthclip_core"
    data = [p.name for p in kept_files() if p.is_relative_to(package) and p.suffix != ".py"]
    assert [name for name in data if not any(fnmatch(name, glob) for glob in PACKAGE_DATA)] == []


# --- the Makefile -----------------------------------------------------------------------------


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()) - {"FORCE"}
    asked = make("help")
    assert asked.returncode == 0, asked.stderr
    listed = set(re.findall(r"^  ([a-z]+) +\S", asked.stdout, re.MULTILINE))
    assert listed == phony
    assert make().stdout == asked.stdout, "make alone is make help"


def test_documents_name_only_existing_targets():
    known = set(re.findall(r"^  ([a-z]+) +\S", make("help").stdout, re.MULTILINE))
    for path in kept_files():
        if path.suffix == ".md":
            named = re.findall(r"(?:`|^\s*)make ([a-z]+)\b", path.read_text("utf-8"), re.MULTILINE)
            assert set(named) <= known, path.name


def test_documents_name_only_existing_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"(?:bin/|`)depthclip ([a-z]+)(?: ([a-z]+))?", text))
    assert named
    for command, below in named:
        words = [command, below] if command == "store" and below else [command]
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words


def test_links_in_documents_lead_to_files():
    for path in kept_files():
        if path.suffix == ".md":
            links = re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8"))
            assert [link for link in links if not (path.parent / link).exists()] == [], path.name


@pytest.fixture(params=["checkout", "my own 'checkout'"])
def checkout(tmp_path, request):
    """A folder with this Makefile, two notebooks, and a Python that only writes what a run would.

    A notebook that contains "bad" fails.
    """
    tmp_path = tmp_path / request.param
    tmp_path.mkdir()
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    for name in ("notebooks/00_a.ipynb", "notebooks/01_b.ipynb", "requirements.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("good")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "depthclip_core").mkdir()
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        """#!/bin/sh
        echo "$@" >> calls.txt
        mkdir -p results/notebooks
        failed=0
        for word; do
            case $word in notebooks/*)
                result=results/$word outcome=ok
                if grep -q bad "$word"; then outcome=failed failed=1; fi
                touch "$result"
                echo "{\\"outcome\\": \\"$outcome\\"}" > "${result%.ipynb}.json"
            esac
        done
        exit $failed
        """
    )
    python.chmod(0o755)
    (tmp_path / ".venv" / ".installed").write_text(f"{tmp_path}\n")
    now = time.time()
    for path in tmp_path.rglob("*"):
        os.utime(path, (now - 1000, now - 1000))
    return tmp_path


def run_notebooks(checkout):
    """What `make run` prints, and the notebooks that each call of Python was asked to run."""
    (checkout / "calls.txt").unlink(missing_ok=True)
    ran = subprocess.run(
        ["make", "-C", str(checkout), "run"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    calls = checkout / "calls.txt"
    lines = calls.read_text().splitlines() if calls.exists() else []
    return ran, [re.findall(r"notebooks/(\w+)\.ipynb", line) for line in lines]


def test_make_run_runs_all_stale_notebooks_at_once(checkout):
    ran, calls = run_notebooks(checkout)
    assert ran.returncode == 0 and calls == [["00_a", "01_b"]], ran.stderr
    for name in ("00_a", "01_b"):
        assert f"  results/notebooks/{name}.ipynb\n" in ran.stdout
    ran, calls = run_notebooks(checkout)
    assert ran.returncode == 0 and calls == [] and "  results/notebooks/01_b.ipynb" in ran.stdout
    os.utime(checkout / "notebooks" / "01_b.ipynb")
    assert run_notebooks(checkout)[1] == [["01_b"]]


def test_make_run_repeats_failed_notebooks_only(checkout):
    notebook = checkout / "notebooks" / "00_a.ipynb"
    before = notebook.stat()
    notebook.write_text("bad")
    os.utime(notebook, (before.st_mtime, before.st_mtime))
    for expected in (["00_a", "01_b"], ["00_a"]):
        ran, calls = run_notebooks(checkout)
        assert ran.returncode != 0 and calls == [expected]


def test_clean_keeps_files_that_make_did_not_write(tmp_path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    mine = ["results/notebooks/mine.ipynb", "results/notebooks/07_a.ipynb", "results/figures/x.png"]
    mine += ["results/report/index.html", "build/notes.txt", "results/runs/00_a.ipynb"]
    made = {
        "results/notebooks/00_a.ipynb": "{}",
        "results/notebooks/00_a.json": '{"outcome": "ok"}',
        "results/figures/00_a_b.png": "… the DepthCLIP workbook …",
    }
    sources = dict.fromkeys(["notebooks/00_a.ipynb", "notebooks/07_a.ipynb"], "{}")
    for name, text in {**dict.fromkeys(mine, "mine"), **made, **sources}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "depthclip_core").mkdir()
    (tmp_path / "tests").mkdir()
    ran = subprocess.run(
        ["make", "-C", str(tmp_path), "clean"], env={"PATH": os.environ["PATH"]}, check=False
    )
    assert ran.returncode == 0
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"Makefile", *mine, *sources}


def test_foreign_venv_is_left_alone(tmp_path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine").write_text("mine")
    command = ["make", "-C", str(tmp_path), "lock", f"PYTHON={sys.executable}"]
    environment = {"PATH": os.environ["PATH"]}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode != 0 and ".venv was not made by this Makefile" in ran.stderr
    assert (tmp_path / ".venv" / "mine").read_text() == "mine"


def test_old_python_is_refused_in_one_line():
    answer = make("lock", "PYTHON=false")
    assert answer.returncode != 0
    assert "Python 3.11 or newer is needed" in answer.stderr.splitlines()[0]


# --- what is kept in git ----------------------------------------------------------------------


def test_repository_is_small():
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in kept_files()}
    assert [p for p, size in sizes.items() if p.suffix == ".safetensors" and size > 8e6] == []
    assert [p for p, size in sizes.items() if p.suffix == ".ipynb" and size > 1.5e6] == []
    assert sum(sizes.values()) < 40 * MEGABYTE


def test_no_file_names_a_registry_or_this_machine():
    here = [str(ROOT), str(Path(sys.prefix))]
    if len(Path.home().parts) > 2:
        here.append(str(Path.home()))
    for path in kept_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found = REGISTRY_HOSTS.search(text)
        assert not found, f"{path.name} names {found.group()}"
        assert [place for place in here if place in text] == [], path.name


def test_data_and_results_are_ignored():
    made = [
        "data/store/a",
        "data/nyu/splits.mat",
        "results/a.ipynb",
        ".venv/a",
        "figures/a.png",
    ]
    kept = [
        "data/README.md",
        "figures/README.md",
        "figures/00_pipeline_pipeline.png",
        "requirements.lock",
    ]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *made, *kept],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if ignored.returncode == 128:
        pytest.skip("not a git checkout")
    assert ignored.stdout.split() == made


# --- who is named -----------------------------------------------------------------------------


def test_citation_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "references"} <= set(citation)
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert isinstance(citation["date-released"], datetime.date)
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])


def test_test_files_have_names_of_their_own():
    """pytest imports test files by their name alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
