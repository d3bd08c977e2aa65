"""The package is a house of floors: each module imports only from the floors below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "depthclip_core"
NAME = "depthclip_core"

# Lowest first. Reading down the list is running the method.
FLOORS = [
    "errors",
    "settings",
    "checkout",
    "choices",
    "published",
    "text",
    "files",
    "store",
    "datasets.base",
    "datasets.images",
    "datasets.photos",
    "datasets.nyu",
    "datasets.sample",
    "datasets",
    "reading",
    "heads",
    "towers",
    "weights",
    "encoders",
    "responses",
    "depth",
    "protocols",
    "metrics",
    "baselines",
    "pixels",
    "kernels",
    "ratios",
    "quadratic",
    "fitting",
    "sweeps",
    "search",
    "scenes",
    "pipeline",
    "encoding",
    "experiments",
    "provenance",
    "saved",
    "detail",
    "tables",
    "controls",
    "answers",
    "distributions",
    "bench.plain",
    "bench.machine",
    "bench.passes",
    "bench.questions",
    "bench",
    "bench.charts",
    "bench.__main__",
    "figures",
    "strips",
    "charts",
    "comparisons",
    "prose",
    "vocabularies",
    "render",
    "explorer",
    "widgets",
    "parameters",
    "plans",
    "records",
    "runs",
    "sanitise",
    "report",
    "store_cli",
    "cli",
]
WITHOUT_TORCH = ["errors", "settings"]
# What of the sample the rest of the package uses: what ships, never what made it.
USES_SAMPLE = {
    "datasets.sample": {"sample", "sample.sensor"},
    "encoders": {"sample", "sample.model"},
}
SAMPLE_USES = {
    "sample": {"errors", "settings"},
    "sample.world.pretrain": {"encoders", "heads", "towers"},
}


def module_name(path: Path) -> str:
    """A file's dotted name inside the package: `depth`, `sample`, `sample.pretrain`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = [name for name in FILES if name and not name.startswith("sample")]
SAMPLE_MODULES = [name for name in FILES if name.startswith("sample")]


def imports(name: str, source: str, is_package: bool = False) -> Iterator[tuple[str, bool]]:
    """Each imported dotted name, absolute, with whether it is imported when the module is."""
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = {
        id(node)
        for scope in ast.walk(tree)
        if isinstance(scope, functions)
        for node in ast.walk(scope)
    }
    package = [NAME, *(name.split(".") if name else [])]
    if not is_package:
        package.pop()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in found:
            yield target, id(node) not in inside


def imports_of_package(name: str) -> Iterator[tuple[str, bool]]:
    """Those of `imports` that lie in the package, as module names; "" is the package itself."""
    path = FILES[name]
    for target, at_once in imports(name, path.read_text("utf-8"), path.name == "__init__.py"):
        first, _, rest = target.partition(".")
        if first == NAME:
            while rest and rest not in FILES:
                rest = rest.rpartition(".")[0]  # a name from a module: keep the module
            yield rest, at_once


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_only_lower_floors(name):
    assert name in FLOORS, f"{name} is new: add it to FLOORS in {Path(__file__).name}"
    below = FLOORS[: FLOORS.index(name)]
    for target, _ in imports_of_package(name):
        if target.split(".")[0] == "sample":
            assert target in USES_SAMPLE.get(name, ()), f"{name} imports {target}"
        elif name != "datasets" or not target.startswith("datasets"):
            assert target in below, f"{name} imports {target or NAME!r}; it may import {below}"


@pytest.mark.parametrize("name", SAMPLE_MODULES)
def test_sample_stands_on_its_own(name):
    allowed = SAMPLE_USES["sample"] | SAMPLE_USES.get(name, set())
    for target, _ in imports_of_package(name):
        in_sample = target.split(".")[0] == "sample"
        assert in_sample or target in allowed, (
            f"{name} imports {target or NAME!r}, not of {allowed}"
        )


@pytest.mark.parametrize("name", [name for name in SAMPLE_MODULES if "world" not in name])
def test_what_ships_does_not_need_what_made_it(name):
    targets = [target for target, _ in imports_of_package(name)]
    assert [target for target in targets if target.startswith("sample.world")] == []


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_settings_do_not_need_torch(name):
    if name not in FILES:
        pytest.skip(f"{name} is not written")
    roots = {target.split(".")[0] for target, _ in imports(name, FILES[name].read_text("utf-8"))}
    assert not roots & {"torch", "torchvision", "open_clip"}


def test_floors_name_only_modules_that_exist():
    assert [name for name in FLOORS if name not in FILES] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn", [("torch.nn", True)]),
        ("from depthclip_core import depth", [("depthclip_core.depth", True)]),
        ("from . import depth", [("depthclip_core.depth", True)]),
        ("from .depth import upsample", [("depthclip_core.depth.upsample", True)]),
        ("def f():\n    from .sample import make", [("depthclip_core.sample.make", False)]),
    ],
)
def test_imports_are_read(source, expected):
    assert list(imports("heads", source)) == expected


def test_imports_are_read_inside_a_subpackage():
    assert list(imports("sample.world", "from ..errors import E")) == [
        ("depthclip_core.errors.E", True)
    ]
    assert list(imports("sample", "from .world import W", is_package=True)) == [
        ("depthclip_core.sample.world.W", True)
    ]
