"""What a person does with a photograph of their own in JupyterLab, and what comes of it."""

import json
import re
import struct
import urllib.request
import zlib
from io import BytesIO

import lab as jupyter
import numpy as np
import pytest
from PIL import Image
from shown import drag

from depthclip_core.settings import BINS

pytestmark = [pytest.mark.slow, pytest.mark.browser]

NAME = "16_your_photo.ipynb"
SOON = 60_000  # milliseconds that a loaded machine may take
WORDS = "giant, extremely close, close, not in distance, a little remote, far, unseen"
THEMES = ["JupyterLab Light", "JupyterLab Dark"]


def picture(shape, kind="PNG") -> bytes:
    """A file of noise, which is as large as pictures of its size become."""
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def huge() -> bytes:
    """The beginning of a PNG file that claims to have 40 gigapixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


class Explorer:
    """The explorer on the page, as a person sees and uses it."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".depthclip-explorer")
        self.maps = self.box.locator(".depthclip-cells")
        self.alert = self.box.get_by_role("alert")

    def upload(self, *files: tuple[str, bytes]) -> None:
        kind = "application/octet-stream"
        sent = [{"name": name, "mimeType": kind, "buffer": content} for name, content in files]
        self.box.locator("input[type=file]").set_input_files(sent)

    def shows(self, name: str) -> None:
        """Wait until a photograph of that name is shown."""
        caption = self.box.locator("figcaption").first
        caption.filter(has_text=re.compile(f"^{re.escape(name)}$")).wait_for(timeout=SOON)

    def settle(self) -> None:
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(
            "!document.querySelector('.depthclip-explorer[aria-busy=true]')", timeout=SOON
        )
        self.page.wait_for_timeout(300)

    def slider(self, word: str):
        return self.box.get_by_role("slider", name=word, exact=True)

    @property
    def bins(self) -> list[float]:
        """What the number fields of the bins say, metres."""
        fields = self.box.get_by_role("spinbutton", name=re.compile(", in m$")).all()
        return [float(field.input_value()) for field in fields]

    def listed_bins(self) -> list[float]:
        """The bins of the table, with which the depth is made."""
        cells = self.box.locator("tbody td:nth-child(2)").all_inner_texts()
        return [float(text) for text in cells]

    def at(self, cell, grid, place=1) -> tuple[float, float]:
        box = self.maps.nth(place).bounding_box()
        across, down = (cell[1] + 0.5) / grid[1], (cell[0] + 0.5) / grid[0]
        return box["x"] + box["width"] * across, box["y"] + box["height"] * down

    def reading(self, column: int) -> tuple[tuple[int, int], float, float]:
        """Of the cell pinned (2) or below the pointer (3): itself, its depth, Σ weight × bin."""
        head = self.box.locator("th").nth(column).inner_text()
        row, place, metres = re.search(r"row (\d+), column (\d+): ([\d.]+) m", head).groups()
        lines = [
            line.locator("td").all_inner_texts() for line in self.box.locator("tbody tr").all()
        ]
        total = sum(float(line[1]) * float(line[column].strip(" %\n")) / 100 for line in lines)
        return (int(row), int(place)), float(metres), total

    def save(self, name: str) -> tuple[str, bytes]:
        with self.page.expect_download(timeout=SOON) as waiting:
            self.box.get_by_role("button", name=name).click()
        saved = waiting.value
        return saved.suggested_filename, saved.path().read_bytes()


@pytest.fixture(scope="module")
def traffic():
    """Addresses that the page asked for, and how many messages it sent to kernels."""
    return {"addresses": [], "messages": 0}


@pytest.fixture(scope="module")
def page(lab, chromium, traffic):
    """The notebook's page, with all cells run."""

    def count(_):
        traffic["messages"] += 1

    with jupyter.browse(chromium) as page:
        page.on("request", lambda request: traffic["addresses"].append(request.url))
        page.on("websocket", lambda socket: socket.on("framesent", count))
        jupyter.run_all(page, lab, NAME)
        page.locator(".depthclip-cells img").nth(1).wait_for(timeout=SOON)
        yield page
    jupyter.end_kernels(lab)


@pytest.fixture
def explorer(page, keep_screen):
    """With a photograph of 15 × 20 cells, larger than the network sees it, and the first words."""
    shown = Explorer(page)
    shown.box.evaluate("box => box.scrollIntoView()")
    if "room.png" not in shown.box.get_by_label("photograph", exact=True).inner_text():
        shown.upload(("room.png", picture((960, 1280))))
    shown.box.get_by_label("photograph", exact=True).select_option(label="room.png")
    shown.box.get_by_role("button", name="reset", exact=True).click()
    shown.shows("room.png")
    shown.settle()
    yield shown
    keep_screen(page)


