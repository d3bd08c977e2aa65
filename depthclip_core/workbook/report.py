"""The prose, tables and figures of all notebooks in one HTML file that loads nothing."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from depthclip_core.checkout import commit
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.files import replacing
from depthclip_core.text import as_markup
from depthclip_core.workbook.parameters import values_of_run
from depthclip_core.workbook.plans import read_notebook
from depthclip_core.workbook.runs import error_inside
from depthclip_core.workbook.sanitise import sanitised, sanitised_inline

WIDGET = "application/vnd.jupyter.widget-view+json"
FIGURE = re.compile(r"'\w[\w.-]*\.(png|pdf|svg)'")
# If something gets past the sanitiser, browsers still load and run nothing.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
GENERATOR = '<meta name="generator" content="depthclip report">'
STYLE = """
body { font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  color: #1b1f24; background: #fff; max-width: 60rem; margin: 2rem auto 6rem; padding: 0 1.5rem; }
h1, h2, h3, h4 { line-height: 1.25; margin: 1.6em 0 .5em; }
a { color: #0b5cad; }
p, li { max-width: 46rem; }
section { border-top: 3px solid #0072b2; margin-top: 4rem; }
nav li { margin: .9rem 0; } nav p { margin: .2rem 0; }
.about { color: #555; font-size: .875rem; }
.failed { color: #a33b00; font-weight: 600; }
.output { margin: .8rem 0; overflow-x: auto; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border: 0; }
thead th { border-bottom: 1px solid #444; vertical-align: bottom; }
tbody tr:nth-child(even) { background: #f4f6f8; }
tbody th, .index td, .index th { text-align: left; font-weight: 600; }
pre, code { font: .86em/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { background: #f4f6f8; padding: .6rem .8rem; overflow-x: auto; }
math { font-size: 1.08em; }
math[display=block] { margin: 1rem 0; }
@media print { section { break-before: page; } body { max-width: none; margin: 0; } }
"""


@dataclass(frozen=True)
class Chapter:
    """One executed notebook: its anchor, title, question, settings and body.

    title, question and body are sanitised HTML; name, about and error are plain text.
    """

    name: str
    title: str
    question: str
    about: str
    error: str | None
    body: str


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
    for name in names:
        if names.count(name) > 1:
            raise DepthClipError(f"two notebooks are named {name}: report them separately")
    content = [read_notebook(path) for path in paths]
    for path, notebook in zip(paths, content, strict=True):
        if not any(cell.get("execution_count") for cell in notebook.cells):
            raise DepthClipError(f"{path} has not been run: `depthclip run {path}`")
    chapters = [
        chapter(path, notebook, names, shown) for path, notebook in zip(paths, content, strict=True)
    ]
    folder = Path(out)
    _check_own(folder)
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in paths:
        if path.resolve() != (copy := folder / "notebooks" / path.name).resolve():
            with replacing(copy) as part:
                shutil.copyfile(path, part)
    index = folder / "index.html"
    with replacing(index) as part:
        part.write_text(page(chapters, title, note), "utf-8")
    return index


def _check_own(folder: Path) -> None:
    """`DepthClipError` unless the folder is new, empty, or an earlier report."""
    index = folder / "index.html"
    if index.is_file() and GENERATOR in index.read_text("utf-8", "replace"):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DepthClipError(f"{folder} holds files other than a report: choose another folder")


def chapter(
    path: Path, notebook: NotebookNode, names: Sequence[str], shown: Sequence[str]
) -> Chapter:
    """Convert a notebook to HTML; links to other notebooks of the report lead to their chapters."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", prose, re.MULTILINE)
    after = prose[title.end() :] if title else prose
    error = error_inside(notebook)
    return Chapter(
        name=path.stem,
        title=sanitised_inline(rendered(title.group(1) if title else as_markup(path.stem))),
        question=sanitised_inline(
            rendered(next(iter(re.findall(r"\S.*?(?=\n\s*\n|\Z)", after, re.DOTALL)), ""))
        ),
        about=about(path, notebook, shown),
        error=error[1] if error else None,
        body=body(path, notebook, names),
    )


def about(path: Path, notebook: NotebookNode, names: Sequence[str]) -> str:
    """The parameters of these names; when and on what the notebook ran, if a record says so."""
    record = {}
    if (beside := path.with_suffix(".json")).is_file():
        try:
            record = json.loads(beside.read_text("utf-8"))
        except ValueError:
            raise DepthClipError(
                f"{beside} is not a record of a run: run {path.name} again"
            ) from None
    values = values_of_run(notebook)
    shown = [f"{name} {values[name]}" for name in names if values.get(name) not in (None, "")]
    when = record.get("started") or notebook.metadata.get("papermill", {}).get("start_time")
    if when:
        shown.append(f"run on {datetime.fromisoformat(when).date()}")
    shown += [f"on {record['device']}"] if record.get("device") else []
    shown += [f"at commit {record['commit']}"] if record.get("commit") else []
    return ", ".join(shown)


def page(chapters: Sequence[Chapter], title: str, note: str) -> str:
    """The whole report: title, index, chapters."""
    made = f"Made on {datetime.now().date()} at commit {commit()}."
    entries, sections = [], []
    for one in chapters:
        anchor, facts = escape(one.name), f'<p class="about">{as_markup(one.about)}</p>'
        if one.error:
            facts += f'<p class="failed">Stopped with an error: {as_markup(one.error)}</p>'
        entries.append(
            f'<li><a href="#{anchor}"><b>{one.title}</b></a><p>{one.question}</p>{facts}</li>'
        )
        sections.append(
            f'<section id="{anchor}">{one.body}{facts}<p class="about">'
            f'<a href="notebooks/{quote(one.name)}.ipynb">The executed notebook, with its code</a>'
            ' · <a href="#top">Index</a></p></section>'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{GENERATOR}\n"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body id="top">\n<h1>{escape(title)}</h1>\n'
        f'<p class="about">{escape(made)} The notebooks are shown without their code; the '
        f"notebooks themselves lie beside this file. {escape(note)}</p>\n"
        f"<nav><ol>\n{''.join(entries)}\n</ol></nav>\n{''.join(sections)}\n</body>\n</html>\n"
    )


def body(path: Path, notebook: NotebookNode, names: Sequence[str]) -> str:
    """The prose and outputs of a notebook as HTML that loads nothing and runs nothing."""
    exporter = OfflineExporter(template_name="basic", exclude_input=True, embed_images=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    resources = {"metadata": {"path": str(source_folder(path, notebook))}}
    try:
        html, _ = exporter.from_notebook_node(readable(notebook), resources)
    except (OSError, InvalidNotebook) as error:
        raise DepthClipError(f"{path}: cannot embed a picture: {first_line(error)}") from None
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all("img"):
        if not (source := tag.get("src", "")).startswith("data:"):
            tag.replace_with(f"[picture: {tag.get('alt') or source}]")
    known: set[str] = set()
    for heading in soup.find_all(re.compile("^h[1-5]$")):
        heading.name = f"h{int(heading.name[1]) + 1}"  # the title of the report is the only h1
        anchor = "-".join(heading.get_text().split())
        if anchor not in known:  # links lead to the first heading of that name
            known.add(anchor)
            heading["id"] = anchor
        else:
            del heading["id"]
    return sanitised(str(soup), path.stem, names)


def source_folder(path: Path, notebook: NotebookNode) -> Path:
    """The folder of the notebook that was run, if it is still there: pictures may lie beside it."""
    asked = notebook.metadata.get("papermill", {}).get("input_path")
    source = Path(asked) if isinstance(asked, str) else path
    same = source.suffix == ".ipynb" and source.stem == path.stem.partition("--")[0]
    return source.parent if same and source.is_file() else path.parent


def readable(notebook: NotebookNode) -> NotebookNode:
    """A copy without what only a running notebook can show, and with formulae as Markdown."""
    copy = deepcopy(notebook)
    copy.metadata.pop("widgets", None)
    for cell in copy.cells:
        if "outputs" in cell:  # drop the file names of figures, which are shown themselves
            cell.outputs = [
                output
                for output in cell.outputs
                if not FIGURE.fullmatch(output.get("data", {}).get("text/plain", ""))
            ]
    for output in (output for cell in copy.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        if WIDGET in data:
            output.data = {"text/markdown": "*A control: it works in the notebook.*"}
        elif "text/latex" in data and "text/html" not in data:
            output.data = {"text/markdown": data["text/latex"]}
    return copy


def rendered(markdown: str) -> str:
    """Convert Markdown to HTML, not yet sanitised."""
    return MarkdownWithMath(renderer=OfflineRenderer(escape=False)).render(markdown)


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
        renderer = OfflineRenderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context["resources"]["metadata"]["path"],
            exclude_anchor_links=True,
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def mathml(formula: str, display: str) -> str:
    """Convert a LaTeX formula to MathML; if it cannot be parsed, show its source."""
    try:
        made = convert(formula.replace("{aligned}", "{align*}"), display=display)
        ElementTree.fromstring(made)
    except Exception:  # the converter raises whatever its parser raises, or returns broken XML
        return f"<code>{escape(formula)}</code>"
    return made
