"""`depthclip fetch` says what it fetches, under which terms, and what it did."""

import hashlib
from dataclasses import replace

import pytest
from file_server import answer, serving
from typer.testing import CliRunner

from depthclip_core.cli.main import app
from depthclip_core.errors import DepthClipError
from depthclip_core.fetching import sources, transfer

CONTENT = b"splits" * 100


@pytest.fixture
def server(monkeypatch):
    """A server of a file that the test takes for splits.mat."""
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    small = replace(sources.SPLITS, checksum=checksum, size=len(CONTENT))
    monkeypatch.setattr(sources, "SPLITS", small)
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    with serving(CONTENT) as running:
        yield running


def test_terms_citation_and_place_are_printed(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_DATA", str(tmp_path))
    url = server.address.replace("//", "//me:secret@")
    shown = CliRunner().invoke(app, ["fetch", "splits", "--url", url])
    assert shown.exit_code == 0 and "secret" not in shown.output
    target = tmp_path / "nyu" / "splits.mat"
    for line in (
        "NYU Depth v2, the official train and test split (600 bytes)",
        f"  from   {server.address}",
        f"  to     {target}",
        f"  terms  {sources.SPLITS.terms}",
        f"  cite   {sources.SPLITS.citation}",
        f"{target} is there now; its md5 is the published one",
    ):
        assert line in shown.output.splitlines()
    assert target.read_bytes() == CONTENT
    again = CliRunner().invoke(app, ["fetch", "splits"])
    assert again.exit_code == 0 and "was there already" in again.output


def test_the_environment_gives_the_address(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_SPLITS_URL", server.address)
    shown = CliRunner().invoke(app, ["fetch", "splits", "--out", str(tmp_path), "--quiet"])
    assert shown.exit_code == 0 and shown.output == ""
    assert (tmp_path / "splits.mat").read_bytes() == CONTENT


def test_another_try_is_announced(server, tmp_path):
    server.script = [answer(503)]
    arguments = ["fetch", "splits", "--url", server.address, "--out", str(tmp_path)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "answers 503 (Service Unavailable); trying again in 0 s" in shown.stderr


def test_faults_are_the_errors_of_the_command_line(server, tmp_path):
    server.script = [answer(404)]
    arguments = ["fetch", "splits", "--url", server.address, "--out", str(tmp_path)]
    shown = CliRunner().invoke(app, arguments)
    assert isinstance(shown.exception, DepthClipError) and "404 (Not Found)" in str(shown.exception)


@pytest.mark.parametrize("name", ["nyu", "splits", "clip"])
def test_each_source_has_a_command(name):
    shown = CliRunner().invoke(app, ["fetch", name, "--help"], terminal_width=200)
    assert shown.exit_code == 0
    for part in ("--url", "--out", "--force", f"DEPTHCLIP_{name.upper()}_URL"):
        assert part in shown.output
