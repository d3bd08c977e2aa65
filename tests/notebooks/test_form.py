"""The form that all notebooks share, and the comparison of their outputs."""

import ast
import json
import re
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image

from depthclip_core.workbook.pictures import small
from depthclip_core.workbook.static import WIDGET

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
START = "000_start_here"
LONGEST_CELL = 8  # lines
LARGEST_FILE = 1_500_000  # bytes
# Pixels across a picture: with 110 to an inch, text of 9 points is 12 pixels high on a page of 848.
WIDEST_PICTURE = 848 * (9 * 110 / 72) / 12
PARAMETER = re.compile(r"^[a-z]\w*: [\w\[\], |.]+ = .+  # \S.*$")
# /one/two after a space, a quote or a bracket; or C:\one.
ABSOLUTE_PATH = re.compile(r"""(?:^|[\s"'(=\[])(?:/[\w.@-]+){2,}|\b[A-Z]:\\\w""", re.MULTILINE)


@pytest.fixture
def cells(notebook):
    return nbformat.read(notebook, as_version=4).cells


@pytest.fixture
def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def texts(output) -> list[str]:
    """The texts in an output, without pictures."""
    found = [output.get("text", ""), *output.get("traceback", [])]
    for kind, content in output.get("data", {}).items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            found.append(content if isinstance(content, str) else json.dumps(content))
    return found


def test_notebook_is_valid(notebook):
    nbformat.validate(nbformat.read(notebook, as_version=4))


def test_notebook_is_small(notebook):
    assert notebook.stat().st_size <= LARGEST_FILE


def test_notebook_starts_with_its_only_title(cells):
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1


def test_start_here_lists_every_other_notebook():
    cells = nbformat.read(NOTEBOOKS / f"{START}.ipynb", as_version=4).cells
    rows = re.findall(r"(?m)^\| \[(\w+)\]\((\w+)\.ipynb\) \|", "".join(c.source for c in cells))
    names = sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
    assert rows == [(name, name) for name in names if name != START]


def test_names_of_other_notebooks_in_prose_are_links(notebook, cells):
    """A click leads there, and in a report to the chapter."""
    others = "|".join(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb") if path != notebook)
    for cell in cells:
        if cell.cell_type == "markdown":
            assert not re.findall(rf"(?<!\[)`(?:{others})`", cell.source)


def test_kernel_is_python3(notebook):
    assert nbformat.read(notebook, as_version=4).metadata.kernelspec.name == "python3"


def test_parameters_are_typed_literals_with_comments(code):
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, "exactly one cell is tagged `parameters`"
    for line in tagged[0].source.splitlines():
        assert PARAMETER.match(line), f"not `name: type = value  # comment`: {line}"
        ast.literal_eval(ast.parse(line).body[0].value)


def test_code_cells_are_short_and_define_nothing(code):
    for number, cell in enumerate(code, start=1):
        lists_names = number == 1 or "parameters" in cell.metadata.get("tags", [])
        if not lists_names:  # imports and parameters may take more lines
            assert len(cell.source.splitlines()) <= LONGEST_CELL, f"code cell {number} is too long"
        nodes = ast.walk(ast.parse(re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE)))
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert not any(isinstance(node, defined) for node in nodes), (
            f"code cell {number} has a definition"
        )
        assert not cell.source.rstrip().endswith(";"), f"code cell {number} ends in `;`"


def test_notebook_is_saved_after_one_run_from_top_to_bottom(code):
    counts = [cell.execution_count for cell in code if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), "nbval would not compare it: make refresh"


def test_outputs_contain_no_error(code):
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds


def test_outputs_contain_no_absolute_path(code):
    for number, cell in enumerate(code, start=1):
        for text in (text for output in cell.outputs for text in texts(output)):
            found = ABSOLUTE_PATH.search(text)
            assert not found, f"code cell {number} shows {found.group().strip()}"


def test_outputs_need_no_kernel(notebook, code):
    assert "widgets" not in nbformat.read(notebook, as_version=4).metadata, "make refresh"
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert WIDGET not in kinds, "a page without a kernel shows an error there: make refresh"


def test_no_file_name_is_shown_above_a_figure(code):
    shown = [o.get("data", {}).get("text/plain", "") for cell in code for o in cell.outputs]
    assert [text for text in shown if re.fullmatch(r"""['"].*\.(png|pdf|svg)['"]""", text)] == []


