"""What a person does with the explorers in JupyterLab, and what is then on the screen."""

import pytest
from lab import choose_theme
from shown import contrast, letters, shown

from depthclip_core.widgets.pictures import TEXT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ORIGINAL = ["1.00", "1.50", "2.00", "2.25", "2.50", "2.75", "3.00"]


@pytest.fixture
def cells(notebook):
    return shown(notebook, 0)


@pytest.fixture
def bins(notebook):
    explorer = shown(notebook, 1)
    explorer.button("reset").click()
    explorer.settle()
    assert explorer.bins == ORIGINAL
    return explorer


@pytest.fixture
def words(notebook):
    explorer = shown(notebook, 2)
    explorer.button("reset").click()
    explorer.settle()
    return explorer


def test_steps_and_as_many_steps_back_end_where_they_began(bins):
    for _ in range(3):
        bins.press(bins.slider("close"), *["ArrowRight"] * 5, *["ArrowLeft"] * 5)
        bins.settle()
        assert bins.bins == ORIGINAL
        assert bins.slider("close").get_attribute("aria-valuetext") == "2.00 m"


def test_every_click_counts(cells):
    for pause in (0, 80, 200):
        for cell in [(9, 4), (3, 12), (9, 4), (3, 12)]:
            cells.click_cell(*cell, delay=pause)
        cells.settle()
        assert cells.cell() == (3, 12)
        assert cells.number("row, as a number").input_value() == "3"
        assert cells.number("column, as a number").input_value() == "12"


def test_typed_value_after_a_preset_is_taken(bins):
    bins.button("class-dependent-3").click()
    field = bins.number("unseen, in m")
    field.fill("3")
    field.press("Enter")
    bins.settle()
    assert bins.bins[6] == "3.00"
    bins.button("class-dependent-3").click()
    bins.slider("unseen").focus()
    bins.page.keyboard.press("End")
    bins.settle()
    assert bins.bins[6] == "10.00"
    bins.button("class-dependent-1").click()
    bins.button("original").click()
    bins.settle()
    assert bins.bins == ORIGINAL


def test_number_typed_while_a_preset_arrives_replaces_it(bins):
    field, page = bins.number("unseen, in m"), bins.page
    field.focus()
    field.select_text()
    bins.button("class-dependent-3").evaluate("button => button.click()")  # the focus stays
    bins.settle()
    assert field.input_value() == "2.50"
    page.keyboard.type("3.1")
    page.keyboard.press("Enter")
    bins.settle()
    assert bins.bins[6] == field.input_value() == "3.10"


def test_half_typed_number_stays_while_a_preset_arrives(bins):
    field, page = bins.number("unseen, in m"), bins.page
    field.focus()
    field.select_text()
    page.keyboard.type("3")
    bins.button("class-dependent-3").evaluate("button => button.click()")
    bins.settle()
    page.keyboard.type(".25")
    page.keyboard.press("Enter")
    bins.settle()
    assert bins.bins == ["1.00", "1.25", "1.50", "1.75", "2.00", "2.25", "3.25"]


def test_wishes_of_different_controls_keep_their_order(bins):
    """Their messages must not be handled in two threads, in whatever order comes of it."""
    at_once = """box => {
        const [preset, reset] = ["class-dependent-3", "reset"].map((name) =>
            [...box.querySelectorAll("button")].find((button) => button.textContent === name));
        const slider = box.querySelector("input[aria-label=unseen]");
        for (const value of [3.5, 4.5, 5.5]) {
            preset.click();
            slider.value = value;
            slider.dispatchEvent(new Event("input"));
            if (value < 5) reset.click();
        }
    }"""
    for _ in range(4):
        bins.box.evaluate(at_once)
        bins.settle()
        assert bins.bins == ["1.00", "1.25", "1.50", "1.75", "2.00", "2.25", "5.50"]
        bins.button("reset").click()
        bins.settle()


def test_stale_clicks_are_left_out(cells):
    watch = """box => {
        const picture = box.querySelector(".depthclip-picture img");
        window.pictures = 0;
        new MutationObserver((changes) => (window.pictures += changes.length)).observe(
            picture, { attributes: true, attributeFilter: ["src"] });
        const { left, top, width } = picture.getBoundingClientRect();
        const at = (cell) => (4 + 22 * (cell + 0.5)) * (width / 838);
        for (let cell = 0; cell < 12; cell++)
            picture.dispatchEvent(new MouseEvent("click", {
                clientX: left + at(cell), clientY: top + 20 * (width / 838) + at(cell) }));
    }"""
    cells.box.evaluate(watch)
    cells.settle()
    assert cells.cell() == (11, 11)
    assert cells.page.evaluate("window.pictures") == 2  # the first and the last


