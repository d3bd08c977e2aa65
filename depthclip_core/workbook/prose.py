"""Sentences whose numbers are a run's own: what a notebook says of its figures and tables."""

from collections.abc import Iterable

from depthclip_core.text import as_markup, printable


class Prose(str):
    """A text that a notebook shows as prose, and that compares as text. It holds no markup."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return as_markup(self)


def says(*sentences: str) -> Prose:
    """Sentences as one paragraph, to be a cell's last value; empty ones are left out.

    They are plain text: nothing in them is Markdown, so names from data need no escape.
    """
    return Prose(printable(" ".join(sentence for sentence in sentences if sentence)))


def listed(names: Iterable[object], none: str = "none") -> str:
    """Names in a sentence: "a, b and c"."""
    names = [str(name) for name in names]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or none
