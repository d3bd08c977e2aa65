import pandas as pd
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from nbconvert.filters import markdown2html_mistune

from depthclip_core.workbook.prose import folded, listed, says
from depthclip_core.workbook.sanitise import sanitised


def test_says_joins_sentences_to_a_paragraph():
    said = says("Depth is 1.5 m.", "", "That is near.")
    data, _ = DisplayFormatter().format(said)
    assert data == {key: "Depth is 1.5 m. That is near." for key in ("text/plain", "text/markdown")}
    assert said == "Depth is 1.5 m. That is near."


def test_says_escapes_markup():
    said = says("Of `living_room`, <b>$x$</b>\n- [a](b)\u202e:", "写真")
    data, _ = DisplayFormatter().format(said)
    plain = "Of `living_room`, <b>$x$</b> - [a](b)\ufffd: 写真"
    assert data["text/plain"] == said == plain
    html = markdown2html_mistune(data["text/markdown"])
    soup = BeautifulSoup(html, "html.parser")
    assert soup.get_text().strip() == plain
    assert {tag.name for tag in soup.find_all(True)} == {"p", "span"}


def test_listed_joins_names():
    assert listed([]) == "none"
    assert listed(["a"]) == "a"
    assert listed(["a", 2]) == "a and 2"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_long_table_is_folded_and_whole():
    table = pd.DataFrame({"<b>": range(100)})
    html = sanitised(folded(table, "rows of <i>", "none")._repr_html_(), "a")
    soup = BeautifulSoup(html, "html.parser")
    assert soup.details.summary.get_text() == "100 rows of <i>"
    assert len(soup.details.table.tbody.find_all("tr")) == 100
    assert soup.b is None and not soup.details.has_attr("open")
    assert repr(folded(table, "rows", "none")).startswith("100 rows\n")


def test_table_without_rows_is_a_sentence():
    assert folded(pd.DataFrame({"a": []}), "rows", "None is judged.") == "None is judged."
