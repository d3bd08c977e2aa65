"""The benchmark: what it measures, and the rows, one for each machine, that it leaves in data/."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tqdm.auto import tqdm

from depthclip_core.bench import machine, passes, protocols, questions, waiting
from depthclip_core.devices import resolve_device
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.files import write_whole
from depthclip_core.settings import checkout_folder
from depthclip_core.text import as_markup
from depthclip_core.workbook.readme import write_between

FORMAT = 1
# What notebook 90 shows in detail; later rows have more.
NEEDED = frozenset("passes roofline stages precision ablation frames partitions million".split())
MARKS = ("<!-- benchmark: make bench -->", "<!-- end -->")


def run(
    encoder: str = "RN50",
    device: str = "auto",
    frames: tuple[int, ...] = (64, 654, 5_000, 50_000),
    rounds: int = 9,
    steps: Sequence[str] = (),
) -> dict:
    """Measure this machine: minutes, with nothing else running. Returns a row, ready to be saved.

    encoder: of the passes, with random weights; of the released loop's kind, an RN50. frames: how
    many, where cost is watched as they grow. steps: keys of the row to measure, for a machine that
    is lent for minutes; empty: all.
    """
    where = resolve_device(device)
    row = {"format": FORMAT, "encoder": encoder, "machine": machine.describe(where)}
    partitions, few_rounds = (1, 5, 50, 500), max(3, rounds // 3)
    known = {
        "passes": lambda: passes.passes(encoder, where, rounds),
        "roofline": lambda: passes.roofline(encoder, where, row["passes"]),
        "stages": lambda: passes.stages(encoder, where, rounds),
        "precision": lambda: passes.precision_drift(where),
        "ablation": lambda: questions.ablation(encoder, where, n_frames=8),
        "frames": lambda: questions.growth_of_frames(where, frames),
        "partitions": lambda: questions.growth_of_partitions(where, partitions, few_rounds),
        "million": questions.million_partitions,
        "protocols": protocols.search_of_protocols,
        "waiting": waiting.waits,
    }
    if unknown := set(steps) - {*known}:
        raise unknown_name("step", unknown.pop(), known)
    bar = tqdm([name for name in known if name in (steps or known)], "measuring")
    for name in bar:
        bar.set_postfix_str(name)
        row[name] = known[name]()
    return row


def save(row: dict, folder: Path | None = None) -> Path:
    """Write a machine's row, over its earlier one; returns the path."""
    folder = folder or rows_folder()
    about = row["machine"]
    name = about["device"] + (f" {about['cores']} cores" if about["kind"] == "cpu" else "")
    path = folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")
    if path.exists() and path.stem not in load(folder):
        raise DepthClipError(f"{path} is not a machine's row: move it away")
    return write_whole(path, json.dumps(row, indent=1, default=float) + "\n")


def load(folder: Path | None = None) -> dict[str, dict]:
    """All machines' rows by the name of their file; empty where none was measured."""
    rows = {}
    for path in sorted((folder or rows_folder()).glob("*.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DepthClipError(f"{path} is not a benchmark row: {error}") from None
        if row.get("format") == FORMAT:
            rows[path.stem] = row
    return rows


def chosen(machine: str = "", folder: Path | None = None) -> dict:
    """The stored row of a machine, by the name of its file; by default the first whole one.

    Raises `DepthClipError` where no machine, or not this one, has been measured, and for a row of
    some steps only.
    """
    rows = load(folder)
    whole = [name for name, row in rows.items() if NEEDED <= row.keys()]
    if not rows or not (machine or whole):
        raise DepthClipError("no machine has been measured yet: run make bench")
    if machine and machine not in rows:
        raise unknown_name("machine", machine, rows)
    if machine and machine not in whole:
        missing = ", ".join(sorted(NEEDED - rows[machine].keys()))
        fault = f"the row of {machine} is only a part: it lacks {missing}"
        raise DepthClipError(f"{fault}; docs/speed.md shows what it has")
    return rows[machine or whole[0]]


def rows_folder() -> Path:
    """Rows belong to the checkout, or to the current folder, wherever data sets lie."""
    return (checkout_folder() or Path.cwd()) / "data" / "benchmarks"


def markdown(rows: dict[str, dict]) -> str:
    """The table of docs/speed.md, in Markdown: a row for each machine and pass."""
    columns = ["machine", "pass", "seconds per image", "× released", "share of peak"]
    lines = [columns, ["---"] * len(columns)]
    for row in rows.values():
        about = row["machine"]
        kind = f"{about['cores']} cores" if about["kind"] == "cpu" else "GPU"
        shares = {one["pass"]: f"{one['share']:.0%}" for one in row["roofline"]}
        for one in row["passes"]:
            numbers = f"{one['seconds']:.3g}", f"{one['speedup']:.2f}", shares[one["pass"]]
            lines.append(map(as_markup, (f"{about['device']}, {kind}", one["pass"], *numbers)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_table(document: Path, rows: dict[str, dict]) -> None:
    """Put the table between a document's two `benchmark` marks; `DepthClipError` without them."""
    write_between(document, MARKS, markdown(rows))
