import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from depthclip_core.cli.main import app
from depthclip_core.errors import DepthClipError

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def served(monkeypatch):
    """What is served, in place of a server."""
    calls = []
    stub = SimpleNamespace(serve=lambda options, **how: calls.append((options, how)))
    monkeypatch.setitem(sys.modules, "depthclip_core.widgets.dashboard_server", stub)
    monkeypatch.setitem(sys.modules, "rfc3987_syntax", None)
    monkeypatch.setattr("depthclip_core.cli.dashboard.find_spec", lambda name: name)
    return calls


def run(*arguments):
    return CliRunner().invoke(app, ["dashboard", *arguments])


def test_sample_is_served_by_default(served):
    assert run().exit_code == 0
    ((options, how),) = served
    assert options == {
        "dataset": "sample",
        "split": "test",
        "data": None,
        "encoder": "sample",
        "weights": None,
        "head": "value",
        "device": "auto",
    }
    assert how == {"port": 8866, "theme": "light", "browser": False}


def test_options_reach_the_page(served, nyu_folder):
    asked = {"dataset": "nyu", "data": str(nyu_folder), "encoder": "RN50", "weights": "openai"}
    asked |= {"head": "attention", "theme": "dark", "port": "9000", "split": "train"}
    arguments = [part for name, value in asked.items() for part in (f"--{name}", value)]
    assert run(*arguments).exit_code == 0
    ((options, how),) = served
    named = ("dataset", "data", "encoder", "weights", "head", "split")
    assert {name: options[name] for name in named} == {name: asked[name] for name in named}
    assert how == {"port": 9000, "theme": "dark", "browser": False}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--dataset", "nyuv2"], "unknown data set 'nyuv2'"),
        (["--dataset", "photos", "--data", "no/such/folder"], "no/such/folder"),
        (["--split", "val"], "unknown split 'val'"),
        (["--head", "valu"], "unknown head 'valu': did you mean 'value'"),
        (["--theme", "blue"], "unknown theme 'blue'"),
    ],
)
def test_bad_options_end_the_command_in_one_line(served, arguments, fault):
    error = run(*arguments).exception
    assert isinstance(error, DepthClipError) and fault in str(error)
    assert "\n" not in str(error) and not served


def test_missing_voila_is_named(monkeypatch):
    monkeypatch.setattr("depthclip_core.cli.dashboard.find_spec", lambda name: None)
    error = run().exception
    assert isinstance(error, DepthClipError) and "make dashboard" in str(error)
