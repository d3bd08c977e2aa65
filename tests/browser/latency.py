"""`make latency`: from a key or a click in JupyterLab to the picture that it changes.

The time runs from the browser's event to the first frame after the new picture has been loaded.
It is measured for each kind of action, one at a time, and stored as a machine's row.
"""

import argparse
import shutil
import time
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import dashboard
import lab as jupyter
from conftest import EXPLORERS, SETUP
from shown import Shown
from tqdm import tqdm

import depthclip_core as dc
from depthclip_core import bench
from depthclip_core.bench import latency, machine
from depthclip_core.devices import resolve_device
from depthclip_core.encoding.passes import encode
from depthclip_core.encoding.store import Store

WATCH = """() => {
    window.waited = [];
    let began = 0;
    const start = (event) => (began = event.timeStamp);
    for (const box of document.querySelectorAll(".depthclip-explorer")) {
        for (const kind of ["keydown", "click", "change"]) box.addEventListener(kind, start, true);
        box.querySelector(".depthclip-picture img").addEventListener("load", () =>
            requestAnimationFrame(() => window.waited.push(performance.now() - began)));
    }
}"""


def actions(page) -> dict:
    """What a person does again and again: by its name, an explorer, and an action on it.

    Each action changes the picture: the first frame is one of the first scene.
    """
    cells, bins, words = (Shown(page, place) for place in range(len(EXPLORERS)))
    steps, presets = cycle(["ArrowRight", "ArrowLeft"]), cycle(["class-dependent-1", "original"])
    places, scenes, edits = cycle([(3, 5), (8, 11)]), cycle([2, 1]), iter(range(10**6))

    def edit() -> None:
        words.type(words.field("words"), f"giant, near {next(edits)}, close, far, e, f, g")

    return {
        "click on a cell": (cells, lambda: cells.click_cell(*next(places))),
        "move the row by a key": (cells, lambda: cells.press(cells.slider("row"), next(steps))),
        "choose a scene": (cells, lambda: cells.field("scene").select_option(index=next(scenes))),
        "move a bin by a key": (bins, lambda: bins.press(bins.slider("close"), next(steps))),
        "press a preset": (bins, lambda: bins.button(next(presets)).click()),
        "next frame": (bins, lambda: bins.button("next frame").click()),
        "new words": (words, edit),
        "next frame with words": (words, lambda: words.button("next frame").click()),
    }


def measure(page, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each kind of action, after two to warm up."""
    page.evaluate(WATCH)
    times = {}
    for name, (explorer, act) in (bar := tqdm(actions(page).items())):
        bar.set_postfix_str(name)
        explorer.box.evaluate("element => element.scrollIntoView()")
        found = []
        for _ in range(repeats + 2):
            before = page.evaluate("waited.length")
            act()
            page.wait_for_function(f"waited.length > {before}")
            page.wait_for_timeout(150)  # what else the action brings about
            found.append(page.evaluate(f"waited[{before}]"))
        times[name] = found[2:]
    return times


def dashboard_starts(chromium: str, folder: Path, repeats: int) -> list[float]:
    """Milliseconds from the command to the dashboard's picture, where the store has its answers.

    The first start, which compiles and reads what later ones find ready, does not count.
    """
    run = dc.open_run()
    store = Store(folder / "store")
    encode(run.frames, run.encoder, ["released", "value"], store=store, progress=False)
    found = []
    for _ in range(repeats + 1):
        with jupyter.browse(chromium) as page:
            began = time.perf_counter()
            with dashboard.serve(folder) as (_, address):
                page.goto(address)
                page.wait_for_selector(dashboard.SHOWN)
                found.append(1000 * (time.perf_counter() - began))
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, help="its table of waits is renewed")
    parser.add_argument("--repeats", type=int, default=40, help="of each action")
    parser.add_argument("--starts", type=int, default=5, help="of the dashboard")
    parser.add_argument("--out", type=Path, default=latency.rows_folder(), help="folder of rows")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("there is no chromium on this machine")
    with TemporaryDirectory(prefix="depthclip-latency-") as name:
        folder = Path(name)
        (folder / "notebooks").mkdir()
        sources = [SETUP, *EXPLORERS, "# the end"]
        jupyter.write_notebook(folder / "notebooks" / "explorers.ipynb", sources)
        with jupyter.serve(folder) as address, jupyter.browse(chromium) as page:
            jupyter.run_all(page, address, "explorers.ipynb")
            page.wait_for_timeout(3000)
            times = measure(page, given.repeats)
            browser = f"Chromium {page.context.browser.version}"
        if given.starts and find_spec("voila"):
            own = folder / "dashboard"
            own.mkdir()
            starts = dashboard_starts(chromium, own, given.starts)
            times["start the dashboard, warm"] = starts
    row = latency.row_of(times, machine.describe(resolve_device("cpu")), browser)
    print("stored", bench.save(row, given.out))
    latency.write_table(given.document, bench.load(given.out))


if __name__ == "__main__":
    main()
