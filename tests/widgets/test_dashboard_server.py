import ast
import json
import signal

import pytest

pytest.importorskip("voila", reason="voila is not installed: make dashboard installs it")

from depthclip_core.widgets import dashboard_server
from depthclip_core.widgets.dashboard_server import page, server_of


@pytest.fixture(autouse=True)
def signals():
    """voila sets what SIGTERM does in this process."""
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "dashboard.ipynb"
    path.write_text("{}")
    return path


def test_server_listens_on_this_machine_whatever_is_configured(notebook, tmp_path, monkeypatch):
    own = {"Voila": {"ip": "0.0.0.0", "token": ""}, "VoilaConfiguration": {"template": "classic"}}
    (tmp_path / "voila.json").write_text(json.dumps(own))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    server = server_of(notebook)
    assert server.ip == "127.0.0.1"
    assert len(server.token) == 48 and server.token != server_of(notebook).token
    assert server.voila_configuration.template == "lab"


def test_theme_and_port_are_passed_on(notebook):
    server = server_of(notebook, 9999, "dark")
    assert server.port == 9999 and server.voila_configuration.theme == "dark"


def test_address_is_printed_with_its_token(notebook, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(dashboard_server.webbrowser, "open", opened.append)
    server = server_of(notebook, 9999)
    server.launch_browser()
    address = f"http://127.0.0.1:9999/?token={server.token}"
    assert address in capsys.readouterr().out and not opened
    server.browser_wanted = True
    server.launch_browser()
    assert opened == [address]


def test_own_template_comes_first_and_loads_nothing_from_other_hosts(notebook):
    from voila.exporter import VoilaExporter

    server = server_of(notebook)
    exporter = VoilaExporter(template_paths=server.template_paths, template_name="lab")
    template = exporter.environment.get_template("index.html.j2")
    assert template.filename == str(dashboard_server.PAGE / "index.html.j2")
    policy = server.tornado_settings["headers"]["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "http" not in policy


def test_options_are_text_and_never_code(tmp_path):
    options = {"dataset": "nyu", "data": "a'); import os; print(\"\n", "weights": None}
    (cell,) = page(options, tmp_path / "it's").cells
    *_, folder, call = ast.parse(cell.source).body
    assert ast.literal_eval(folder.value.args[0]) == str(tmp_path / "it's")
    assert {key.arg: ast.literal_eval(key.value) for key in call.value.keywords} == options
