import base64
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import nbformat
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.report import make_report, mathml, rendered

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
LOADING = {"src", "srcset", "poster", "background", "xlink:href", "data"}


class Page(HTMLParser):
    """What a browser would find: tags, ids, links, and whatever it would fetch or run."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.links, self.loaded, self.styles = [], [], [], [], []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        self.loaded += [v for k, v in attrs.items() if k in LOADING and not v.startswith("data:")]
        self.loaded += [f"{k}={v}" for k, v in attrs.items() if k.startswith("on")]
        self.styles.append(attrs.get("style") or "")
        if tag in ("script", "link", "iframe", "object", "embed", "base"):
            self.loaded.append(tag)

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "style":
            self.styles.append(data)
        self.text += data


def output(**data):
    kinds = {key.replace("__", "/"): value for key, value in data.items()}
    return nbformat.v4.new_output("execute_result", data=kinds, execution_count=2)


@pytest.fixture
def executed(tmp_path):
    """Two executed notebooks with whatever a notebook can show."""
    (tmp_path / "near.png").write_bytes(base64.b64decode(PIXEL))
    html = (
        '<script src="https://a.org/b.js"></script><link href="https://a.org/c.css">'
        '<style>@import "https://a.org/d.css"; #T_1 { background: url(https://a.org/e.png) }'
        "</style>"
        '<table id="T_1" onclick="go()" style="background: url(//a.org/f.png)"><tr><td>0.417</td>'
        '</tr></table><img src="https://a.org/g.png" alt="far"><iframe src="https://a.org"></iframe>'
    )
    prose = (
        "# First & $K$ words\n\nWhat is $s = f \\cdot t$?\nAnd more?\n\n"
        "By default the **sample**.\n\n## Part\n\n$$\\sqrt{\\frac{1}{n}}$$\n\n"
        "![near](near.png) ![gone](gone.png)\n\n"
        "[next](02_b.ipynb#Part), [here](#Part), [doi](https://doi.org/1), [file](../README.md)"
    )
    first = nbformat.v4.new_notebook(metadata={"papermill": {"start_time": "2026-01-02T03:04:05"}})
    parameters = 'dataset: str = "sample"\nhead: str = "value"\nweights: str = ""'
    first.cells = [
        nbformat.v4.new_markdown_cell(prose),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            "secret_code()",
            execution_count=2,
            outputs=[
                output(text__html=html, text__plain="table"),
                output(image__png=PIXEL, text__plain="<Figure>"),
                output(text__plain="'01_a_strip.png'"),
                output(text__latex="$\\delta_1$", text__plain="delta"),
                output(**{"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}),
                output(**{"application/javascript": "alert(1)", "text/plain": "js"}),
                nbformat.v4.new_output("stream", name="stdout", text="streamed <&>"),
            ],
        ),
    ]
    second = nbformat.v4.new_notebook()
    failed = nbformat.v4.new_output(
        "error", ename="E", evalue="why", traceback=["\x1b[31mE\x1b[0m"]
    )
    second.cells = [
        nbformat.v4.new_markdown_cell("# Second\n\nWhy?\n\n## Part"),
        nbformat.v4.new_code_cell("1", execution_count=1, outputs=[failed]),
    ]
    (tmp_path / "02_b.json").write_text(
        json.dumps({"started": "2026-02-03T00:00:00+00:00", "device": "A card", "commit": "abc"})
    )
    for name, content in (("01_a", first), ("02_b", second)):
        nbformat.write(content, tmp_path / f"{name}.ipynb")
    return [tmp_path / "01_a.ipynb", tmp_path / "02_b.ipynb"]


@pytest.fixture
def index(executed, tmp_path):
    return make_report(executed, tmp_path / "report")


@pytest.fixture
def page(index):
    return Page(index.read_text("utf-8"))


def test_nothing_is_loaded_or_run(page):
    assert page.loaded == []
    assert not re.search(r"@import|url\((?!none)", "".join(page.styles))
    assert "alert" not in page.text


def test_code_is_left_out_and_results_are_not(page, index):
    for gone in ("secret_code", "01_a_strip.png", "dataset: str", "<Figure>"):
        assert gone not in page.text
    for kept in ("0.417", "streamed <&>", "A control", "[picture: far]", "[picture: gone]"):
        assert kept in page.text
    assert index.read_text("utf-8").count(f"data:image/png;base64,{PIXEL}") == 2


def test_formulae_are_mathml(page):
    # Those of the title and the question stand in the index too.
    assert page.tags.count("math") == 6
    assert "$" not in page.text


def test_index_leads_to_every_notebook_and_its_copy(page, executed, index):
    assert page.tags.count("h1") == 1 and len(page.ids) == len(set(page.ids))
    assert {"#01_a", "#02_b", "notebooks/01_a.ipynb", "notebooks/02_b.ipynb"} <= set(page.links)
    for path in executed:
        assert (index.parent / "notebooks" / path.name).read_bytes() == path.read_bytes()
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert {"01_a--Part", "02_b--Part"} <= inside <= set(page.ids)
    assert "https://doi.org/1" in page.links and "../README.md" not in page.links
    assert page.text.count("And more?") == 2 and page.text.count("By default the") == 1


def test_what_was_run_is_said(page):
    assert "dataset sample, head value, run on 2026-01-02" in page.text
    assert "run on 2026-02-03, on A card, at commit abc" in page.text
    assert page.text.count("Stopped with an error: E: why") == 2


def test_a_report_can_be_made_again_from_its_own_copies(index, executed):
    copies = [index.parent / "notebooks" / path.name for path in executed]
    assert make_report(copies, index.parent) == index


def test_what_cannot_be_reported_is_said(executed, tmp_path):
    bare = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(bare, tmp_path / "bare.ipynb")
    for paths, message in [
        ([], "make run"),
        ([tmp_path / "none.ipynb"], "no notebook"),
        ([tmp_path / "bare.ipynb"], "bare.ipynb has not run"),
        ([executed[0], executed[0]], "two notebooks are named 01_a"),
    ]:
        with pytest.raises(DepthClipError, match=message):
            make_report(paths, tmp_path / "report")
    (tmp_path / "02_b.json").write_text("{")
    with pytest.raises(DepthClipError, match="no record of a run"):
        make_report(executed, tmp_path / "report")


@pytest.mark.parametrize(
    "formula",
    [
        r"s = f \cdot t",
        r"\mathrm{softmax}_k(100\,s / T)",
        r"\delta_i = \frac{1}{n} \sum_p [\max(p/g, g/p) < 1.25^i]",
        r"\mathrm{rmse}^2 = b^\top G b - 2 b^\top c + \lVert g \rVert^2",
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
    ],
)
def test_formulae_are_well_formed(formula):
    root = ET.fromstring(mathml(formula, "inline"))
    assert root.tag.endswith("math") and "\\" not in "".join(root.itertext())


def test_a_formula_that_cannot_be_read_stays(monkeypatch):
    def fails(*_, **__):
        raise IndexError

    monkeypatch.setattr("depthclip_core.report.convert", fails)
    assert mathml("a < b", "inline") == "<code>a &lt; b</code>"
    assert rendered("$x$") == "<p><code>x</code></p>\n"
