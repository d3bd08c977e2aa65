"""All notebooks' prose, tables and figures in one HTML file that needs nothing from outside."""

import base64
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from html import escape
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image

from depthclip_core.errors import DepthClipError
from depthclip_core.files import replacing
from depthclip_core.settings import figures_folder
from depthclip_core.text import as_markup
from depthclip_core.workbook.parameters import values_of_run
from depthclip_core.workbook.plans import read_notebook
from depthclip_core.workbook.runs import error_inside
from depthclip_core.workbook.sanitise import sanitised, sanitised_inline

SHOWN = ("dataset", "split", "encoder", "weights", "head", "prompts", "bins", "temperature")
WIDGET = "application/vnd.jupyter.widget-view+json"
FIGURE = re.compile(r"'\w[\w.-]*\.(png|pdf|svg)'")
PICTURES = ("PNG", "JPEG", "GIF", "WEBP")
SVG = re.compile(rb"(?>\s+|<\?xml[^>]*>|<!DOCTYPE[^>]*>|<!--.*?-->)*+<svg[\s>]", re.DOTALL)
# A second lock, should something get past the sanitiser: browsers load and run nothing.
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
    """One executed notebook: its anchor, title, question, what it ran with, and its body.

    title, question and body are sanitised HTML; name, about and error are text.
    """

    name: str
    title: str
    question: str
    about: str
    error: str | None
    body: str


