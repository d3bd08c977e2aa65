"""How long a person waits for an explorer's picture: rows for each machine, in data/.

`make latency` measures them in a browser (tests/browser/latency.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from depthclip_core import bench
from depthclip_core.text import as_markup
from depthclip_core.workbook.readme import write_between

MARKS = ("<!-- latency: make latency -->", "<!-- end -->")


def row_of(times: Mapping[str, Sequence[float]], machine: Mapping, browser: str) -> dict:
    """A machine's row, ready for `bench.save`, from milliseconds of each kind of action."""
    waits = []
    for action, milliseconds in times.items():
        middle, late = np.quantile(milliseconds, (0.5, 0.95))
        count = len(milliseconds)
        waits.append({"action": action, "median_ms": middle, "p95_ms": late, "count": count})
    return {"format": bench.FORMAT, "machine": machine, "browser": browser, "waits": waits}


def rows_folder() -> Path:
    """Where the rows lie: beside those of the other benchmark."""
    return bench.rows_folder() / "latency"


def markdown(rows: Mapping[str, dict]) -> str:
    """The table of docs/speed.md, in Markdown: a row for each action and machine."""
    columns = ["action", "median (ms)", "95 % within (ms)", "machine", "date"]
    lines = [columns, ["---"] * len(columns)]
    for row in rows.values():
        about = row["machine"]
        for one in row["waits"]:
            numbers = f"{one['median_ms']:.0f}", f"{one['p95_ms']:.0f}"
            where = f"{about['device']}, {about['cores']} cores"
            lines.append(map(as_markup, (one["action"], *numbers, where, about["date"])))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_table(document: Path, rows: Mapping[str, dict]) -> None:
    """Put the table between a document's two `latency` marks; `DepthClipError` without them."""
    write_between(document, MARKS, markdown(rows))
