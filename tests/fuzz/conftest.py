"""Options and the harness of the fuzz suite."""

import pytest

from fuzz.harness import Harness


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=1, help="times as many trials of every case")
    parser.addoption("--seed", type=int, default=0, help="of the trials' random numbers")


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    with Harness(tmp_path_factory.mktemp("trials")) as started:
        yield started
