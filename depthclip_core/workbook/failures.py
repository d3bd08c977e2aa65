"""How a notebook failed: where, and in one line why."""

import re

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from depthclip_core.files import CannotWrite
from depthclip_core.text import printable

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
IN_CELL = re.compile(r"^Cell In ?\[\d+\], line (\d+)", re.MULTILINE)  # in IPython's tracebacks


def error_inside(notebook: NotebookNode) -> tuple[NotebookNode | None, str] | None:
    """The first error in an executed notebook: its cell (None: in a widget) and its first line."""
    widgets = notebook.metadata.get("widgets", {})
    models = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    shown = [(cell, o) for cell in notebook.cells for o in cell.get("outputs", [])]
    shown += [(None, o) for m in models.values() for o in m.get("state", {}).get("outputs", [])]
    for cell, output in shown:
        if output["output_type"] == "error":
            return cell, error_line(output["ename"], output["evalue"])
    return None


def reason(failure: Exception, timeout: float | None) -> str:
    match failure:
        case CellExecutionError():
            return error_line(failure.ename, failure.evalue)
        case CellTimeoutError():
            return f"the cell took more than {timeout:g} s"
        case DeadKernelError():
            return "the kernel died"
        case CannotWrite():
            return printable(failure)
    return error_line(type(failure).__name__, failure)


def error_line(name: str, message: object) -> str:
    return ": ".join(filter(None, (name, _first_line(message))))


def failing_line(cell: NotebookNode) -> str:
    """The line of a cell that failed, by its traceback; without one, its first statement."""
    shown = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    for output in shown:
        lines = cell.source.splitlines()
        found = IN_CELL.search(COLOURS.sub("", "\n".join(output.get("traceback", []))))
        if found and 0 < int(found[1]) <= len(lines):
            return _first_line(lines[int(found[1]) - 1])
    return first_statement(cell.source)


def first_statement(source: str) -> str:
    """The first line of a cell that is not a comment."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith("#")]
    return _first_line("\n".join(lines)) or _first_line(source)


def _first_line(message: object) -> str:
    return printable(next(iter(str(message).strip().splitlines()), ""))