def test_uploads_are_shown_and_listed(explorer):
    large = picture((1200, 1600))
    assert len(large) > 4 * 2**20  # so that it comes in many parts
    explorer.upload(("large.png", large), ("second.jpg", picture((300, 240), "JPEG")))
    explorer.shows("second.jpg")
    listed = explorer.box.get_by_label("photograph", exact=True)
    assert listed.locator("option").all_inner_texts()[-3:] == [
        "room.png",
        "large.png",
        "second.jpg",
    ]
    sizes = [
        image.evaluate("i => [i.naturalHeight, i.naturalWidth]")
        for image in explorer.maps.locator("img").all()
    ]
    assert sizes == [[300, 240], [300, 240]]
    listed.select_option(label="large.png")
    explorer.shows("large.png")


WRONG = {
    "text": ("notes.jpg", b"no <b>picture</b>", "cannot read notes.jpg as an image"),
    "EPS": ("drawing.jpg", picture((30, 40), "EPS"), "cannot read drawing.jpg as an image"),
    "huge": ("huge.png", huge(), "huge.png"),
    "markup": ("<img src=x>.jpg", b"", "cannot read <img src=x>.jpg as an image"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_photograph_is_one_line(explorer, kind):
    name, content, line = WRONG[kind]
    explorer.upload((name, content))
    explorer.alert.wait_for(timeout=SOON)
    assert line in explorer.alert.inner_text() and explorer.alert.locator("*").count() == 0
    explorer.shows("room.png")
    explorer.upload(("room.png", picture((960, 1280))))
    explorer.alert.wait_for(state="detached", timeout=SOON)


def test_file_that_cannot_be_read_is_named_beside_those_that_can(explorer):
    content = picture((960, 1280))
    explorer.upload(("notes.jpg", b"no picture"), ("hall.png", content))
    explorer.shows("hall.png")
    assert "cannot read notes.jpg" in explorer.alert.inner_text()
    explorer.upload(("room.png", content))
    explorer.alert.wait_for(state="detached", timeout=SOON)


def test_pointer_reads_cells_without_the_kernel(explorer, traffic):
    before = traffic["messages"]
    for cell, place in [((0, 0), 1), ((14, 19), 0), ((7, 3), 1)]:
        explorer.page.mouse.move(*explorer.at(cell, (15, 20), place))
        at, metres, total = explorer.reading(3)
        assert at == cell and 1 <= metres <= 3
        assert total == pytest.approx(metres, abs=0.06)  # weights are shown in whole per cent
    assert traffic["messages"] == before
    explorer.page.mouse.move(5, 5)
    assert "not on a picture" in explorer.box.locator("th").nth(3).inner_text()


def test_click_and_arrow_keys_pin_a_cell(explorer):
    explorer.page.mouse.click(*explorer.at((4, 6), (15, 20)))
    assert explorer.reading(2)[0] == (4, 6)
    explorer.page.keyboard.press("ArrowDown")
    explorer.page.keyboard.press("ArrowRight")
    at, metres, total = explorer.reading(2)
    assert at == (5, 7) and total == pytest.approx(metres, abs=0.06)
    explorer.page.wait_for_timeout(1000)
    assert (
        explorer.box.get_by_role("status").last.inner_text() == f"row 5, column 7: {metres:.2f} m"
    )


def test_typed_bin_changes_depth_and_scale(explorer):
    words = explorer.box.get_by_label("words", exact=True)
    words.fill("room")  # all cells have the depth of the only word
    words.press("Enter")
    field = explorer.box.get_by_role("spinbutton", name="room, in m", exact=True)
    field.fill("7")
    field.press("Enter")
    explorer.settle()
    assert explorer.reading(2)[1] == 7 and explorer.listed_bins() == [7]
    assert explorer.slider("room").get_attribute("aria-valuetext") == "7.00 m"
    scale = explorer.box.locator(".depthclip-scale")
    assert scale.get_attribute("aria-label") == "colours: depth from 6.5 m, dark, to 7.5 m, bright"


def test_dragged_bin_pushes_others_which_return(explorer):
    giant, others = explorer.slider("giant"), [*BINS["original"][1:]]
    drag(explorer.page, giant, 0.6)
    explorer.settle()
    pushed = explorer.bins
    assert pushed[0] > 5 and pushed == sorted(set(pushed)) == explorer.listed_bins()
    drag(explorer.page, giant, 0.05)
    explorer.settle()
    assert explorer.bins[0] < 1 and explorer.bins[1:] == others
    assert explorer.listed_bins() == explorer.bins


def test_keys_move_bins_which_push_others_and_return(explorer):
    explorer.slider("unseen").focus()
    explorer.page.keyboard.press("Home")
    explorer.settle()
    metres = explorer.bins  # the others need room below it
    assert metres == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4])
    explorer.page.keyboard.press("End")
    explorer.settle()
    assert explorer.bins == [*BINS["original"][:-1], 10]
    for _ in range(5):
        explorer.page.keyboard.press("ArrowLeft")
    explorer.settle()
    assert explorer.bins[-1] == 9.75 and explorer.listed_bins() == explorer.bins


