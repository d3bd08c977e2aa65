"""The table of results and the pictures in the README, from what the notebooks have saved.

`python -m depthclip_core.workbook.readme README.md notebooks` renews them.
"""

import re
import sys
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path

from bs4 import BeautifulSoup

from depthclip_core.errors import DepthClipError
from depthclip_core.files import write_whole
from depthclip_core.text import as_markup
from depthclip_core.workbook.plans import read_notebook

MARKS = ("<!-- results: make refresh -->", "<!-- end -->")
ROWS = (
    "DepthCLIP, original bins",
    "DepthCLIP + value head, original bins",
    "DepthCLIP, fitted bins",
    "DepthCLIP + value head, fitted bins",
    "blind map by position",
    "best constant",
    "random depth per pixel",
)
COLUMNS = {"δ1": "δ1 ↑", "rel": "rel ↓", "rmse (m)": "rmse (m) ↓"}
LIMITS = ("low", "high")  # of the interval of δ1, in another table
PICTURE = re.compile(r"!\[[^]]*\]\((figures/[\w-]+\.png)\)")

Rows = dict[str, dict[str, str]]  # by row, by column


def renew(document: str | Path, notebooks: str | Path) -> None:
    """Write the table into a README, and its pictures into the folder figures/ beside it.

    Raises `DepthClipError` where the notebooks in that folder have not saved one of them.
    """
    page = Path(document)
    pictures = {
        page.parent / link: saved_picture(notebooks, Path(link).stem)
        for link in PICTURE.findall(page.read_text("utf-8"))
    }
    write_between(page, MARKS, results_table(Path(notebooks) / "02_results.ipynb"))
    for path, picture in pictures.items():
        write_whole(path, picture)


def saved_picture(notebooks: str | Path, figure: str) -> bytes:
    """The PNG file that a notebook shows where it saves a figure, such as "00_pipeline_bars"."""
    for path in sorted(Path(notebooks).glob("*.ipynb")):
        name = figure.removeprefix(f"{path.stem}_")
        if name == figure:  # of another notebook
            continue
        call = f'"{path.stem}", "{name}"'
        for cell in read_notebook(path).cells:
            for output in cell.get("outputs", []) if call in cell.source else []:
                if "image/png" in output.get("data", {}):
                    return b64decode(output["data"]["image/png"])
    raise DepthClipError(f"no notebook in {notebooks} shows {figure}: run `make refresh`")


def results_table(notebook: str | Path) -> str:
    """The README's table of results, in Markdown, from the tables saved in 02_results.

    Raises `DepthClipError` where one of its rows or columns is not in them.
    """
    tables = saved_tables(notebook)
    scores = _with(tables, COLUMNS, ROWS, notebook)
    limits = _with(tables, ("mean", *LIMITS, "images", "groups"), ROWS[:1], notebook)
    counts = "{images} test frames of {groups} rooms".format(**limits[ROWS[0]])
    lines = [[counts, *COLUMNS.values(), "95 % interval of δ1"]]
    lines.append(["---"] * len(lines[0]))
    for row in ROWS:
        interval = " to ".join(limits[row][limit] for limit in LIMITS) if row in limits else "–"
        lines.append([as_markup(row), *(scores[row][column] for column in COLUMNS), interval])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def saved_tables(notebook: str | Path) -> list[Rows]:
    """All tables among the outputs of a notebook; a row is named by the last of its headings."""
    found = []
    for cell in read_notebook(Path(notebook)).cells:
        for output in cell.get("outputs", []):
            soup = BeautifulSoup(output.get("data", {}).get("text/html", ""), "html.parser")
            found += [_rows(table) for table in soup.find_all("table")]
    return found


def write_between(path: str | Path, marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks of a document; `DepthClipError` for one without them."""
    document = Path(path)
    before, start, rest = document.read_text("utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise DepthClipError(f"{document} has no marks {marks[0]} and {marks[1]} for the table")
    write_whole(document, f"{before}{start}\n{text}\n{end}{after}")


def _rows(table: BeautifulSoup) -> Rows:
    columns = [heading.get_text(strip=True) for heading in table.select("thead tr:first-child th")]
    rows: Rows = {}
    for line in table.select("tbody tr"):
        names = [heading.get_text(strip=True) for heading in line.find_all("th")]
        cells = [cell.get_text(strip=True) for cell in line.find_all("td")]
        if names and cells:
            rows[names[-1]] = dict(zip(columns[-len(cells) :], cells, strict=False))
    return rows


def _with(
    tables: list[Rows], columns: Iterable[str], rows: Iterable[str], notebook: str | Path
) -> Rows:
    """The first table that has these columns in these rows."""
    for table in tables:
        if all(set(columns) <= set(table.get(row, ())) for row in rows):
            return table
    wanted = f"a table with the columns {', '.join(columns)}"
    raise DepthClipError(f"{notebook} has not saved {wanted}: run `make refresh`")


if __name__ == "__main__":
    renew(*sys.argv[1:])
