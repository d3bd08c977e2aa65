"""A JupyterLab of its own with one notebook that shows the explorers, open in a real browser."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

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
SETUP = """
import depthclip_core as dc
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.widgets.explorers import BinExplorer, CellExplorer, WordExplorer

class Few(list):
    title = "sample"

frames = Few(dc.open_dataset("sample")[i] for i in (3, 20, 40))
encoder = dc.load_encoder("sample")
found = collect_responses(frames, encoder, "original", ["value"], progress=False)["value"]
"""
EXPLORERS = {
    "cells": 'CellExplorer(frames, found, "original", cell=(9, 4))',
    "bins": 'BinExplorer(frames, found, "original")',
    "words": 'WordExplorer(frames, encoder, "value", cell=(9, 4))',
}


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's command; tests skip where there is none, or no playwright to drive it."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    command = shutil.which("chromium") or shutil.which("chromium-browser")
    if command is None:
        pytest.skip("there is no chromium on this machine")
    return command


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory):
    """The address of a running JupyterLab that serves the notebook `explorers.ipynb`."""
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (SETUP, *EXPLORERS.values())]
    # Room below the last explorer, so that each can be scrolled to the top.
    cells += [nbformat.v4.new_code_cell("# the end")]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    (folder / "notebooks").mkdir()
    nbformat.write(notebook, folder / "notebooks" / "explorers.ipynb")
    (folder / "settings").mkdir()
    (folder / "settings" / "overrides.json").write_text(json.dumps(SETTINGS))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "DEPTHCLIP_STORE": str(folder / "store"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{kind}_DIR"] = str(folder / kind.lower())
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    options = {
        "ip": "127.0.0.1",
        "port": port,
        "port_retries": 0,
        "root_dir": folder / "notebooks",
    }
    command += [f"--ServerApp.{name}={value}" for name, value in options.items()]
    command += [f"--IdentityProvider.token={TOKEN}", f"--LabApp.app_settings_dir={folder}/settings"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_for(f"{address}/api/status?token={TOKEN}", server, folder / "lab.log")
            yield address
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise TimeoutError(log.read_text())


# Not for the whole session: while playwright runs, no other test can start an event loop.
@pytest.fixture(scope="module")
def notebook(lab, chromium):
    """The notebook's page, 1,280 × 800 pixels, with all cells run."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER.split())
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.goto(f"{lab}/lab/tree/explorers.ipynb?token={TOKEN}&reset", timeout=120_000)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        page.wait_for_selector("#jp-main-statusbar >> text=/Python 3 .*Idle/")
        page.wait_for_timeout(2000)  # the kernel may be idle before the page can run cells
        page.click("text=Run >> nth=0")
        page.click("text=Run All Cells >> nth=0")
        page.wait_for_function(
            "n => document.querySelectorAll('.depthclip-picture img[alt]').length == n",
            arg=len(EXPLORERS),
            timeout=100_000,
        )
        yield page
        browser.close()


@pytest.fixture(autouse=True)
def screenshot(request):
    """Keep what each test leaves on the screen in $DEPTHCLIP_SCREENSHOTS, if that is set."""
    yield
    folder = os.environ.get("DEPTHCLIP_SCREENSHOTS")
    if folder and "notebook" in request.fixturenames:
        name = re.sub(r"\W+", "_", request.node.name)
        request.getfixturevalue("notebook").screenshot(path=f"{folder}/{name}.png")
