"""What a figure shows, in words: the alternative text of its picture in a notebook.

The words that are drawn go with the picture too, so that a test can tell when they change.
"""

import sys
from collections.abc import Sequence
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter, NullFormatter

MOST_PANELS = 8  # more make a text that nobody listens to
COLOUR_BAR = "<colorbar>"  # matplotlib's label of axes that it makes for one


def described(figure: Figure) -> str:
    """One line of what a figure says: its title, its panels, what their axes mean and span.

    Empty for a figure without any text.
    """
    coloured = [artist for ax in figure.axes for artist in (*ax.images, *ax.collections)]
    own = {artist.colorbar.ax for artist in coloured if artist.colorbar}
    bars = [ax for ax in figure.axes if ax in own or ax.get_label() == COLOUR_BAR]
    panels = [ax for ax in figure.axes if ax not in bars]
    texts = list(dict.fromkeys(filter(None, map(_of_panel, panels))))
    colours = list(dict.fromkeys(filter(None, map(_of_bar, bars))))
    parts = [_line(figure.get_suptitle())]
    if len(texts) > 1:
        more = f"; and {len(texts) - MOST_PANELS} more" if len(texts) > MOST_PANELS else ""
        parts.append(f"{len(texts)} panels: {'; '.join(texts[:MOST_PANELS])}{more}")
    else:
        parts += texts
    parts += [f"Colours: {', '.join(colours)}"] if colours else []
    return " ".join(part if part[-1] in ".?!" else f"{part}." for part in parts if part)


def drawn_words(figure: Figure) -> list[str]:
    """Every text in a figure that has a letter in it, each once, in the order of drawing.

    Numbers along axes are left out: where they stand depends on the last digits of the data.
    """
    texts = (_line(text.get_text()) for text in figure.findobj(Text) if text.get_visible())
    return list(dict.fromkeys(text for text in texts if any(map(str.isalpha, text))))


def describe_in_notebook() -> None:
    """From now on, pictures of figures carry `described` as `alt` in a notebook's outputs.

    nbconvert writes it into HTML. `drawn_words` go beside it, as `words`. Does nothing outside a
    notebook. Call it when a figure exists: the inline backend registers how figures are drawn when
    it makes the first one.
    """
    if "IPython" not in sys.modules or not (shell := sys.modules["IPython"].get_ipython()):
        return
    for kind in ("image/png", "image/jpeg"):
        formatter = shell.display_formatter.formatters[kind]
        try:
            draw = formatter.lookup_by_type(Figure)
        except KeyError:
            continue
        if not isinstance(draw, WithDescription):
            formatter.for_type(Figure, WithDescription(draw))


class WithDescription:
    """A printer of figures that adds words to the metadata of what it prints."""

    def __init__(self, draw):
        self.draw = draw

    def __call__(self, figure: Figure):
        drawn = self.draw(figure)
        data, metadata = drawn if isinstance(drawn, tuple) else (drawn, {})
        if not data:
            return drawn
        words = {"alt": described(figure), "words": drawn_words(figure)}
        return data, metadata | {name: value for name, value in words.items() if value}


def _of_panel(ax: Axes) -> str:
    """The "title, y from 1 to 2 by x from 3 to 4" of one panel, or the part of it that it has."""
    titles = (ax.get_title(loc) for loc in ("left", "center", "right"))
    title = _line(" ".join(filter(None, titles)))
    x, y = (_line(axis.get_label_text()) for axis in (ax.xaxis, ax.yaxis))
    across, up = _extent(ax.xaxis, ax.dataLim.intervalx), _extent(ax.yaxis, ax.dataLim.intervaly)
    x, y = f"{x}{across}" if x else "", f"{y}{up}" if y else ""
    bare = across.strip() if title and not ax.images else ""
    axes = f"{y} by {x}" if x and y else x or y or bare
    return ", ".join(filter(None, (title, axes)))


def _extent(axis: Axis, ends: Sequence[float]) -> str:
    """From where to where an axis has data: " from 1 to 2"; empty where it has names or none."""
    if isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter | NullFormatter):
        return ""
    return _from_to(*ends) if len(axis.get_ticklocs()) else ""


def _of_bar(ax: Axes) -> str:
    """The label of a colour bar and the ends of its scale; empty without a label."""
    upright = ax.get_ylabel()
    label, ends = _line(upright or ax.get_xlabel()), ax.get_ylim() if upright else ax.get_xlim()
    return f"{label}{_from_to(*ends)}" if label else ""


def _from_to(low: float, high: float) -> str:
    # With four digits, the last is a small enough part of a number to differ between processors.
    return f" from {low:.4g} to {high:.4g}" if isfinite(low) and isfinite(high) else ""


def _line(text: str) -> str:
    return " ".join(text.split())
