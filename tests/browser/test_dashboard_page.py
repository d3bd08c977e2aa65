"""What a person does with the dashboard in a browser, and what is left when its server ends."""

import re
import signal
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import dashboard as dashboards
import lab as jupyter
import numpy as np
import nyu_files
import psutil
import pytest
from PIL import Image
from shown import drag, letters

from depthclip_core.settings import BINS
from depthclip_core.widgets.heads_picture import HeadsPicture

pytest.importorskip("voila", reason="voila is not installed: make dashboard installs it")

pytestmark = [pytest.mark.slow, pytest.mark.browser]

WORDS = "giant, extremely close, close, not in distance, a little remote, far, unseen"
SHOWN = {name: [f"{metres:.2f}" for metres in bins] for name, bins in BINS.items()}
FAR = 30_000  # milliseconds that a loaded machine may take


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dashboard")


@pytest.fixture(scope="module")
def server(folder):
    """A dashboard of a few frames in NYU's layout: the process, and its address with the token."""
    data = nyu_files.write_sample(folder, test=1, train=1)
    with dashboards.serve(folder, "--dataset", "nyu", "--data", str(data)) as served:
        yield served


@pytest.fixture(scope="module")
def requests():
    """The addresses that the page asked for."""
    return []


@pytest.fixture(scope="module")
def page(server, chromium, requests):
    """The dashboard's page, 1,280 × 800 pixels, when its picture is shown."""
    with jupyter.browse(chromium) as page:
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.goto(server[1], timeout=120_000)
        page.wait_for_selector(dashboards.SHOWN, timeout=120_000)
        yield page


