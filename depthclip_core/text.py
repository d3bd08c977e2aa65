"""Show text from data, such as names of scenes and photographs, so that it is never markup."""

import codecs
import re
import unicodedata

REPLACED = "\N{REPLACEMENT CHARACTER}"
JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # some scripts need them for spelling
# Punctuation of Markdown and HTML, the start of a list, and text that would become a link.
MARKUP = re.compile(
    r"[\\`*_{}\[\]<>&$|~#^@]|^[-+](?=\s|-|$)|^\d{1,9}[.)](?=\s|$)|:(?=//)|(?<=www)\.", re.IGNORECASE
)
codecs.lookup(
    "utf-16-le"
)  # loaded now: an error must be shown where no file can be opened any more
FORMULA = re.compile(r"&#(36|92);")  # dollar sign, backslash


def printable(text: object) -> str:
    """The text without invisible characters.

    Line breaks and control characters become spaces; formatting characters, such as those that
    reverse text, and unpaired surrogates become U+FFFD.
    """
    # Names from MATLAB are UTF-16; file names may hold bytes that do not decode.
    whole = str(text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole if whole.isprintable() else "".join(map(_printable, whole))


def as_markup(text: object) -> str:
    """The text on one line, escaped so that Markdown and HTML (between tags) show it literally.

    Markup becomes character references. MathJax in JupyterLab searches the rendered page for
    formulae, but not across elements, so that each of their delimiters gets its own element.
    """
    references = MARKUP.sub(
        lambda found: "".join(f"&#{ord(character)};" for character in found[0]),
        printable(text).strip(),
    )
    return FORMULA.sub(r"<span>\g<0></span>", references)


def _printable(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf" if character not in JOINERS:
            return REPLACED
    return character


def size_text(size: float) -> str:
    """Bytes in decimal units: 1234567 → "1.2 MB"."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"