def test_bins_ascend_whatever_is_dragged(bins):
    for name, to in [("close", 0.99), ("giant", 0.5), ("unseen", 0.01), ("far", 0.3)]:
        bins.drag(name, to)
        bins.settle()
        metres = [float(text) for text in bins.bins]
        assert metres == sorted(set(metres)), name
        positions = [float(s.input_value()) for s in bins.box.get_by_role("slider").all()][:7]
        assert positions == pytest.approx(metres, abs=0.026), name


@pytest.mark.parametrize("place", [0, 1, 2])
def test_controls_and_picture_are_in_view_together(notebook, place):
    explorer = shown(notebook, place)
    view = notebook.locator(".jp-WindowedPanel-outer").first.bounding_box()
    bottom = view["y"] + view["height"] + 1
    inside = explorer.box.bounding_box()
    assert inside["y"] >= view["y"] - 1 and inside["y"] + inside["height"] <= bottom
    picture = explorer.picture.bounding_box()
    assert picture["width"] >= 500
    for slider in explorer.box.get_by_role("slider").all():
        box = slider.bounding_box()
        assert box["x"] + box["width"] <= picture["x"]


def test_narrow_pages_stack_and_clip_nothing(notebook):
    try:
        for width in (1100, 800):
            notebook.set_viewport_size({"width": width, "height": 800})
            for place in (0, 1, 2):
                explorer = shown(notebook, place)
                whole, picture = explorer.box.bounding_box(), explorer.frame.bounding_box()
                assert picture["x"] + picture["width"] <= whole["x"] + whole["width"] + 1
                last = explorer.box.get_by_role("slider").last.bounding_box()
                assert last["y"] + last["height"] <= picture["y"]
                clipped = explorer.box.evaluate("box => box.scrollWidth - box.clientWidth")
                assert clipped <= 1, (width, place)
    finally:
        notebook.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("width", [700, 1280])
def test_letters_of_pictures_can_be_read_beside_the_file_browser(notebook, width):
    try:
        notebook.set_viewport_size({"width": width, "height": 800})
        for place in (0, 1, 2):
            explorer = shown(notebook, place)
            assert letters(explorer.picture, TEXT) >= 9
            whole, frame = explorer.box.bounding_box(), explorer.frame.bounding_box()
            assert frame["x"] + frame["width"] <= whole["x"] + whole["width"] + 1
            hidden = explorer.frame.evaluate("e => e.scrollWidth - e.clientWidth")
            assert (hidden > 0) == (width == 700)
            if hidden:
                box = explorer.box.get_by_role("group", name="picture, scrolls sideways")
                explorer.press(box, *["ArrowRight"] * 20)
                notebook.wait_for_function("e => e.scrollLeft > 100", arg=box.element_handle())
                box.evaluate("e => (e.scrollLeft = 1e6)")
                end = explorer.picture.bounding_box()
                assert end["x"] + end["width"] <= frame["x"] + frame["width"] + 1
                box.evaluate("e => (e.scrollLeft = 0)")
            else:
                assert explorer.frame.get_attribute("tabindex") is None
    finally:
        notebook.set_viewport_size({"width": 1280, "height": 800})


def test_keys_stay_with_the_control_that_has_the_focus(bins):
    page = bins.page
    cells = page.locator(".jp-Notebook .jp-Cell")
    before, top = cells.count(), bins.box.bounding_box()["y"]
    for control in (bins.box.get_by_label("frame"), bins.slider("far"), bins.button("next frame")):
        bins.press(control, "d", "d", "a", "b", "x")
    frame = bins.box.get_by_label("frame")
    bins.press(frame, "Home")
    bins.settle()
    first = bins.picture.get_attribute("alt")
    bins.press(frame, "ArrowDown")
    bins.settle()
    second = bins.picture.get_attribute("alt")
    assert first.split(":")[0] != second.split(":")[0]
    bins.press(bins.button("previous frame"), "Enter")
    bins.settle()
    assert bins.picture.get_attribute("alt") == first
    assert cells.count() == before
    assert bins.box.bounding_box()["y"] == pytest.approx(top, abs=1)


def test_keys_after_a_click_on_the_picture_change_no_cell_of_the_notebook(cells):
    page, listed = cells.page, cells.page.locator(".jp-Notebook .jp-Cell")
    before, clicked = listed.count(), (6, 6)
    cells.click_cell(*clicked)
    for key in ("d", "d", "a", "b", "x"):
        page.keyboard.press(key)
    cells.settle()
    assert listed.count() == before
    assert cells.cell() == clicked