class Dashboard:
    """The page as a person sees and uses it."""

    def __init__(self, page):
        self.page = page
        self.picture = page.locator(".depthclip-picture img")

    @property
    def alt(self) -> str:
        return self.picture.get_attribute("alt")

    @property
    def bins(self) -> list[str]:
        fields = self.page.get_by_role("spinbutton", name=re.compile("in m$")).all()
        return [field.input_value() for field in fields]

    def control(self, role, name):
        return self.page.get_by_role(role, name=name, exact=True)

    def press(self, name) -> None:
        self.control("button", name).click()

    def type_words(self, text) -> None:
        field = self.page.get_by_label("words", exact=True)
        field.fill(text)
        field.press("Enter")

    def wait_for(self, text) -> None:
        """Until the picture's description contains a text."""
        self.page.wait_for_function(
            "text => document.querySelector('.depthclip-picture img').alt.includes(text)",
            arg=text,
            timeout=FAR,
        )

    def wait_for_bins(self, bins) -> None:
        self.page.wait_for_function(
            """bins => {
              const fields = [...document.querySelectorAll('input[aria-label$="in m"]')];
              return fields.map((field) => field.value).join() === bins;
            }""",
            arg=",".join(bins),
            timeout=FAR,
        )

    def settle(self) -> None:
        """Until nothing has changed for two seconds."""
        before, quiet = None, 0
        while quiet < 8:
            self.page.wait_for_timeout(250)
            now = (self.picture.get_attribute("src"), self.bins)
            quiet = quiet + 1 if now == before else 0
            before = now

    def wait_for_value(self, field, value) -> None:
        for _ in range(FAR // 100):
            if field.input_value() == value:
                return
            self.page.wait_for_timeout(100)
        raise TimeoutError(f"{field.input_value()}, not {value}")

    def heads(self) -> list[float]:
        """Depth in the marked cell by both heads, metres."""
        found = re.search(r"DepthCLIP ([\d.]+) m, DepthCLIP \+ value head ([\d.]+) m", self.alt)
        return [float(metres) for metres in found.groups()]


@pytest.fixture
def dashboard(page, keep_screen):
    shown = Dashboard(page)
    page.get_by_label("show", exact=True).select_option("frame of the data set")
    shown.press("reset")
    shown.wait_for_bins(SHOWN["original"])
    shown.settle()
    yield shown
    keep_screen(page)


def status(address: str) -> tuple[int, str]:
    """The status of a request that follows no redirection, and where that would lead."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        with urllib.request.build_opener(Stay).open(address, timeout=60) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location", "")


def test_nobody_without_the_token_is_let_in(server):
    address = urlsplit(server[1])
    bare = f"http://{address.netloc}/"
    for asked in (bare, f"{bare}?token=wrong"):
        code, where = status(asked)
        assert code == 302 and where.startswith("/login")
    assert status(f"{bare}api/kernels/0-0-0-0-0")[0] in (302, 403)
    assert status(f"{bare}voila/files/dashboard.ipynb")[0] in (302, 403)


def test_only_this_machine_can_connect(server, page):
    family = [psutil.Process(server[0].pid)]
    family += family[0].children(recursive=True)
    assert len(family) > 1  # the kernel's too
    listening = {
        socket.laddr.ip
        for process in family
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_all_is_in_view_at_once(dashboard):
    assert dashboard.page.evaluate("document.documentElement.scrollWidth") <= 1280
    controls = dashboard.page.get_by_role("slider").all()
    for shown in (dashboard.picture, *controls, dashboard.page.locator("table.dataframe")):
        box = shown.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 800
    assert dashboard.picture.bounding_box()["width"] > 850


@pytest.mark.parametrize("width", [700, 1280, 1600])
def test_nothing_is_clipped_at_any_width(dashboard, keep_screen, width):
    page = dashboard.page
    try:
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(500)
        keep_screen(page, f"{width} wide")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert letters(dashboard.picture, HeadsPicture.text) >= 9
        if width >= 1280:
            table = page.locator("table.dataframe").bounding_box()
            assert table["y"] + table["height"] <= 800
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})


def test_both_heads_are_shown_with_the_true_depth(dashboard):
    heads = dashboard.heads()
    assert len(set(heads)) == 2 and all(1 <= metres <= 3 for metres in heads)
    assert re.search(r"true depth [\d.]+ m", dashboard.alt)
    rows = dashboard.page.locator("table.dataframe tbody tr").all_inner_texts()
    assert len(rows) == 4 and rows[0].startswith("DepthCLIP") and "value head" in rows[2]


def test_cells_are_chosen_by_click_and_by_keyboard(dashboard):
    box = dashboard.picture.bounding_box()
    scale = box["width"] / 1236
    for left in (4, 394, 784):  # the photograph and both depth maps
        for row, column in [(3, 12), (9, 4)]:
            x, y = left + 22 * (column + 0.5), 30 + 22 * (row + 0.5)
            dashboard.page.mouse.click(box["x"] + x * scale, box["y"] + y * scale)
            dashboard.wait_for(f"row {row}, column {column}:")
    for name, key, before, cell in [
        ("row", "ArrowRight", "9", "row 10, column 4:"),
        ("column", "ArrowLeft", "4", "row 10, column 3:"),
    ]:
        slider = dashboard.control("slider", name)
        dashboard.wait_for_value(slider, before)
        slider.focus()
        dashboard.page.keyboard.press(key)
        dashboard.wait_for(cell)


def test_dragged_bin_moves_the_depth_of_both_heads(dashboard):
    before = dashboard.heads()
    drag(dashboard.page, dashboard.control("slider", "giant"), 0.6)
    dashboard.settle()
    metres = [float(text) for text in dashboard.bins]
    assert metres == sorted(set(metres)) and metres[0] > 4
    after = dashboard.heads()
    assert all(new > old + 1 for new, old in zip(after, before, strict=True))


def test_presets_set_bins_and_words(dashboard):
    dashboard.press("class-dependent-1")
    dashboard.wait_for_bins(SHOWN["class-dependent-1"])
    dashboard.press("prompt-1")
    dashboard.page.wait_for_function(
        "words => document.querySelector('.depthclip-words input').value !== words",
        arg=WORDS,
        timeout=FAR,
    )
    dashboard.wait_for_bins(SHOWN["class-dependent-1"])


def test_typed_words_have_sliders(dashboard):
    dashboard.type_words("near, middle, far")
    dashboard.wait_for_bins(["1.00", "2.00", "3.00"])
    names = [s.get_attribute("aria-label") for s in dashboard.page.get_by_role("slider").all()]
    assert names == ["row", "column", "near", "middle", "far", "temperature"]
    before = dashboard.heads()
    dashboard.control("spinbutton", "far, in m").fill("9")
    dashboard.control("spinbutton", "far, in m").press("Enter")
    dashboard.wait_for_bins(["1.00", "2.00", "9.00"])
    dashboard.settle()
    assert dashboard.heads() != before


def test_words_that_cannot_be_read_are_named(dashboard):
    alert = dashboard.page.get_by_role("alert")
    dashboard.type_words("near, , far")
    alert.wait_for(timeout=FAR)
    assert alert.inner_text() == "Word 2 of 3 is empty. Is there a comma too many?"
    assert len(dashboard.bins) == 7
    dashboard.press("original words")
    alert.wait_for(state="detached", timeout=FAR)


def test_frames_of_a_scene_and_bins_for_it(dashboard):
    page = dashboard.page
    page.get_by_label("scene", exact=True).select_option("classroom (1)")
    dashboard.wait_for("classroom: photograph")
    dashboard.settle()
    assert (
        page.get_by_label("scene type", exact=True).evaluate(
            "list => list.selectedOptions[0].label"
        )
        == "classroom"
    )
    page.get_by_label("scene type", exact=True).select_option("bathroom")
    dashboard.press("use the best bins of this type")
    note = page.get_by_text(re.compile(r"bathroom: .* bins have the best δ1"))
    note.wait_for(timeout=120_000)
    name = re.search(r"bathroom: (\S+) bins", note.inner_text())[1]
    assert "DepthCLIP + value head on the train split" in note.inner_text()
    dashboard.settle()
    bins = dashboard.bins
    dashboard.press("original bins" if name == "original" else name)
    dashboard.settle()
    assert dashboard.bins == bins
    page.get_by_label("scene", exact=True).select_option(index=0)


def test_own_photo_is_uploaded(dashboard, folder):
    page = dashboard.page
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (200, 320, 3)).astype(np.uint8)
    Image.fromarray(rgb).save(folder / "my room.png")
    page.locator("input[type=file]").set_input_files(folder / "my room.png")
    dashboard.wait_for("my room.png: photograph")
    dashboard.settle()  # what follows the picture
    assert len(dashboard.heads()) == 2 and "true depth" not in dashboard.alt
    assert page.locator("table.dataframe").count() == 0
    assert "its metres mean nothing" in page.locator(".depthclip-result").inner_text()
    assert dashboard.control("slider", "row").get_attribute("max") == "5"
    (folder / "no photo.png").write_bytes(b"text")
    page.locator("input[type=file]").set_input_files(folder / "no photo.png")
    page.get_by_role("alert").wait_for(timeout=FAR)
    assert "no photo.png" in page.get_by_role("alert").inner_text()
    assert dashboard.alt.startswith("my room.png")


def test_no_request_leaves_this_machine(page, requests):
    inside = ("blob:http://127.0.0.1", "data:")  # made by the page itself
    sent = [address for address in requests if not address.startswith(inside)]
    assert len(sent) > 20
    assert {urlsplit(address).hostname for address in sent} == {"127.0.0.1"}


def test_kernel_ends_with_its_page(server, page):
    kernels = psutil.Process(server[0].pid).children
    before = len(kernels(recursive=True))
    other = page.context.browser.new_page()
    other.goto(server[1], timeout=120_000)
    other.wait_for_selector(dashboards.SHOWN, timeout=120_000)
    assert len(kernels(recursive=True)) == before + 1
    other.close(run_before_unload=True)
    for _ in range(FAR // 100):
        if len(kernels(recursive=True)) == before:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the kernel of a closed page still runs")


def test_interrupt_ends_the_server_and_leaves_nothing(server, page, folder):
    """The last test of this file: the server is gone afterwards."""
    process = server[0]
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert list((folder / "temporary").iterdir()) == []
    assert "Traceback" not in (folder / "log").read_text()
