"""Notebooks as tasks of a cluster: the results, records and interruptions of one process."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from depthclip_core.cluster import notebooks
from depthclip_core.workbook.plans import plan

pytestmark = pytest.mark.slow

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell("x: int = 1", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    content = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL}, cells=cells)
    nbformat.write(content, path)
    return path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_each_run_leaves_what_it_leaves_without_a_cluster(client, tmp_path, capfd):
    good = write(tmp_path / "good.ipynb", "import os", "print(x, os.getcwd())")
    bad = write(tmp_path / "bad.ipynb", "1 / 0")
    plans = plan([good], {}, {"x": [1, 2, 3]}, "out") + plan([bad], {}, {}, "out")
    about, facts = {"commit": "abc"}, {"kind": "type(x).__name__"}
    how = {"about": about, "facts": facts, "progress": True}
    ended = notebooks.run(client, plans, **how)
    assert [run.outcome for run in ended] == ["ok"] * 3 + ["failed"]
    assert [run.output.name for run in ended] == [p.output.name for p in plans]
    for x, run in enumerate(ended[:3], 1):
        assert run.output.parent == tmp_path / "out"
        saved, record = nbformat.read(run.output, 4), json.loads(run.record.read_text())
        assert saved.cells[-1].outputs[0].text.startswith(f"{x} ")
        assert record["parameters"] == {"x": x} and record["outcome"] == "ok"
        assert record["commit"] == "abc" and record["kind"] == "int"
    assert ended[3].error == "ZeroDivisionError: division by zero" and ended[3].cell == 2
    assert "FAILED: bad: cell 2 (`1 / 0`): ZeroDivisionError" in capfd.readouterr().out


def test_an_interruption_ends_kernels_and_workers_and_is_recorded(tmp_path):
    begin, wait = "open(f'begun{x}', 'a').close()", "import time\ntime.sleep(600)"
    path = write(tmp_path / "slow.ipynb", begin, wait)
    command = [sys.executable, "-m", "depthclip_core.cli", "run", str(path), "-g", "x", "1,2,3,4"]
    command += ["--out", "out", "--cluster", "local:2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("begun*"))) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "depthclip: interrupted; records of what ran are in out"
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    records = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")]
    assert len(records) == 2 and {record["outcome"] for record in records} == {"interrupted"}
