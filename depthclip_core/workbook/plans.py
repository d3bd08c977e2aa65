"""Plan the runs of notebooks: everything is checked before anything runs."""

import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

import nbformat
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbformat import NotebookNode

from depthclip_core.errors import DepthClipError, first_line, unknown_name
from depthclip_core.files import user_path
from depthclip_core.workbook.parameters import Parameter, declared_parameters
from depthclip_core.workbook.records import check_own, shown_path

MOST_RUNS = 10_000  # of one plan
LONGEST_LABEL = 60  # characters of a value in a file name
LONGEST_NAME = 120  # of all of them; some file systems take no name of 144 bytes


@dataclass(frozen=True)
class Plan:
    """A run that has been checked and can start."""

    notebook: Path
    content: NotebookNode
    output: Path
    kernel: str
    given: dict[str, object]
    parameters: dict[str, object]


def plan(
    notebooks: str | Path | Sequence[str | Path],
    parameters: Mapping[str, object],
    grid: Mapping[str, Sequence],
    out: str | Path = "results/runs",
    *,
    kernel: str | None = None,
    text: bool = False,
    types: Mapping[str, object] = MappingProxyType({}),
    check: Callable[[Mapping[str, object]], None] = lambda values: None,
) -> list[Plan]:
    """The runs of notebooks, in order, one for every combination of values in the grid.

    Files, kernels, names and types are checked; `DepthClipError` says what is wrong.

    out: where each run will write NAME.ipynb and NAME.json. NAME is the notebook's, with the values
    of the grid and of parameters that differ from their defaults: what one run has written, no run
    with other parameters overwrites. kernel: used instead of the notebooks'
    own. text: the values are text, to be parsed as the declared types; those of the grid are
    separated by commas or a JSON list. types: types that annotations of parameters may name, beside
    Python's own. check: raises `DepthClipError` for values that do not suit one another; it is
    given all parameters of a run.
    """
    paths = [Path(p) for p in ([notebooks] if isinstance(notebooks, str | Path) else notebooks)]
    if not paths:
        raise DepthClipError("no notebook to run: name at least one")
    if both := [name for name in parameters if name in grid]:
        raise DepthClipError(f"{both[0]!r} is both a parameter and in the grid: give it once")
    plans: dict[Path, Plan] = {}
    folder = user_path(out).absolute()
    how = "from_text" if text else "from_value"
    for path in paths:
        content = read_notebook(path)
        kernel_name = _checked_kernel(path, content, kernel)
        known = declared_parameters(content, path.name, types)
        given = {name: _value(path, known, name, value, how) for name, value in parameters.items()}
        axes = [_axis(path, known, name, values, text) for name, values in grid.items()]
        if (n_runs := len(plans) + math.prod(map(len, axes))) > MOST_RUNS:
            few = f"at most {MOST_RUNS:,} are planned at once"
            raise DepthClipError(f"the grid makes {n_runs:,} runs, and {few}: split it")
        for combination in itertools.product(*axes):
            chosen = dict(zip(grid, combination, strict=True))
            changed = {n: v for n, v in given.items() if v != known[n].default}
            named = {name: changed[name] for name in known if name in changed} | chosen
            output = folder / f"{_output_name(path, named)}.ipynb"
            if output in plans:
                raise DepthClipError(
                    f"runs of {plans[output].notebook} and {path} would both write {output.name}: "
                    "run them separately"
                )
            if output.exists() and any(output.samefile(other) for other in paths):
                raise DepthClipError(f"{path} would be overwritten: choose another output folder")
            values = given | chosen
            complete = {name: p.default for name, p in known.items()} | values
            _check_values(path, check, complete)
            check_own(output, path, complete)
            plans[output] = Plan(path, content, output, kernel_name, values, complete)
    return list(plans.values())


def _check_values(path: Path, check: Callable, values: Mapping[str, object]) -> None:
    """Check the parameters of a run together; errors name the notebook."""
    try:
        check(values)
    except DepthClipError as error:
        raise DepthClipError(f"{path.name}: {error}") from None


