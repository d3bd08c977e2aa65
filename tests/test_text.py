import unicodedata

import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given
from hypothesis import strategies as st
from nbconvert.filters import markdown2html_mistune

from depthclip_core.text import as_markup, printable

NAMES = [
    "<img src=x onerror=alert(1)>",
    "a $x_$ b.jpg",
    "cost $5^ and $6_.jpg",
    "写真.jpg",
    "__init__*.jpg",
    "a<b>&c.jpg",
    "a|b.jpg",
    "&lt;b&gt; &#60;",
    "[a](javascript:alert(1)) ![b](c)",
    "`code` ~~gone~~ **bold**",
    r"\(x\) \[y\] \begin{align}z\end{align} \$",
    "$$x$$ @@0@@",
    "https://a.org/b www.a.org ftp://a.org me@a.org <https://a.org>",
]
BEGINNINGS = [
    "# a",
    "- a",
    "+ a",
    "* a",
    "1. a",
    "1) a",
    "> a",
    "    a",
    "---",
    "```",
    "| a |",
    "a\n=",
]
SIGNS = "\\`*_{}[]<>&$|~#^@:/.()!-+=1 \n\tawtps"
texts = st.one_of(st.text(), st.text(SIGNS))


def shown(html):
    """The text that a browser shows, and its elements."""
    soup = BeautifulSoup(html, "html.parser")
    return " ".join(soup.get_text().split()), {tag.name for tag in soup.find_all(True)}


@pytest.mark.parametrize("name", [*NAMES, *BEGINNINGS])
def test_as_markup_shows_names_literally(name):
    text, tags = shown(markdown2html_mistune(as_markup(name)))
    assert text == " ".join(name.split())
    assert tags <= {"p", "span"}


@given(texts)
@example("\ud800 \udcff \ufeff \x1b[31m")
def test_as_markup_shows_any_text_literally(text):
    expected = " ".join(printable(text).split())
    assert shown(markdown2html_mistune(as_markup(text))) in (
        (expected, {"p"}),
        (expected, {"p", "span"}),
        ("", set()),
    )
    alone, tags = shown(as_markup(text))  # as HTML
    assert alone == expected and tags <= {"span"}


@given(texts)
def test_as_markup_leaves_no_formula_for_mathjax(text):
    soup = BeautifulSoup(markdown2html_mistune(as_markup(text)), "html.parser")
    for string in soup.find_all(string=True):
        assert string in ("$", "\\") or not set("$\\") & set(string)
    assert not set("$\\@`") & set(as_markup(text))  # JupyterLab searches the source first


@given(st.text())
def test_printable_is_idempotent_and_one_line(text):
    clean = printable(text)
    assert printable(clean) == clean
    assert len(clean.splitlines()) <= 1
    clean.encode("utf-8")  # no unpaired surrogates
    kinds = {unicodedata.category(character) for character in clean} - {"Cf"}  # joiners
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, 1.5 m – “far”", "plain, 1.5 m – “far”"),
        ("two\r\nlines\tand\x00", "two  lines and "),
        ("\x1b[31mred", " [31mred"),
        ("gpj.\u202egnp", "gpj.\ufffdgnp"),
        ("a\u2066b\u200b\ufeff", "a\ufffdb\ufffd\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),  # a surrogate pair, as in MATLAB
        ("\udcff.jpg", "\ufffd.jpg"),  # a byte of a file name that does not decode
        ("می\u200cخواهم", "می\u200cخواهم"),
        (38, "38"),
    ],
)
def test_printable_replaces_invisible_characters(text, expected):
    assert printable(text) == expected


def test_as_markup_leaves_ordinary_sentences_alone():
    sentence = "The 3 words, “near” (1.50 m) - or 5 % - aren't far: +0.25 m; it's 1 / 2 = 0.5!"
    assert as_markup(sentence) == sentence
    assert as_markup(-0.5) == "-0.5" and as_markup("1.5 m") == "1.5 m"
