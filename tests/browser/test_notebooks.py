"""Every notebook opens and runs in JupyterLab, and its explorer is used as a person would."""

import re

import lab as jupyter
import pytest
from shown import Shown, shown

pytestmark = [pytest.mark.slow, pytest.mark.browser]

NOTEBOOKS = sorted(path.name for path in jupyter.ROOT.glob("notebooks/[0-9]*.ipynb"))
ONE_FRAME = "00_pipeline.ipynb"  # its explorer shows no controls that choose another


def use_cells(explorer: Shown) -> None:
    """Click on cells, move by keyboard, type a row."""
    for cell in [(2, 3), (10, 14), (5, 8)]:
        explorer.click_cell(*cell)
    explorer.settle()
    assert explorer.cell() == (5, 8)
    explorer.press(explorer.slider("column"), "ArrowRight", "ArrowRight", "ArrowLeft")
    explorer.type(explorer.number("row, as a number"), "11")
    explorer.settle()
    assert explorer.cell() == (11, 9)
    told = explorer.picture.get_attribute("alt")
    assert re.search(r"row 11, column 9: predicted \d+\.\d\d m, (true \d|truth unknown)", told)


def use_bins(explorer: Shown) -> None:
    """Drag a bin, move one by keyboard, type one, press presets quickly."""
    before = explorer.metrics
    explorer.drag("close", 0.9)
    explorer.settle()
    moved = [float(text) for text in explorer.bins]
    assert moved == sorted(set(moved)) and moved[2] > 8
    assert explorer.metrics != before
    for name in ("class-dependent-1", "class-dependent-4", "original"):
        explorer.button(name).click()
    explorer.settle()  # keys move a slider from where it is seen
    explorer.press(explorer.slider("unseen"), "ArrowRight", "ArrowRight", "ArrowLeft")
    explorer.type(explorer.number("giant, in m"), "0.5")
    explorer.settle()
    assert explorer.bins == ["0.50", "1.50", "2.00", "2.25", "2.50", "2.75", "3.05"]
    explorer.type(explorer.number("giant, in m"), "-4")  # beyond the slider's end
    explorer.settle()
    assert explorer.bins[0] == "0.10"
    explorer.button("reset").click()
    explorer.settle()
    assert explorer.metrics == before


def use_words(explorer: Shown) -> None:
    """Edit words and bins, make mistakes, press presets quickly."""
    before = explorer.metrics
    explorer.type(explorer.field("words"), "near, , far")
    explorer.settle()
    assert explorer.alert.inner_text() == "Word 2 of 3 is empty. Is there a comma too many?"
    explorer.type(explorer.field("words"), "near, far")
    explorer.settle()
    assert explorer.alert.inner_text().startswith("There are 2 words but 7 bins")
    explorer.type(explorer.field("bins (m)"), "1, <b>4")
    explorer.settle()
    assert explorer.alert.inner_text().startswith("“<b>4” is not a number")
    explorer.type(explorer.field("bins (m)"), "1, 4")
    explorer.settle()
    assert explorer.alert.count() == 0 and explorer.metrics != before
    for name in ("prompt-1", "prompt-3", "reset"):
        explorer.button(name).click()
    explorer.settle()
    assert explorer.metrics == before
    use_cells(explorer)


def use_frames(explorer: Shown) -> None:
    """Choose the second scene, step through its frames, and find one by its name."""
    scene, frame = explorer.field("scene"), explorer.field("frame")
    labels = scene.locator("option").all_inner_texts()
    name = re.sub(r" \(\d+\)$", "", labels[-1])
    scene.select_option(index=len(labels) - 1)
    explorer.settle()
    listed = frame.locator("option").all_inner_texts()
    assert listed and (name == "all scenes" or all(label.endswith(name) for label in listed))
    explorer.button("next frame").click()
    explorer.settle()
    label = listed[1 % len(listed)]
    assert explorer.picture.get_attribute("alt").startswith(f"{label}: ")
    explorer.field("find").fill("no such frame")
    explorer.settle()
    assert "“no such frame”" in explorer.alert.inner_text()
    explorer.field("find").fill("")
    explorer.settle()
    assert explorer.alert.count() == 0


def use(explorer: Shown, several: bool) -> None:
    """Use whatever controls the explorer has. several: whether there are several frames."""
    if explorer.field("words").count():
        use_words(explorer)
    elif explorer.slider("row").count():
        use_cells(explorer)
    else:
        use_bins(explorer)
    assert explorer.field("scene").is_visible() == several
    if several:
        use_frames(explorer)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_and_its_explorer_is_used(lab, chromium, keep_screen, name):
    with jupyter.browse(chromium) as page:
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        jupyter.run_all(page, lab, name)
        try:
            errors = page.locator('[data-mime-type="application/vnd.jupyter.error"]')
            assert errors.all_inner_texts() == []
            # That of photographs has no such picture: test_own_photographs.py uses it.
            for place in range(page.locator(".depthclip-explorer:has(.depthclip-picture)").count()):
                use(shown(page, place), several=name != ONE_FRAME)
                keep_screen(page, str(place))
            has_explorer = "Explorer(" in (jupyter.ROOT / "notebooks" / name).read_text()
            assert has_explorer == (page.locator(".depthclip-explorer").count() > 0)
            assert faults == []
        finally:
            keep_screen(page)
            jupyter.end_kernels(lab)
