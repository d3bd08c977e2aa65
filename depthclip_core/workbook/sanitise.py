"""The allow-list of a report: what nh3 keeps of the HTML of a notebook."""

import re
import tomllib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import nh3

_allowed = tomllib.loads(Path(__file__).with_name("allowed.toml").read_text("utf-8"))
MATH, SVG, INLINE, WITHOUT_CONTENT = map(set, _allowed["tags"].values())
REFERRING, PAINT, CSS = map(set, _allowed["styles"].values())
TAGS, INLINE_TAGS = nh3.ALLOWED_TAGS | {"section"} | INLINE | MATH | SVG, INLINE | MATH
OF_MATH, OF_SVG = map(set, _allowed["attributes"].values())
ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "*": {"class", "dir", "id", "lang", "style", "title", "valign"},
    "details": {"open"},
    "div": {"tabindex"},
    "li": {"value"},
    "ol": {"reversed", "start", "type"},
    "table": {"border"},
    **dict.fromkeys(MATH, OF_MATH),
    **dict.fromkeys(SVG, OF_SVG | PAINT | REFERRING),
}

PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml)[;,]", re.IGNORECASE)
LOCAL = re.compile(r"""url\(\s*["']?#([^\s"'()]+)["']?\s*\)""", re.IGNORECASE)
COLOURS = {"rgb", "rgba", "hsl", "hsla"}


def sanitised(html: str, name: str, names: Collection[str] = ()) -> str:
    """Remove from a fragment whatever loads, runs, or affects the rest of the page.

    name: the notebook's; ids in the fragment, and links to them, get it as a prefix. names: those
    of all notebooks in the report; a link to one leads to its chapter.
    """

    def kept(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "id":
            return f"{name}--{value}"
        if attribute == "tabindex":
            return "0"  # in the order of the page, so that the keyboard reaches what scrolls
        if attribute == "href" and tag == "a":
            return _link(value, name, names)
        if attribute == "href" and tag == "use":
            return f"#{name}--{value[1:]}" if value.startswith("#") else None
        if attribute in ("href", "src"):
            return value if PICTURE.match(value) else None
        if attribute == "style" or attribute in REFERRING:
            return _paint(value, name)
        return value

    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=kept,
        clean_content_tags=WITHOUT_CONTENT,
        filter_style_properties=CSS | PAINT | REFERRING,
        url_schemes={"http", "https", "mailto", "data"},
    )


def sanitised_inline(html: str) -> str:
    """Keep only the words and formulae of a fragment, without links: for titles and the index."""
    of_math = dict.fromkeys(MATH, OF_MATH)
    return nh3.clean(html, INLINE_TAGS, WITHOUT_CONTENT, of_math).strip()


def _link(address: str, name: str, names: Collection[str]) -> str | None:
    """The target of a link: in the report, on the web, or none."""
    file, _, part = address.partition("#")
    if not file:
        return f"#{name}--{part}"
    if re.match(r"(https?://|mailto:)", address, re.IGNORECASE):
        return address
    other = PurePosixPath(unquote(file))
    if other.suffix == ".ipynb" and other.stem in names:
        return f"#{other.stem}--{part}" if part else f"#{other.stem}"
    return None  # this file is not beside the report


def _paint(value: str, name: str) -> str | None:
    """CSS that refers only to ids of its own fragment; None for any other."""
    rest = LOCAL.sub("", value)
    functions = {found.lower() for found in re.findall(r"([\w-]*)\s*\(", rest)}
    if "\\" in rest or functions - COLOURS:
        return None
    return LOCAL.sub(rf"url(#{name}--\1)", value)
