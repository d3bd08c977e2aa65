"""What holds the project's files together: versions, pins, commands, sizes, citation."""

import datetime
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGE_DATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"][
    "package-data"
]["*"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")

MEGABYTE = 1_000_000
# Written as patterns, so that this file does not name what it forbids.
REGISTRY_HOSTS = re.compile(
    r"\bpy[p]i\.org|python[h]osted\.org|\banaconda[.]org|download\.py[t]orch|npm[j]s\.",
    re.IGNORECASE,
)


def kept_files() -> list[Path]:
    """Every file that git tracks, or would at the next `git add`."""
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def pins() -> dict[str, list[Requirement]]:
    """The lock's pins by name; one name may have several, for different Pythons or systems."""
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
    """Run make on its own, whether or not these tests were started by one."""
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", "-C", str(ROOT), "--no-print-directory", *arguments]
    return subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False
    )


# --- the lock ---------------------------------------------------------------------------------


def test_torch_and_torchvision_are_the_pair():
    assert [version(pin) for pin in pins()["torch"]] == ["2.13.0"]
    assert [version(pin) for pin in pins()["torchvision"]] == ["0.28.0"]


def test_lock_satisfies_pyproject():
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["test"], *extras["dev"]]
    for requirement in map(Requirement, asked):
        locked = pins().get(canonicalize_name(requirement.name), [])
        assert locked, f"{requirement} is not in the lock: make lock"
        for pin in locked:
            assert version(pin) in requirement.specifier, f"{pin} is not {requirement}: make lock"


def test_lock_pins_everything_and_holds_no_address():
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
    assert set(conda) == {f"python={python}", "pip"}, "versions are for pyproject.toml to say"


def test_packaged_data_is_packaged():
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


def test_documents_name_only_targets_that_exist():
    known = set(re.findall(r"^  ([a-z]+) +\S", make("help").stdout, re.MULTILINE))
    for path in kept_files():
        if path.suffix == ".md":
            named = re.findall(r"(?:`|^\s*)make ([a-z]+)\b", path.read_text("utf-8"), re.MULTILINE)
            assert set(named) <= known, path.name


def test_clean_leaves_what_make_did_not_make(tmp_path):
    """In a folder with this Makefile and files of the user's beside those of runs."""
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


def test_a_venv_that_somebody_else_made_is_left_alone(tmp_path):
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


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text("utf-8")
    assert "set -euo pipefail" in text
    assert re.search(r"^make test$", text, re.MULTILINE)


# --- what is kept in git ----------------------------------------------------------------------


def test_sizes():
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


def test_citation_is_complete():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"] and citation["title"]
    assert citation["type"] == "software"
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert citation["authors"] == PROJECT["authors"]
    assert isinstance(citation["date-released"], datetime.date)
    (paper,) = citation["references"]
    assert paper["title"] == "Can Language Understand Depth?"
    assert paper["doi"] == "10.1145/3503161.3549201"
    assert paper["year"] == 2022
    families = [author["family-names"] for author in paper["authors"]]
    assert families == ["Zhang", "Zeng", "Guo", "Li"]


def test_licence_is_mit():
    licence = (ROOT / "LICENSE").read_text("utf-8")
    assert licence.startswith("MIT License\n")
    assert "2026 The DepthCLIP workbook authors" in licence
