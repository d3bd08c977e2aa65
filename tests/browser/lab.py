"""A JupyterLab of its own on 127.0.0.1, and a browser that opens notebooks in it and runs them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "explorers"
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    # All cells are on the page, wherever it is scrolled.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
BROWSER = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
IDLE = ("#jp-main-statusbar >> text=/Python 3 .*Idle/", '.jp-NotebookPanel [data-status="idle"]')
# How many code cells have yet to run; 0 also if one has failed.
LEFT = """() => {
    const cells = [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")];
    const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
    const ran = (cell) => /\\[\\d+\\]/.test(cell.querySelector(".jp-InputPrompt").textContent);
    return failed ? 0 : cells.filter((cell) => !ran(cell)).length;
}"""


@contextmanager
def serve(folder: Path):
    """Serve the notebooks in `folder`/notebooks: yields the server's address.

    The store is that of the environment, or else one in the folder; figures go into the folder.
    """
    (folder / "settings").mkdir()
    (folder / "settings" / "overrides.json").write_text(json.dumps(SETTINGS))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", folder / "lab.log"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    options = {"ip": "127.0.0.1", "port": port, "port_retries": 0, "root_dir": folder / "notebooks"}
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    command += [f"--IdentityProvider.token={TOKEN}", f"--LabApp.app_settings_dir={folder}/settings"]
    command += ["--LabApp.expose_app_in_browser=True"]
    with log.open("w") as file:
        server = subprocess.Popen(command, env=_environment(folder), stdout=file, stderr=file)
        try:
            _wait_for(f"{address}/api/status?token={TOKEN}", server, log)
            yield address
        finally:
            _end(server)


def _end(server: subprocess.Popen) -> None:
    """End a server. One that is asked while it answers a page may wait for a thread for ever."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _environment(folder: Path) -> dict[str, str]:
    environment = os.environ | {
        "DEPTHCLIP_STORE": os.environ.get("DEPTHCLIP_STORE", str(folder / "store")),
        "DEPTHCLIP_FIGURES": str(folder / "figures"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{kind}_DIR"] = str(folder / kind.lower())
    return environment


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise TimeoutError(log.read_text())


def write_notebook(path: Path, sources: list[str]) -> None:
    """A notebook whose code cells have these sources."""
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


@contextmanager
def browse(chromium: str, **options):
    """A page of a new browser, 1,280 × 800 pixels unless options say otherwise."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER.split())
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}} | options)
        page.set_default_timeout(120_000)
        try:
            yield page
        finally:
            browser.close()


def run_all(page, address: str, name: str, seconds: int = 600) -> None:
    """Open a notebook in JupyterLab, run all its cells, and wait until they have run.

    seconds: the longest that one cell may take, on a machine that may have other things to do.
    """
    page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset", timeout=120_000)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
    for idle in IDLE:
        page.wait_for_selector(idle)
    page.wait_for_timeout(2000)  # the kernel may be idle before the page can run cells
    page.click("text=Run >> nth=0")
    page.click("text=Run All Cells >> nth=0")
    while left := page.evaluate(LEFT):
        fewer = f"left => ({LEFT})() < left"
        page.wait_for_function(fewer, arg=left, timeout=seconds * 1000)
    for idle in IDLE:
        page.wait_for_selector(idle)


def end_kernels(address: str) -> None:
    """End the kernels of all notebooks."""
    with urllib.request.urlopen(f"{address}/api/sessions?token={TOKEN}") as answer:
        sessions = json.load(answer)
    for session in sessions:
        one = f"{address}/api/sessions/{session['id']}?token={TOKEN}"
        urllib.request.urlopen(urllib.request.Request(one, method="DELETE")).close()


def choose_theme(page, theme: str) -> None:
    """Choose JupyterLab's theme of this name."""
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
    )
    light = "true" if theme.endswith("Light") else "false"
    page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
    page.wait_for_timeout(500)  # its colours come in a file of their own