def make_report(notebooks: Sequence[str | Path], out: str | Path = "results/report") -> Path:
    """Write out/index.html of executed notebooks, without code, and copies of them beside it.

    Returns its path. A notebook that stopped with an error is shown, and marked, as far as it got.
    `DepthClipError` for one that is not there, has not run, or has another's name.
    """
    paths = [Path(path) for path in notebooks]
    if not paths:
        raise DepthClipError("no executed notebook: `make run` makes them, in results/notebooks/")
    names = [path.stem for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise DepthClipError(f"two notebooks are named {name}: report them apart")
    content = [read_notebook(path) for path in paths]
    for path, notebook in zip(paths, content, strict=True):
        if not any(cell.get("execution_count") for cell in notebook.cells):
            raise DepthClipError(f"{path} has not run: `depthclip run {path}`")
    chapters = [
        chapter(path, notebook, names) for path, notebook in zip(paths, content, strict=True)
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
        part.write_text(page(chapters), "utf-8")
    return index


def _check_own(folder: Path) -> None:
    """`DepthClipError` unless the folder is new, empty, or an earlier report."""
    index = folder / "index.html"
    if index.is_file() and GENERATOR in index.read_text("utf-8", "replace"):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DepthClipError(f"{folder} holds other files than a report: choose another folder")


def chapter(path: Path, notebook: NotebookNode, names: Sequence[str]) -> Chapter:
    """A notebook as HTML; links to the others in the report lead to their chapters."""
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
        about=about(path, notebook),
        error=error[1] if error else None,
        body=body(path, notebook, names),
    )


def about(path: Path, notebook: NotebookNode) -> str:
    """When, where and on what a notebook ran: from its record, if `depthclip run` left one."""
    record = {}
    if (beside := path.with_suffix(".json")).is_file():
        try:
            record = json.loads(beside.read_text("utf-8"))
        except ValueError:
            raise DepthClipError(f"{beside} is no record of a run: run {path.name} again") from None
    values = values_of_run(notebook)
    shown = [f"{name} {values[name]}" for name in SHOWN if values.get(name) not in (None, "")]
    when = record.get("started") or notebook.metadata.get("papermill", {}).get("start_time")
    if when:
        shown.append(f"run on {datetime.fromisoformat(when).date()}")
    shown += [f"on {record['device']}"] if record.get("device") else []
    shown += [f"at commit {record['commit']}"] if record.get("commit") else []
    return ", ".join(shown)


def page(chapters: Sequence[Chapter]) -> str:
    """The whole report: what it is, the index, the chapters."""
    from depthclip_core.checkout import commit

    made = f"Made on {datetime.now().date()} at commit {commit()}."
    entries, sections = [], []
    for one in chapters:
        anchor, note = escape(one.name), f'<p class="about">{as_markup(one.about)}</p>'
        if one.error:
            note += f'<p class="failed">Stopped with an error: {as_markup(one.error)}</p>'
        entries.append(
            f'<li><a href="#{anchor}"><b>{one.title}</b></a><p>{one.question}</p>{note}</li>'
        )
        sections.append(
            f'<section id="{anchor}">{one.body}{note}<p class="about">'
            f'<a href="notebooks/{quote(one.name)}.ipynb">The executed notebook, with its code</a>'
            ' · <a href="#top">Index</a></p></section>'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{GENERATOR}\n"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>The DepthCLIP workbook: report</title>\n<style>{STYLE}</style>\n</head>\n"
        '<body id="top">\n<h1>The DepthCLIP workbook: report</h1>\n'
        f'<p class="about">{escape(made)} Every notebook without its code; the notebooks '
        "themselves lie beside this file. Numbers of the sample are not the paper's.</p>\n"
        f"<nav><ol>\n{''.join(entries)}\n</ol></nav>\n{''.join(sections)}\n</body>\n</html>\n"
    )


def body(path: Path, notebook: NotebookNode, names: Sequence[str]) -> str:
    """A notebook's prose and outputs as HTML that loads nothing and runs nothing."""
    exporter = OfflineExporter(template_name="basic", exclude_input=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    soup = BeautifulSoup(exporter.from_notebook_node(readable(notebook))[0], "html.parser")
    folders = [path.parent, *source_folder(path, notebook)]
    for tag in soup.find_all("img"):
        source = tag.get("src", "")
        if not source.startswith("data:"):
            picture = embedded(source, folders)
            if picture is None:
                tag.replace_with(f"[picture: {tag.get('alt') or source}]")
            else:
                tag["src"] = picture
    known: set[str] = set()
    for heading in soup.find_all(re.compile("^h[1-5]$")):
        heading.name = f"h{int(heading.name[1]) + 1}"  # the report has the only h1
        anchor = "-".join(heading.get_text().split())
        if anchor not in known:  # links lead to the first of a name
            known.add(anchor)
            heading["id"] = anchor
        else:
            del heading["id"]
    return sanitised(str(soup), path.stem, names)


def source_folder(path: Path, notebook: NotebookNode) -> list[Path]:
    """Where the notebook lies that was run, if it is there still; pictures may lie beside it."""
    asked = notebook.metadata.get("papermill", {}).get("input_path")
    if not isinstance(asked, str):
        return []
    source = Path(asked)
    same = source.suffix == ".ipynb" and source.stem == path.stem.partition("--")[0]
    return [source.parent] if same and source.is_file() else []


def readable(notebook: NotebookNode) -> NotebookNode:
    """A copy without what only a running notebook can show, and with formulae as markdown."""
    copy = deepcopy(notebook)
    copy.metadata.pop("widgets", None)
    for cell in copy.cells:
        if "outputs" in cell:  # the name of a figure's file, beside the figure
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


def embedded(source: str, folders: Sequence[Path]) -> str | None:
    """A picture's file as a data address, from the first folder that has it.

    Only pictures, by their content, that lie below one of the folders or among the figures: a
    report is sent around, and a notebook must not carry off other files in it.
    """
    allowed = [folder.resolve() for folder in (*folders, figures_folder())]
    for folder in folders:
        try:
            file = (folder / unquote(source)).resolve()
            content = file.read_bytes() if any(map(file.is_relative_to, allowed)) else b""
        except (OSError, ValueError):  # no such file, or no name of one
            continue
        if kind := picture_type(content):
            return f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return None


def picture_type(content: bytes) -> str | None:
    """The media type of a picture's content; None where it is none."""
    if SVG.match(content[:4096]):
        return "image/svg+xml"
    try:
        with Image.open(BytesIO(content), formats=PICTURES) as image:
            image.verify()
            return image.get_format_mimetype()
    except Exception:  # PIL raises whatever its parsers do
        return None


def rendered(markdown: str) -> str:
    """Markdown as HTML, not yet sanitised."""
    return MarkdownWithMath(renderer=OfflineRenderer(escape=False)).render(markdown)


class OfflineRenderer(IPythonRenderer):
    """Markdown whose formulae are MathML, which browsers draw themselves."""

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")


class OfflineExporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context: Mapping, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = OfflineRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def mathml(formula: str, display: str) -> str:
    """A LaTeX formula as MathML; as it was written where it cannot be read."""
    try:
        made = convert(formula.replace("{aligned}", "{align*}"), display=display)
        ElementTree.fromstring(made)
    except Exception:  # the converter raises whatever its parser does, or passes on what it cannot
        return f"<code>{escape(formula)}</code>"
    return made
