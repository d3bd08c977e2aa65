"""The record that a run leaves beside its notebook, as JSON: what ran, where, and how it ended."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

import nbformat

from depthclip_core.files import replacing
from depthclip_core.workbook.plans import Plan, record_path


def record(plan: Plan, started: datetime, ended: Mapping[str, object]) -> None:
    """Write NAME.json beside the notebook of a run.

    ended: what the run itself found out: seconds, outcome, `failed` (cell, source and error, or
    None), and whatever else belongs into the record.
    """
    content = {
        "notebook": str(plan.notebook),
        "sha256": hashlib.sha256(nbformat.writes(plan.content).encode()).hexdigest(),
        "parameters": plan.parameters,
        "kernel": plan.kernel,
        "started": started.isoformat(timespec="seconds"),
        **ended,
    }
    with replacing(record_path(plan.output)) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
