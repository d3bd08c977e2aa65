import os
import sys
from pathlib import Path

from depthclip_core.bench import waiting

ROOT = Path(__file__).resolve().parents[2]


def test_timed_measures_a_command_with_its_children(tmp_path):
    work = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}]); sys.exit(3)"
    row = waiting.timed([sys.executable, "-c", code], tmp_path, dict(os.environ))
    assert row["cpu_seconds"] >= 0.3 and row["seconds"] > 0 and row["status"] == 3


def test_commands_cover_the_notebooks_and_the_readme():
    chosen = waiting.commands(ROOT, "out")
    first, second = (chosen[f"all notebooks, {run} run"] for run in ("first", "second"))
    assert first[:-1] == second[:-1] and first[-1] != second[-1]
    notebooks = {word for word in first if word.endswith(".ipynb")}
    assert notebooks == {f"notebooks/{path.name}" for path in ROOT.glob("notebooks/0*.ipynb")}
    assert "dc.predict_depth(" in chosen["README, five lines"][-1]


def test_no_rows_outside_a_checkout(monkeypatch):
    monkeypatch.setattr(waiting, "checkout_folder", lambda: None)
    assert waiting.waits() == []
