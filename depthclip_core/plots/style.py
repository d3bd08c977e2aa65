"""The style of all figures: colours, fonts, and how a figure is saved."""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text

from depthclip_core.errors import DepthClipError, show_notices_plainly
from depthclip_core.files import content_of, write_whole
from depthclip_core.plots.descriptions import describe_in_notebook
from depthclip_core.settings import figures_folder
from depthclip_core.text import printable

MISSING = "0.75"  # grey, of pixels without a value
DEPTH_COLOURS = plt.get_cmap("viridis").with_extremes(bad=MISSING)
ERROR_COLOURS = plt.get_cmap("RdBu_r").with_extremes(bad=MISSING)
ANSWER_COLOURS = plt.get_cmap("cividis")
# Inches of a figure of full width. A page of 848 pixels, such as JupyterLab's on a small screen,
# shows it at nine tenths, and text of 9 points as 12 pixels; text of wider figures is smaller.
WIDTH = 8.5
ACROSS = 4  # panels of one word or scene beside each other in such a figure
MADE_BY = "the DepthCLIP workbook"  # written into every figure's file, to recognise it
STYLE = resources.files("depthclip_core.plots").joinpath("style.mplstyle")
FONT = "DejaVu Sans"  # the style's; matplotlib brings it, so it is the same on every machine
NOT_DRAWN = "\N{WHITE SQUARE}"
_set_text = Text.set_text
MARKS = "osD^v"
Limits = tuple[float, float]  # of a scale of colours or of an axis
Cell = tuple[int, int]  # row and column


def use_style() -> None:
    """Take the workbook's style for all figures, tables and warnings of this process.

    Text is shown verbatim, whatever a photograph or scene is called: `$` does not start a formula,
    and characters that the font lacks are drawn as squares.
    """
    plt.style.use(str(STYLE))
    # All titles, labels, ticks and legends go through this, those of seaborn too.
    Text.set_text = _set_drawable_text
    pd.options.display.html.use_mathjax = False
    show_notices_plainly()


def drawable(text: str) -> str:
    """The text with a square for each character that the font lacks; line breaks stay."""
    return "".join(
        character if ord(character) in _characters() or character == "\n" else NOT_DRAWN
        for character in "\n".join(map(printable, text.split("\n")))
    )


def save_figure(figure: Figure, notebook: str, name: str) -> None:
    """Write <notebook>_<name>.png and .pdf into the folder of figures.

    In a notebook, the figure's picture also gets an alternative text, see `descriptions`. Nothing
    is returned, so that a cell which ends in this call shows the figure and no name above it.
    Raises `DepthClipError` if a file of that name was not written by this function, and where it
    cannot write.
    """
    describe_in_notebook()
    folder = figures_folder()
    png = folder / f"{notebook}_{name}.png"
    # The layout is solved once, not again for each file and for the notebook's own picture.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for path in (png, png.with_suffix(".pdf")):
        if path.exists() and not _drawn_here(path):
            raise DepthClipError(f"{path} was not drawn by the workbook: move it away")
        # Without dates in it, the same figure is the same file.
        metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
        metadata["Creator"] = MADE_BY
        write_whole(path, content_of(figure.savefig, format=path.suffix[1:], metadata=metadata))


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Names down the axis, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)


def heat_map(
    ax: Axes, table: pd.DataFrame, texts: pd.DataFrame, limits: Limits, colours, label: str
) -> None:
    """A table as coloured fields on a scale with a label, and in each a text."""
    import seaborn as sns  # slow to import, and rarely used

    bar, scale = {"label": label, "pad": 0.01}, {"vmin": limits[0], "vmax": limits[1]}
    text = {"annot": texts.to_numpy(dtype=object), "fmt": "", "annot_kws": {"size": "medium"}}
    sns.heatmap(table, ax=ax, cmap=colours, linewidths=0.5, cbar_kws=bar, **scale, **text)
    ax.tick_params(length=0)
    ax.set_yticklabels(ax.get_yticklabels(), rotation=0)


def _drawn_here(path: Path) -> bool:
    try:
        return MADE_BY.encode() in path.read_bytes()
    except OSError:  # a folder, or somebody else's file
        return False


@cache
def _characters() -> frozenset[int]:
    """What the font can draw, as code points."""
    return frozenset(get_font(findfont(FONT)).get_charmap())


def _set_drawable_text(self: Text, s: object) -> None:
    _set_text(self, None if s is None else drawable(str(s)))
