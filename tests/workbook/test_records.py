import hashlib
import json
from datetime import UTC, datetime

import nbformat

from depthclip_core.workbook.plans import Plan
from depthclip_core.workbook.records import record_path, save_run

STARTED = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


def test_record_says_what_ran_and_how_it_ended(tmp_path):
    content = nbformat.v4.new_notebook()
    plan = Plan(tmp_path / "a.ipynb", content, tmp_path / "b.ipynb", "python3", {}, {"x": "é"})
    for outcome in ("failed", "ok"):  # a later run replaces the record
        save_run(
            plan,
            content,
            STARTED,
            {"seconds": 1.5, "outcome": outcome, "failed": None, "device": "A"},
        )
        assert json.loads(record_path(plan.output).read_text("utf-8")) == {
            "notebook": "…/a.ipynb",
            "sha256": hashlib.sha256(nbformat.writes(content).encode()).hexdigest(),
            "parameters": {"x": "é"},
            "kernel": "python3",
            "started": "2026-01-02T03:04:05+00:00",
            "seconds": 1.5,
            "outcome": outcome,
            "failed": None,
            "device": "A",
        }
    assert record_path(plan.output) == tmp_path / "b.json"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.ipynb", "b.json"]
