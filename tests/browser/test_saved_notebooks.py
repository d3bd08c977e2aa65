"""A notebook as a reader opens it in JupyterLab: with saved outputs, and nothing has been run."""

import json
import urllib.request
from base64 import b64encode
from io import BytesIO

import nbformat
import pandas as pd
import pytest
from ipywidgets import IntSlider
from lab import BROWSER, TOKEN
from PIL import Image

from depthclip_core.workbook.static import LINE, without_widgets

pytestmark = pytest.mark.browser
WIDTH, HEIGHT = 848, 800
ERROR = "Error displaying widget"


def cell(data, **metadata) -> nbformat.NotebookNode:
    shown = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    return nbformat.v4.new_code_cell("1", execution_count=1, outputs=[shown])


def saved() -> nbformat.NotebookNode:
    """A notebook with what stands in for an explorer and for a slider, and with a wide table."""
    file = BytesIO()
    Image.new("RGB", (838, 640), "teal").save(file, "PNG")
    slider = IntSlider()._repr_mimebundle_()
    view = {name: data for name, data in slider.items() if name.startswith("application/")}
    picture = {"image/png": b64encode(file.getvalue()).decode(), "text/plain": "run it"}
    table = pd.DataFrame([[0.123456] * 14] * 3, columns=[f"a metric {n}" for n in range(14)])
    cells = [cell(picture | view), cell(slider), cell({"text/html": table.to_html()})]
    return without_widgets(nbformat.v4.new_notebook(cells=cells))


@pytest.fixture(scope="module")
def page(lab, chromium):
    """The notebook's page in JupyterLab, as wide as a small screen leaves it."""
    from playwright.sync_api import sync_playwright

    content = {"type": "notebook", "content": json.loads(nbformat.writes(saved()))}
    put = urllib.request.Request(
        f"{lab}/api/contents/saved.ipynb?token={TOKEN}",
        data=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(put, timeout=30).close()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER.split())
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(60_000)
        page.goto(f"{lab}/doc/tree/saved.ipynb?token={TOKEN}&reset", timeout=120_000)
        page.wait_for_selector(".jp-Notebook .jp-OutputArea-output table", timeout=120_000)
        yield page
        browser.close()


def test_picture_and_line_stand_in_for_widgets(page):
    shown = page.locator(".jp-OutputArea-output")
    assert page.locator(".jp-OutputArea-output img").bounding_box()["width"] > 300
    assert LINE in shown.nth(1).inner_text()
    assert not any(ERROR in text for text in shown.all_inner_texts())


def test_wide_table_scrolls_inside_its_own_box(page):
    reach = page.evaluate(
        """() => {
            let box = document.querySelector('.jp-OutputArea-output table');
            const width = box.getBoundingClientRect().width;
            while (box && !/auto|scroll/.test(getComputedStyle(box).overflowX))
                box = box.parentElement;
            const seen = box.getBoundingClientRect();
            box.scrollLeft = 10000;
            return [width, seen.right, box.scrollLeft + box.clientWidth, innerWidth];
        }"""
    )
    width, right, reached, screen = reach
    assert width > right, "the table would fit anyway"
    assert right <= screen and reached >= width
