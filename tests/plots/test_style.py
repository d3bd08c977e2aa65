"""No text in a figure is smaller than the style's: a page may show figures at nine tenths."""

import ast
from importlib import resources
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest

from depthclip_core.plots.style import STYLE

ROOT = Path(__file__).resolve().parents[2]
SMALLEST = 9  # points
SIZES = {"fontsize", "labelsize", "size", "title_fontsize"}
SMALL = {"small", "x-small", "xx-small", "smaller"}


def sources() -> dict[str, str]:
    """The code of all modules for plots and of all notebooks, by file name."""
    package = Path(str(resources.files("depthclip_core")))
    modules = [*package.glob("plots/*.py"), package / "bench" / "plots.py"]
    found = {path.name: path.read_text("utf-8") for path in modules}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        found[path.name] = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return found


def sizes(code: str) -> list[object]:
    """The constants that are given as sizes of text, as arguments or in dicts of arguments."""
    given = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.keyword):
            given.append((node.arg, node.value))
        elif isinstance(node, ast.Dict):
            keys = [getattr(key, "value", None) for key in node.keys]
            given += zip(keys, node.values, strict=True)
    return [
        value.value for name, value in given if name in SIZES and isinstance(value, ast.Constant)
    ]


def too_small(size: object) -> bool:
    return size in SMALL if isinstance(size, str) else size < SMALLEST


@pytest.mark.parametrize("name", sources())
def test_no_text_is_small(name):
    assert [size for size in sizes(sources()[name]) if too_small(size)] == []


def test_small_text_is_found():
    code = 'ax.legend(fontsize="small")\nkind = {"size": 7.5}\nax.text(0, 0, "a", size=9)'
    assert {size for size in sizes(code) if too_small(size)} == {"small", 7.5}


def test_style_has_no_small_text():
    style = mpl.rc_params_from_file(str(STYLE), use_default_template=False)
    texts = {name: size for name, size in style.items() if name.endswith("size")}
    assert min(texts.values()) == texts["font.size"] == SMALLEST