def test_found_frames_are_listed(cells):
    frame, find = cells.box.get_by_label("frame"), cells.box.get_by_label("find")
    every = frame.locator("option").all_inner_texts()
    find.fill("BOOK")
    cells.settle()
    assert frame.locator("option").all_inner_texts() == [t for t in every if "book" in t]
    assert "book" in cells.picture.get_attribute("alt")
    find.fill("no such frame")
    cells.settle()
    assert "No frame has" in cells.box.get_by_role("alert").inner_text()
    find.fill("")
    cells.settle()
    assert frame.locator("option").all_inner_texts() == every
    assert cells.box.get_by_role("alert").count() == 0


def test_error_left_standing_blocks_no_clicks(words):
    field = words.box.get_by_label("words")
    field.fill("near, , far")
    field.press("Enter")
    words.settle()
    alert = words.box.get_by_role("alert")
    assert alert.inner_text() == "Word 2 of 3 is empty. Is there a comma too many?"
    for cell in [(2, 3), (10, 14)]:
        words.click_cell(*cell)
        words.settle()
        assert words.cell() == cell
        assert alert.count() == 1
    words.button("reset").click()
    words.settle()
    assert alert.count() == 0


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_all_can_be_read_in_every_theme(words, theme):
    page = words.page
    choose_theme(page, theme)
    words.type(words.field("bins (m)"), "1, two")
    words.settle()
    assert words.alert.inner_text().startswith("“two” is not a number.")
    for name, element in {
        "error": words.alert,
        "label": words.box.locator(".depthclip-slider span").first,
        "field": words.field("words"),
        "list": words.field("frame"),
        "button": words.button("reset"),
        "table": words.box.locator(".dataframe td").first,
    }.items():
        assert contrast(*element.evaluate(COLOURS)) >= 4.5, name


# Pixels of a table's last cell that no scrolling brings into its explorer.
HIDDEN = """table => {
    const right = (element) => element.getBoundingClientRect().right;
    const boxes = [];
    for (let box = table; !box.classList.contains("depthclip-explorer"); box = box.parentElement)
        boxes.push(box);
    const style = (box) => getComputedStyle(box).overflowX;
    boxes.filter((box) => style(box) === "auto").forEach((box) => (box.scrollLeft = 1e6));
    const last = right(table.querySelector("tr:last-child td:last-child"));
    const edges = boxes.filter((box) => style(box) !== "visible").map(right);
    const hidden = last - Math.min(...edges, right(table.closest(".depthclip-explorer")));
    boxes.forEach((box) => (box.scrollLeft = 0));
    return hidden;
}"""
# Of an element: its ink, and the first paper below it that is not transparent.
COLOURS = """element => {
    let paper, below = element;
    do paper = getComputedStyle(below).backgroundColor;
    while (/, 0\\)$/.test(paper) && (below = below.parentElement));
    return [getComputedStyle(element).color, paper];
}"""


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1600, 1280, 700])
def test_nothing_is_clipped_at_any_width(notebook, keep_screen, theme, width):
    try:
        choose_theme(notebook, theme)
        notebook.set_viewport_size({"width": width, "height": 1000})
        for place in range(3):
            explorer = shown(notebook, place)
            keep_screen(notebook, str(place))
            whole = explorer.box.bounding_box()
            for table in explorer.box.locator(".dataframe").all():
                hidden = table.evaluate(HIDDEN)
                assert hidden <= 1, (hidden, place)
            for role in ("slider", "spinbutton", "button", "textbox", "combobox"):
                for control in explorer.box.get_by_role(role).all():
                    box = control.bounding_box()
                    assert box["width"] >= 40, (role, place)
                    assert box["x"] + box["width"] <= whole["x"] + whole["width"] + 1, (role, place)
                    assert control.evaluate("e => e.scrollWidth - e.clientWidth") <= 1 or (
                        role in ("textbox", "spinbutton", "combobox")
                    ), (role, place)
    finally:
        notebook.set_viewport_size({"width": 1280, "height": 800})
        choose_theme(notebook, "JupyterLab Light")


def test_changes_are_read_out(cells):
    cells.click_cell(5, 5)
    cells.settle()
    spoken = cells.box.get_by_role("status").filter(has_text="row 5, column 5: predicted")
    spoken.wait_for(state="attached")
    assert spoken.inner_text() == cells.picture.get_attribute("alt")
