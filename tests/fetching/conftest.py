"""A server, and downloads that wait for nothing."""

import pytest
from fetched_files import CONTENT, SOURCE
from file_server import serving

from depthclip_core.fetching import transfer


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No waiting between tries, and a server that hangs is given up soon."""
    monkeypatch.setattr(transfer, "TIMEOUTS", (5.0, 0.3))
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    monkeypatch.delenv(SOURCE.variable, raising=False)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
