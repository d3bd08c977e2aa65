import nbformat
import pytest
from bs4 import BeautifulSoup

from depthclip_core.workbook.layout import NO_TEXT, laid_out, sections, with_descriptions


def parsed(html):
    return BeautifulSoup(html, "html.parser")


def test_headings_are_one_level_down_and_ids_are_unique():
    soup = parsed(laid_out("<h1>A b</h1><h2>C</h2><h2>C</h2>"))
    assert [(h.name, h.get("id")) for h in soup.find_all(["h2", "h3"])] == [
        ("h2", "A-b"),
        ("h3", "C"),
        ("h3", None),
    ]


def test_each_table_scrolls_in_its_own_box():
    soup = parsed(
        laid_out("<table><tr><td><table></table></td></tr></table><p>a</p><table></table>")
    )
    boxes = soup.find_all("div", class_="wide")
    assert [box["tabindex"] for box in boxes] == ["0", "0"]
    assert all(table.find_parent("div", class_="wide") for table in soup.find_all("table"))


def test_picture_without_words_is_not_called_undescribed():
    soup = parsed(laid_out(f'<img src="data:image/png;base64,a" alt="{NO_TEXT}">'))
    assert soup.img["alt"] == "Figure"


def test_sections_are_those_below_the_title():
    html = laid_out("<h1>T</h1><h2>One <em>part</em></h2><h3>deeper</h3><h2>Two</h2>")
    assert list(sections(html)) == [("One-part", "One part"), ("Two", "Two")]


def figure(metadata):
    drawn = nbformat.v4.new_output("display_data", data={"image/png": "a"}, metadata=metadata)
    return nbformat.v4.new_code_cell("plot()", outputs=[drawn])


@pytest.mark.parametrize(
    ("cell", "alt"),
    [
        (figure({"image/png": {"alt": "Depth by word"}}), "Depth by word"),
        (figure({}), "Figure: The value head"),
        (figure({"image/png": {"width": 5}}), "Figure: The value head"),
    ],
)
def test_figures_say_what_they_show(cell, alt):
    above = nbformat.v4.new_markdown_cell("# T\n\n## The `value` head\n\nA sentence.")
    notebook = with_descriptions(nbformat.v4.new_notebook(cells=[above, cell]))
    assert notebook.cells[1].outputs[-1].metadata["image/png"]["alt"] == alt


def test_metadata_of_another_form_is_left_alone():
    cell = figure({"image/png": "text"})
    with_descriptions(nbformat.v4.new_notebook(cells=[cell]))
    assert cell.outputs[-1].metadata == {"image/png": "text"}
