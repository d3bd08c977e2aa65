"""The report in a real browser, on screens of three widths and on paper."""

import shutil
from base64 import b64encode
from io import BytesIO

import nbformat
import pandas as pd
import pytest
from PIL import Image

from depthclip_core.workbook.prose import folded
from depthclip_core.workbook.report import make_report

pytestmark = pytest.mark.slow
PAPER = 703  # pixels of an A4 page between its margins
OPTIONS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
TOO_WIDE = """() => [...document.querySelectorAll('main *')].filter(
    e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(INSIDE)
).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium; tests skip where there is none, or no playwright to drive it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    if command is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=command, args=OPTIONS.split())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The address of a report whose table, figure, formula and code are wider than a phone."""
    folder = tmp_path_factory.mktemp("report")
    table = pd.DataFrame([[0.123456] * 14] * 40, columns=[f"a metric {n}" for n in range(14)])
    file = BytesIO()
    Image.new("RGB", (2000, 400), "teal").save(file, "PNG")
    long = folded(table, "rows", "none")._repr_html_()
    shown = [
        nbformat.v4.new_output("display_data", data={"text/html": table.to_html()}),
        nbformat.v4.new_output("display_data", data={"text/html": long}),
        nbformat.v4.new_output(
            "display_data", data={"image/png": b64encode(file.getvalue()).decode()}
        ),
    ]
    formula = "$$" + " + ".join(f"x_{{{n}}}" for n in range(40)) + "$$"
    code = "```sh\n" + "depthclip run " * 12 + "\n```"
    for number in range(3):
        prose = f"# Chapter {number}\n\nWhy?\n\n## One\n\n{code}\n\n{formula}\n\n## Two"
        cells = [
            nbformat.v4.new_markdown_cell(prose),
            nbformat.v4.new_code_cell("1", execution_count=1, outputs=shown),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"0{number}_a.ipynb")
    return make_report(sorted(folder.glob("*.ipynb")), folder / "out").as_uri()


def too_wide(page, inside: str) -> list[str]:
    """What of the page stands over its right edge, outside elements of the selector."""
    return page.evaluate(TOO_WIDE.replace("INSIDE", repr(inside)))


@pytest.mark.parametrize(("width", "beside"), [(390, False), (848, False), (1280, True)])
def test_page_fits_and_has_its_contents(browser, report, width, beside):
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert too_wide(page, ".wide, pre, math") == []
    assert page.locator("nav.beside").is_visible() is beside
    contents = page.locator("nav.beside" if beside else "nav.overview")
    contents.locator("summary").nth(1).click()
    contents.get_by_role("link", name="Two").nth(0).click()
    heading = page.locator("h3").filter(has_text="Two").nth(1)
    assert 0 <= heading.bounding_box()["y"] < 200
    if beside:  # it stays in view
        assert page.locator("nav.beside").bounding_box()["y"] == 0
    else:
        assert page.locator("a.back").is_visible()
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    page.close()


def test_wide_table_is_reached_and_scrolled_by_keyboard(browser, report):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(report)
    box = page.locator(".wide").first
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.wide').scrollLeft > 0")
    page.close()


def test_nothing_is_cut_on_paper(browser, report):
    page = browser.new_page(viewport={"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    page.goto(report)
    assert too_wide(page, "math") == []
    assert not page.locator("nav.beside").is_visible()
    page.close()


def test_folded_table_is_opened_by_a_click_and_printed_whole(browser, report):
    page = browser.new_page(viewport={"width": PAPER, "height": 1000})
    page.goto(report)
    table = page.locator("section details table").first
    assert not table.is_visible()
    page.emulate_media(media="print")
    assert table.is_visible() and table.bounding_box()["height"] > 300
    page.emulate_media(media="screen")
    page.locator("section details summary").first.click()
    assert table.is_visible()
    page.close()
