import base64
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from io import BytesIO

import nbformat
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from depthclip_core.errors import DepthClipError
from depthclip_core.workbook.prose import says
from depthclip_core.workbook.report import make_report, mathml, rendered
from depthclip_core.workbook.sanitise import ATTRIBUTES, TAGS


def picture(kind="PNG"):
    """The file of a picture of one pixel."""
    file = BytesIO()
    Image.new("RGB", (1, 1)).save(file, kind)
    return file.getvalue()


PIXEL = base64.b64encode(picture()).decode()
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'
LOADING = {"src", "srcset", "poster", "background", "xlink:href", "data"}


class Page(HTMLParser):
    """What a browser finds: tags, ids, links, and whatever it would fetch or run."""

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
        if tag in ("script", "link", "iframe", "object", "embed", "base", "form"):
            self.loaded.append(tag)

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "style":
            self.styles.append(data)
        else:
            self.text += data


def output(**data):
    kinds = {key.replace("__", "/"): value for key, value in data.items()}
    return nbformat.v4.new_output("execute_result", data=kinds, execution_count=2)


@pytest.fixture
def executed(tmp_path):
    """Two executed notebooks with everything a notebook can show."""
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
    shown = ["dataset", "weights", "head"]
    return make_report(executed, tmp_path / "report", title="T & U", note="<V>", shown=shown)


@pytest.fixture
def page(index):
    return Page(index.read_text("utf-8"))


def test_page_loads_and_runs_nothing(page):
    assert page.loaded == []
    assert not re.search(r"@import|url\((?!none)", "".join(page.styles))
    assert "alert" not in page.text


def test_page_shows_results_but_no_code(page, index):
    for gone in ("secret_code", "dataset: str", "<Figure>"):
        assert gone not in page.text
    for kept in ("0.417", "streamed <&>", "A control", "[picture: far]", "[picture: gone]"):
        assert kept in page.text
    assert index.read_text("utf-8").count(f"data:image/png;base64,{PIXEL}") == 2


def test_formulae_are_mathml(page):
    # Those of the title are in both contents too, that of the question in one.
    assert page.tags.count("math") == 7
    assert "$" not in page.text


def test_index_links_to_every_notebook_and_its_copy(page, executed, index):
    assert page.tags.count("h1") == 1 and len(page.ids) == len(set(page.ids))
    assert {"#01_a", "#02_b", "notebooks/01_a.ipynb", "notebooks/02_b.ipynb"} <= set(page.links)
    for path in executed:
        assert (index.parent / "notebooks" / path.name).read_bytes() == path.read_bytes()
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert {"01_a--Part", "02_b--Part"} <= inside <= set(page.ids)
    assert "https://doi.org/1" in page.links and "../README.md" not in page.links
    assert page.text.count("And more?") == 2 and page.text.count("By default the") == 1


def test_contents_list_every_chapter_and_section_beside_and_above(page, index):
    soup = BeautifulSoup(index.read_text("utf-8"), "html.parser")
    beside, above = soup.find(class_="beside"), soup.find(class_="overview")
    for contents in (beside, above):
        assert contents.name == "nav" and contents["aria-label"]
        links = [a["href"] for a in contents.find_all("a") if a["href"] != "#top"]
        assert links == ["#01_a", "#01_a--Part", "#02_b", "#02_b--Part"]
        # Prose of notebooks calls them by these names.
        assert [name.get_text() for name in contents.find_all(class_="name")] == ["01_a", "02_b"]
    assert soup.main.find_parent("nav") is None and beside.find_parent("main") is None
    assert {link[1:] for link in page.links if link.startswith("#")} <= {"top", *page.ids}


def test_page_fits_small_screens_and_paper(index):
    soup = BeautifulSoup(index.read_text("utf-8"), "html.parser")
    assert soup.find("meta", attrs={"name": "viewport"})["content"].startswith("width=device-width")
    tables = soup.main.find_all("table")
    assert tables and all(table.find_parent(class_="wide")["tabindex"] == "0" for table in tables)
    screen, _, paper = soup.style.get_text().partition("@media print")
    assert re.search(r"\.wide[^{]*\{ overflow-x: auto", screen)
    assert re.search(r"\.wide[^{]*\{ overflow: visible", paper)
    assert re.search(r"img[^{]*\{[^}]*break-inside: avoid", paper)


def test_every_picture_has_words(index):
    pictures = BeautifulSoup(index.read_text("utf-8"), "html.parser").find_all("img")
    assert [shown["alt"] for shown in pictures] == ["near", "Figure: Part"]


def test_page_says_what_ran_where_and_when(page):
    assert page.text.count("T & U") == 2 and "lie beside this file. <V>" in page.text
    assert "dataset sample, head value, run on 2026-01-02" in page.text
    assert "run on 2026-02-03, on A card, at commit abc" in page.text
    assert page.text.count("Stopped with an error: E: why") == 2