def test_words_are_edited_and_mistakes_named(explorer):
    words = explorer.box.get_by_label("words", exact=True)
    words.fill("near, , far")
    words.press("Enter")
    explorer.alert.wait_for(timeout=SOON)
    assert explorer.alert.inner_text() == "Word 2 of 3 is empty. Is there a comma too many?"
    assert explorer.box.locator("tbody tr").count() == 7
    words.fill("near, <i>far</i>")
    words.press("Enter")
    explorer.alert.wait_for(state="detached", timeout=SOON)
    explorer.settle()
    names = explorer.box.locator("tbody td:first-child").all_inner_texts()
    assert names == ["near", "<i>far</i>"]
    assert explorer.box.get_by_role("slider").count() == 3  # two bins and the angle of view


@pytest.mark.parametrize("own", [False, True])
def test_files_hold_what_is_shown(explorer, own):
    size = (960, 1280) if own else (480, 640)
    explorer.box.get_by_label("size of files", exact=True).select_option(index=int(own))
    explorer.settle()
    name, content = explorer.save("depth .npy, metres")
    depth = np.load(BytesIO(content), allow_pickle=False)
    assert name == "room_depth.npy" and depth.shape == size and depth.dtype == np.float32
    for cell, pixel in [((0, 0), (0, 0)), ((14, 19), (-1, -1))]:  # corners are not interpolated
        explorer.page.mouse.move(*explorer.at(cell, (15, 20)))
        assert explorer.reading(3)[1] == pytest.approx(depth[pixel], abs=0.0051)
    name, content = explorer.save("depth .png, 16 bits, mm")
    millimetres = np.asarray(Image.open(BytesIO(content)))
    assert name == "room_depth_mm.png" and millimetres.dtype == np.uint16
    assert np.abs(millimetres / 1000 - depth).max() <= 0.0005001
    name, content = explorer.save("figure .png")
    width, height = Image.open(BytesIO(content)).size
    assert name == "room_figure.png" and width >= 2 * size[1] and height >= size[0]
    name, content = explorer.save("points .ply")
    header, _, body = content.partition(b"end_header\n")
    assert name == "room_points.ply" and b"element vertex 307200\n" in header
    points = np.frombuffer(body, [("at", "<f4", 3), ("colour", "u1", 3)])
    assert len(points) == 480 * 640
    if not own:
        np.testing.assert_allclose(-points["at"][:, 2], depth.ravel(), rtol=1e-6)


def test_points_are_drawn_here_and_not_saved(explorer, lab, traffic):
    explorer.box.get_by_role("button", name="show or hide the points").click()
    canvas = explorer.box.locator(".depthclip-cloud canvas").first
    canvas.wait_for(timeout=SOON)
    told = explorer.box.locator(".depthclip-cloud").get_attribute("aria-label")
    assert told.startswith("cloud of 30000 points")
    explorer.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    address = f"{lab}/api/contents/{NAME}?token={jupyter.TOKEN}"
    with urllib.request.urlopen(address) as answer:
        saved = json.load(answer)["content"]
    assert saved["cells"][-2]["outputs"], "it was not saved after it ran"
    assert "widgets" not in saved["metadata"] and len(json.dumps(saved)) < 1_500_000
    explorer.box.get_by_role("button", name="show or hide the points").click()
    canvas.wait_for(state="detached", timeout=SOON)
    outside = [a for a in traffic["addresses"] if not a.startswith((lab, "blob:", "data:"))]
    assert outside == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [700, 1280, 1600])
def test_nothing_is_clipped(explorer, keep_screen, theme, width):
    page = explorer.page
    jupyter.choose_theme(page, theme)
    try:
        page.set_viewport_size({"width": width, "height": 800})
        explorer.box.evaluate("box => box.scrollIntoView()")
        page.wait_for_timeout(500)
        keep_screen(page, f"{theme} {width}")
        assert explorer.box.evaluate("box => box.scrollWidth - box.clientWidth") <= 1
        whole = explorer.box.bounding_box()
        for part in (*explorer.maps.all(), explorer.box.locator("table").first):
            box = part.bounding_box()
            assert box["x"] + box["width"] <= whole["x"] + whole["width"] + 1
            assert box["width"] >= 200  # a narrow page shows one picture above the other
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})
        jupyter.choose_theme(page, THEMES[0])
