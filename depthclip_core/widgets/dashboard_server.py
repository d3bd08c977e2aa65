"""The dashboard's server: voila for this machine alone, behind a token, without outside requests.

Each open page has a kernel of its own, which ends with the page; all end with the server.
"""

import os
import secrets
import signal
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import nbformat
from traitlets import default
from traitlets.config import Config
from voila.app import Voila

from depthclip_core.files import temporary_folder, write_whole

PAGE = Path(__file__).parent / "page"  # the template of the page
PORT = 8866
# JupyterLab extensions that show controls; others are made for newer pages than voila shows.
EXTENSIONS = [
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
]
ENCRYPTED = {"transport_encryption": "auto"}  # between server and kernels, where both can
# A browser asks no other host, whatever the page says. Controls are modules in blobs.
SOURCES = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline' blob:",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
POLICY = "; ".join(f"{kind} {allowed}" for kind, allowed in SOURCES.items())


class Server(Voila):
    """voila with this module's template, which prints its address when it listens.

    browser_wanted: whether to open the address in the user's browser.
    """

    browser_wanted = False

    @default("config_file_paths")
    def _no_configuration(self) -> list[str]:
        return []  # a user's own settings of voila, such as another address, are for other pages

    def setup_template_dirs(self) -> None:
        super().setup_template_dirs()
        self.template_paths.insert(0, str(PAGE))

    def launch_browser(self) -> None:
        address = f"{self.connection_url}?token={self.token}"
        print(f"The dashboard is at {address}", flush=True)
        print("Ctrl-C ends it.", flush=True)
        if self.browser_wanted:
            webbrowser.open(address)


def serve(
    options: Mapping[str, object],
    *,
    port: int = PORT,
    theme: str = "light",
    browser: bool = False,
) -> None:
    """Serve a dashboard until the process is interrupted.

    options: of `open_dashboard`. port: tried first; if it is taken, the next free ones. theme:
    "light" or "dark". browser: whether to open the page in the user's browser.
    """
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel, not another's
    with temporary_folder() as folder:
        text = nbformat.writes(page(options, Path.cwd()))
        notebook = write_whole(folder / "dashboard.ipynb", text)
        server = server_of(notebook, port, theme)
        server.browser_wanted = browser
        # Also where the shell that started this process had it ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        server.start()


def server_of(notebook: Path, port: int = PORT, theme: str = "light") -> Server:
    """A server of one notebook, which has not started."""
    own = {"extension_allowlist": EXTENSIONS, "theme": theme}
    headers = {"Content-Security-Policy": POLICY}
    server = Server(
        notebook_path=str(notebook),
        ip="127.0.0.1",
        port=port,
        token=secrets.token_hex(24),
        log_level="ERROR",
        tornado_settings={"headers": headers, "ws_ping_timeout": 30_000},
        config=Config({"VoilaConfiguration": own, "KernelManager": ENCRYPTED}),
    )
    server.initialize([])
    return server


def page(options: Mapping[str, object], folder: Path) -> nbformat.NotebookNode:
    """The notebook that voila serves: one cell, run in a folder, that shows the dashboard."""
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    source = [
        "import os",
        "from depthclip_core.widgets.dashboard import open_dashboard",
        f"os.chdir({str(folder)!r})",
        f"open_dashboard({given})",
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "title": "DepthCLIP dashboard"}
    cell = nbformat.v4.new_code_cell("\n".join(source))
    return nbformat.v4.new_notebook(cells=[cell], metadata=metadata)