def test_interrupted_notebook_is_told_from_a_failed_one(executed, tmp_path):
    (tmp_path / "02_b.json").write_text(json.dumps({"outcome": "interrupted"}))
    text = Page(make_report(executed, tmp_path / "out").read_text("utf-8")).text
    assert text.count("Interrupted before its end: run it again.") == 2
    assert "Stopped with an error" not in text


def test_report_can_be_rebuilt_from_its_own_copies(index, executed):
    copies = [index.parent / "notebooks" / path.name for path in executed]
    assert make_report(copies, index.parent) == index


def test_folder_with_other_files_is_left_alone(executed, tmp_path):
    folder = tmp_path / "mine"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("index.html", f"notebooks/{executed[0].name}"):
        (folder / name).write_text("mine")
        with pytest.raises(DepthClipError, match="holds files other than a report"):
            make_report(executed, folder)
        assert (folder / name).read_text() == "mine"
        (folder / name).unlink()


def test_unusable_notebooks_are_refused(executed, tmp_path):
    bare = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(bare, tmp_path / "bare.ipynb")
    for paths, message in [
        ([], "make run"),
        ([tmp_path / "none.ipynb"], "no notebook"),
        ([tmp_path / "bare.ipynb"], "bare.ipynb has not been run"),
        ([executed[0], executed[0]], "two notebooks are named 01_a"),
    ]:
        with pytest.raises(DepthClipError, match=message):
            make_report(paths, tmp_path / "report")
    (tmp_path / "02_b.json").write_text("{")
    with pytest.raises(DepthClipError, match="not a record of a run"):
        make_report(executed, tmp_path / "report")


XSS = "<img src=x onerror=alert(1)><script>alert(1)</script>"
OUTSIDE = '<iframe src="https://a.org"></iframe><base href="https://a.org"><form action="//a.org">'


@pytest.fixture
def hostile(tmp_path):
    """The report of a notebook that holds markup wherever a notebook can hold text."""
    data = {"image/png": PIXEL}
    alt = nbformat.v4.new_output("display_data", data=data, metadata={"image/png": {"alt": XSS}})
    wide = nbformat.v4.new_output(
        "display_data", data=data, metadata={"image/png": {"width": "1 onload=alert(1)"}}
    )
    isolated = nbformat.v4.new_output(
        "display_data", data={"text/html": XSS}, metadata={"text/html": {"isolated": True}}
    )
    svg = DRAWING.replace("<rect", "<script>alert(1)</script><rect onload='alert(1)'")
    outputs = [
        alt,
        wide,
        isolated,
        *(output(text__html=html) for html in (XSS, OUTSIDE, svg, "</section></body>")),
        output(**{"image/svg+xml": svg, "text/plain": "svg"}),
        output(text__markdown=f"[a](javascript:alert(1)) ![b](data:text/html,x) {XSS}"),
        output(text__latex=rf"$\href{{javascript:alert(1)}}{{a}}\text{{{XSS}}}$"),
        output(text__plain=f"\x1b[31m{XSS}\x1b]8;;javascript:alert(1)\x07"),
        output(**{"application/javascript": "alert(1)"}),
        nbformat.v4.new_output("stream", name="stderr", text=f"\x1b[1m{XSS}"),
        nbformat.v4.new_output("error", ename=XSS, evalue=XSS, traceback=[f"\x1b[31m{XSS}"]),
        output(image__png=f'{PIXEL}" onerror="alert(1)'),
    ]
    title, question = f"# Title {XSS}[a](javascript:alert(1))", f"Why?{XSS}{OUTSIDE}"
    attached = {"a.png": {"text/html": base64.b64encode(XSS.encode()).decode()}}
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"{title}\n\n{question}\n\n<style>* {{}}</style>"),
            nbformat.v4.new_markdown_cell("![a](attachment:a.png)", attachments=attached),
            nbformat.v4.new_markdown_cell(f"```{XSS}\na\n```\n\n```mermaid\n{XSS}\n```\n\n$<b>$"),
            nbformat.v4.new_code_cell(
                f'dataset: str = "{XSS}"', metadata={"tags": ["parameters", XSS]}
            ),
            nbformat.v4.new_raw_cell(XSS, metadata={"raw_mimetype": "text/html"}),
            nbformat.v4.new_code_cell("1", execution_count=1, outputs=outputs),
        ]
    )
    path = tmp_path / "a'b<i>c.ipynb"
    nbformat.write(notebook, path)
    record = {"started": "2026-02-03", "device": XSS, "commit": f"{XSS}\u202e"}
    path.with_suffix(".json").write_text(json.dumps(record))
    return make_report([path], tmp_path / "report", shown=["dataset"]).read_text("utf-8")


