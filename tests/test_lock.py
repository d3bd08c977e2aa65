"""The lock serves every system and Python that the README names."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PYTHONS = ["3.11.9", "3.12.9", "3.13.9", "3.14.2"]
# What uv calls a system, and what a marker sees on it.
SYSTEMS = {
    "x86_64-manylinux_2_28": ("linux", "Linux", "x86_64", "posix"),
    "aarch64-manylinux_2_28": ("linux", "Linux", "aarch64", "posix"),
    "aarch64-apple-darwin": ("darwin", "Darwin", "arm64", "posix"),
    "x86_64-pc-windows-msvc": ("win32", "Windows", "AMD64", "nt"),
}
# uv's words for a registry that cannot be reached, as against a lock that cannot be resolved.
NO_REGISTRY = (
    "dns error",
    "error sending request",
    "Network connectivity is disabled",
    "timed out",
)
targets = pytest.mark.parametrize(
    ("system", "python"), [(system, python) for system in SYSTEMS for python in PYTHONS]
)


def locked(text: str, system: str, python: str) -> dict[str, Requirement]:
    """The pins that markers choose for a system and a Python; each name has one at most."""
    sys_platform, platform_system, machine, os_name = SYSTEMS[system]
    environment = dict(default_environment()) | {
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": machine,
        "os_name": os_name,
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "implementation_version": python,
    }
    found: dict[str, Requirement] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(environment):
                name = canonicalize_name(pin.name)
                assert name not in found, f"{pin} and {found[name]} are both for {system}, {python}"
                found[name] = pin
    return found


def versions(pins: dict[str, Requirement]) -> dict[str, str]:
    return {name: str(pin.specifier) for name, pin in pins.items()}


@targets
def test_every_requirement_has_one_pin(system, python):
    found, extras = locked(LOCK, system, python), PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["test"], *extras["dev"], *extras["cluster"]]
    missing = {canonicalize_name(Requirement(text).name) for text in asked} - found.keys()
    assert not missing, "make lock"


@pytest.mark.slow
@targets
def test_pins_resolve_to_wheels_and_need_nothing_else(system, python, tmp_path):
    """Nothing is installed; only what packages say of themselves is read."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"]
    command += ["--python-platform", system, "--python-version", python, "--only-binary", ":all:"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate"]
    out = tmp_path / "resolved"
    # torch has wheels for macOS 14 and newer.
    own = {"MACOSX_DEPLOYMENT_TARGET": "14.0", "UV_HTTP_RETRIES": "0"}
    ran = subprocess.run(
        [*command, str(ROOT / "requirements.lock"), "--output-file", str(out)],
        env=os.environ | own,
        capture_output=True,
        text=True,
    )
    if ran.returncode and any(words in ran.stderr for words in NO_REGISTRY):
        pytest.skip("no package registry can be reached")
    assert ran.returncode == 0, ran.stderr
    resolved, ours = (locked(text, system, python) for text in (out.read_text("utf-8"), LOCK))
    assert versions(resolved) == versions(ours)


def test_supported_pythons_are_those_of_the_project():
    assert PROJECT["requires-python"] == ">=3.11" and PYTHONS[0].startswith("3.11.")
