"""How a notebook's HTML is laid out in the report: headings, pictures, tables, contents."""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup
from nbformat import NotebookNode

HEADING = re.compile(r"^#+ (.+?)\s*#*$", re.MULTILINE)
NO_TEXT = "No description has been provided for this image"  # nbconvert's
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def with_descriptions(notebook: NotebookNode) -> NotebookNode:
    """The same notebook, where every picture among its outputs has an alternative text.

    Figures describe themselves (`plots.descriptions`). One that does not, such as that of an older
    run, gets the heading above it.
    """
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = next(reversed(HEADING.findall(cell.source)), heading)
        for output in cell.get("outputs", []):
            for kind in set(PICTURES) & set(output.get("data", {})):
                known = output.setdefault("metadata", {}).setdefault(kind, {})
                # Notebooks may keep anything there.
                if isinstance(known, dict) and not known.get("alt"):
                    known["alt"] = _figure_below(heading)
    return notebook


def laid_out(html: str) -> str:
    """A chapter's HTML with headings one level down and named, and tables in boxes that scroll."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all("img"):
        if not (source := tag.get("src", "")).startswith("data:"):
            tag.replace_with(f"[picture: {tag.get('alt') or source}]")
        elif tag.get("alt") in (None, "", NO_TEXT):
            tag["alt"] = "Figure"
    known: set[str] = set()
    for heading in soup.find_all(re.compile("^h[1-5]$")):
        heading.name = f"h{int(heading.name[1]) + 1}"  # the title of the report is the only h1
        heading["id"] = anchor = "-".join(heading.get_text().split())
        if anchor in known:  # links lead to the first heading of that name
            del heading["id"]
        known.add(anchor)
    for table in soup.find_all("table"):
        if not table.find_parent("table"):
            table.wrap(soup.new_tag("div", attrs={"class": "wide", "tabindex": "0"}))
    return str(soup)


def sections(html: str) -> Iterator[tuple[str, str]]:
    """The id and the text of each heading below a chapter's own, of sanitised HTML."""
    for heading in BeautifulSoup(html, "html.parser").find_all("h3", id=True):
        yield heading["id"], heading.get_text(" ", strip=True)


def _figure_below(heading: str) -> str:
    """Words for a picture that has none: "Figure: The answer"."""
    return ": ".join(filter(None, ("Figure", re.sub(r"[`*_$]", "", heading))))