def test_hostile_notebook_loads_and_runs_nothing(hostile):
    page = Page(hostile)
    assert page.loaded == []
    assert page.tags.count("body") == page.tags.count("section") == page.tags.count("h1") == 1
    soup = BeautifulSoup(hostile, "html.parser")
    soup.head.decompose()
    known = {name.lower() for name in TAGS | {"nav", "main", "body", "section"}}
    attributes = {name.lower() for names in ATTRIBUTES.values() for name in names} | {
        "rel",
        "aria-label",
    }
    known.add("html")
    for tag in soup.find_all(True):
        assert tag.name in known
        assert set(tag.attrs) <= attributes
    for link in soup.find_all("a"):
        assert re.match("#|notebooks/a%27b%3Ci%3Ec.ipynb$", link.get("href", "#"))
    for shown in soup.find_all("img"):
        assert re.match(
            r"data:image/(png|svg\+xml);base64,", shown.get("src", "data:image/png;base64,")
        )


def test_hostile_notebook_is_shown_as_text(hostile):
    soup = BeautifulSoup(hostile, "html.parser")
    about = [tag.get_text() for tag in soup.find_all(class_="about")]
    assert sum(f"dataset {XSS}, run on 2026-02-03, on {XSS}, at" in text for text in about) == 2
    assert [tag.get_text() for tag in soup.find_all(class_="failed")] == [
        f"Stopped with an error: {XSS}: {XSS}"
    ] * 2
    assert XSS in [tag.get("alt") for tag in soup.find_all("img")]
    contents = soup.find(class_="overview")
    assert contents.b.get_text() == soup.nav.li.a.contents[-1].strip() == "Title a"
    assert contents.p.get_text() == "Why?"


def test_content_security_policy_forbids_loading(index):
    head = BeautifulSoup(index.read_text("utf-8"), "html.parser").head
    policy = head.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert "default-src 'none'; img-src data:;" in policy


@pytest.mark.parametrize("name", ["<b>a</b> $x_$ `b`.jpg", "a|b __init__*.jpg", "写真.jpg", "1. a"])
def test_names_in_prose_are_shown_literally(name, tmp_path):
    said = says(f"Frame {name}, {name}.")
    shown = output(text__markdown=said._repr_markdown_(), text__plain=repr(said))
    cell = nbformat.v4.new_code_cell("1", execution_count=1, outputs=[shown])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "__a__.ipynb")
    page = make_report([tmp_path / "__a__.ipynb"], tmp_path / "report").read_text("utf-8")
    soup = BeautifulSoup(page, "html.parser")
    assert soup.find(class_="output_markdown").get_text().strip() == f"Frame {name}, {name}."
    assert soup.find(class_="overview").b.get_text() == "__a__"


def test_only_pictures_below_the_notebook_are_embedded(tmp_path):
    folder = tmp_path / "notebooks"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "near.png").write_bytes(picture())
    (folder / "my photo.JPG").write_bytes(picture("JPEG"))
    (folder / "drawing.svg").write_text(DRAWING)
    for place in (tmp_path / "secret.png", folder / "secret.txt"):
        place.write_text("secret")
    kept = ["inner/near.png", "my%20photo.JPG", "drawing.svg"]
    other = ["../secret.png", "..%2Fsecret.png", str(tmp_path / "secret.png"), "gone.png"]
    other += ["https://a.org/near.png", "a" * 5000]
    prose = "".join(f"![{name[:9]}]({name})\n\n" for name in [*kept, *other, "secret.txt"])
    cells = [nbformat.v4.new_markdown_cell(prose), nbformat.v4.new_code_cell("1")]
    cells[1].execution_count = 1
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "a.ipynb")
    page = make_report([folder / "a.ipynb"], tmp_path / "report").read_text("utf-8")
    kinds = re.findall("data:image/([a-z+]+);base64", page)
    assert kinds == ["png", "jpeg", "svg+xml"] and "data:text" not in page
    assert base64.b64encode(b"secret").decode() not in page
    assert page.count("[picture: ") == len(other)
    cells[0].source = "![folder](inner)"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "a.ipynb")
    with pytest.raises(DepthClipError, match="a.ipynb: cannot embed a picture .*inner: Is a dir"):
        make_report([folder / "a.ipynb"], tmp_path / "report")


def test_pictures_beside_the_source_notebook_are_embedded(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "near.png").write_bytes(picture())
    content = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("![near](near.png)"),
            nbformat.v4.new_code_cell("1", execution_count=1),
        ]
    )
    source = tmp_path / "source" / "01_a.ipynb"
    content.metadata["papermill"] = {"input_path": str(source)}
    executed = tmp_path / "01_a--head=value.ipynb"
    nbformat.write(content, executed)
    missing = make_report([executed], tmp_path / "report").read_text("utf-8")
    assert "[picture: near]" in missing  # the source notebook is not there
    nbformat.write(content, source)
    assert PIXEL in make_report([executed], tmp_path / "report").read_text("utf-8")


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
def test_mathml_is_well_formed(formula):
    root = ET.fromstring(mathml(formula, "inline"))
    assert root.tag.endswith("math") and "\\" not in "".join(root.itertext())


def test_unparsable_formula_is_shown_as_source(monkeypatch):
    def fails(*_, **__):
        raise IndexError

    monkeypatch.setattr("depthclip_core.workbook.report.convert", fails)
    assert mathml("a < b", "inline") == "<code>a &lt; b</code>"
    assert rendered("$x$") == "<p><code>x</code></p>\n"
