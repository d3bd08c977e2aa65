"""Text from data, such as the names of scenes and photographs: it is shown, and never is markup."""

import re
import unicodedata

REPLACED = "\N{REPLACEMENT CHARACTER}"
JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # several scripts spell with them
# Punctuation of Markdown and HTML; what begins a list; what would become a link by itself.
MARKUP = re.compile(
    r"[\\`*_{}\[\]<>&$|~#^@]|^[-+](?=\s|-|$)|^\d{1,9}[.)](?=\s|$)|:(?=//)|(?<=www)\.", re.IGNORECASE
)
FORMULA = re.compile(r"&#(36|92);")  # a dollar, a backslash


def printable(text: object) -> str:
    """The text without characters that do not show: a space for a line break or a control
    character, U+FFFD for one that turns its neighbours round or is half a character.
    """
    # Names from MATLAB are UTF-16; names of files may have bytes that are no characters.
    whole = str(text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole if whole.isprintable() else "".join(map(_printable, whole))


def as_markup(text: object) -> str:
    """The text in one line as Markdown, or as HTML between tags: it is shown as it is.

    Markup is written as character references. In JupyterLab MathJax looks for formulae in the page
    that was made; it does not see them across elements, so their signs get elements of their own.
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
