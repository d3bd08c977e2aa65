"""A JupyterLab with the workbook's notebooks and one that shows all explorers, and a browser."""

import os
import re
import shutil
from pathlib import Path

import lab as jupyter
import nbformat
import pytest

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
EXPLORERS = (
    'CellExplorer(frames, found, "original", cell=(9, 4))',
    'BinExplorer(frames, found, "original")',
    'WordExplorer(frames, encoder, "value", cell=(9, 4))',
)


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
    """The address of a JupyterLab with `explorers.ipynb` and copies of all notebooks.

    The copies have no outputs, so that what is on the page was made there.
    """
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    # Room below the last explorer, so that each can be scrolled to the top.
    sources = [SETUP, *EXPLORERS, "# the end"]
    jupyter.write_notebook(folder / "notebooks" / "explorers.ipynb", sources)
    for path in sorted(jupyter.ROOT.glob("notebooks/[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / "notebooks" / path.name)
    with jupyter.serve(folder) as address:
        yield address


# Not for the whole session: while playwright runs, no other test can start an event loop.
@pytest.fixture(scope="module")
def notebook(lab, chromium):
    """The page of `explorers.ipynb`, with all cells run."""
    with jupyter.browse(chromium) as page:
        jupyter.run_all(page, lab, "explorers.ipynb")
        shown = (
            f"document.querySelectorAll('.depthclip-picture img[alt]').length == {len(EXPLORERS)}"
        )
        page.wait_for_function(shown)
        yield page
    jupyter.end_kernels(lab)


@pytest.fixture
def keep_screen(request):
    """Call this with a page to keep what it shows in results/browser/, as a PNG file."""
    folder = Path(os.environ.get("DEPTHCLIP_SCREENSHOTS", jupyter.ROOT / "results" / "browser"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page, name: str = "") -> None:
        name = re.sub(r"\W+", "_", " ".join([request.node.name, name])).strip("_")
        page.screenshot(path=folder / f"{name}.png")

    return keep


@pytest.fixture(autouse=True)
def screenshot(request, keep_screen):
    """Keep what each test leaves on the screen."""
    yield
    if "notebook" in request.fixturenames:
        keep_screen(request.getfixturevalue("notebook"))