def prepared(plan: Plan, started: datetime) -> NotebookNode:
    """The notebook to run: parameters written into it, no outputs, metadata as papermill's."""
    from papermill.parameterize import parameterize_notebook  # takes half a second to import

    notebook = nbformat.v4.upgrade(deepcopy(plan.content))
    notebook.metadata.pop("widgets", None)
    notebook.metadata["papermill"] = {
        "input_path": shown_path(plan.notebook),
        "output_path": shown_path(plan.output),
        "parameters": {},
        "start_time": started.isoformat(),
    }
    if plan.given:
        for cell in notebook.cells:
            cell.metadata.setdefault("tags", [])  # papermill looks for them in every cell
        kernel = {"kernel_name": plan.kernel, "language": "python"}
        notebook = parameterize_notebook(notebook, plan.given, **kernel)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata["papermill"] = {"status": "pending"}
    return notebook


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook; `DepthClipError` if the file is missing or not a notebook."""
    if not path.is_file():
        raise _missing(path)
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises whatever its parsers raise
        raise DepthClipError(f"{path} is not a notebook: {first_line(error)}") from None


def _missing(path: Path) -> DepthClipError:
    """The error for a notebook that is not there; it names one of a similar name."""
    folders = filter(os.path.isdir, dict.fromkeys((path.parent, Path("notebooks"))))
    known = {one.stem: one for folder in folders for one in sorted(folder.glob("*.ipynb"))}
    near = get_close_matches(path.stem, known, n=1)
    hint = f": did you mean {known[near[0]]}?" if near else ""
    return DepthClipError(f"no notebook {path}{hint}")


def _value(path: Path, declared: Mapping[str, Parameter], name: str, value: object, how: str):
    """Check or parse a value with a method of its `Parameter`; errors name the notebook."""
    if not isinstance(name, str) or not name.isidentifier():
        raise DepthClipError(f"{name!r} cannot be the name of a parameter")
    if name not in declared:
        raise DepthClipError(f"{path.name}: {unknown_name('parameter', name, declared)}")
    try:
        return getattr(declared[name], how)(value)
    except DepthClipError as error:
        raise DepthClipError(f"{path.name}: {error}") from None


def _axis(
    path: Path, declared: Mapping[str, Parameter], name: str, values: Sequence, text: bool
) -> list:
    """The values of a parameter in the grid, checked or parsed."""
    if text:
        axis = _value(path, declared, name, values, "values_from_text")
    elif isinstance(values, str) or not hasattr(values, "__iter__"):
        raise DepthClipError(f"grid: {name!r} must be a list of values, got {values!r}")
    else:
        axis = [_value(path, declared, name, value, "from_value") for value in values]
    if not axis:
        raise DepthClipError(f"grid: {name!r} has no values")
    if any(value in axis[:i] for i, value in enumerate(axis)):
        raise DepthClipError(f"grid: {name!r} has the same value twice: {values}")
    return axis


def _output_name(path: Path, chosen: Mapping[str, object]) -> str:
    """NOTEBOOK--name=value; a short hash stands in for what is not safe in a file name."""
    labels = [path.stem]
    for name, value in chosen.items():
        full = _as_text(value)
        label = re.sub(r"[^\w.+,-]+", "-", full, flags=re.ASCII).strip("-.")[:LONGEST_LABEL]
        if label != full:
            label += "-" * bool(label) + hashlib.sha256(full.encode()).hexdigest()[:6]
        labels.append(f"{name}={label}")
    whole = "--".join(labels)
    if len(whole.encode()) > LONGEST_NAME and chosen:
        kept = whole.encode()[: LONGEST_NAME - 14].decode("utf-8", "ignore")
        whole = f"{kept}--{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    return whole


def _as_text(value: object) -> str:
    """A value as file names show it: "0.5,1,1.5" for a list of numbers, otherwise text or JSON."""
    if isinstance(value, list) and value and all(type(item) in (int, float) for item in value):
        return ",".join(repr(item).removesuffix(".0") for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _checked_kernel(path: Path, notebook: NotebookNode, asked: str | None) -> str:
    """The name of the kernel that will run a notebook; it must be installed and run Python."""
    name = asked or notebook.metadata.get("kernelspec", {}).get("name")
    if not name:
        raise DepthClipError(f"{path.name} names no kernel: choose one, for example python3")
    manager = KernelSpecManager()
    try:
        language = manager.get_kernel_spec(name).language
    except NoSuchKernel:
        known = manager.find_kernel_specs()
        raise DepthClipError(f"{path.name}: {unknown_name('kernel', name, known)}") from None
    if language.lower() != "python":
        raise DepthClipError(f"{path.name}: the kernel {name!r} runs {language}, not Python")
    return name
