"""The prose, tables and figures of all notebooks in one HTML file that loads nothing."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from depthclip_core.checkout import commit
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.files import claimed, read_json, together, user_path
from depthclip_core.temporaries import is_temporary
from depthclip_core.text import as_markup
from depthclip_core.workbook.failures import error_inside
from depthclip_core.workbook.layout import laid_out, sections, with_descriptions
from depthclip_core.workbook.parameters import values_of_run
from depthclip_core.workbook.plans import read_notebook
from depthclip_core.workbook.privacy import clean_notebook, clean_values
from depthclip_core.workbook.records import notebook_text
from depthclip_core.workbook.sanitise import sanitised, sanitised_inline
from depthclip_core.workbook.static import without_widgets

GENERATOR = '<meta name="generator" content="depthclip report">'  # as in report.html


def make_report(
    notebooks: Sequence[str | Path],
    out: str | Path = "results/report",
    *,
    title: str = "Report",
    note: str = "",
    shown: Sequence[str] = (),
) -> Path:
    """Write executed notebooks, without code, into out/index.html, and copies of them beside it.

    Returns the path of index.html. A notebook that stopped with an error is shown as far as it got
    and marked. `DepthClipError` if one is missing, has not run, or has the same name as another.

    note: text for the top of the page. shown: the parameters to list for each notebook.
    """
    paths = [Path(path) for path in notebooks]
    if not paths:
        raise DepthClipError("no executed notebooks: `make run` puts them into results/notebooks/")
    names = [path.stem for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DepthClipError(f"two notebooks are named {twice[0]}: report them separately")
    chapters = [chapter(path, names, shown) for path in paths]
    folder = user_path(out)
    index = folder / "index.html"
    if not _may_write(folder):
        raise DepthClipError(f"{folder} holds files other than a report: choose another folder")
    environment = Environment(autoescape=True, loader=PackageLoader(__package__, ""))
    page = environment.get_template("report.html").render(
        title=title, note=note, date=datetime.now().date(), commit=commit(), chapters=chapters
    )
    with claimed(index), together() as write:
        write(index, page)  # first: it is what tells a report from other files
        for path in paths:
            if path.resolve() != (copy := folder / "notebooks" / path.name).resolve():
                write(copy, _shared_copy(path))
    return index


def _may_write(folder: Path) -> bool:
    """Whether a folder is a report, or holds nothing but what a killed process left of one."""
    index = folder / "index.html"
    if os.path.lexists(folder) and not folder.is_dir():
        return False
    if not os.path.lexists(index):
        return all(map(_left_by_us, folder.rglob("*")))
    with suppress(OSError):
        return GENERATOR in index.read_text("utf-8", "replace")
    return False


def _left_by_us(path: Path) -> bool:
    return is_temporary(path) or (path.name == "notebooks" and path.is_dir())


def _shared_copy(path: Path) -> bytes | str:
    """A notebook as it is shared: as it is, or without what says where it ran."""
    notebook = read_notebook(path)
    cleaned = clean_notebook(notebook)
    return path.read_bytes() if cleaned == notebook else notebook_text(cleaned)


def chapter(path: Path, names: Sequence[str], shown: Sequence[str]) -> dict[str, object]:
    """What the page shows of a notebook; links to notebooks of these names lead to their chapters.

    Returns its name; as safe HTML its title, question, about, error (or None) and body; and its
    sections, pairs of id and title, as plain text.
    """
    ran = read_notebook(path)
    notebook = clean_notebook(ran)
    if not any(cell.get("execution_count") for cell in notebook.cells):
        raise DepthClipError(f"{path} has not been run: `depthclip run {path}`")
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", prose, re.MULTILINE)
    after = prose[title.end() if title else 0 :]
    question = re.search(r"\S.*?(?=\n\s*\n|\Z)", after, re.DOTALL)
    error = error_inside(notebook)
    content = sanitised(body(path, notebook, source_folder(path, ran)), path.stem, names)
    return {
        "name": path.stem,
        "title": sanitised_inline(rendered(title[1] if title else as_markup(path.stem))),
        "question": sanitised_inline(rendered(question[0] if question else "")),
        "about": as_markup(about(path, notebook, shown)),
        "error": as_markup(_how_it_stopped(path, error[1])) if error else None,
        "body": content,
        "sections": list(sections(content)),
    }


def _how_it_stopped(path: Path, error: str) -> str:
    """What the page says of a notebook with an error."""
    if _record(path).get("outcome") == "interrupted":
        return "Interrupted before its end: run it again."
    return f"Stopped with an error: {error}"


def _record(path: Path) -> dict[str, object]:
    """The record beside a notebook, without private paths; empty if there is none."""
    beside = path.with_suffix(".json")
    try:
        record = clean_values(read_json(beside)) if beside.is_file() else {}
        if not isinstance(record, dict):
            raise ValueError
    except (OSError, ValueError):
        raise DepthClipError(f"{beside} is not a record of a run: run {path.name} again") from None
    return record


def about(path: Path, notebook: NotebookNode, names: Sequence[str]) -> str:
    """The parameters of these names; when and on what the notebook ran, if a record says so."""
    record = _record(path)
    values = values_of_run(notebook)
    shown = [f"{name} {values[name]}" for name in names if values.get(name) not in (None, "")]
    when = record.get("started") or notebook.metadata.get("papermill", {}).get("start_time")
    shown += [f"run on {datetime.fromisoformat(when).date()}"] if when else []
    shown += [f"on {record['device']}"] if record.get("device") else []
    shown += [f"at commit {record['commit']}"] if record.get("commit") else []
    return ", ".join(shown)


def body(path: Path, notebook: NotebookNode, folder: Path) -> str:
    """The prose and outputs of a notebook as HTML, with its pictures, not yet sanitised.

    folder: where files of pictures may lie.
    """
    exporter = OfflineExporter(template_name="basic", exclude_input=True, embed_images=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    resources = {"metadata": {"path": str(folder)}}
    try:
        html, _ = exporter.from_notebook_node(readable(notebook), resources)
    except (OSError, InvalidNotebook) as error:
        which = f" {error.filename}" if getattr(error, "filename", None) else ""
        fault = f"{path}: cannot embed a picture{which}: {first_line(error)}"
        raise DepthClipError(fault) from None
    return laid_out(html)


def source_folder(path: Path, notebook: NotebookNode) -> Path:
    """The folder of the notebook that was run, if it is still there: pictures may lie beside it."""
    asked = notebook.metadata.get("papermill", {}).get("input_path")
    source = Path(asked) if isinstance(asked, str) else path
    same = source.suffix == ".ipynb" and source.stem == path.stem.partition("--")[0]
    return source.parent if same and source.is_file() else path.parent


def readable(notebook: NotebookNode) -> NotebookNode:
    """A copy without what only a running notebook can show, and with formulae as Markdown."""
    copy = with_descriptions(without_widgets(deepcopy(notebook)))
    for cell in copy.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/latex" in data and "text/html" not in data:
                output.data = {"text/markdown": data["text/latex"]}
    return copy


def rendered(markdown: str, **options: object) -> str:
    """Convert Markdown to HTML, not yet sanitised; options are those of nbconvert's renderer."""
    return MarkdownWithMath(renderer=OfflineRenderer(escape=False, **options)).render(markdown)


class OfflineRenderer(IPythonRenderer):
    """Renders formulae as MathML, which browsers draw without a script."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return super().image(text, unquote(url), title)  # nbconvert looks for a file of this name

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


class OfflineExporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context: Mapping, source: str) -> str:
        return rendered(
            source,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context["resources"]["metadata"]["path"],
            exclude_anchor_links=True,
        )


def mathml(formula: str, display: str) -> str:
    """Convert a LaTeX formula to MathML; if it cannot be parsed, show its source."""
    try:
        made = convert(formula.replace("{aligned}", "{align*}"), display=display)
        ElementTree.fromstring(made)
    except Exception:  # the converter raises whatever its parser raises, or returns broken XML
        return f"<code>{escape(formula)}</code>"
    return made
