"""All notebooks' prose, tables and figures in one HTML file that needs nothing from outside."""

import base64
import json
import mimetypes
import re
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from depthclip_core.errors import DepthClipError
from depthclip_core.parameters import values_of_run
from depthclip_core.plans import read_notebook
from depthclip_core.runs import error_inside

SHOWN = ("dataset", "split", "encoder", "weights", "head", "prompts", "bins", "temperature")
LOADED = ("script", "link", "iframe", "object", "embed", "base", "audio", "video", "source")
WIDGET = "application/vnd.jupyter.widget-view+json"
LOADING = ("src", "srcset", "poster", "background", "xlink:href", "data", "action", "ping")
STYLED_FROM_OUTSIDE = re.compile(
    r"@import[^;]*;?|url\((?!\s*[\"']?(?:data:|#))[^)]*\)", re.IGNORECASE
)
FIGURE = re.compile(r"'\w[\w.-]*\.(png|pdf|svg)'")
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
    """One executed notebook: its anchor, title, question, what it ran with, and its body."""

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
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in paths:
        if path.resolve() != (copy := folder / "notebooks" / path.name).resolve():
            shutil.copyfile(path, copy)
    index = folder / "index.html"
    part = index.with_suffix(".part")
    part.write_text(page(chapters), "utf-8")
    part.replace(index)
    return index


def chapter(path: Path, notebook: NotebookNode, names: Sequence[str]) -> Chapter:
    """A notebook as HTML; links to the others in the report lead to their chapters."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", prose, re.MULTILINE)
    after = prose[title.end() :] if title else prose
    error = error_inside(notebook)
    return Chapter(
        name=path.stem,
        title=rendered(title.group(1) if title else path.stem),
        question=rendered(next(iter(re.findall(r"\S.*?(?=\n\s*\n|\Z)", after, re.DOTALL)), "")),
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
        anchor, note = escape(one.name), f'<p class="about">{escape(one.about)}</p>'
        if one.error:
            note += f'<p class="failed">Stopped with an error: {escape(one.error)}</p>'
        entries.append(
            f'<li><a href="#{anchor}"><b>{inline(one.title)}</b></a>{one.question}{note}</li>'
        )
        sections.append(
            f'<section id="{anchor}">{one.body}{note}<p class="about">'
            f'<a href="notebooks/{anchor}.ipynb">The executed notebook, with its code</a>'
            ' · <a href="#top">Index</a></p></section>'
        )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>The DepthCLIP workbook: report</title>\n<style>{STYLE}</style>\n</head>\n"
        '<body id="top">\n<h1>The DepthCLIP workbook: report</h1>\n'
        f'<p class="about">{escape(made)} Every notebook without its code; the notebooks '
        "themselves lie beside this file. Numbers of the sample are not the paper's.</p>\n"
        f"<nav><ol>\n{''.join(entries)}\n</ol></nav>\n{''.join(sections)}\n</body>\n</html>\n"
    )


def body(path: Path, notebook: NotebookNode, names: Sequence[str]) -> str:
    """A notebook's prose and outputs as HTML that loads nothing."""
    exporter = OfflineExporter(template_name="basic", exclude_input=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    soup = BeautifulSoup(exporter.from_notebook_node(readable(notebook))[0], "html.parser")
    asked = notebook.metadata.get("papermill", {}).get("input_path")
    folders = [path.parent, *([Path(asked).parent] if isinstance(asked, str) else [])]
    for tag in soup.find_all(LOADED):
        tag.decompose()
    for tag in soup.find_all(True):
        clean(tag, path.stem, folders, names)
    known: set[str] = set()
    for heading in soup.find_all(re.compile("^h[1-6]$"), id=True):
        if heading["id"] in known:
            del heading["id"]  # links lead to the first of a name
        else:
            known.add(heading["id"])
    return str(soup)


def clean(tag: Tag, name: str, folders: Sequence[Path], names: Sequence[str]) -> None:
    """Take from an element what would be loaded or run; make its anchors the notebook's own."""
    if tag.name == "img" and not tag.get("src", "").startswith("data:"):
        picture = embedded(tag.get("src", ""), folders)
        if picture is None:
            tag.replace_with(f"[picture: {tag.get('alt') or tag.get('src')}]")
            return
        tag["src"] = picture
    for attribute in list(tag.attrs):
        loads = attribute in LOADING and not str(tag[attribute]).startswith("data:")
        if loads or attribute.startswith("on"):
            del tag[attribute]
    if "style" in tag.attrs:
        tag["style"] = STYLED_FROM_OUTSIDE.sub("none", tag["style"])
    if tag.name == "style" and tag.string:
        tag.string.replace_with(STYLED_FROM_OUTSIDE.sub("none", tag.string))
    if heading := re.fullmatch(r"h([1-5])", tag.name):
        tag.name = f"h{int(heading.group(1)) + 1}"  # the report has the only h1
        tag["id"] = f"{name}--{'-'.join(tag.get_text().split())}"
    if tag.name == "a" and "href" in tag.attrs:
        file, _, part = tag["href"].partition("#")
        if not file:
            tag["href"] = f"#{name}--{part}"
        elif (other := Path(file)).suffix == ".ipynb" and other.stem in names:
            tag["href"] = f"#{other.stem}--{part}" if part else f"#{other.stem}"
        elif not re.match(r"(https?|mailto):", file):
            tag.unwrap()  # a file that does not lie beside the report


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
        data.pop("application/javascript", None)
    return copy


def embedded(source: str, folders: Sequence[Path]) -> str | None:
    """A picture's file as a data address, from the first folder that has it."""
    kind = mimetypes.guess_type(source)[0]
    for folder in folders:
        if source and kind and "://" not in source and (folder / source).is_file():
            content = base64.b64encode((folder / source).read_bytes()).decode()
            return f"data:{kind};base64,{content}"
    return None


def rendered(markdown: str) -> str:
    return MarkdownWithMath(renderer=OfflineRenderer(escape=False)).render(markdown)


def inline(html: str) -> str:
    """A paragraph's content, to stand in a line."""
    return re.sub(r"^<p>|</p>\s*$", "", html)


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