@pytest.mark.parametrize("text", ["saved in /a/b.png", "PosixPath('/a/b')", "(/a/b)", r"C:\a"])
def test_absolute_paths_are_found(text):
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize("text", ["<td>1</td>", "../figures/a.png", "m/s and km/h", "a / b / c"])
def test_other_slashes_are_not_absolute_paths(text):
    assert not ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize(
    ("saved", "new"),
    [
        ("", ""),
        ("rmse 1.1670", "rmse 1.1685"),
        ("0.5", "0.501"),
        ("loss 1.000e+03", "loss 1.001e+03"),
        ("[nan, 0.1, inf]", "[nan, 0.1009, inf]"),
        ("NaN", "nan"),
        ("-0.000", "0.000"),
        ("[ 0.001  0.2  ]", "[-0.0004  0.2   ]"),
        ("  bins   rmse\na   7  9.999\n------", "  bins    rmse\na   7  10.001\n-------"),
        ("<td>0.388</td>\n<td>0.683</td>", "<td>0.389</td>\n<td>0.682</td>"),
        ("<Axes at 0x7f10>", "<Axes at 0x55ab>"),
        ('<table id="T_0a1b2">', '<table id="T_c3d4e">'),
        ("1.5m in 0.2s", "1.5009m in 0.2s"),
    ],
)
def test_same_output_accepts_small_differences(comparison, saved, new):
    assert comparison.same_output(saved, new)
    assert comparison.same_output(new, saved)


@pytest.mark.parametrize(
    ("saved", "new"),
    [
        ("rmse 1.1670", "rmse 1.1710"),
        ("0.034", "0.037"),
        ("spread 0.0001", "spread 0.0020"),
        ("0.0018", "0.0015"),
        ("1.2e-05", "1.6e-05"),
        ("654 frames", "655 frames"),
        ("nan", "0.1"),
        ("inf", "-inf"),
        ("1.5", "-1.5"),
        ("1.0 2.0", "1.0"),
        ("1.0", "1.0 2.0"),
        ("rmse 1.0", "silog 1.0"),
        ("<td>1.0</td>", "<th>1.0</th>"),
        ("RN50", "RN101"),
        ("v1.2.3", "v1.2.4"),
        ("delta1 0.5", "delta2 0.5"),
        ("a b", "ab"),
    ],
)
def test_same_output_rejects_other_differences(comparison, saved, new):
    assert not comparison.same_output(saved, new)
    assert not comparison.same_output(new, saved)


def test_tolerances_are_tight(comparison):
    assert comparison.RELATIVE <= 2e-3
    assert comparison.ABSOLUTE <= 2e-3 and comparison.LAST_DIGIT <= 2


def test_outputs_compare_as_nbval_compares_them(comparison):
    assert not comparison.Output("0.5000") != comparison.Output("0.5004")
    assert comparison.Output("0.5000") != comparison.Output("0.6000")
    assert comparison.Output("0.5") != 0.5


# --- pictures -------------------------------------------------------------------------------------


def shown(words="depth (m)", colour="C0", scale=1.0, colours="viridis", width=5.0):
    """The output of a cell that draws a map and a line, saved as `make refresh` saves it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(width, 2.5), dpi=110)
    left.imshow(np.add.outer(np.arange(40.0), np.arange(60.0)), cmap=colours)
    right.plot(np.arange(9), scale * np.sqrt(np.arange(9)), color=colour)
    right.set(ylim=(0, 4), ylabel=words)
    file = BytesIO()
    figure.savefig(file)
    plt.close(figure)
    data = {"image/png": b64encode(small(file.getvalue())).decode()}
    about = {"image/png": {"alt": words, "words": [words]}}
    return nbformat.v4.new_output("display_data", data=data, metadata=about)


def test_pictures_of_the_same_agree(comparison):
    assert comparison.picture_fault([shown()], [shown()]) == ""
    assert comparison.picture_fault([shown()], [shown(scale=1 + 1e-4)]) == ""


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"words": "depth (cm)"}, "words"),
        ({"colours": "cividis"}, "other colours"),
        ({"colour": "C2"}, "other colours"),
        ({"scale": 1.05}, "other colours"),
        ({"width": 5.2}, "rows and columns"),
    ],
)
def test_pictures_of_something_else_are_found(comparison, changed, fault):
    assert fault in comparison.picture_fault([shown()], [shown(**changed)])


def test_missing_pictures_are_found(comparison):
    assert comparison.picture_fault([shown()], []) == "0 pictures instead of 1"


def test_an_edge_may_be_drawn_a_pixel_further(comparison):
    pixels = np.full((64, 64), 255, np.uint8)
    pixels[:, 31:] = 0
    outputs = []
    for moved in (0, 1):
        file = BytesIO()
        Image.fromarray(np.roll(pixels, moved, axis=1)[:, 2:-2]).save(file, "PNG")
        data = {"image/png": b64encode(file.getvalue()).decode()}
        outputs.append([nbformat.v4.new_output("display_data", data=data)])
    assert comparison.picture_fault(*outputs) == ""


def test_every_saved_picture_tells_its_words(cells):
    for number, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                about = output.metadata.get("image/png", {})
                assert about.get("alt"), f"the picture of cell {number} has no words: make refresh"


def test_pictures_are_not_too_wide_for_their_text(cells):
    for number, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = Image.open(BytesIO(b64decode(output.data["image/png"])))
                assert picture.width <= WIDEST_PICTURE, f"the picture of cell {number}"
