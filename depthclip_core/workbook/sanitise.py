"""The allow-list of a report: what nh3 keeps of the HTML of a notebook."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from urllib.parse import unquote

import nh3

MATH = """math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover
    munderover mmultiscripts mprescripts mtable mtr mtd mstyle mpadded mphantom menclose
    merror""".split()
SVG = """svg g defs symbol use path rect circle ellipse line polyline polygon text tspan image
    clipPath mask marker pattern linearGradient radialGradient stop""".split()
INLINE = """abbr b bdi br cite code data del dfn em i ins kbd mark q s samp small span strong sub
    sup time u var wbr""".split()
INLINE_TAGS = {*INLINE, *MATH}
TAGS = nh3.ALLOWED_TAGS | {"section", *INLINE, *MATH, *SVG}
WITHOUT_CONTENT = """script style template noscript iframe object title metadata desc foreignObject
    annotation-xml""".split()
# Properties of SVG, as attributes or in a style; those in REFERRING may refer to an id.
REFERRING = "clip-path fill marker-end marker-mid marker-start mask stroke".split()
PAINT = """color fill-opacity fill-rule font font-family font-size font-style font-weight opacity
    stop-color stop-opacity stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin
    stroke-miterlimit stroke-opacity stroke-width text-anchor visibility""".split()
STYLES = """background-color border border-bottom border-collapse border-color border-left
    border-right border-style border-top border-width height max-height max-width min-height
    min-width padding padding-bottom padding-left padding-right padding-top text-align
    text-decoration vertical-align white-space width""".split()
OF_MATH = """accent accentunder columnalign columnlines columnspacing columnspan depth display
    displaystyle fence form height largeop linethickness lspace mathsize mathvariant maxsize
    minsize movablelimits notation rowlines rowspacing rowspan rspace scriptlevel separator
    stretchy symmetric voffset width""".split()
OF_SVG = """clipPathUnits cx cy d dominant-baseline dx dy fx fy gradientTransform gradientUnits
    height href markerHeight markerUnits markerWidth maskUnits offset orient patternTransform
    patternUnits points preserveAspectRatio r refX refY rotate rx ry spreadMethod textLength
    transform version viewBox width x x1 x2 y y1 y2""".split()
ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "*": {"class", "dir", "id", "lang", "style", "title", "valign"},
    "details": {"open"},
    "li": {"value"},
    "ol": {"reversed", "start", "type"},
    "table": {"border"},
    **{tag: set(OF_MATH) for tag in MATH},
    **{tag: {*OF_SVG, *PAINT, *REFERRING} for tag in SVG},
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
        clean_content_tags=set(WITHOUT_CONTENT),
        filter_style_properties={*STYLES, *PAINT, *REFERRING},
        url_schemes={"http", "https", "mailto", "data"},
    )


def sanitised_inline(html: str) -> str:
    """Keep only the words and formulae of a fragment, without links: for titles and the index."""
    attributes = {tag: set(OF_MATH) for tag in MATH}
    return nh3.clean(html, INLINE_TAGS, set(WITHOUT_CONTENT), attributes).strip()


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
