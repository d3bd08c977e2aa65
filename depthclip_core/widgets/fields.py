"""Words and bins as a person types them: separated by commas."""

import math

from depthclip_core.errors import DepthClipError


def read_words(text: str) -> tuple[str, ...]:
    """The words of a text; raises `DepthClipError` if one is missing between commas."""
    words = tuple(word.strip() for word in text.split(","))
    if words == ("",):
        raise DepthClipError("Type one or more words, separated by commas.")
    if "" in words:
        where = words.index("") + 1
        raise DepthClipError(f"Word {where} of {len(words)} is empty. Is there a comma too many?")
    return words


def read_bins(text: str, n_words: int) -> tuple[float, ...]:
    """The bins of a text in metres, one for each word.

    Raises `DepthClipError` if one is no positive number, or if there are more or fewer than words.
    """
    bins = tuple(_metres(part.strip()) for part in text.split(","))
    if len(bins) != n_words:
        given = f"There {'is' if n_words == 1 else 'are'} {_count(n_words, 'word')}"
        raise DepthClipError(f"{given} but {_count(len(bins), 'bin')}: give each word one bin.")
    return bins


def _metres(text: str) -> float:
    try:
        metres = float(text)
    except ValueError:
        fault = f"“{text}” is not a number" if text else "A bin is empty"
        raise DepthClipError(f"{fault}. Bins are metres, such as 1, 1.5, 2.") from None
    if not 0 < metres < math.inf:
        raise DepthClipError(f"A bin cannot be {text} m. Bins are more than 0 m.")
    return metres


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
