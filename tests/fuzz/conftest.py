"""Options of the fuzz suite, its harness, and the counts that it ends with."""

from collections import Counter

import pytest

from fuzz.harness import Harness


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=1, help="times as many trials of every case")
    parser.addoption("--seed", type=int, default=0, help="of the trials' random numbers")


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    with Harness(tmp_path_factory.mktemp("trials")) as started:
        yield started


def pytest_terminal_summary(terminalreporter):
    """Say how many trials there were: `user_properties` come from all processes."""
    reports = [r for each in terminalreporter.stats.values() for r in each if hasattr(r, "when")]
    counts = Counter()
    for report in reports:
        if report.when == "call":
            counts.update(dict(report.user_properties))
    if counts:
        ended = f"{counts['right']} right, {counts['error']} errors of ours"
        line = f"{counts.total()} trials: {ended}, {counts['fault']} faults"
        terminalreporter.write_line(line)
