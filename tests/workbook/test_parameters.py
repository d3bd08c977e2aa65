from pathlib import Path
from typing import Any, Literal, Union

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthclip_core.errors import DepthClipError
from depthclip_core.workbook.parameters import Parameter, declared_parameters, values_of_run

SOURCE = """\
n: int = 3  # counts; n = 3 is usual
rate: float = 0.5
name: str | None = None  # a name
on: bool = False
words: list[str] = ["a", "b"]
bins: "str | list[float]" = "original"
mode: Literal["fast", "slow"] = "fast"
size = 4
half: float = 1 / 2
array: np.ndarray = None
"""


def notebook(*sources, tags=("parameters",)):
    cells = [
        nbformat.v4.new_code_cell(source, metadata={"tags": [tag]})
        for source, tag in zip(sources, tags, strict=True)
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1"), *cells])


@pytest.fixture
def declared():
    return declared_parameters(notebook(SOURCE), "a.ipynb")


def test_declared_parameters_reads_every_line(declared):
    assert {name: (p.kind, p.default) for name, p in declared.items()} == {
        "n": (int, 3),
        "rate": (float, 0.5),
        "name": (Union[str, None], None),  # noqa: UP007
        "on": (bool, False),
        "words": (list[str], ["a", "b"]),
        "bins": (Union[str, list[float]], "original"),  # noqa: UP007
        "mode": (Literal["fast", "slow"], "fast"),
        "size": (int, 4),
        "half": (float, "1 / 2"),
        "array": (None, None),
    }
    assert declared["bins"].declared == "'str | list[float]'"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n", "-7", -7),
        ("rate", "1e-3", 0.001),
        ("rate", "2", 2.0),
        ("name", "None", None),
        ("name", "1", "1"),
        ("name", "a, b = c", "a, b = c"),
        ("on", "True", True),
        ("on", "false", False),
        ("words", "x, y", ["x", "y"]),
        ("words", '["x, y"]', ["x, y"]),
        ("words", "", []),
        ("bins", "1,2.5", [1.0, 2.5]),
        ("bins", "[1, 2.5]", [1.0, 2.5]),
        ("bins", "even", "even"),
        ("mode", "slow", "slow"),
        ("size", "5", 5),
    ],
)
def test_from_text_parses_the_declared_type(declared, name, text, value):
    found = declared[name].from_text(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("n", text) for text in ("0.5", "1.0", "1e3", "", " 1", "1_000", "true", "٣")],
        *[("rate", text) for text in ("nan", "inf", "", "1_0.0", "one", "1,5")],
        *[("on", text) for text in ("1", "0", "yes", "")],
        ("words", "[1, 2]"),
        ("words", '["x"'),
        ("mode", "medium"),
        ("array", "1"),
    ],
)
def test_from_text_refuses_other_text(declared, name, text):
    with pytest.raises(DepthClipError, match=rf"parameter {name!r}"):
        declared[name].from_text(text)


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("n", np.int64(4), 4),
        ("rate", 1, 1.0),
        ("rate", np.float32(0.5), 0.5),
        ("name", Path("a") / "b", str(Path("a") / "b")),
        ("words", ("x",), ["x"]),
        ("bins", np.array([1.0, 2.0]), [1.0, 2.0]),
        ("on", np.True_, True),
    ],
)
def test_from_value_returns_plain_python(declared, name, given_, value):
    found = declared[name].from_value(given_)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("n", value) for value in (True, "1", 1.0)],
        *[("rate", value) for value in ("0.5", float("nan"), True)],
        *[("name", 1), ("on", 1), ("words", "x"), ("words", [1]), ("bins", ["1"]), ("mode", 1)],
    ],
)
def test_from_value_refuses_other_types(declared, name, value):
    with pytest.raises(DepthClipError, match=rf"parameter {name!r} is .*, got "):
        declared[name].from_value(value)


def test_values_from_text_splits_commas_or_reads_json(declared):
    assert declared["n"].values_from_text("1, 2") == [1, 2]
    assert declared["name"].values_from_text('["a,b", null]') == ["a,b", None]
    assert declared["words"].values_from_text('[["a"], ["b", "c"]]') == [["a"], ["b", "c"]]
    with pytest.raises(DepthClipError, match="as JSON"):
        declared["words"].values_from_text("a,b")
    with pytest.raises(DepthClipError, match="not valid JSON"):
        declared["n"].values_from_text("[1,")


@given(
    st.one_of(
        st.tuples(st.just(int), st.integers()),
        st.tuples(st.just(float), st.floats(allow_nan=False, allow_infinity=False)),
        st.tuples(st.just(bool), st.booleans()),
        st.tuples(st.just(str), st.text()),
    )
)
def test_from_text_inverts_str(pair):
    kind, value = pair
    parameter = Parameter("x", kind, kind.__name__, None)
    assert parameter.from_text(str(value)) == parameter.from_value(value) == value


def test_any_reads_json_or_keeps_text():
    parameter = Parameter("x", Any, "Any", None)
    assert [parameter.from_text(text) for text in ("1", "[1]", "one")] == [1, [1], "one"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "a.ipynb has no cell tagged"),
        (["x = 1", "y = 1"], "a.ipynb has 2 cells tagged"),
        (["x = ="], "a.ipynb: cannot parse the cell tagged `parameters`: .*, line 1"),
    ],
)
def test_exactly_one_valid_cell_is_required(cells, message):
    with pytest.raises(DepthClipError, match=message):
        declared_parameters(notebook(*cells, tags=["parameters"] * len(cells)), "a.ipynb")


def test_annotations_are_not_evaluated(tmp_path):
    source = f"x: list[open({str(tmp_path / 'made')!r}, 'w')] = 1"
    assert declared_parameters(notebook(source), "a")["x"].kind is None
    assert not list(tmp_path.iterdir())


def test_values_of_run_prefer_injected_values():
    ran = notebook(SOURCE, "n = 9", tags=["parameters", "injected-parameters"])
    assert values_of_run(ran)["n"] == 9 and values_of_run(ran)["rate"] == 0.5
    assert values_of_run(notebook(tags=[])) == {}
