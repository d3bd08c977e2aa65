"""The benchmark: what it measures, and the rows, one for each machine, that it leaves in data/."""

import json
import re
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from depthclip_core.bench import machine, passes, questions, waiting
from depthclip_core.devices import resolve_device
from depthclip_core.errors import DepthClipError
from depthclip_core.files import replacing
from depthclip_core.settings import checkout_folder, data_folder
from depthclip_core.text import as_markup

FORMAT = 1
MARKS = ("<!-- benchmark: make bench -->", "<!-- end -->")


def run(
    encoder: str = "RN50",
    device: str = "auto",
    frames: tuple[int, ...] = (64, 654, 5_000, 50_000),
    partitions: tuple[int, ...] = (1, 5, 50, 500),
    ablation_frames: int = 8,
    rounds: int = 9,
) -> dict:
    """Measure this machine: minutes, with nothing else running. Returns a row, ready to be saved.

    encoder: of the passes, with random weights; of the released loop's kind, an RN50. frames,
    partitions: how many, where cost is watched as they grow.
    """
    where = resolve_device(device)
    row = {"format": FORMAT, "encoder": encoder, "machine": machine.describe(where)}
    steps = {
        "passes": lambda: passes.passes(encoder, where, rounds),
        "roofline": lambda: passes.roofline(encoder, where, row["passes"]),
        "stages": lambda: passes.stages(encoder, where, rounds),
        "precision": lambda: passes.precision_drift(where),
        "ablation": lambda: questions.ablation(encoder, where, ablation_frames),
        "frames": lambda: questions.growth_of_frames(where, frames),
        "partitions": lambda: questions.growth_of_partitions(
            where, partitions, max(3, rounds // 3)
        ),
        "million": questions.million_partitions,
        "waiting": waiting.waits,
    }
    bar = tqdm(steps.items(), "measuring")
    for name, step in bar:
        bar.set_postfix_str(name)
        row[name] = step()
    return row


def save(row: dict, folder: Path | None = None) -> Path:
    """Write a machine's row, over its earlier one; returns the path."""
    folder = folder or rows_folder()
    folder.mkdir(parents=True, exist_ok=True)
    about = row["machine"]
    name = (
        f"{about['device']} {about['cores']} cores" if about["kind"] == "cpu" else about["device"]
    )
    path = folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")
    if path.exists() and path.stem not in load(folder):
        raise DepthClipError(f"{path} is not a machine's row: move it away")
    with replacing(path) as part:
        part.write_text(json.dumps(row, indent=1, default=float) + "\n", encoding="utf-8")
    return path


def load(folder: Path | None = None) -> dict[str, dict]:
    """All machines' rows by the name of their file; empty where none was measured."""
    rows = {}
    for path in sorted((folder or rows_folder()).glob("*.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DepthClipError(f"{path} is no benchmark row: {error}") from None
        if row.get("format") == FORMAT:
            rows[path.stem] = row
    return rows


def rows_folder() -> Path:
    """Rows belong to the checkout, wherever its data sets lie."""
    return (checkout_folder() or data_folder().parent) / "data" / "benchmarks"


def summary(rows: dict[str, dict]) -> pd.DataFrame:
    """The README's table: a row for each machine and pass."""
    lines = []
    for row in rows.values():
        about = row["machine"]
        kind = f"{about['cores']} cores" if about["kind"] == "cpu" else "GPU"
        shares = {line["pass"]: line["share"] for line in row["roofline"]}
        for one in row["passes"]:
            lines.append(
                {
                    "machine": f"{about['device']}, {kind}",
                    "pass": one["pass"],
                    "seconds per image": f"{one['seconds']:.3g}",
                    "× released": f"{one['speedup']:.2f}",
                    "share of peak": f"{shares[one['pass']]:.0%}",
                }
            )
    return pd.DataFrame(lines)


def markdown(rows: dict[str, dict]) -> str:
    """`summary` as a Markdown table."""
    table = summary(rows)
    cells = [map(as_markup, row) for row in table.to_numpy()]
    lines = [list(table.columns), ["---"] * len(table.columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_readme(readme: Path, rows: dict[str, dict]) -> None:
    """Put the table between a README's two `benchmark` marks; `DepthClipError` without them."""
    text = readme.read_text(encoding="utf-8")
    before, start, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        raise DepthClipError(f"{readme} has no marks {MARKS[0]} and {MARKS[1]} for the table")
    readme.write_text(f"{before}{start}\n{markdown(rows)}\n{end}{after}", encoding="utf-8")
