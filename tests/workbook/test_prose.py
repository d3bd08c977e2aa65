from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from nbconvert.filters import markdown2html_mistune

from depthclip_core.workbook.prose import listed, says


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
