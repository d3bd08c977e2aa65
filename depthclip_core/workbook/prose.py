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
