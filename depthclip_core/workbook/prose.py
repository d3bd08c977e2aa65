"""Sentences that a notebook computes, so that their numbers are those of the run."""

from collections.abc import Iterable

import pandas as pd

from depthclip_core.text import as_markup, printable


class Prose(str):
    """Text that a notebook shows as prose; nothing in it is markup."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return as_markup(self)


class Folded:
    """A table that a page shows under a line of words: a click on the words opens it."""

    def __init__(self, table: pd.DataFrame, words: str):
        self.table, self.words = table, words

    def __repr__(self) -> str:
        return f"{self.words}\n{self.table}"

    def _repr_html_(self) -> str:
        line = f"<summary>{as_markup(self.words)}</summary>"
        return f"<details>{line}{self.table.to_html(max_rows=None)}</details>"


def folded(table: pd.DataFrame, name: str, none: str) -> Folded | Prose:
    """A long table, folded under its number of rows and their name; without rows, only `none`.

    name: "judged numbers" for "150 judged numbers".
    """
    return Folded(table, printable(f"{len(table)} {name}")) if len(table) else says(none)


def says(*sentences: str) -> Prose:
    """Join sentences to a paragraph, the last value of a cell; empty ones are left out.

    They are plain text, not Markdown, so names from data need no escaping.
    """
    return Prose(printable(" ".join(sentence for sentence in sentences if sentence)))


def listed(names: Iterable[object], none: str = "none") -> str:
    """Join names for a sentence: "a, b and c"."""
    names = [str(name) for name in names]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or none


def table_or(table: pd.DataFrame, otherwise: str) -> pd.DataFrame | Prose:
    """The table, or, if there is nothing in it, a sentence instead."""
    return says(otherwise) if table.empty else table
