"""What a run leaves: the executed notebook, and beside it a record, NAME.json."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat import NotebookNode

from depthclip_core.errors import DepthClipError
from depthclip_core.files import read_json, together
from depthclip_core.workbook.privacy import clean_notebook, clean_values, without_private

if TYPE_CHECKING:
    from depthclip_core.workbook.plans import Plan


def record_path(output: Path) -> Path:
    """The record of the run that wrote this notebook."""
    return output.with_suffix(".json")


def save_run(
    plan: "Plan", notebook: NotebookNode, started: datetime, ended: Mapping[str, object]
) -> None:
    """Write the executed notebook and its record, which appear together.

    Both say nothing of where they were made, see `privacy`. ended: what the run itself found out:
    seconds, outcome, `failed` (cell, source and error, or None), and whatever else belongs into the
    record. Raises `CannotWrite`.
    """
    content = {
        "notebook": shown_path(plan.notebook),
        "sha256": hashlib.sha256(nbformat.writes(plan.content).encode()).hexdigest(),
        "parameters": plan.parameters,
        "kernel": plan.kernel,
        "started": started.isoformat(timespec="seconds"),
        **ended,
    }
    text = json.dumps(clean_values(content), indent=2, ensure_ascii=False)
    with together() as write:
        # The record first: a notebook without one would be taken for somebody else's.
        write(record_path(plan.output), _encodable(text) + "\n")
        write(plan.output, notebook_text(notebook))


def notebook_text(notebook: NotebookNode) -> str:
    """A notebook as its file holds it, without what says where it was made."""
    return _encodable(nbformat.writes(clean_notebook(notebook))) + "\n"


def shown_path(path: Path) -> str:
    """A path as results show it: relative to the current folder, to the home, or its name."""
    shown = without_private(str(path.absolute()))
    return f"…/{path.name}" if shown.startswith("…") else shown


def check_own(output: Path, notebook: Path, parameters: Mapping[str, object]) -> None:
    """`DepthClipError` if a run would overwrite what no run, or another run, has written.

    parameters: all of the run's. Those that differ from the notebook's defaults are in the name of
    `output`, so other runs of the same name are those of another notebook, and of versions of this
    package that named them otherwise.
    """
    record = record_path(output)
    try:
        known = read_json(record)
        own = {"notebook", "sha256", "outcome"} <= known.keys()
    except (OSError, ValueError, AttributeError):
        known, own = {}, False
    for path in (output, record):
        if os.path.lexists(path) and not own:
            raise DepthClipError(f"{path} was not written by a run: choose another folder")
    if not own:
        return
    if not _same_end(Path(str(known["notebook"])), notebook.absolute()):
        raise DepthClipError(f"{output} was made from {known['notebook']}: choose another folder")
    for name, value in _given(output).items():
        if name in parameters and clean_values(parameters[name]) != clean_values(value):
            made = f"{output} was made with {name} {value!r}, not {parameters[name]!r}"
            raise DepthClipError(f"{made}: choose another folder, or move it away")


def _given(output: Path) -> dict[str, object]:
    """The parameters that were set for the run that wrote a notebook."""
    try:
        given = read_json(output)["metadata"]["papermill"]["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return given if isinstance(given, dict) else {}


def _same_end(one: Path, other: Path) -> bool:
    """Whether one path is the end of the other: how much is shown depends on the current folder."""
    ends = [[part for part in path.parts if part not in ("…", "~")] for path in (one, other)]
    n = min(map(len, ends))
    return ends[0][-n:] == ends[1][-n:]


def _encodable(text: str) -> str:
    """Replace what UTF-8 cannot hold, such as parts of file names that are not text."""
    return text.encode("utf-8", "replace").decode()
